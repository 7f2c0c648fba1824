"""Networks that are measured in place of those that learnt: averages of their weights, states loaded anew."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelwright.doctor.sensors.rows.learner import Learner

__all__ = ["join_copies"]

_ALIKE = 0.5
"""Distance of weights over their size below which they came of each other: fresh draws are 1.4 apart."""


def join_copies(learners: Sequence[Learner]) -> None:
    """Give rows that copies were measured on to the networks that they are copies of.

    A copy is of the same class, has parameters of the same shapes and near to the other's, and never learnt.

    Args:
        learners: All that were heard; those that learnt get the rows.
    """
    for copy in learners:
        if len(copy.learnt.rows) or not len(copy.asked.rows) or copy.module.training:
            continue
        for learner in reversed(learners):
            if len(learner.learnt.rows) and not learner.still and _alike(copy.module, learner.module):
                _join(learner, copy)
                break


def _alike(one: Any, other: Any) -> bool:
    """Return whether the weights of one network came of another's."""
    if type(one) is not type(other):
        return False
    pairs = list(zip(one.parameters(), other.parameters(), strict=False))
    if (
        not pairs
        or len(pairs) != sum(1 for _ in one.parameters())
        or any(a.shape != b.shape for a, b in pairs)
    ):
        return False
    mine, theirs = max(pairs, key=lambda pair: pair[0].numel())
    away = float((mine.detach() - theirs.detach().to(mine)).norm())
    return away < _ALIKE * float(theirs.detach().norm())


def _join(learner: Learner, copy: Learner) -> None:
    rows = copy.asked.rows
    if not learner.asked.rows.fits(rows.values.shape[1]) or not learner.learnt.rows.fits(
        rows.values.shape[1]
    ):
        return
    learner.asked.whole &= copy.asked.whole
    fresh = learner.learnt.rows.find(rows) < 0
    for group in np.unique(copy.asked.group[fresh]).tolist():
        mine = fresh & (copy.asked.group == group)
        places = learner.asked.add(rows.values[mine], group)
        learner.asked_at.setdefault(group, copy.asked_at.get(group))
        kept = places >= 0
        for name in ("first", "second"):
            ours, told = getattr(learner.asked, name), getattr(copy.asked, name)[mine]
            ours[places[kept]] = np.where(np.isnan(told), ours[places], told)[kept]
