"""Networks that follow another: whether they ever do, how often, and by how much."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Scene, Sensor
from modelwright.doctor.watch.tensors import sample

__all__ = ["TargetNetworks"]

_ENOUGH_STEPS = 300
_ENOUGH = 5
_FAR = 0.6
"""Share of the way to the network that is followed, in one step, from which the two are taken for swapped."""


@dataclass(slots=True)
class _Follower:
    """A network of the same shapes as one that learns, in no optimizer.

    Attributes:
        first: Its numbers when it was first seen.
        last: Its numbers and the other's after the last step that was looked at, and that step.
        shares: How far it then went towards the other until after the next step, over the whole way.
        moved: Whether it ever changed.
    """

    follower: Any
    leader: Any
    first: NDArray[np.float64]
    last: tuple[int, NDArray[np.float64]] | None = None
    shares: list[float] = field(default_factory=list[float])
    moved: bool = False


class TargetNetworks(Sensor):
    """Compares networks of the same shapes at steps that are looked at closely."""

    closely = frozenset({"on_step_begin"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._followers: dict[int, _Follower] = {}
        self._known = 0

    def _find(self) -> None:
        """Pair networks, once a new one has been called."""
        if self._known == len(self.scene.roots):
            return
        self._known = len(self.scene.roots)
        groups = [group for each in self.scene.optimizers for group in each.param_groups]
        owned = {id(parameter) for group in groups for parameter in group["params"]}
        learn = [root for root in self.scene.roots if _is_owned(root, owned)]
        for root in self.scene.roots:
            if id(root) in self._followers or _is_owned(root, owned) or not _shapes(root):
                continue
            alike = [each for each in learn if type(each) is type(root) and _shapes(each) == _shapes(root)]
            if alike:
                own = _numbers(root)
                nearest = min(alike, key=lambda each: float(np.abs(_numbers(each) - own).sum()))
                self._followers[id(root)] = _Follower(root, nearest, own)

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if not self.scene.environments:
            return
        self._find()
        for each in self._followers.values():
            if any(parameter is _first(each.leader) for parameter in optimizer.param_groups[0]["params"]):
                self._look(each)

    def _look(self, each: _Follower) -> None:
        own, other = _numbers(each.follower), _numbers(each.leader)
        each.moved |= not np.array_equal(own, each.first)
        if each.last is not None and 0 < self.scene.steps - each.last[0] <= 4:
            # What it followed since is the other as it is now: it was not changed after its last step.
            way = other - each.last[1]
            if float(way @ way) > 0:
                each.shares.append(float((own - each.last[1]) @ way / (way @ way)))
        each.last = (self.scene.steps, own)

    def findings(self) -> Iterable[Finding]:
        """Return networks that never follow, that follow at every step, or by far too much."""
        for each in self._followers.values():
            name = type(each.follower).__name__
            each.moved |= not np.array_equal(_numbers(each.follower), each.first)
            moves = [share for share in each.shares if abs(share) > 1e-9]
            always = len(each.shares) >= _ENOUGH and len(moves) == len(each.shares)
            if not each.moved and self.scene.steps >= _ENOUGH_STEPS:
                yield Finding(
                    kind="target-network-never-follows",
                    severity=Severity.SEVERE,
                    title=f"A network of the shapes of {name} gives targets and keeps its first values.",
                    evidence={"steps": self.scene.steps, "looks": len(each.shares), "moves": 0},
                    causes=(cause("target-never-updated", self.scene.place_of("load")),),
                    next_check="copy the learning network into it now and then, or a little at every step",
                    subject=name,
                )
            elif always and _FAR < float(np.median(moves)) < 1.0 - 1e-6:
                yield self._far(name, moves)
            elif always and float(np.median(moves)) >= 1.0 - 1e-6:
                yield Finding(
                    kind="target-network-follows-at-every-step",
                    severity=Severity.WARNING,
                    title=f"The network that {name} takes targets from is a copy of it after every step.",
                    evidence={"looks": len(each.shares), "share_of_the_way": moves[:40]},
                    causes=(cause("target-updated-every-step", self.scene.place_of("load")),),
                    next_check="copy it every so many steps, or take a small share (tau 0.005) at every step",
                    subject=name,
                )

    def _far(self, name: str, moves: list[float]) -> Finding:
        return Finding(
            kind="target-network-follows-too-far",
            severity=Severity.SEVERE,
            title=f"The target network of {name} goes {np.median(moves):.3g} of the way at every step.",
            evidence={"looks": len(moves), "share_of_the_way": moves[:40]},
            causes=(cause("tau-swapped"),),
            next_check="target = tau * online + (1 - tau) * target, with a small tau",
            subject=name,
        )


def _is_owned(root: Any, owned: set[int]) -> bool:
    return any(id(parameter) in owned for parameter in root.parameters())


def _first(root: Any) -> Any:
    return next(iter(root.parameters()))


def _shapes(root: Any) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in root.parameters()]


def _numbers(root: Any) -> NDArray[np.float64]:
    return np.concatenate([sample(parameter) for parameter in root.parameters()])
