"""States that are kept and loaded: a state that is no copy changes with the model."""

import linecache
from collections.abc import Iterable, Mapping
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Checkpoints"]

_ENOUGH = 3
_OFTEN = 3
"""Loads from which a network that is given back its own state is a target network, not the best so far."""


class Checkpoints(Sensor):
    """Compares the memory of a state that is loaded with that of the model it is loaded into."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._aliased: dict[tuple[str, int], tuple[int, list[str]]] = {}
        self._before_learning: set[tuple[str, int]] = set()
        self._brought_up: set[tuple[str, int]] = set()

    def on_load(self, module: Any, state: Mapping[str, Any]) -> None:
        """See `Sensor`."""
        own = {name: each.data_ptr() for name, each in module.named_parameters() if each.numel()}
        same = [
            name
            for name, pointer in own.items()
            if name in state and hasattr(state[name], "data_ptr") and state[name].data_ptr() == pointer
        ]
        which = type(module).__name__, id(module)
        if same and len(same) == len(own):
            count = self._aliased.get(which, (0, same))[0]
            self._aliased[which] = (count + 1, same)
            if not self.scene.steps:
                self._before_learning.add(which)
        elif not same and self.scene.steps:
            self._brought_up.add(which)

    def findings(self) -> Iterable[Finding]:
        """Return models into which their own, present state was loaded, and copies that nothing uses."""
        yield from self._unused()
        for which, (count, same) in self._aliased.items():
            name = which[0]
            if self.scene.environments and (which in self._before_learning or count >= _OFTEN):
                # One that is at times given another's state keeps its own between.
                if which not in self._brought_up:
                    yield self._own_target(name, count, same)
                continue
            yield Finding(
                kind="state-loaded-into-itself",
                severity=Severity.SEVERE,
                title=f"{name} is given back a state that shares its memory: nothing is restored.",
                evidence={"loads": count, "tensors_of_the_same_memory": len(same), "tensors": same[:10]},
                causes=(
                    cause(
                        "best-weights-aliased", self.scene.place_of("state") or self.scene.place_of("load")
                    ),
                ),
                next_check="keep copy.deepcopy(model.state_dict()): state_dict() itself is no copy",
                subject=name,
            )

    def _unused(self) -> Iterable[Finding]:
        scene = self.scene
        place = scene.place_of("state")
        takes = sum(scene.places.get("state", {}).values())
        if place is None or takes < _ENOUGH or takes > 0.5 * scene.steps:
            return
        line = linecache.getline(place.file, place.line)
        used = any(scene.places.get(what) for what in ("load", "save"))
        if used or not any(word in line for word in ("copy", "clone")):
            return
        yield Finding(
            kind="kept-state-never-used",
            severity=Severity.WARNING,
            title=f"A copy of the weights was kept {takes} times, and none was loaded or saved.",
            evidence={"copies": takes, "loads": 0, "saves": 0},
            causes=(cause("best-weights-not-restored", place),),
            next_check="load the best state before the model is measured: model.load_state_dict(best)",
        )

    def _own_target(self, name: str, count: int, same: list[str]) -> Finding:
        return Finding(
            kind="target-network-is-the-learning-one",
            severity=Severity.SEVERE,
            title=f"The network that is to follow {name} is {name} itself: it shares its memory.",
            evidence={"loads": count, "tensors_of_the_same_memory": len(same), "tensors": same[:10]},
            causes=(cause("target-aliases-online", self.scene.place_of("load")),),
            next_check="make the target network with copy.deepcopy(network)",
            subject=name,
        )
