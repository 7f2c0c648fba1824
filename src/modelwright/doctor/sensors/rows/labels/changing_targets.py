"""Rows that come again with another target."""

from collections.abc import Iterator

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Learner

__all__ = ["check_changing_targets"]

_ENOUGH = 100
_DEVIATIONS = 3.0


def check_changing_targets(learner: Learner) -> Iterator[Finding]:
    """Yield a finding where a row's target is another each time, and one says nothing of the other.

    Targets that are smoothed, taken from a model that learns, or wrong at random for some rows still agree
    with what they were before, more than chance lets expect.

    Args:
        learner: A network with its rows.
    """
    one, other = learner.learnt.first, learner.learnt.second
    known = ~np.isnan(one) & ~np.isnan(other)
    one, other, rows = one[known], other[known], int(known.sum())
    if rows < _ENOUGH or one.std() == 0 or other.std() == 0:
        return
    if learner.classes:
        values = np.unique(np.concatenate([one, other]))
        chance = float(sum((one == each).mean() * (other == each).mean() for each in values))
        same = float((one == other).mean())
        if chance > 0.8 or same > chance + _DEVIATIONS * np.sqrt(chance * (1 - chance) / rows):
            return
    else:
        same = float(np.corrcoef(one, other)[0, 1])
        if abs(same) > _DEVIATIONS / np.sqrt(rows):
            return
    yield Finding(
        kind="targets-of-other-rows",
        severity=Severity.SEVERE,
        title=f"A row that {learner.name} learns again has another target, which has nothing to do with the "
        "one that it had before.",
        evidence={
            "rows_learnt_twice": rows,
            "agreement_of_first_and_second_target": same,
            "first_targets": one[:20].tolist(),
            "second_targets": other[:20].tolist(),
        },
        causes=(cause("features-shuffled-against-labels", learner.compared_at or learner.place),),
        next_check="index rows and targets of a batch with the same numbers",
        subject=learner.name,
    )
