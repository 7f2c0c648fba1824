"""Which fault to plant: one that was asked for, or one drawn among those that are known to hurt."""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from modelwright.base.errors import BadValue, UnknownName
from modelwright.faults.plant import Fault, Program

__all__ = ["FAMILIES", "Candidate", "Wish", "candidates", "draw"]

FAMILIES = ("data", "supervised", "value-based", "policy-gradient")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to practise; None for anything.

    Attributes:
        program: Name of a program.
        fault: Name of a fault.
        family: One of `FAMILIES`.
        difficulty: 1, 2 or 3.
    """

    program: str | None = None
    fault: str | None = None
    family: str | None = None
    difficulty: int | None = None


class Candidate(NamedTuple):
    """A program and one of its faults."""

    program: Program
    fault: Fault


class _Measured(NamedTuple):
    """What was measured: seconds of a sound run, and by fault whether it hurts."""

    seconds: float
    hurts: Mapping[str, bool]


def _read() -> Mapping[str, _Measured]:
    page = yaml.safe_load(Path(__file__).with_name("measured.yaml").read_text("utf-8"))
    return {
        name: _Measured(row["seconds"], dict.fromkeys(row["hurt"], True) | dict.fromkeys(row["mild"], False))
        for name, row in page.items()
    }


def candidates(bank: Sequence[Program], wish: Wish) -> list[Candidate]:
    """Return all that fits the wish.

    Raises:
        UnknownName: for a name that nothing in the bank has.
        BadValue: where nothing fits all of it together.
    """
    if wish.program is not None and wish.program not in (names := [program.name for program in bank]):
        raise UnknownName("program of drills", wish.program, names)
    within = [each for each in bank if wish.program in (None, each.name)]
    everything = [Candidate(program, fault) for program in within for fault in program.faults]
    if wish.fault is not None and wish.fault not in (names := {fault.name for _, fault in everything}):
        where = "" if wish.program is None else f" of {wish.program}"
        raise UnknownName(f"fault{where}", wish.fault, names)
    found = [each for each in everything if _fits(each.fault, wish)]
    if not found:
        raise BadValue(
            "A drill has one fault of one family and difficulty, in one program",
            got=_words(wish),
            nearest=_nearest(everything, wish),
            next_step="leave out --program, --family or --difficulty",
        )
    return found


def _fits(fault: Fault, wish: Wish) -> bool:
    return (
        not fault.inert
        and wish.fault in (None, fault.name)
        and wish.family in (None, fault.family)
        and wish.difficulty in (None, fault.difficulty)
    )


def _words(wish: Wish) -> str:
    given = {"--program": wish.program, "--fault": wish.fault, "--family": wish.family}
    given["--difficulty"] = None if wish.difficulty is None else str(wish.difficulty)
    return " ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def _nearest(among: Iterable[Candidate], wish: Wish) -> str | None:
    """Return what there is, nearest in difficulty, of the wished-for family or program."""
    rows = [each for each in among if wish.family in (None, each.fault.family)]
    if not rows or wish.difficulty is None:
        return None
    best = min(rows, key=lambda each: abs(each.fault.difficulty - (wish.difficulty or 0)))
    return f"--difficulty {best.fault.difficulty}"


def draw(found: Sequence[Candidate], solved: Collection[str], seed: int | None) -> list[Candidate]:
    """Return the candidates in the order in which they should be tried.

    Those that hurt for certain come before those that nobody measured, and those that were measured not to
    hurt enough are left out, unless nothing else is left. Among them, faults that were not solved yet come
    first, and then programs that run quickly; the rest is chance.

    Args:
        found: Among these.
        solved: Names of faults that this person solved.
        seed: Makes the order the same every time; None for another order every time.
    """
    measured = _read()
    chance = random.Random(seed)

    def rank(each: Candidate) -> tuple[object, ...]:
        row = measured.get(each.program.name)
        hurts = None if row is None else row.hurts.get(each.fault.name)
        slow = 2 if row is None else int(row.seconds > _QUICK_SECONDS)  # of the others nothing is known
        return ({True: 0, None: 1, False: 2}[hurts], each.fault.name in solved, slow, chance.random())

    ranked = sorted(((rank(each), each) for each in found), key=lambda pair: pair[0])
    good = [each for key, each in ranked if key[0] != 2]
    return good or [each for _, each in ranked]


_QUICK_SECONDS = 8.0
