"""The results of a design's trials, as they stand on record."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import Deviated
from modelwright.journal.journal import Journal
from modelwright.journal.run_row import RunRow
from modelwright.lab.prepare import Prepared
from modelwright.lab.trial_findings import DIVERGED, OUTSIDE_BOUNDS, is_outside

__all__ = ["TrialResults"]

_DONE = ("finished", "failed")


class TrialResults:
    """Which run counts for which trial: the first that came to a result.

    A run that diverged came to one; a run that was interrupted, or whose learner raised, did not.

    Args:
        journal: Where the runs are.
        prepared: The design, with its trials.
    """

    def __init__(self, journal: Journal, prepared: Prepared) -> None:
        self._journal = journal
        self._prepared = prepared
        self._rows: dict[str, RunRow] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, address: object) -> bool:
        return address in self._rows

    def resume(self) -> None:
        """Close runs that a killed process left open, and take up those that are done.

        Whoever calls holds the experiment's lock, so nobody is working on a run that is still open.
        """
        for row in self._runs():
            if row.status == "running":
                self._journal.finish_run(
                    row.run,
                    status="interrupted",
                    score=None,
                    body={"reason": "its process ended without a word"},
                )
            else:
                self._take(row)

    def take(self, addresses: Collection[str]) -> None:
        """Take up the runs that trials with these addresses have had meanwhile."""
        for row in self._runs():
            if row.trial in addresses:
                self._take(row)

    @property
    def runs(self) -> list[str]:
        """The runs that count."""
        return [row.run for row in self._rows.values()]

    def row(self, variant: str, index: int) -> RunRow | None:
        """Return the run that counts for this trial, if there is one."""
        return self._rows.get(self._prepared.trial(variant, index).address)

    def scores(self, variants: Sequence[str], seeds: int) -> tuple[dict[str, NDArray[np.float64]], set[str]]:
        """Return the scores that a look at so many seeds is to read, and the variants that it cannot.

        A diverged trial counts as the worst value that the metric can take, or else as the worst result
        there is; a result outside the metric's bounds counts as the nearest bound. Unless the design
        accepts that, such results decide nothing.

        Returns:
            Variant -> (seed,) finite scores; variants with results that are no measurements.

        Raises:
            Deviated: where a trial has no result.
        """
        design = self._prepared.design
        low, high = design.question.bounds
        found = {name: np.array([self._score(name, at) for at in range(seeds)]) for name in variants}
        unreadable: set[str] = set()
        everything = np.concatenate(list(found.values()))
        finite = everything[np.isfinite(everything)]
        worst = design.question.worst
        if worst is None:
            worst = (
                float((design.question.sign * finite).min() * design.question.sign) if finite.size else 0.0
            )
        for name, values in found.items():
            diverged = np.isnan(values)
            outside = [is_outside(float(value), design.question.bounds) for value in values]
            if (diverged.any() and DIVERGED not in design.accept) or (
                any(outside) and OUTSIDE_BOUNDS not in design.accept
            ):
                unreadable.add(name)
            values[diverged] = worst
            found[name] = np.clip(values, -np.inf if low is None else low, np.inf if high is None else high)
        return found, unreadable

    def _score(self, variant: str, index: int) -> float:
        row = self.row(variant, index)
        if row is None:
            raise Deviated("Every trial of a look is on record", got=f"none for {variant}, seed {index}")
        return float("nan") if row.score is None else row.score

    def training_seconds(self, seeds: int) -> float:
        """Return the seconds of training that a look at so many seeds rests on.

        Of those alone, so that a launch that goes on comes to the look with the sum that the first one had.
        """
        spent = 0.0
        for variant in self._prepared.design.variants:
            for index in range(seeds):
                row = self.row(variant, index)
                for end in [] if row is None else self._ends(row):
                    spent += end["usage"]["wall_seconds"] / end["shared_by"]
        return spent

    def _runs(self) -> list[RunRow]:
        return self._journal.runs(experiment=self._prepared.design.name, order="started")

    def _take(self, row: RunRow) -> None:
        if row.status in _DONE and (row.score is not None or self._is_diverged(row)):
            self._rows.setdefault(row.trial, row)

    def _is_diverged(self, row: RunRow) -> bool:
        ends = self._ends(row)
        return bool(ends) and ends[-1].get("reason") == "diverged"

    def _ends(self, row: RunRow) -> list[Mapping[str, Any]]:
        return [entry.body["body"] for entry in self._journal.entries(kind="run.finished", run=row.run)]
