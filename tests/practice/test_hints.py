"""Hints become plainer by grades, come from the doctor where it sees something, and are entered."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.journal.journal import Journal
from modelwright.practice.bookkeeping import drills_on_record, find_drill
from modelwright.practice.choice import Wish
from modelwright.practice.drill import Drill
from modelwright.practice.hints import Hint, give_up, take_hint
from modelwright.practice.start import start_drill

FAULT = "learning-rate-too-low"


def seen(file: Path) -> list[Finding]:
    text = file.read_text().splitlines()
    at = next(number for number, line in enumerate(text, 1) if "0.0005" in line)
    causes = (Cause(what="steps are too short", file=str(file), line=at, name=FAULT),)
    return [
        Finding(
            kind="nothing-learnt",
            severity=Severity.WARNING,
            title="The loss stays.",
            evidence={"last": 3.1},
            causes=causes,
            next_check="raise the rate",
        )
    ]


@pytest.fixture
def drill(tmp_path: Path, desk) -> tuple[Journal, str]:
    """A drill whose journal is this test's own."""
    with Journal.open(tmp_path / "j") as journal:
        shutil.copytree(desk.journal.folder / "practice", tmp_path / "j" / "practice")
        begun = start_drill(journal, tmp_path, Wish(fault=FAULT), tell=lambda _: None)
        yield journal, begun.name


def ask(journal: Journal, name: str, examine) -> Hint:
    return take_hint(journal, again(journal, name), examine=examine, tell=lambda _: None)


def again(journal: Journal, name: str) -> Drill:
    return find_drill(drills_on_record(journal), name)


def test_four_grades_from_the_doctor_and_the_last_again(drill) -> None:
    journal, name = drill
    asked: list[Path] = []

    def examine(file: Path) -> Sequence[Finding]:
        asked.append(file)
        return seen(file)

    hints = [ask(journal, name, examine) for _ in range(5)]
    assert [hint.level for hint in hints] == [1, 2, 3, 4, 4]
    area, found, causes, line, last = ("\n".join(hint.lines) for hint in hints)
    assert "the loop that learns" in area
    assert "The loss stays. (nothing-learnt)" in found
    assert "last: 3.1" in found
    assert "steps are too short (slope.py:23)" in causes
    assert "raise the rate" in causes
    assert "slope += 0.0005 * error * x" in line
    assert line == last
    assert "0.0005" not in area + found
    assert [hint.source for hint in hints] == ["bank", "doctor", "doctor", "bank", "bank"]
    assert len(asked) == 1
    assert again(journal, name).hints == (1, 2, 3, 4, 4)


def test_where_the_doctor_sees_nothing_the_bank_speaks_and_says_so(drill) -> None:
    journal, name = drill
    asked: list[Path] = []
    hints = [ask(journal, name, lambda file: asked.append(file) or []) for _ in range(4)]
    assert len(asked) == 1
    said = ["\n".join(hint.lines) for hint in hints]
    assert "The doctor finds nothing" in said[1]
    assert "outside of all functions" in said[1]
    first, last = (int(word.strip(".")) for word in said[2].split("lines ")[1].split(" and "))
    assert first <= 23 <= last
    assert 5 <= last - first <= 15
    assert [hint.source for hint in hints] == ["bank"] * 4


def test_where_the_doctor_names_other_causes_it_is_said(drill) -> None:
    journal, name = drill

    def wrong(file: Path) -> list[Finding]:
        return [Finding(kind="odd", severity=Severity.WARNING, title="Odd.", causes=(Cause(what="other"),))]

    said = ["\n".join(ask(journal, name, wrong).lines) for _ in range(3)]
    assert "Odd. (odd)" in said[1]
    assert "None of the causes that it thinks of is the one" in said[1]
    assert "The doctor does not name the cause." in said[2]


def test_no_hint_names_the_fault(drill) -> None:
    journal, name = drill
    said = "".join("".join(ask(journal, name, seen).lines) for _ in range(4))
    assert FAULT not in said


def test_giving_up_tells_name_mend_and_difference_and_ends_the_drill(drill) -> None:
    journal, name = drill
    said = "\n".join(give_up(journal, again(journal, name)))
    assert f"It was {FAULT}" in said
    assert "-    slope += 0.0005 * error * x" in said
    assert "+    slope += 0.05 * error * x" in said
    (drill_,) = drills_on_record(journal)
    assert (drill_.is_open, drill_.solved, drill_.end["fault"]) == (False, False, FAULT)
    with pytest.raises(Exception, match="given up"):
        find_drill([drill_], name)
