"""Windows of one series on both sides of a split, each overlapping with others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Learner
from modelwright.doctor.watch.place import Place

__all__ = ["check_overlap", "check_overlap_of"]

_ENOUGH = 40
_COLUMNS = 6
_DISTINCT = 0.9
_AGAIN = 2.0
"""Columns in which a number is found in the mean, from which on rows are windows that overlap."""

_INSIDE = 0.9
_MOST = 3000


def check_overlap(learner: Learner) -> Iterator[Finding]:
    """Yield a finding where windows that a network is measured on overlap with those it learnt from.

    Args:
        learner: A network with its rows.
    """
    fresh = learner.learnt.rows.find(learner.asked.rows) < 0 if len(learner.asked.rows) else None
    if fresh is not None:
        rows = learner.learnt.rows.values, learner.asked.rows.values[fresh]
        yield from check_overlap_of(*rows, learner.name, learner.place)


def check_overlap_of(
    learnt: NDArray[np.float32], asked: NDArray[np.float32], name: str, place: Place | None
) -> Iterator[Finding]:
    """Yield a finding where nearly all numbers of measured rows stand in other columns of rows learnt from.

    Windows of a series that is cut in two share numbers at the cut only; where they were drawn at random,
    those on one side lie between those on the other. Numbers that repeat by themselves tell nothing.

    Args:
        learnt: (row, column).
        asked: (row, column) other rows.
        name: Of the model.
        place: Of the line that learns.
    """
    if min(len(learnt), len(asked)) < _ENOUGH or learnt.shape[1] < _COLUMNS:
        return
    held = asked[:: max(1, len(asked) // _MOST)]
    columns = _measured(learnt)
    if len(columns) < _COLUMNS:
        return
    columns = _shared(learnt, columns)
    if len(columns) < _COLUMNS:
        return
    known, counts = np.unique(learnt[:, columns], return_counts=True)
    if float(counts.mean()) < _AGAIN:
        return
    inside = np.isin(held[:, columns], known).mean(axis=1)
    if float((inside > _INSIDE).mean()) > _INSIDE:
        yield Finding(
            kind="times-interleaved",
            severity=Severity.WARNING,
            title=f"Windows that {name} is measured on overlap with windows that it learnt from, "
            f"{float((inside > _INSIDE).mean()):.0%} of them nearly whole.",
            evidence={
                "share_of_numbers_that_were_learnt_from": np.quantile(inside, [0.1, 0.5, 0.9]).tolist(),
                "rows_learnt_from": len(learnt),
                "rows_measured": len(asked),
                "columns_in_which_a_number_is_found": float(counts.mean()),
            },
            causes=(
                cause("random-split-of-time-series", place),
                cause("near-duplicates-across-split", place),
            ),
            next_check="split the series at a time first, and cut windows out of each part",
        )


def _measured(values: NDArray[np.float32]) -> list[int]:
    """Return the columns whose numbers hardly ever repeat within the column."""
    some = values[:: max(1, len(values) // 400)][:400]
    return [
        at
        for at in range(values.shape[1])
        if len(np.unique(some[:, at])) >= _DISTINCT * len(some) and np.isfinite(some[:, at]).all()
    ]


def _shared(values: NDArray[np.float32], columns: list[int]) -> list[int]:
    """Return the columns whose numbers mostly stand in others of them, too."""
    _, which, counts = np.unique(values[:, columns], return_inverse=True, return_counts=True)
    again = (counts[which.reshape(len(values), -1)] > 1).mean(axis=0)
    return [at for at, share in zip(columns, again.tolist(), strict=True) if share > 0.5]
