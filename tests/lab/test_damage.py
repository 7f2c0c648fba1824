"""Damage to what is on record: it is named, what rests on it is not built on, and the rest goes on."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from here_executor import HereExecutor
from interrupted_project import assert_whole, make_design, make_project, outcome

from modelwright.base.errors import BadValue, Corrupted, StoreFailed
from modelwright.lab.page.facts import collect_facts
from modelwright.lab.project import Project
from modelwright.lab.report import write_report
from modelwright.lab.result import Result
from modelwright.lab.run import run_design
from modelwright.lab.watch.view import QuietView


@pytest.fixture(scope="module")
def finished(here: HereExecutor, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("finished"))
    run_design(make_design(), project, executor=here)
    return project


@pytest.fixture(scope="module")
def whole(finished: Project) -> dict[str, Any]:
    return outcome(finished)


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy that may be damaged."""
    shutil.copytree(finished.root, tmp_path / "copy")
    return Project.find(tmp_path / "copy", journal=Path(".modelwright"))


@pytest.fixture
def again(here: HereExecutor) -> Callable[..., Result]:
    def run_again(project: Project, **how: Any) -> Result:
        return run_design(make_design(), project, executor=here, **how)

    return run_again


def without(part: str, whole: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if name != part}


def edit(project: Project, *statements: str) -> None:
    """Change the database as somebody would who wants to: without its triggers, which come back after."""
    connection = sqlite3.connect(project.journal_folder / "journal.db")
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert connection.execute(statement).rowcount == 1, statement
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()


def damages(project: Project) -> list[str]:
    with project.open_journal(read_only=True) as journal:
        return [f"{found.part} {found.subject}: {found.what}" for found in journal.verify().damages]


class Stop(QuietView):
    """Stops the run, as Ctrl-C does, in the middle of its first training."""

    def trained(self, progress: object, *, updates: Any) -> None:
        if updates.get("descent"):
            raise KeyboardInterrupt


# ---- files beside the ledger: the verdict does not rest on them ----


def test_a_truncated_metric_file_is_named_and_the_verdict_stands(project, again, whole):
    file = next(iter(sorted((project.journal_folder / "metrics").rglob("*.parquet"))))
    file.write_bytes(file.read_bytes()[:-100])
    result = again(project)
    assert result.trained == 0
    assert result.verdict.record() == whole["verdict"][0]
    assert [text for text in damages(project) if file.stem in text]
    with project.open_journal(read_only=True) as journal:
        problems = " ".join(collect_facts(journal, "small").problems)
        run = next(row.run for row in journal.runs() if row.cohort == file.stem)
        with pytest.raises(Corrupted, match=file.stem):
            journal.read_metrics(run)
    assert file.stem in problems
    assert file.stem in write_report(project, "small").read_text()


def test_a_truncated_segment_of_an_interrupted_run_is_named_and_the_run_is_done_again(again, whole, tmp_path):
    project = make_project(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        again(project, view=Stop())
    (segment,) = (project.journal_folder / "segments").rglob("*.segment")
    segment.write_bytes(segment.read_bytes()[:-40])
    again(project)
    found = outcome(project)
    for part, value in whole.items():
        assert found[part] == value, part
    assert [text.split(":")[0] for text in damages(project)] == [
        f"segment segments/{segment.parent.name}/{segment.name}"
    ]


def test_a_missing_artefact_is_named_and_the_verdict_stands(project, again, whole):
    with project.open_journal(read_only=True) as journal:
        lineage = journal.entries(kind="run.started")[0].body["body"]["lineage"]
    (project.journal_folder / "artefacts" / lineage[:2] / lineage[2:]).unlink()
    result = again(project)
    assert result.trained == 0
    assert result.verdict.record() == whole["verdict"][0]
    assert any(lineage in text for text in damages(project))
    assert lineage[:12] in write_report(project, "small").read_text()


def test_a_missing_head_file_is_noted_and_made_again(project, again, whole):
    head = project.journal_folder / "head"
    content = head.read_bytes()
    head.unlink()
    with project.open_journal(read_only=True) as journal:
        assert any("head is missing" in note for note in journal.verify().notes)
    assert again(project).trained == 0
    assert head.read_bytes() == content
    assert_whole(project, whole)


def test_missing_locks_and_reports_are_made_again(project, again, whole):
    shutil.rmtree(project.journal_folder / "locks")
    shutil.rmtree(project.journal_folder / "reports")
    assert again(project).trained == 0
    assert_whole(project, whole)


# ---- the ledger and its tables: nothing is built on them ----

CHANGES = {
    "an entry's score": (
        'UPDATE entry SET body = replace(body, \'"status":"finished"\', \'"status":"failed"\') '
        "WHERE sequence = (SELECT min(finished_sequence) FROM run)",
        "entry {first}",
    ),
    "the score in the table of runs": (
        "UPDATE run SET score = score - 1 "
        "WHERE run = (SELECT run FROM run WHERE finished_sequence = {first})",
        "run small-",
    ),
    "the registered design": (
        "UPDATE registration SET body = replace(body, '\"seeds\":5', '\"seeds\":4')",
        "registration 1",
    ),
    "an entry that is removed": ("DELETE FROM entry WHERE kind = 'checks'", "entry "),
    "the registration's own entry": (
        "UPDATE entry SET body = replace(body, 'ridge regression', 'magic') WHERE sequence = 1",
        "entry 1",
    ),
    "a look": (
        "UPDATE entry SET body = replace(body, 'go on', 'stop') "
        "WHERE sequence = (SELECT min(sequence) FROM entry WHERE kind = 'look')",
        "entry ",
    ),
    "a registration that is removed": ("DELETE FROM registration WHERE sequence = 1", "registration 1"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_record_is_refused_and_named_and_another_journal_gives_the_same(
    project, again, whole, what
):
    with project.open_journal(read_only=True) as journal:
        first = min(row.finished_sequence for row in journal.runs())
        head = journal.head()
    statement, named = (text.replace("{first}", str(first)) for text in CHANGES[what])
    edit(project, statement)
    with pytest.raises(Corrupted, match="holds before a verdict is built on it") as caught:
        again(project)
    assert str(caught.value.got).startswith(named), caught.value.got
    assert "--journal" in str(caught.value)
    with project.open_journal(read_only=True) as journal:
        assert journal.head() == head, "something was written on top of the damage"
    other = Project.find(project.root, journal=Path("other"))
    again(other)
    assert_whole(other, whole)


def test_a_changed_record_is_refused_for_a_new_experiment_too(project, here):
    edit(project, *[CHANGES["the registered design"][0]])
    with pytest.raises(Corrupted, match="registration 1"):
        run_design(make_design(name="other"), project, executor=here)


def test_flipped_bytes_never_lead_to_another_verdict(finished, again, whole, tmp_path):
    """Anywhere in the database: refused, or (in a place that nothing reads) without effect."""
    place, refused = random.Random(4), 0
    for attempt in range(12):
        folder = tmp_path / str(attempt)
        shutil.copytree(finished.root, folder)
        project = Project.find(folder, journal=Path(".modelwright"))
        file = project.journal_folder / "journal.db"
        content = bytearray(file.read_bytes())
        for _ in range(3):
            at = place.randrange(len(content))
            content[at] ^= 1 << place.randrange(8)
        file.write_bytes(content)
        try:
            result = again(project)
        except (Corrupted, StoreFailed, BadValue):
            refused += 1
        else:
            assert result.verdict.record() == whole["verdict"][0]
            assert result.trained == 0
    assert refused >= 4, "the flips hit nothing"


def test_entries_cut_off_the_end_are_missed(project, again):
    edit(project, "DELETE FROM entry WHERE sequence = (SELECT max(sequence) FROM entry)")
    with pytest.raises(Corrupted, match="entries are lost"):
        again(project)


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b"", Corrupted, "journal.db is empty"),
        (b"run,score\n1,0.5\n" * 100, Corrupted, "not a database"),
        (None, Corrupted, "without journal.db"),
    ],
    ids=["empty", "a table of text", "gone"],
)
def test_a_database_that_was_replaced_is_refused(project, again, whole, content, kind, says):
    file = project.journal_folder / "journal.db"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(kind, match=says):
        again(project)
    assert (file.read_bytes() if file.exists() else None) == content, "it was changed"
    other = Project.find(project.root, journal=Path("other"))
    again(other)
    assert_whole(other, whole)


def test_a_database_of_something_else_is_refused_and_not_touched(project, again):
    file = project.journal_folder / "journal.db"
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()
    content = file.read_bytes()
    with pytest.raises(BadValue, match="recipes"):
        again(project)
    assert file.read_bytes() == content


def test_a_read_only_journal_can_be_looked_at_and_not_run(project, again, whole):
    place = project.journal_folder
    root = not hasattr(os, "geteuid") or os.geteuid() == 0
    if root:
        bind = ["mount", "--bind", str(place), str(place)]
        if sys.platform != "linux" or subprocess.run(bind, capture_output=True, check=False).returncode:
            pytest.skip("root is not kept from writing, and nothing can be mounted here")
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
    else:
        for path in [place, *place.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with pytest.raises(StoreFailed) as caught:
            again(project)
        assert "permission" in str(caught.value)
        assert outcome(project) == whole
        assert damages(project) == []
        with pytest.raises(StoreFailed, match="report"):
            write_report(project, "small")
    finally:
        if root:
            subprocess.run(["umount", str(place)], check=True)
        else:
            for path in [place, *place.rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)
    assert again(project).trained == 0
    assert_whole(project, whole)


# ---- the command line ----


def test_the_command_line_says_what_is_broken_and_how_to_go_on(project, tmp_path):
    experiments = project.root / "experiments"
    experiments.mkdir()
    (experiments / "small.yaml").write_text(json.dumps(make_design().record()))

    def modelwright(*words: str) -> "subprocess.CompletedProcess[str]":
        code = "import sys; from modelwright.cli import main; sys.exit(main())"
        return subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=project.root,
            capture_output=True,
            text=True,
            check=False,
        )

    with project.open_journal(read_only=True) as journal:
        first = min(row.finished_sequence for row in journal.runs())
    edit(project, CHANGES["the score in the table of runs"][0].replace("{first}", str(first)))
    refused = modelwright("run", "small")
    assert refused.returncode == 4, refused.stderr
    assert "score is" in refused.stderr
    assert "Traceback" not in refused.stderr
    verified = modelwright("verify")
    assert verified.returncode == 4
    assert "score is" in verified.stdout
    elsewhere = modelwright("run", "small", "--journal", str(tmp_path / "other"))
    assert elsewhere.returncode == 0, elsewhere.stderr
