"""Probabilities of the other class, given to a metric of how rows are ordered."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Ranked, Study

__all__ = ["check_reversed_scores"]

_ENOUGH = 40
_FAR = 6.0
"""Standard deviations of the area under the curve, of scores that say nothing, below one half."""

_OF_CHANCES = ("log_loss", "brier_score_loss")
_SAME = 1e-3


def check_reversed_scores(studies: Sequence[Study]) -> Iterator[Finding]:
    """Yield a finding where a metric was given the first of two columns of probabilities, or a falling score.

    What is true may be turned, too, and then all is well: so the order must be wrong by more than chance.
    """
    for study in reversed(studies):
        for measured in study.held_out():
            for ranked in measured.ranked:
                area = _area(ranked)
                if area is None or not study.classes or ranked.column not in (0, 1):
                    continue
                yield Finding(
                    kind="probability-of-the-other-class",
                    severity=Severity.SEVERE,
                    title=f"{ranked.name} was given probabilities of {study.name} for the class which "
                    "counts as negative: rows are ordered the wrong way round.",
                    evidence={
                        "metric": ranked.name,
                        "column": ranked.column,
                        "area_under_the_curve": area,
                        "area_the_other_way_round": 1 - area,
                        "rows": len(ranked.true),
                    },
                    causes=(cause("wrong-class-probability", measured.place),),
                    next_check="compare classes_ of the model with the class that the metric counts as one",
                    subject=study.name,
                )
                return


def _area(ranked: Ranked) -> float | None:
    """Return the area under the curve where it is below one half by more than chance allows, else None."""
    found, codes = np.unique(ranked.true, return_inverse=True)
    if len(found) != 2 or len(codes) < _ENOUGH or ranked.said.dtype.kind != "f":
        return None
    # Other metrics may have been told that the smaller label is the positive one.
    share = float((codes == 1).mean())
    if not (
        ranked.name == "roc_auc_score"
        or (ranked.name == "average_precision_score" and ranked.value < min(share, 1 - share))
        or (ranked.name in _OF_CHANCES and _counts_larger(ranked, codes == 1))
    ):
        return None
    area = area_of(ranked.said, codes == 1)
    ones = int(codes.sum())
    zeros = len(codes) - ones
    deviation = np.sqrt((ones + zeros + 1) / (12 * ones * zeros))
    return area if (0.5 - area) / deviation > _FAR else None


def _counts_larger(ranked: Ranked, true: NDArray[np.bool_]) -> bool:
    """Return whether the metric's value is that of the larger label as the positive class."""
    said = ranked.said.astype(np.float64)
    if said.min() < 0 or said.max() > 1:
        return False
    if ranked.name == "log_loss":
        least = float(np.finfo(ranked.said.dtype).eps)
        said = np.clip(said, least, 1 - least)
        value = -float(np.log(np.where(true, said, 1 - said)).mean())
    else:
        value = float(np.square(said - true).mean())
    return abs(value - ranked.value) < _SAME * max(1.0, value)


def area_of(said: NDArray[np.generic], true: NDArray[np.bool_]) -> float:
    """Return the share of pairs that scores order rightly, ties counted half.

    Args:
        said: (row,)
        true: (row,)
    """
    values, codes, counts = np.unique(said.astype(np.float64), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[codes] if len(values) else np.zeros(0)
    ones = int(true.sum())
    zeros = len(true) - ones
    return float((ranks[true].sum() - ones * (ones + 1) / 2) / max(1, ones * zeros))
