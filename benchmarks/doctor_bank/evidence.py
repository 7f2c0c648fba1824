"""All stored results, joined: what was planted, whether it does harm, what the doctor and its peers said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .detection import Judged, judge
from .label import Label, alike, label
from .mutant import Mutant, half_of, mutants
from .rows import Row, Rows

__all__ = ["Case", "Evidence", "gather"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault in one program.

    Attributes:
        mutant: The text.
        label: What the fault does; None where it is not measured.
        others: Names of faults of the program that behave the same.
        row: What the doctor said; None where it was not asked.
        judged: That beside the truth.
    """

    mutant: Mutant
    label: Label | None
    others: frozenset[str]
    row: Row | None
    judged: Judged | None

    @property
    def half(self) -> str:
        """Half of the bank."""
        return half_of(self.mutant.program.name)

    @property
    def family(self) -> str:
        """The fault's family."""
        assert self.mutant.fault is not None
        return self.mutant.fault.family

    @property
    def state(self) -> str:
        """`harmful`, `active`, `equivalent` or `not measured`; harm needs all seeds."""
        return self.label.state if self.label is not None else "not measured"

    @property
    def is_repeated(self) -> bool:
        """Whether a fault that behaves the same stands before it in its program."""
        names = [fault.name for fault in self.mutant.program.faults]
        return any(names.index(other) < names.index(self.mutant.name) for other in self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that is stored and still holds.

    Attributes:
        cases: Every fault of the bank.
        healthy: What the doctor said of programs as they are and of variants.
        peers: What peers said.
        overhead: Times of pairs.
        labels: Runs without the doctor, of programs as they are too.
        stale: Rows that were left out, because the text that they speak of has changed.
        doctors: Hashes of the doctor's code that the doctor's rows were made with.
    """

    cases: tuple[Case, ...]
    healthy: tuple[Row, ...]
    peers: tuple[Row, ...]
    overhead: tuple[Row, ...]
    labels: tuple[Row, ...]
    stale: int
    doctors: frozenset[str] = field(default_factory=frozenset[str])


def gather(folder: Path) -> Evidence:
    """Read all results in a folder and join them with the bank as it is now."""
    texts = {(each.program.name, each.name): each for each in mutants()}
    stale = 0

    def valid(part: str, *fields: str) -> list[Row]:
        nonlocal stale
        found = list(Rows(folder / f"doctor_{part}.jsonl", fields).load().values())
        kept = [row for row in found if _is_of(row, texts)]
        stale += len(found) - len(kept)
        return kept

    labels = valid("labels", "program", "name")
    detection = valid("detection", "program", "name", "seed")
    healthy = valid("healthy", "program", "name", "seed")
    peers = valid("peers", "program", "name", "seed", "peer")
    overhead = valid("overhead", "program", "pair", "length")
    return Evidence(
        cases=tuple(_cases(texts, labels, detection)),
        healthy=tuple(healthy),
        peers=tuple(peers),
        overhead=tuple(overhead),
        labels=tuple(labels),
        stale=stale,
        doctors=frozenset(row["doctor"] for row in (*detection, *healthy)),
    )


def _is_of(row: Row, texts: dict[tuple[str, str], Mutant]) -> bool:
    text = texts.get((row["program"], row.get("name", "base")))
    return text is not None and text.key == row["key"]


def _cases(texts: dict[tuple[str, str], Mutant], labels: list[Row], detection: list[Row]) -> Iterator[Case]:
    runs: dict[str, dict[str, dict[str, Row]]] = {}
    for row in labels:
        runs.setdefault(row["program"], {})[row["name"]] = row["runs"]
    said: dict[tuple[str, str], Row] = {}
    for row in sorted(detection, key=lambda each: each["seed"], reverse=True):
        said[row["program"], row["name"]] = row  # the first seed is the one that counts
    same: dict[str, dict[str, frozenset[str]]] = {
        program: alike({name: each for name, each in own.items() if name != "base"})
        for program, own in runs.items()
    }
    for (program, name), mutant in texts.items():
        if mutant.fault is None:
            continue
        own: Any = runs.get(program, {})
        known = label(name, own["base"], own[name]) if "base" in own and name in own else None
        if known is not None and not known.seeds:
            known = None
        others = same.get(program, {}).get(name, frozenset())
        row = said.get((program, name))
        judged = judge(row, mutant, others) if row is not None and "broken" not in row else None
        yield Case(mutant=mutant, label=known, others=others, row=row, judged=judged)
