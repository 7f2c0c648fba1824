"""Rows of a batch that cannot be what a replay memory should hold: stale or overwritten observations."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.watch.experience import Experience
from modelwright.doctor.watch.place import Place

__all__ = ["StoredRows"]

_ENOUGH = 3
_FEWEST_STEPS = 3
_FEWEST_ROWS = 8
_MOST_STARTS = 60


class StoredRows:
    """Looks at which observations stand in batches, whatever is computed of them.

    Args:
        experience: What the environments did.
    """

    def __init__(self, experience: Experience) -> None:
        self._experience = experience
        self._looks = 0
        self._stale = 0
        self._overwritten = 0
        self._beside = 0
        self._late = 0

    def take(self, main: Seen, others: Iterable[Seen]) -> None:
        """Look at the rows that predictions are of, and at the other rows of the same update."""
        beside = [each for each in others if each is not main]
        alike = [each for each in beside if each.rows == main.rows]
        # What follows is often asked of rows that did not end only.
        fewer = [each for each in beside if _FEWEST_ROWS <= each.rows < main.rows]
        if not alike and not fewer:
            return
        self._looks += 1
        self._stale += any(self._is_stale(main, each) for each in alike)
        same = all(each.keys == main.keys for each in alike) and all(_is_part(each, main) for each in fewer)
        self._overwritten += same and self._is_overwritten(main)
        again = any(each.rest is not None and not each.grad for each in alike)
        self._beside += main.rest is not None  # an update of the policy alone shows no actions
        self._late += same and again and self._is_late(main)

    def _is_stale(self, main: Seen, follows: Seen) -> bool:
        """Return whether all rows are first observations, and what follows them came at many later steps."""
        found = self._experience
        for key in set(main.keys):
            starts = found.starts(key)
            if not starts or len(starts) > _MOST_STARTS or any(found.transitions[at].step for at in starts):
                return False
        steps: set[int] = set()
        for key in set(follows.keys):
            ends = found.finishes(key)
            if len(ends) == 1:
                steps.add(found.transitions[ends[0]].step)
        return len(steps - {0}) >= _FEWEST_STEPS

    def _is_overwritten(self, main: Seen) -> bool:
        """Return whether every row is the last of its episode so far, on which nobody acted."""
        found = self._experience
        for key in set(main.keys):
            ends = [found.transitions[at] for at in found.finishes(key)]
            if found.starts(key) or not ends:
                return False
        return True

    def _is_late(self, main: Seen) -> bool:
        """Return whether every row holds the action that led to its observation, and not the one after it."""
        if main.rest is None:
            return False
        found, apart = self._experience, 0
        for key, beside in zip(main.keys, main.rest, strict=True):
            before = [found.transitions[at].action for at in found.finishes(key)]
            after = [found.transitions[at].action for at in found.starts(key)]
            if not any(_is_same(beside, action) for action in before):
                return False
            apart += bool(after) and not any(_is_same(beside, action) for action in after)
        return 2 * apart >= main.rows

    def findings(self, stored_at: Place | None) -> Iterable[Finding]:
        """Return what holds of all batches."""
        if self._looks < _ENOUGH:
            return
        if self._stale == self._looks:
            yield Finding(
                kind="observation-never-newest",
                severity=Severity.SEVERE,
                title="Every row holds an episode's first observation, with what followed much later.",
                evidence={"batches": self._looks},
                causes=(cause("observation-not-advanced", stored_at),),
                next_check="set observation = next_observation at the end of each step",
            )
        if self._late == self._beside >= _ENOUGH:
            yield Finding(
                kind="targets-differ-from-experience",
                severity=Severity.SEVERE,
                title="Every row holds the observation that its action led to, as before so after the step.",
                evidence={"batches": self._looks},
                causes=(cause("next-observation-wrong", stored_at),),
                next_check="store the step first, and set observation = next_observation after it",
            )
        if self._overwritten == self._looks:
            yield Finding(
                kind="stored-observations-overwritten",
                severity=Severity.SEVERE,
                title="Rows hold the last observation of their episode, before and after the step alike.",
                evidence={"batches": self._looks},
                causes=(cause("observation-aliased", stored_at),),
                next_check="store copies: the environment writes each observation into the same memory",
            )


def _is_same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-6)


def _is_part(call: Seen, main: Seen) -> bool:
    """Return whether the rows of a call are those of another one, in their order, with some left out."""
    rest = iter(main.keys)
    return all(key in rest for key in call.keys)
