"""Rows in which an environment only began anew: beside others it takes a step for that, Gymnasium's default.

What the program does in such a step is ignored and its reward is zero, yet the row stands among the others.
Who masks ends rightly never learns what it holds; with a wrong mask it comes into the sums before it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.advantages.value_tables import ValueTable
from modelwright.doctor.watch.experience import Transition

__all__ = ["WithResetRows", "with_reset_rows"]

_OWN, _AFTER, _FIRST = 0, 1, 2
"""A row of a transition; one after it, in which the environment begins anew; such a one before the first."""


@dataclass(slots=True)
class WithResetRows:
    """A rollout with rows in which environments only began anew.

    Attributes:
        rollout: It.
        places: Place of each transition of the rollout without them (transition,).
        sources: Transition of that one that each row is about, or follows (row,).
        added: Whether a row is one of those (row,).
        ended: Whether one of those follows a row (row,).
    """

    rollout: Rollout
    places: NDArray[np.int64]
    sources: NDArray[np.int64]
    added: NDArray[np.bool_]
    ended: NDArray[np.bool_]

    def table(self, table: ValueTable) -> ValueTable:
        """Return values for its rows."""
        before, after, shown = (part[self.sources] for part in (table.before, table.after, table.shown))
        return ValueTable(
            before=np.where(self.added, after, before),
            after=np.where(self.added, shown, after),
            shown=np.where(self.ended, after, shown),
        )


def with_reset_rows(rollout: Rollout) -> WithResetRows | None:
    """Return a rollout with such rows; None where environments have none.

    Environments step side by side. So where one took fewer steps than another, and as many if it took
    one more after each end, it did.
    """
    ends = np.flatnonzero(rollout.last)
    begins = np.concatenate([[0], ends[:-1] + 1])
    now = np.array(
        [rollout.now.get(at, each.following) != each.following for at, each in enumerate(rollout.transitions)]
    )
    resets = rollout.ended & (~rollout.last | now)
    lengths = ends - begins + 1
    totals = lengths + np.array(
        [resets[begin : end + 1].sum() for begin, end in zip(begins, ends, strict=True)]
    )
    late = rollout.began[begins]  # the row before was the last of the steps before, or is missing here
    counts = [int(totals.max()), int((totals + late).max())]
    steps = next((n for n in counts if ((totals == n) | (totals + late == n)).all()), None)
    if len(ends) < 2 or np.ptp(lengths) == 0 or steps is None:
        return None
    before = late & (totals < steps)
    order = [
        (at, kind)
        for begin, end, first in zip(begins.tolist(), ends.tolist(), before.tolist(), strict=True)
        for at, kind in ([(begin, _FIRST)] if first else []) + _rows(begin, end, resets)
    ]
    sources = np.array([at for at, _ in order])
    kinds = np.array([kind for _, kind in order])
    added = kinds != _OWN
    whole = replace(
        rollout,
        transitions=[_transition(rollout, at, kind) for at, kind in order],
        numbers=rollout.numbers[sources],
        reward=np.where(added, 0.0, rollout.reward[sources]),
        terminated=rollout.terminated[sources] & ~added,
        cut=rollout.cut[sources] & ~added,
        last=rollout.last[sources] & ((kinds == _AFTER) | ((kinds == _OWN) & ~resets[sources])),
        began=added,
        now={},
    )
    return WithResetRows(whole, np.flatnonzero(~added), sources, added, (kinds == _OWN) & resets[sources])


def _rows(begin: int, end: int, resets: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return rows of one environment: (transition, what the row is)."""
    rows: list[tuple[int, int]] = []
    for at in range(begin, end + 1):
        rows += [(at, _OWN), (at, _AFTER)] if resets[at] else [(at, _OWN)]
    return rows


def _transition(rollout: Rollout, at: int, kind: int) -> Transition:
    """Return what stands in a row."""
    own = rollout.transitions[at]
    if kind == _OWN:
        return own
    if kind == _FIRST:  # what was seen before it is not of this rollout
        return replace(own, observation=b"", following=own.observation, terminated=False, truncated=False)
    after = rollout.now[at] if rollout.last[at] else rollout.transitions[at + 1].observation
    return replace(own, observation=own.following, following=after, terminated=False, truncated=False)
