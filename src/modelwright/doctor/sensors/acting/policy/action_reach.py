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
        self._same = self._other = 0
        self._first: list[NDArray[np.float64]] = []
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
        elif self.scene.close and self._given:
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
        if self._same < _ENOUGH or self._other > self._same // 10 or low is None or high is None:
            return
        first = np.array(self._first).reshape(-1, len(low))
        inside = (first >= low - _ROUNDING) & (first <= high + _ROUNDING)
        beyond = ((np.abs(first) > 1 + _ROUNDING) & inside).sum(axis=0)
        if beyond.max(initial=0) < _ENOUGH:
            return
        at = int(beyond.argmax())
        yield Finding(
            kind="actions-out-of-reach",
            severity=Severity.WARNING,
            title="The policy's actions are what tanh gave, from -1 to 1; the environment takes "
            f"{low[at]:g} to {high[at]:g}, and such actions were tried before.",
            evidence={
                "steps_with_just_what_tanh_gave": self._same,
                "others": self._other,
                "tried_beyond_for_each_number": beyond.tolist(),
                "lowest": low.tolist(),
                "highest": high.tolist(),
            },
            causes=(cause("action-not-scaled", self._place),),
            next_check="scale what tanh gave to the bounds of the action space",
        )


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
