"""What became of drills, by week and by kind, as text, as JSON and as a page."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

from modelwright.practice.drill import Drill
from modelwright.practice.progress import progress_of
from modelwright.practice.progress_page import render_progress, write_page
from modelwright.practice.progress_text import progress_text
from modelwright.practice.seal import Seal

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)


def drill(name: str, week: int, *, solved: bool = True, minutes: float = 10, **more: object) -> Drill:
    ended = MONDAY + timedelta(weeks=week)
    fields: dict[str, object] = {
        "end": {"fault": "not-shuffled", "family": "data", "difficulty": 1},
        "hints": (),
        "checks": (True,),
        "ended": ended,
        "seal": Seal.close("slope", "not-shuffled"),
    }
    return Drill(
        name=name,
        program="slope",
        folder=Path(name),
        sound="",
        planted="",
        sound_scores={0: 1.0},
        planted_scores={0: 0.0},
        seconds=1.0,
        begun=ended - timedelta(minutes=minutes),
        solved=solved,
        **(fields | more),
    )


DRILLS = [
    drill("a", 0, minutes=60, hints=(1, 2, 3)),
    drill("b", 0, minutes=20, hints=(1,)),
    drill("c", 2, minutes=5),
    drill("d", 2, solved=False, end={"fault": "tau-swapped", "family": "value-based", "difficulty": 3}),
    drill("e", 0, ended=None, end={}, solved=False),
]


def test_weeks_without_a_drill_stand_between_those_with_one() -> None:
    weeks = progress_of(DRILLS).weeks
    assert [week.monday.isoformat() for week in weeks] == ["2026-03-02", "2026-03-09", "2026-03-16"]
    assert [(week.solved, week.given_up, week.minutes, week.hints) for week in weeks] == [
        (2, 0, 40.0, 2.0),
        (0, 0, None, None),
        (1, 1, 5.0, 0.0),
    ]


def test_kinds_are_told_apart_by_family_and_difficulty() -> None:
    lines = progress_of(DRILLS).lines
    assert [(line.family, line.difficulty, line.solved, line.given_up, line.minutes) for line in lines] == [
        ("data", 1, 3, 0, 20.0),
        ("value-based", 3, 0, 1, None),
    ]


def test_a_seal_that_stands_for_another_fault_is_told() -> None:
    assert progress_of(DRILLS).doubtful == ("d",)
    assert "d" in progress_text(progress_of(DRILLS)).splitlines()[-1]


def test_a_clock_that_went_back_makes_no_negative_time() -> None:
    assert progress_of([drill("a", 0, minutes=-5)]).weeks[0].minutes == 0.0


def test_text_and_json_say_the_same_and_drills_that_are_open_are_listed() -> None:
    progress = progress_of(DRILLS)
    text = progress_text(progress)
    assert "3 solved, 1 given up, 1 open" in text
    assert "open: e" in text
    assert "█▁▄  from 0 to 2, last 1" in text
    record = json.loads(json.dumps(progress.record()))
    assert set(record) == {"weeks", "lines", "drills", "open", "doubtful"}
    assert record["weeks"][0]["monday"] == "2026-03-02"


def test_without_drills_the_first_step_is_said() -> None:
    assert "modelwright practice start" in progress_text(progress_of([]))
    assert "<svg" not in render_progress(progress_of([]))


def test_the_page_is_whole_escapes_what_it_shows_and_asks_for_nothing(tmp_path: Path) -> None:
    odd = drill("x", 1, end={"fault": "<script>", "family": "a & b", "difficulty": 1})
    page = write_page(progress_of([*DRILLS, odd]), tmp_path / "reports" / "practice.html").read_text()
    assert "&lt;script&gt;" in page
    assert "a &amp; b" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http-equiv", "")
    assert "https://" not in page
    assert page.count("<circle") == 3 + 3 + 3
    for part in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + part.partition("</svg>")[0] + "</svg>")
