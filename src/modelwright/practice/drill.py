"""One drill, as the journal tells it: what was planted, and all that happened since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modelwright.journal.entry import Entry
from modelwright.practice.seal import Seal

__all__ = ["BEGUN", "CHECKED", "GIVEN_UP", "HINTED", "SOLVED", "Drill", "read_drills"]

BEGUN, HINTED, CHECKED, SOLVED, GIVEN_UP = (
    "drill.begun",
    "drill.hinted",
    "drill.checked",
    "drill.solved",
    "drill.given-up",
)
"""Kinds of entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill.

    Attributes:
        name: What it is called, e.g. `digits_mlp-3f2a`.
        program: The program that it began with.
        folder: Where its file was put.
        seal: Stands for the fault.
        sound: sha256 of the working program.
        planted: sha256 of the program with its fault.
        sound_scores: Score by seed.
        planted_scores: Score by seed; None where it came to none.
        seconds: What a run of the working program took, the longest.
        begun: When.
        hints: Level of each hint that was taken, in order.
        checks: Whether each check passed, in order.
        ended: When it was solved or given up; None while it is open.
        end: The last entry's body: `fault`, `family`, `difficulty`; empty while it is open.
        solved: Whether it was solved.
    """

    name: str
    program: str
    folder: Path
    seal: Seal
    sound: str
    planted: str
    sound_scores: Mapping[int, float]
    planted_scores: Mapping[int, float | None]
    seconds: float
    begun: datetime
    hints: tuple[int, ...]
    checks: tuple[bool, ...]
    ended: datetime | None
    end: Mapping[str, Any]
    solved: bool

    @property
    def file(self) -> Path:
        """The program that is to be mended."""
        return self.folder / f"{self.program}.py"

    @property
    def is_open(self) -> bool:
        """Whether it is neither solved nor given up."""
        return self.ended is None

    @property
    def minutes(self) -> float | None:
        """Minutes from its beginning to its end by the journal's clock; None while it is open."""
        if self.ended is None:
            return None
        return max(0.0, (self.ended - self.begun).total_seconds() / 60)


def read_drills(entries: Sequence[Entry]) -> list[Drill]:
    """Return the drills that entries tell of, the oldest first.

    Args:
        entries: In the order of the ledger; those of other kinds are passed over.
    """
    told: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind == BEGUN or entry.body.get("drill") in told:
            told.setdefault(entry.body["drill"], []).append(entry)
    return [_drill(name, its) for name, its in told.items()]


def _drill(name: str, entries: list[Entry]) -> Drill:
    body = entries[0].body
    end = next((entry for entry in entries if entry.kind in (SOLVED, GIVEN_UP)), None)
    return Drill(
        name=name,
        program=body["program"],
        folder=Path(body["folder"]),
        seal=Seal(salt=body["salt"], sha256=body["seal"]),
        sound=body["sound"],
        planted=body["planted"],
        sound_scores={int(seed): score for seed, score in body["sound_scores"].items()},
        planted_scores={int(seed): score for seed, score in body["planted_scores"].items()},
        seconds=body["seconds"],
        begun=datetime.fromisoformat(entries[0].time),
        hints=tuple(entry.body["level"] for entry in entries if entry.kind == HINTED),
        checks=tuple(entry.body["mended"] for entry in entries if entry.kind == CHECKED),
        ended=None if end is None else datetime.fromisoformat(end.time),
        end={} if end is None else end.body,
        solved=end is not None and end.kind == SOLVED,
    )
