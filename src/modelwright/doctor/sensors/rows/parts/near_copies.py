"""Measured rows that are nearly equal to one that was learnt from: copies with noise, or of one origin."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.sheet import Sheet
from modelwright.doctor.watch.place import Place

__all__ = ["check_near_copies"]

_MOST_LEARNT, _MOST_HELD = 3000, 300
_LEAST_COLUMNS = 5
_CLOSE = (0.2, 0.05, 0.01)
"""Distances over that to the 20th; the first that a smooth cloud of so many dimensions hardly has is used."""

_NEIGHBOUR = 20


def check_near_copies(learnt: Sheet, held: Sheet, name: str, place: Place | None) -> Iterator[Finding]:
    """Yield a finding where nearest neighbours are far nearer than the next ones let expect.

    In a smooth cloud of m dimensions the nearest of 20 neighbours is at a distance of about (1/20)^(1/m)
    of the 20th's; m is read off the 20th and the 40th.

    Args:
        learnt: Rows that were learnt from.
        held: Rows that are measured.
        name: Of the model.
        place: Of its line.
    """
    columns = np.flatnonzero(learnt.numeric)
    known, asked = learnt.values[:, columns].astype(np.float64), held.values[:, columns].astype(np.float64)
    # Discrete columns make ties, and say little of nearness.
    some = known[:1000]
    fine = np.array([len(np.unique(some[:, at])) > 0.3 * len(some) for at in range(some.shape[1])], bool)
    known, asked = known[:, fine], asked[:, fine]
    if known.shape[1] < _LEAST_COLUMNS or len(known) < 5 * _NEIGHBOUR or len(asked) < _NEIGHBOUR:
        return
    known = known[:: -(-len(known) // _MOST_LEARNT)]
    asked = asked[:: -(-len(asked) // _MOST_HELD)]
    centre, spread = np.nanmean(known, axis=0), np.maximum(np.nanstd(known, axis=0), 1e-12)
    known, asked = (np.nan_to_num((each - centre) / spread) for each in (known, asked))
    distances = np.sort(_distances(asked, known), axis=1)[:, : 2 * _NEIGHBOUR]
    near, middle, far = distances[:, 0], distances[:, _NEIGHBOUR - 1], distances[:, -1]
    usable = (middle > 0) & (near > 0) & (far > middle)
    if usable.sum() < _NEIGHBOUR:
        return
    dimensions = float(np.median(np.log(2) / np.log(far[usable] / middle[usable])))
    ratio = near[usable] / middle[usable]
    expected, share = 1.0, 0.0
    for close in _CLOSE:
        expected = 1 - (1 - close**dimensions) ** (_NEIGHBOUR - 1)
        if expected <= 0.01:
            share = float((ratio < close).mean())
            break
    if share < 0.3:
        return
    yield Finding(
        kind="near-copies-across-split",
        severity=Severity.WARNING,
        title=f"{share:.0%} of the rows that {name} is measured on have a nearly equal one among those that "
        "it learnt from.",
        evidence={
            "share_of_measured_rows": share,
            "share_expected_in_a_smooth_cloud": expected,
            "dimensions": dimensions,
            "distance_to_the_nearest_over_that_to_the_20th": np.sort(ratio)[
                :: max(1, len(ratio) // 40)
            ].tolist(),
        },
        causes=(
            cause("group-in-both-splits", place),
            cause("near-duplicates-across-split", place),
            cause("random-split-of-time-series", place),
        ),
        next_check="look at such pairs: rows of one patient or session belong on one side (GroupKFold)",
    )


def _distances(rows: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.square(rows).sum(axis=1)[:, None] + np.square(others).sum(axis=1) - 2 * rows @ others.T
    return np.sqrt(np.maximum(squares, 0))
