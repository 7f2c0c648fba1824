"""Whether anything but what a deterministic policy gives is ever tried."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place, place_of_caller

__all__ = ["ActionNoise"]

_ENOUGH = 200
_NEARLY_ALL = 0.99
_SAME = 1e-6


class ActionNoise:
    """Counts steps, of numbers as actions, that were just what a model had given.

    Attributes:
        is_drawn: Whether actions are drawn from distributions, or by layers with noise of their own.
    """

    def __init__(self) -> None:
        self.is_drawn = False
        self._known: set[int] = set()
        self._same: Counter[int] = Counter()
        self._other: Counter[int] = Counter()
        self._place: Place | None = None

    def asked(self, module: Any) -> None:
        """Take note of a model that gave what may be an action."""
        if not self.is_drawn and id(module) not in self._known:
            self._known.add(id(module))
            self.is_drawn = any("nois" in type(each).__name__.lower() for each in module.modules())

    def stepped(
        self, environment: Any, number: int, said: NDArray[np.float64], done: NDArray[np.float64]
    ) -> None:
        """Take note of a step before which a model had given as many numbers as the action has.

        Args:
            environment: Where it was done.
            number: Of the environment.
            said: What the model had given (number,).
            done: The action (number,).
        """
        if not hasattr(getattr(environment, "action_space", None), "low"):
            return
        same = bool((np.abs(said - done) <= _SAME * (1.0 + np.abs(done))).all())
        (self._same if same else self._other)[number] += 1
        if self._place is None and same:
            self._place = place_of_caller()

    def findings(self) -> Iterable[Finding]:
        """Return that in no environment anything else was tried."""
        steps = sum(self._same.values())
        if self.is_drawn or steps < _ENOUGH:
            return
        if any(other > (1 - _NEARLY_ALL) * self._same[number] for number, other in self._other.items()):
            return
        yield Finding(
            kind="nothing-but-the-best-is-tried",
            severity=Severity.WARNING,
            title=f"All of {steps} actions are just what the policy gave: no noise is added while it learns.",
            evidence={"steps": steps, "of_the_policy": steps, "others": sum(self._other.values())},
            causes=(cause("exploration-missing", self._place),),
            next_check="add noise to the policy's actions while transitions are collected",
            subject="noise",
        )
