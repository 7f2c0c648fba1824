"""Which run is meant, what a damaged or incomplete record leads to, and what a repetition leaves behind."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from rerun_project import frozen_package, named, record, record_project, write_project

from modelwright.base.errors import BadValue, Corrupted, NotPermitted, SourceMissing, UnknownName, WorkerLost
from modelwright.journal.journal import Journal
from modelwright.journal.lock import experiment_lock
from modelwright.lab.lineage.comparison import Sameness
from modelwright.lab.project import Project
from modelwright.lab.rerun.rerun import rerun_run

PAIR = ("plain", "diverging")
BITWISE = Sameness.BITWISE_EQUAL


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with frozen_package(tmp_path_factory.mktemp("package")):
        yield


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what loading a learner appends to the import path: here a copy of another test's project."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "/project" not in entry])


@pytest.fixture(scope="module")
def lines(package: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return record_project(tmp_path_factory.mktemp("lines") / "project", variants=PAIR, seeds=3)


@pytest.fixture
def project(lines: Project, tmp_path: Path) -> Project:
    shutil.copytree(lines.root, tmp_path / "project")
    return Project.find(tmp_path / "project", journal=Path(".modelwright"))


def attempt(journal: Journal, run: str, *, end: str | None, reason: str = "", like: str) -> None:
    """Enter another attempt at the trial of `like`, which begins and ends, or goes on."""
    row = next(row for row in journal.runs(order="started") if row.run.startswith(like))
    started = journal.entries(kind="run.started", run=row.run)[-1].body["body"]
    journal.start_run(
        run,
        trial=row.trial,
        design=row.design,
        experiment=row.experiment,
        variant=row.variant,
        seed_index=row.seed_index,
        body=started,
    )
    if end is not None:
        journal.finish_run(run, status=end, score=None, body={"reason": reason})  # pyright: ignore


# ---- which run is meant ----


def test_the_attempt_with_a_result_is_meant_where_only_attempts_differ(project: Project) -> None:
    with project.open_journal() as journal:
        attempt(journal, "lines-plain-00-00dead", end="interrupted", reason="killed", like="lines-plain-00")
        attempt(journal, "lines-plain-00-00fa11", end="failed", reason="error", like="lines-plain-00")
    answer = rerun_run("lines-plain-00", project)
    assert answer.sameness is BITWISE
    with project.open_journal(read_only=True) as journal:
        (entry,) = journal.entries(kind="rerun")
        assert journal.run(str(entry.run)).status == "finished"


def test_a_diverged_attempt_wins_over_an_interrupted_one(project: Project) -> None:
    with project.open_journal() as journal:
        attempt(journal, "lines-diverging-00-00dead", end="interrupted", like="lines-diverging-00")
    assert rerun_run("lines-diverging-00", project).sameness is BITWISE


@pytest.mark.parametrize(
    ("end", "reason", "told"),
    [
        (None, "", "is running"),
        ("interrupted", "its worker went away", "is interrupted (its worker went away)"),
        ("failed", "error", "is failed (error)"),
    ],
)
def test_a_run_without_a_result_is_refused_with_the_way_to_one(
    project: Project, end: str | None, reason: str, told: str
) -> None:
    with project.open_journal() as journal:
        attempt(journal, "lines-plain-00-00dead", end=end, reason=reason, like="lines-plain-00")
    with pytest.raises(NotPermitted, match="come to a result") as raised:
        rerun_run("lines-plain-00-00dead", project)
    assert told in str(raised.value)
    assert "modelwright run lines" in str(raised.value)


def test_an_ambiguous_beginning_lists_the_runs_and_an_unknown_one_the_nearest(project: Project) -> None:
    with pytest.raises(BadValue, match="fits one run only") as raised:
        rerun_run("lines-plain", project)
    for seed in range(3):
        assert f"lines-plain-0{seed}-" in str(raised.value)
    with pytest.raises(UnknownName) as unknown:
        rerun_run("lines-plane-00", project)
    assert str(unknown.value.nearest).startswith("lines-plain-0")
    with pytest.raises(BadValue, match="identity or by how it begins"):
        rerun_run("", project)


def test_a_question_in_a_folder_without_a_journal_makes_none(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="journal"):
        rerun_run("lines-plain-00", Project.find(tmp_path, journal=Path(".modelwright")))
    assert list(tmp_path.iterdir()) == []


# ---- a record that does not hold, or is not whole ----


def test_a_tampered_ledger_is_refused(project: Project) -> None:
    with sqlite3.connect(project.journal_folder / "journal.db") as database:
        for name, kind in database.execute("SELECT name, type FROM sqlite_master WHERE type = 'trigger'"):
            database.execute(f"DROP {kind} {name}")
        database.execute(
            'UPDATE entry SET body = replace(body, \'"status":"finished"\', \'"status":"fimished"\') '
            "WHERE kind = 'run.finished'"
        )
    with pytest.raises(Corrupted) as raised:
        rerun_run("lines-plain-00", project)
    assert "verify" in str(raised.value)


def test_a_changed_score_in_the_list_of_runs_is_refused(project: Project) -> None:
    with sqlite3.connect(project.journal_folder / "journal.db") as database:
        database.execute("UPDATE run SET score = score + 1 WHERE variant = 'plain'")
    with pytest.raises(Corrupted, match="holds before a repetition"):
        rerun_run("lines-plain-00", project)


def test_a_truncated_metric_file_is_refused(project: Project) -> None:
    for file in (project.journal_folder / "metrics").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(Corrupted, match="metric"):
        rerun_run("lines-plain-00", project)


def lineage_of(project: Project, run: str) -> tuple[str, dict[str, Any]]:
    with project.open_journal(read_only=True) as journal:
        started = journal.entries(kind="run.started", run=journal.run(run).run)[-1].body["body"]
        return started["lineage"], json.loads(journal.artefacts.get(started["lineage"]))


def test_a_lost_source_archive_or_lineage_is_a_clear_error(project: Project) -> None:
    sha256, lineage = lineage_of(project, "lines-plain-00")
    with project.open_journal(read_only=True) as journal:
        archive, record_file = (
            journal.artefacts.path(name) for name in (lineage["source"]["archive_sha256"], sha256)
        )
    kept = archive.read_bytes()
    archive.unlink()
    with pytest.raises(SourceMissing, match="recorded source is kept") as raised:
        rerun_run("lines-plain-00", project)
    assert "--here" in str(raised.value)
    assert rerun_run("lines-plain-00", project, here=True).sameness is BITWISE
    archive.write_bytes(kept[:-1] + b"?")
    with pytest.raises(Corrupted):
        rerun_run("lines-plain-00", project)
    archive.write_bytes(kept)
    assert rerun_run("lines-plain-00", project).sameness is BITWISE
    record_file.unlink()
    with pytest.raises(SourceMissing, match="lineage of a run"):
        rerun_run("lines-plain-00", project)


def test_a_learner_that_cannot_run_any_more_says_what_differs(project: Project) -> None:
    (project.root / "settings.py").write_text("SCALE = 'a'\n")
    with pytest.raises(WorkerLost, match="raised") as raised:
        rerun_run("lines-plain-00", project, here=True)
    assert "code: file settings.py changed" in " ".join(raised.value.__notes__)


# ---- where it is asked from, and in what company ----


def test_it_is_the_same_from_another_folder(project: Project, tmp_path: Path, monkeypatch: Any) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    answer = rerun_run("lines-plain-00", Project.find(journal=project.journal_folder))
    assert (answer.sameness, named(answer)) == (BITWISE, [])
    assert list(other.iterdir()) == []


def test_it_may_be_asked_while_the_experiment_is_at_work(project: Project) -> None:
    with project.open_journal() as journal, experiment_lock(journal.folder, "lines"):
        attempt(journal, "lines-plain-02-00dead", end=None, like="lines-plain-02")
        with journal.metric_writer(["lines-plain-02-00dead"]):
            assert rerun_run("lines-plain-00", project).sameness is BITWISE


def test_two_at_once_do_not_disturb_each_other(project: Project) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda name: rerun_run(name, project), ["lines-plain-00", "lines-plain-01"]))
    assert [answer.sameness for answer in answers] == [BITWISE, BITWISE]
    with project.open_journal(read_only=True) as journal:
        assert len(journal.entries(kind="rerun")) == 2
        assert journal.verify().ok


# ---- git ----


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs the git program")
@pytest.mark.slow
def test_with_git_uncommitted_changes_of_then_are_restored(tmp_path: Path) -> None:
    project = write_project(tmp_path / "repository" / "sub")
    top = project.root.parent
    git(top, "init", "-q")
    (top / ".gitignore").write_text("*.csv\n.modelwright/\n")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "first")
    (project.root / "settings.py").write_text("SCALE = 1.25\n")  # not committed
    record(project, variants=PAIR, seeds=3)
    _, lineage = lineage_of(project, "lines-plain-00")
    assert (lineage["source"]["kind"], lineage["source"]["dirty"]) == ("git", True)
    git(top, "checkout", "-q", "--", ".")
    answer = rerun_run("lines-plain-00", project)
    assert (answer.sameness, named(answer)) == (BITWISE, [])
    changed = rerun_run("lines-plain-00", project, here=True)
    assert changed.sameness is not BITWISE
    assert named(changed) == [("code", "sub/settings.py")]
    # Another repository does not hold the tree.
    shutil.copytree(top, tmp_path / "other", ignore=shutil.ignore_patterns(".git"))
    git(tmp_path / "other", "init", "-q")
    other = Project.find(tmp_path / "other" / "sub", journal=Path(".modelwright"))
    with pytest.raises(SourceMissing, match="must hold the recorded tree") as raised:
        rerun_run("lines-plain-00", other)
    assert "--here" in " ".join(raised.value.__notes__)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs the git program")
@pytest.mark.slow
def test_modules_on_the_import_path_are_the_recorded_ones_or_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path / "project")
    for folder, text in (("src/rerun_mine", "import rerun_kept\nK = 1.0\n"), ("lib", "")):
        (project.root / folder).mkdir(parents=True)
        (project.root / folder / "__init__.py").write_text(text)
    shutil.copy(project.root / "learners.py", project.root / "src" / "rerun_mine" / "learn.py")
    (project.root / "src" / "rerun_mine" / "learn.py").write_text(
        (project.root / "learners.py").read_text().replace("from settings import SCALE", "SCALE = 1.0")
    )
    (project.root / "lib" / "rerun_kept.py").write_text("WIDTH = 3\n")
    (project.root / ".gitignore").write_text("*.csv\n.modelwright/\nlib/\n")
    git(project.root, "init", "-q")
    monkeypatch.setattr(sys, "path", [str(project.root / "src"), str(project.root / "lib"), *sys.path])
    variants = {name: {"learner": f"rerun_mine.learn:{name}"} for name in PAIR}
    try:
        record(project, variants=PAIR, seeds=3, design_variants=variants)
        learn = project.root / "src" / "rerun_mine" / "learn.py"
        learn.write_text(learn.read_text().replace("SCALE = 1.0", "SCALE = 1.5"))
        answer = rerun_run("lines-plain-00", project)
        # Git ignores lib, so that the record does not hold it, and says so.
        assert (answer.sameness, named(answer)) == (BITWISE, [("code", "lib/rerun_kept.py")])
        assert "could not be taken from the record" in answer.sentence
        changed = rerun_run("lines-plain-00", project, here=True)
        assert changed.sameness is not BITWISE
        assert named(changed) == [("code", "src/rerun_mine/learn.py")]
    finally:
        for name in [name for name in sys.modules if name.startswith("rerun_mine") or name == "rerun_kept"]:
            del sys.modules[name]


# ---- what is left behind ----

ASK = """
import signal, sys
from pathlib import Path
from modelwright.lab.project import Project
from modelwright.lab.rerun.rerun import rerun_run
# Whatever a shell starts in the background is born deaf to this signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
rerun_run("lines-plain-00", Project.find(Path(sys.argv[1]), journal=Path(".modelwright")), here=True)
"""

SLEEPER = """
import subprocess, sys, time
from pathlib import Path

def plain(features, target, rate=0.1, updates=4):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(__file__).with_name("at-work").write_text(str(child.pid))
    time.sleep(600)
    yield {"loss": 0.0}
"""


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_leaves_no_process_and_ctrl_c_no_folder(
    project: Project, tmp_path: Path, word: signal.Signals
) -> None:
    (project.root / "learners.py").write_text(SLEEPER)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    asker = subprocess.Popen(
        [sys.executable, "-c", ASK, str(project.root)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        process_group=0,
    )
    note = project.root / "at-work"
    wait_for(lambda: note.exists() and note.read_text() != "")
    family = [*psutil.Process(asker.pid).children(recursive=True), psutil.Process(int(note.read_text()))]
    assert len(list(temporary.iterdir())) == 1
    os.kill(asker.pid, word)
    _, said = asker.communicate(timeout=20)
    wait_for(lambda: not any(is_alive(process) for process in family))
    if word is signal.SIGINT:
        assert b"KeyboardInterrupt" in said
        assert list(temporary.iterdir()) == []
    with project.open_journal(read_only=True) as journal:
        assert journal.entries(kind="rerun") == []


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
