"""How often each outcome was seen in runs with each fault, and in healthy ones."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import Corrupted
from modelwright.base.finding import Finding, Severity

__all__ = ["HEALTHY", "UNKNOWN", "Likelihoods", "outcomes_of"]

HEALTHY = "healthy"
UNKNOWN = "unknown"

_STRENGTH = 1.0
"""Runs that the rate over all faults counts for in a fault's own row."""


def outcomes_of(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the outcomes of a run: of each finding that needs action, kind and name of the first cause."""
    return frozenset(
        f"{each.kind}/{each.causes[0].name if each.causes else ''}"
        for each in findings
        if each.severity is not Severity.INFO
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihoods:
    """Counts, and the probabilities that they give.

    Attributes:
        runs: Fault, or `healthy` -> runs that were made with it.
        seen: The same names -> outcome -> runs that had it.
    """

    runs: Mapping[str, int]
    seen: Mapping[str, Mapping[str, int]]

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows: all faults in the order of the alphabet, then `healthy` and `unknown`."""
        return (*sorted(set(self.runs) - {HEALTHY}), HEALTHY, UNKNOWN)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """All outcomes that were ever seen."""
        return tuple(sorted({outcome for row in self.seen.values() for outcome in row}))

    def table(self, outcomes: Iterable[str]) -> NDArray[np.float64]:
        """Return the probability of each outcome in a run with each fault (row, outcome).

        A fault's rate is smoothed towards the rate b over all runs with a fault, itself Laplace's:
        b = (n + 1) / (N + 2), then (k + b) / (n + 1). `unknown` has b itself: a fault that is in no row does
        what faults do in the mean. An outcome that was never seen is therefore likelier under `unknown` than
        under any fault that was tried often.
        """
        names = list(outcomes)
        faults = [row for row in self.rows if row not in (HEALTHY, UNKNOWN)]
        total = sum(self.runs[fault] for fault in faults)
        told = [[self.seen.get(row, {}).get(each, 0) for each in names] for row in (*faults, HEALTHY)]
        *count, healthy = np.array(told, np.float64)
        base = (sum(count, np.zeros(len(names))) + 1) / (total + 2)
        rows = [
            (mine + _STRENGTH * base) / (self.runs[fault] + _STRENGTH)
            for fault, mine in zip(faults, count, strict=True)
        ]
        rows.append((healthy + _STRENGTH * base) / (self.runs.get(HEALTHY, 0) + _STRENGTH))
        return np.stack([*rows, base])

    def record(self) -> dict[str, Any]:
        """Return it as JSON types, names in order."""
        return {
            row: {"runs": self.runs[row], "seen": dict(sorted(self.seen.get(row, {}).items()))}
            for row in sorted(self.runs)
        }

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Likelihoods":
        """Return the counts that a record was made from.

        Raises:
            Corrupted: for an outcome in more runs than there were.
        """
        runs = {row: int(told["runs"]) for row, told in record.items()}
        seen = {row: {key: int(times) for key, times in told["seen"].items()} for row, told in record.items()}
        for row, counts in seen.items():
            if counts and not 0 < max(counts.values()) <= runs[row]:
                raise Corrupted("An outcome is in no more runs than there were", got=f"{row}: {counts}")
        return Likelihoods(runs=runs, seen=seen)

    @staticmethod
    @lru_cache(maxsize=1)
    def measured() -> "Likelihoods":
        """Return those that were measured on the bank and are kept beside this file."""
        file = Path(__file__).with_suffix(".json")
        return Likelihoods.from_record(json.loads(file.read_text("utf-8")))
