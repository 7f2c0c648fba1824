"""What became of somebody's drills: by week, by family and difficulty, time to solve, hints."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from statistics import fmean, median
from typing import Any

from modelwright.practice.drill import Drill

__all__ = ["Line", "Progress", "Week", "progress_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """Drills that ended in one week.

    Attributes:
        monday: Its first day, in UTC.
        solved: How many were solved.
        given_up: How many were given up.
        minutes: Median time from the beginning to the solution; None where none was solved.
        hints: Hints per ended drill; None where none ended.
    """

    monday: date
    solved: int
    given_up: int
    minutes: float | None
    hints: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Drills of one family and difficulty.

    Attributes:
        family: Of their faults.
        difficulty: 1 to 3.
        solved: How many were solved.
        given_up: How many were given up.
        minutes: Median time to the solution; None where none was solved.
        hints: Hints per drill.
        checks: Checks per drill.
    """

    family: str
    difficulty: int
    solved: int
    given_up: int
    minutes: float | None
    hints: float
    checks: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What became of all drills on record.

    Attributes:
        weeks: From the first in which a drill ended to the last, none left out.
        lines: By family and difficulty.
        drills: Every drill that is over, with its fault.
        open: Names of those that are not.
        doubtful: Names of those whose seal does not stand for the fault that was entered at their end.
    """

    weeks: tuple[Week, ...]
    lines: tuple[Line, ...]
    drills: tuple[dict[str, Any], ...]
    open: tuple[str, ...]
    doubtful: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return it as JSON types."""
        record = asdict(self)
        for week in record["weeks"]:
            week["monday"] = week["monday"].isoformat()
        return record


def progress_of(drills: Sequence[Drill]) -> Progress:
    """Return what became of the drills."""
    over = [drill for drill in drills if not drill.is_open]
    kinds = sorted({_kind(drill) for drill in over})
    return Progress(
        weeks=tuple(_weeks(over)),
        lines=tuple(_line(kind, [drill for drill in over if _kind(drill) == kind]) for kind in kinds),
        drills=tuple(_row(drill) for drill in over),
        open=tuple(drill.name for drill in drills if drill.is_open),
        doubtful=tuple(drill.name for drill in over if not _is_true(drill)),
    )


def _kind(drill: Drill) -> tuple[str, int]:
    return str(drill.end.get("family") or "unknown"), int(drill.end.get("difficulty") or 0)


def _is_true(drill: Drill) -> bool:
    fault = drill.end.get("fault")
    return fault is None or drill.seal.holds(drill.program, str(fault))


def _monday(drill: Drill) -> date:
    day = (drill.ended or drill.begun).date()
    return day - timedelta(days=day.weekday())


def _weeks(over: Sequence[Drill]) -> list[Week]:
    if not over:
        return []
    day, last = min(map(_monday, over)), max(map(_monday, over))
    weeks: list[Week] = []
    while day <= last:
        its = [drill for drill in over if _monday(drill) == day]
        solved = sum(drill.solved for drill in its)
        hints = fmean(len(drill.hints) for drill in its) if its else None
        weeks.append(
            Week(monday=day, solved=solved, given_up=len(its) - solved, minutes=_minutes(its), hints=hints)
        )
        day += timedelta(days=7)
    return weeks


def _line(kind: tuple[str, int], its: Sequence[Drill]) -> Line:
    solved = sum(drill.solved for drill in its)
    return Line(
        family=kind[0],
        difficulty=kind[1],
        solved=solved,
        given_up=len(its) - solved,
        minutes=_minutes(its),
        hints=fmean(len(drill.hints) for drill in its),
        checks=fmean(len(drill.checks) for drill in its),
    )


def _minutes(its: Sequence[Drill]) -> float | None:
    took = [drill.minutes for drill in its if drill.solved and drill.minutes is not None]
    return median(took) if took else None


def _row(drill: Drill) -> dict[str, Any]:
    return {
        "drill": drill.name,
        "program": drill.program,
        "fault": drill.end.get("fault"),
        "family": drill.end.get("family"),
        "difficulty": drill.end.get("difficulty"),
        "ended": None if drill.ended is None else drill.ended.isoformat(),
        "solved": drill.solved,
        "minutes": drill.minutes,
        "hints": len(drill.hints),
        "checks": len(drill.checks),
    }
