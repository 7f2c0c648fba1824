"""Whether a program goes on asking its model about an observation that the environment has left behind."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.experience import key_of
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["StaleObservations"]

_MOST, _MOST_ASKED = 300, 3000
"""Steps that are looked at, and questions that are read for them."""

_ENOUGH = 30
_NEARLY_ALL = 0.95


class StaleObservations(Sensor):
    """Compares what a model was asked before a step with what was shown: now, and as the episode began.

    Steps of one environment count whose model was given one row, an episode's first steps aside.
    """

    while_acting = frozenset({"on_forward"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._asked: bytes | None = None
        self._first: dict[int, bytes] = {}
        self._questions = self._looks = self._newest = self._oldest = 0
        self._place: Place | None = None

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        if self._looks >= _MOST or self._questions >= _MOST_ASKED or not args:
            return
        given = args[0]
        if (
            hasattr(given, "detach")
            and given.is_floating_point()
            and given.numel() in self.scene.experience.sizes
        ):
            self._questions += 1
            self._asked = key_of(given.detach().cpu().numpy().astype(np.float32).reshape(-1))

    def on_environment_step(self, environment: Any, action: Any, answer: tuple[Any, ...]) -> None:
        """See `Sensor`."""
        asked, self._asked = self._asked, None
        made = self.scene.experience.transitions
        if self._looks >= _MOST or not made:
            return
        step = made[-1]
        if step.step == 0:
            self._first[step.environment] = step.observation
        first = self._first.get(step.environment)
        if asked is None or first is None or step.step < 2 or step.observation == first:
            return
        self._looks += 1
        self._newest += asked == step.observation
        self._oldest += asked == first
        if self._place is None and asked == first:
            self._place = place_of_caller()

    def findings(self) -> Iterable[Finding]:
        """Return that nearly all steps were taken on their episode's first observation."""
        if self._oldest < _ENOUGH or self._oldest < _NEARLY_ALL * self._looks:
            return
        yield Finding(
            kind="observation-never-newest",
            severity=Severity.SEVERE,
            title="The model is asked about its episode's first observation at every step.",
            evidence={"steps": self._looks, "on_the_first": self._oldest, "on_the_newest": self._newest},
            causes=(cause("observation-not-advanced", self._place),),
            next_check="set observation = next_observation at the end of each step",
            subject="acting",
        )
