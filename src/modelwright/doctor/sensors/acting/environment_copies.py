"""Whether environments that step side by side begin each episode alike, though beginnings are drawn."""

from collections.abc import Iterable, Sequence
from math import log
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.experience import key_of
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["EnvironmentCopies"]

_EPISODES = 32
"""Beginnings of each environment that are compared."""

_ODDS = 1e4
"""So much less likely beginnings must be if each environment drew its own."""

_SIDE_BY_SIDE = 0.8
"""Of steps in a row, the share that are of different environments."""

_MOST_STEPS = 4000
_MOST_ENVIRONMENTS = 1024


class EnvironmentCopies(Sensor):
    """Keeps the first observations of episodes."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._begins: dict[int, list[bytes]] = {}
        self._place: Place | None = None

    def on_environment_reset(self, environment: Any, observation: Any) -> None:
        """See `Sensor`."""
        begins = self._begins.setdefault(id(environment), [])
        if len(self._begins) > _MOST_ENVIRONMENTS:
            self._begins.popitem()
        elif len(begins) < _EPISODES:
            begins.append(key_of(observation))
            if self._place is None:
                self._place = place_of_caller()

    def findings(self) -> Iterable[Finding]:
        """Return environments that are copies of one another, down to their random numbers."""
        numbers = self.scene.experience.numbers
        begins = {numbers[each]: told for each, told in self._begins.items() if each in numbers}
        group = self._side_by_side() & set(begins)
        if len(group) < 2:
            return
        told = [begins[each] for each in sorted(group)]
        alike = next((at for at, each in enumerate(zip(*told, strict=False)) if len(set(each)) > 1), None)
        alike = min(map(len, told)) if alike is None else alike
        if (len(group) - 1) * alike * -log(_meet(told)) < log(_ODDS):
            return
        yield Finding(
            kind="environments-all-alike",
            severity=Severity.WARNING,
            title=f"{len(group)} environments that step side by side began {alike} of their episodes alike, "
            "though beginnings differ: they draw the same random numbers.",
            evidence={
                "environments": len(group),
                "episodes_that_began_alike": alike,
                "different_beginnings": len({key for each in told for key in each}),
            },
            causes=(cause("environments-with-one-seed", self._place),),
            next_check="print the first observation of each environment",
        )

    def _side_by_side(self) -> set[int]:
        made = self.scene.experience.transitions[:_MOST_STEPS]
        of = np.array([each.environment for each in made], np.int64)
        if len(of) < 2 or (np.diff(of) != 0).mean() < _SIDE_BY_SIDE:
            return set()
        counts = np.bincount(of)
        return set(np.flatnonzero(counts >= 0.5 * counts.max()).tolist())


def _meet(told: Sequence[Sequence[bytes]]) -> float:
    """Return how likely two episodes of one environment begin alike, rather too large than too small."""
    pairs = meets = 0
    for each in told:
        counts = np.unique(np.array(each, object), return_counts=True)[1]
        pairs += len(each) * (len(each) - 1) // 2
        meets += int((counts * (counts - 1) // 2).sum())
    return (meets + 1) / (pairs + 1)
