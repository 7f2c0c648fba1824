"""Behaviour decides: what passes, what does not, and what is left where a check does not come to its end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from practice_bank import SOURCE, no_findings

import modelwright.practice.check
from modelwright.base.errors import NotPermitted, SourceMissing
from modelwright.base.finding import Finding, Severity
from modelwright.journal.lock import experiment_lock
from modelwright.practice.check import Outcome, check_drill, restore_drill

LOW = "learning-rate-too-low"


@pytest.fixture
def check(desk, written) -> Callable[..., Outcome]:
    def do(
        fault: str, change: Callable[[str], str], start: str | None = None, examine=no_findings
    ) -> Outcome:
        drill = written(fault, change, start)
        return check_drill(desk.journal, drill, examine=examine, tell=lambda _: None)

    return do


def mend(text: str) -> str:
    return text.replace("0.0005", "0.05")


def test_the_same_code_again_is_mended_exactly_and_the_fault_is_told(check, desk) -> None:
    found = check(LOW, mend)
    assert (found.mended, found.exactly, found.fault) == (True, True, LOW)
    assert len(found.scores) == 3
    last = desk.journal.entries(kind="drill.solved")[-1]
    assert last.body["drill"] == desk.drills[LOW].name
    assert (last.body["fault"], last.body["family"], last.body["difficulty"]) == (LOW, "supervised", 2)


@pytest.mark.slow
def test_lines_that_are_printed_more_are_no_difference(check) -> None:
    assert check(
        LOW, lambda text: mend(text).replace("slope = 0.0\n", "slope = 0.0\nprint('here')\n")
    ).exactly


@pytest.mark.slow
def test_a_mend_by_another_way_passes(check) -> None:
    def other(text: str) -> str:
        return text.replace("rng.choice(train)", "train[step % 80]").replace("0.0005", "0.04")

    found = check(LOW, other)
    assert found.mended, found.reasons
    assert not found.exactly
    assert len(found.scores) == 6
    assert "not measured apart" in found.notes[0]


CHEATS = {
    "nothing": (lambda text: text, "is what it was at the start"),
    "comments": (lambda text: f"# mended\n{text}\n", "is what it was at the start"),
    "a printed constant": (
        lambda text: text[: text.rindex("print")] + 'print(json.dumps({"score": -0.0907}))\n',
        "same score at every seed",
    ),
    "no measurement": (lambda text: mend(text[: text.rindex("print")]), "its last line is not the object"),
    "early return": (
        lambda text: mend(text).replace("train, test", "raise SystemExit\ntrain, test"),
        "its last line is not the object",
    ),
    "a score that is no number": (
        lambda text: mend(text).replace("-sum(errors) / len(errors)", 'float("nan")'),
        "its last line is not the object",
    ),
    "an error": (lambda text: mend(text).replace("slope * x", "slop * x", 1), "NameError"),
    "no Python": (lambda text: text + "\ndef (\n", "no Python that can be read, line"),
    "another fault": (lambda text: text.replace("+= 0.0005", "+= 0.0009"), "worse than another run"),
    "training rows measured": (
        lambda text: text.replace("in test]", "in train[:1] * 40]").replace(
            "y - slope * x) ** 2", "0.0) ** 2"
        ),
        "better than another run",
    ),
}


@pytest.mark.parametrize(
    "name", [each if at < 2 else pytest.param(each, marks=pytest.mark.slow) for at, each in enumerate(CHEATS)]
)
def test_what_does_not_mend_it_does_not_pass_and_is_told_why(name: str, check, desk) -> None:
    change, why = CHEATS[name]
    before = len(desk.journal.entries(kind="drill.solved"))
    found = check(LOW, change)
    assert not found.mended
    assert any(why in reason for reason in found.reasons), found.reasons
    assert found.fault is None
    assert len(desk.journal.entries(kind="drill.solved")) == before
    entry = desk.journal.entries(kind="drill.checked")[-1]
    assert (entry.body["mended"], entry.body["fault"]) == (False, None)
    assert desk.journal.artefacts.get(entry.body["source"]).decode() == desk.drills[LOW].file.read_text()


@pytest.mark.slow
def test_a_score_that_was_too_good_is_mended_by_a_lower_one(check) -> None:
    assert check("best-rows-measured", lambda text: text.replace("errors = sorted(errors)[:10]\n", "")).mended
    still = check("best-rows-measured", lambda text: text.replace("[:10]", "[:15]"))
    assert not still.mended
    assert "better than another run" in still.reasons[0]


@pytest.mark.slow
def test_a_mild_fault_is_mended_exactly_or_not_at_all(check) -> None:
    assert check("too-mild", lambda text: text.replace("draw(79)", "draw(80)")).mended
    found = check("too-mild", lambda text: text.replace("draw(79)", "draw(78)"))
    assert not found.mended
    assert "changes scores too little" in found.reasons[0]


@pytest.mark.slow
def test_what_the_doctor_finds_anew_stands_in_the_way(check) -> None:
    def finds(file: Path) -> list[Finding]:
        if "train[step" not in file.read_text():
            return []
        return [Finding(kind="order-fixed", severity=Severity.WARNING, title="Rows come in one order.")]

    found = check(
        LOW,
        lambda text: text.replace("rng.choice(train)", "train[step % 80]").replace("0.0005", "0.04"),
        examine=finds,
    )
    assert not found.mended
    assert "the doctor finds: Rows come in one order. (order-fixed)" in found.reasons[0]


@pytest.mark.slow
def test_what_the_doctor_finds_in_the_sound_program_too_does_not(check) -> None:
    def finds(file: Path) -> list[Finding]:
        return [Finding(kind="always", severity=Severity.WARNING, title="Always.")]

    change = lambda text: text.replace("rng.choice(train)", "train[step % 80]").replace("0.0005", "0.04")  # noqa: E731
    assert check(LOW, change, examine=finds).mended


def test_a_program_that_does_not_end_is_stopped(check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelwright.practice.check, "_LEAST_LIMIT", 2.0)
    monkeypatch.setattr(modelwright.practice.check, "_SLOWEST", 0.0)
    found = check(LOW, lambda text: mend(text).replace("slope = 0.0\n", "while True:\n    pass\n"))
    assert "did not come to its end within 2 s" in found.reasons[0]


def test_a_lost_folder_is_named_and_put_back(desk, written) -> None:
    import shutil

    drill = written(LOW, mend)
    page = (drill.folder / "TASK.md").read_text()
    shutil.rmtree(drill.folder)
    with pytest.raises(SourceMissing) as caught:
        check_drill(desk.journal, drill, examine=no_findings, tell=lambda _: None)
    assert f"practice restore {drill.name}" in str(caught.value)
    restore_drill(desk.journal, drill)
    assert "0.0005" in drill.file.read_text()
    assert (drill.folder / "TASK.md").read_text() == page
    assert json.loads((drill.folder / "drill.json").read_text())["drill"] == drill.name


def test_one_process_at_a_time_checks_a_drill(desk, written) -> None:
    drill = written(LOW, mend)
    with experiment_lock(desk.journal.folder, f"drill {drill.name}"), pytest.raises(NotPermitted):
        check_drill(desk.journal, drill, examine=no_findings, tell=lambda _: None)


def test_a_killed_check_enters_nothing_and_leaves_no_process(desk, written, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    slow = f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    drill = written("loss-sign-flipped", lambda text: slow + text)
    before = desk.journal.head().sequence
    process = subprocess.Popen(
        [sys.executable, "-m", "modelwright", "practice", "check", str(drill.folder)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert note.exists(), process.returncode
    child = int(note.read_text())
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert desk.journal.head().sequence == before


@pytest.mark.slow
def test_the_sound_program_itself_passes(check) -> None:
    assert check(LOW, lambda text: text, SOURCE).exactly
