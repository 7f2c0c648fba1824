"""Whether a policy can give every action that the environment takes, and that was tried at random."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["ActionReach"]

_ENOUGH = 8
"""Steps that must be just what tanh gave, and actions beyond its reach that must have been tried before."""

_MOST_FIRST = 5000
_MEASURED, _NEAR_ENDS, _NEAR = 200, 20, 0.95
"""Steps of one environment, how many of them must end near 1 or -1, and how near, where noise hides tanh."""

_MOST_GIVEN = 8
_ROUNDING = 1e-6


class ActionReach(Sensor):
    """Holds actions to what tanh gave just before: then they end at -1 and 1, wherever the environment's end.

    Only where actions beyond were tried before the policy's first: a program that means to use a part of what
    the environment takes does not try the rest.
    """

    operations = frozenset({"tanh", "tanh_"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._given: list[tuple[NDArray[np.float32], Place | None]] = []
        self._place: Place | None = None
        self._newest: Place | None = None
        self._same = self._other = 0
        self._first: list[NDArray[np.float64]] = []
        self._later: dict[int, _Later] = {}
        self._low: NDArray[np.float64] | None = None
        self._high: NDArray[np.float64] | None = None

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if self._low is None or operation.result.numel() > 64 * len(self._low):
            return
        if operation.result.numel() % len(self._low) == 0:
            given = operation.result.detach().cpu().numpy().astype(np.float32)
            given = given.reshape(-1, len(self._low))
            self._given = [*self._given[1 - _MOST_GIVEN :], (given, operation.place)]
            if operation.result.shape[-1:] == (len(self._low),):
                self._newest = operation.place

    def on_environment_step(self, environment: Any, action: Any, answer: tuple[Any, ...]) -> None:
        """See `Sensor`."""
        transitions = self.scene.experience.transitions
        if not transitions or (self._low is not None and not len(self._low)):
            return
        done = transitions[-1].action
        if self._low is None or self._high is None:
            self._low, self._high = _reach(environment, len(done))
        if len(done) != len(self._low) or not len(done):
            return
        if not self.scene.steps:
            if len(self._first) < _MOST_FIRST:
                self._first.append(done)
            return
        self._later.setdefault(id(environment), _Later(len(done))).add(done)
        if self.scene.close and self._given:
            same = [place for given, place in self._given if _has(given, done)]
            self._place = same[-1] if same else self._place
            self._same += bool(same)
            self._other += not same

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._given = []

    def findings(self) -> Iterable[Finding]:
        """Return a policy that ends at -1 and 1 where actions that were tried at random do not."""
        low, high = self._low, self._high
        if low is None or high is None or not len(low):
            return
        first = np.array(self._first).reshape(-1, len(low))
        inside = (first >= low - _ROUNDING) & (first <= high + _ROUNDING)
        beyond = ((np.abs(first) > 1 + _ROUNDING) & inside).sum(axis=0)
        at = int(beyond.argmax()) if len(beyond) else 0
        if beyond.max(initial=0) < _ENOUGH:
            return
        just = self._same >= _ENOUGH and self._other <= self._same // 10
        ends = any(each.ends_at_one(at) for each in self._later.values())
        if not just and not ends:
            return
        shown = "are what tanh gave" if just else "end where tanh does"
        yield Finding(
            kind="actions-out-of-reach",
            severity=Severity.WARNING,
            title=f"The policy's actions {shown}, from -1 to 1; the environment takes {low[at]:g} to "
            f"{high[at]:g}, and such actions were tried before.",
            evidence={
                "steps_with_just_what_tanh_gave": self._same,
                "others": self._other,
                "tried_beyond_for_each_number": beyond.tolist(),
                "lowest": low.tolist(),
                "highest": high.tolist(),
            },
            causes=(cause("action-not-scaled", self._place if just else self._newest),),
            next_check="scale what tanh gave to the bounds of the action space",
        )


class _Later:
    """Actions in one environment since learning began.

    Args:
        count: Numbers that an action has.
    """

    def __init__(self, count: int) -> None:
        self._steps = 0
        self._most = np.zeros(count)
        self._near = np.zeros(count, np.int64)
        self._different: list[set[float]] = [set() for _ in range(count)]

    def add(self, done: NDArray[np.float64]) -> None:
        """Take note of an action (number,)."""
        if len(done) != len(self._most):
            return
        self._steps += 1
        size = np.abs(done)
        self._most = np.maximum(self._most, size)
        self._near += (size > _NEAR) & (size <= 1 + _ROUNDING)
        for known, number in zip(self._different, done.tolist(), strict=True):
            if len(known) < _NEAR_ENDS:
                known.add(number)

    def ends_at_one(self, at: int) -> bool:
        """Return whether many came near to 1 or -1, and none went beyond; a few levels are a choice."""
        many = self._steps >= _MEASURED and self._near[at] >= _NEAR_ENDS <= len(self._different[at])
        return bool(many and self._most[at] <= 1 + _ROUNDING)


def _has(given: NDArray[np.float32], action: NDArray[np.float64]) -> bool:
    return bool((np.abs(given - action) <= _ROUNDING).all(axis=1).any())


def _reach(environment: Any, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the largest action (number,); empty where they are not known."""
    for each in (environment, getattr(environment, "here", None)):
        space = getattr(each, "action_space", None)
        low, high = (np.asarray(getattr(space, name, ()), np.float64).reshape(-1) for name in ("low", "high"))
        if len(low) == len(high) == count and np.isfinite(low).all() and np.isfinite(high).all():
            return low, high
    return np.zeros(0), np.zeros(0)
