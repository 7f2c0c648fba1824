"""Whether log-probabilities that advantages weigh are of the actions that were done."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.policy.policy_updates import LogProbability
from modelwright.doctor.watch.place import Place

__all__ = ["DoneActions"]

_ENOUGH = 3
_FEWEST_ROWS = 16
_SHARE = 0.05


class DoneActions:
    """Looks at updates whose advantages are those of the rollout, row by row."""

    def __init__(self) -> None:
        self._updates = 0
        self._others: list[float] = []
        self._exchanged = 0
        self._place: Place | None = None

    def look(self, rollout: Rollout, rows: NDArray[np.int64], asked: list[LogProbability]) -> None:
        """Take note of an update.

        Args:
            rollout: What was done.
            rows: Transition of each row, each advantage being that of its own (row,).
            asked: Log-probabilities of these rows.
        """
        values = [_numbers(each.value) for each in asked]
        if any(each is None for each in values):
            return
        value = np.concatenate([each for each in values if each is not None])
        there = rows >= 0
        if len(value) != len(rows) or there.sum() < _FEWEST_ROWS or (value == value[0]).all():
            return
        numbers = [rollout.transitions[at].action for at in rows[there].tolist()]
        if any(len(each) != 1 for each in numbers):
            return
        value, done = value[there], np.array([each[0] for each in numbers])
        if len(np.unique(done)) < 2:
            return
        self._updates += 1
        other = _share_of_others(value, done)
        if other >= _SHARE:
            self._others.append(other)
            self._exchanged += bool(np.array_equal(np.sort(value), np.sort(done)))
            self._place = asked[-1].place

    def findings(self) -> Iterable[Finding]:
        """Return log-probabilities of other actions."""
        if len(self._others) < _ENOUGH or len(self._others) < 0.8 * self._updates:
            return
        exchanged = 2 * self._exchanged > len(self._others)
        yield Finding(
            kind="advantages-differ-from-experience",
            severity=Severity.SEVERE,
            title="Advantages of what was done stand beside log-probabilities of other actions.",
            evidence={
                "updates": self._updates,
                "updates_with_other_actions": len(self._others),
                "share_of_other_actions": [round(each, 4) for each in self._others[:40]],
            },
            causes=(cause("log-prob-of-other-rows" if exchanged else "gathered-wrong-action", self._place),),
            next_check="compare the actions whose log-probability is asked with those that were done",
        )


def _share_of_others(value: NDArray[np.float64], done: NDArray[np.float64]) -> float:
    """Return the least share of rows that no naming of actions explains (0 where each has one name)."""
    named = 0
    for each in np.unique(value):
        _, counts = np.unique(done[value == each], return_counts=True)
        named += int(counts.max())
    return 1.0 - named / len(value)


def _numbers(value: Any) -> NDArray[np.float64] | None:
    if not hasattr(value, "detach") or (value.is_floating_point() and bool((value != value.round()).any())):
        return None
    return value.detach().double().cpu().numpy().reshape(-1)
