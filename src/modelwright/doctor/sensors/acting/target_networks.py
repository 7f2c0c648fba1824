"""Networks that follow another: whether they ever do, how often, and by how much."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import sample

__all__ = ["TargetNetworks"]

_ENOUGH_STEPS = 300
_ENOUGH = 5
_FAR = 0.6
"""Share of the way to the network that is followed, in one step, from which the two are taken for swapped."""


_MOST_OTHERS = 3


@dataclass(slots=True)
class _Follower:
    """A network of the same shapes as one that learns, in no optimizer.

    Attributes:
        first: Its numbers when it was first seen, after `met` steps of optimizers.
        before: Numbers of the one that learns then.
        last: Its numbers and the other's after the last step that was looked at, and that step.
        shares: How far it then went towards the other until after the next step, over the whole way.
        moved: Whether it ever changed.
        copied: Whether it first was a copy of the one that it is held to.
        others: Further networks that learn and have the same shapes.
        strayed: Times that it went exactly towards one of those, and not towards its own.
        shared: Times that its numbers lay where those of the one that learns lie.
    """

    follower: Any
    leader: Any
    first: NDArray[np.float64]
    before: NDArray[np.float64]
    met: int
    last: tuple[int, NDArray[np.float64]] | None = None
    shares: list[float] = field(default_factory=list[float])
    moved: bool = False
    copied: bool = False
    others: list[Any] = field(default_factory=list[Any])
    strayed: int = 0
    shared: int = 0


class TargetNetworks(Sensor):
    """Compares networks of the same shapes at steps that are looked at closely."""

    holds_models = True

    closely = frozenset({"on_step_begin"})
    while_acting = frozenset({"on_forward", "on_step_begin"})
    operations = frozenset({"copy_", "lerp_", "lerp", "mul_", "add_", "mul", "__mul__", "rmul", "__rmul__"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._followers: dict[int, _Follower] = {}
        self._known: list[int] = []
        self._lies: set[int] = set()
        self._place: Place | None = None
        self._owned: set[int] = set()
        self._factors: dict[int, list[float]] = {}
        self._onto_itself: dict[int, Place | None] = {}
        self._asked_last: int | None = None
        self._act: set[int] = set()
        self._judge: set[int] = set()

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        self._asked_last = id(module)
        shape: Any = getattr(args[0], "shape", ()) if args else ()
        if len(shape) > 1 and shape[0] > len(self.scene.experience.numbers):
            self._judge.add(self._asked_last)

    def on_environment_step(self, environment: Any, action: Any, answer: tuple[Any, ...]) -> None:
        """See `Sensor`."""
        if self._asked_last is not None:
            self._act.add(self._asked_last)

    def _only_acts(self, root: Any) -> bool:
        """Return whether a network chooses actions and was never asked of a batch: a copy of the policy."""
        return id(root) in self._act and id(root) not in self._judge

    def _find(self) -> None:
        """Pair networks, once a new one has been called."""
        roots = [id(each) for each in self.scene.roots]
        if self._known == roots:
            return
        self._known = roots
        owned = self.scene.owned()
        learn = [root for root in self.scene.roots if _is_owned(root, owned)]
        for root in self.scene.roots:
            if id(root) in self._followers or _is_owned(root, owned) or not _shapes(root):
                continue
            alike = [each for each in learn if type(each) is type(root) and _shapes(each) == _shapes(root)]
            if alike:
                own = _numbers(root)
                nearest = min(alike, key=lambda each: float(np.abs(_numbers(each) - own).sum()))
                copied = np.array_equal(_numbers(nearest), own)
                others = [each for each in alike if each is not nearest][:_MOST_OTHERS]
                follower = _Follower(
                    root, nearest, own, _numbers(nearest), self.scene.steps, copied=copied, others=others
                )
                self._followers[id(root)] = follower
                self._lies.update(parameter.data_ptr() for parameter in root.parameters())

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if operation.inside or operation.result.requires_grad or not (self._lies or self._owned):
            return
        given = [each for each in operation.args if hasattr(each, "data_ptr")]
        where = given[0].data_ptr() if given else 0
        if where in self._lies:
            self._place = operation.place
        elif where and where in self._owned:
            self._mixes(operation, where, given[1:])

    def _mixes(self, operation: Operation, where: int, others: list[Any]) -> None:
        """Take note of a network that learns and is mixed with itself, as a target is with another."""
        known = self._factors.setdefault(where, [])
        if operation.name in ("copy_", "lerp_", "add_"):
            same = any(each.data_ptr() == where for each in others)
            if same or (len(known) == 2 and abs(sum(known) - 1.0) < 1e-6 and min(known) > 0):
                self._onto_itself[self.scene.steps] = operation.place
            known.clear()
        else:
            known += [each for each in operation.args if isinstance(each, float)]

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._asked_last = None
        self._find()
        self._factors.clear()
        self._owned.update(each.data_ptr() for group in optimizer.param_groups for each in group["params"])
        for each in self._followers.values():
            if any(parameter is _first(each.leader) for parameter in optimizer.param_groups[0]["params"]):
                self._look(each)

    def _look(self, each: _Follower) -> None:
        own, other = _numbers(each.follower), _numbers(each.leader)
        pairs = zip(each.follower.parameters(), each.leader.parameters(), strict=False)
        each.shared += all(one.numel() and one.data_ptr() == two.data_ptr() for one, two in pairs)
        each.moved |= not np.array_equal(own, each.first)
        if each.last is not None and 0 < self.scene.steps - each.last[0] <= 4:
            # What it followed since is the other as it is now: it was not changed after its last step.
            way = other - each.last[1]
            if float(way @ way) > 0:
                each.shares.append(float((own - each.last[1]) @ way / (way @ way)))
                if each.copied and not np.array_equal(own, each.last[1]):
                    towards = [_goes(each.last[1], own, _numbers(other)) for other in each.others]
                    each.strayed += any(towards) and not _goes(each.last[1], own, other)
        each.last = (self.scene.steps, own)

    def findings(self) -> Iterable[Finding]:
        """Return networks that never follow, that follow at every step, or by far too much."""
        if len(self._onto_itself) >= _ENOUGH and not self._followers:
            yield self._is_itself("", len(self._onto_itself), [*self._onto_itself.values()][-1])
        for each in self._followers.values():
            name = type(each.follower).__name__
            each.moved |= not np.array_equal(_numbers(each.follower), each.first)
            moves = [share for share in each.shares if abs(share) > 1e-9]
            always = len(each.shares) >= _ENOUGH and len(moves) == len(each.shares)
            if each.shared:
                yield self._is_itself(name, each.shared, self._place or self.scene.place_of("load"))
                continue
            if any(parameter.grad is not None for parameter in each.follower.parameters()):
                continue  # it learns, in no optimizer: that is told by others
            if self._only_acts(each.follower):
                continue
            if len(moves) >= _ENOUGH and each.strayed == len(moves):
                yield self._strayed(name, each)
            elif not each.moved and self._has_learnt(each):
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

    def _has_learnt(self, each: _Follower) -> bool:
        """Return whether the network that should be followed learnt for some time since both were met."""
        is_late = self.scene.steps - each.met >= _ENOUGH_STEPS
        return is_late and not np.array_equal(_numbers(each.leader), each.before)

    def _is_itself(self, name: str, looks: int, place: Place | None) -> Finding:
        what = f"The network that is to follow {name} is {name} itself: it shares its memory."
        return Finding(
            kind="target-network-is-the-learning-one",
            severity=Severity.SEVERE,
            title=what if name else "A network that learns is mixed with itself, as a target would be.",
            evidence={"looks": looks},
            causes=(cause("target-aliases-online", place),),
            next_check="copy the numbers: target.data.copy_(online.data)",
            subject=name,
        )

    def _strayed(self, name: str, each: _Follower) -> Finding:
        return Finding(
            kind="target-network-follows-another",
            severity=Severity.SEVERE,
            title=f"A network of the shapes of {name} is first a copy of one that learns, and then follows "
            "another one.",
            evidence={"looks": len(each.shares), "moves_towards_the_other": each.strayed},
            causes=(cause("target-follows-other-network", self._place or self.scene.place_of("load")),),
            next_check="pair each target network with the network that it was copied from",
            subject=name,
        )

    def _far(self, name: str, moves: list[float]) -> Finding:
        return Finding(
            kind="target-network-follows-too-far",
            severity=Severity.SEVERE,
            title=f"The target network of {name} goes {np.median(moves):.3g} of the way at every step.",
            evidence={"looks": len(moves), "share_of_the_way": moves[:40]},
            causes=(cause("tau-swapped", self._place),),
            next_check="target = tau * online + (1 - tau) * target, with a small tau",
            subject=name,
        )


def _goes(before: NDArray[np.float64], after: NDArray[np.float64], goal: NDArray[np.float64]) -> bool:
    """Return whether a network went straight towards another."""
    way, step = goal - before, after - before
    share = float(step @ way) / max(1e-30, float(way @ way))
    return share > 0 and float(np.abs(step - share * way).max()) <= 1e-3 * float(np.abs(step).max())


def _is_owned(root: Any, owned: set[int]) -> bool:
    return any(id(parameter) in owned for parameter in root.parameters())


def _first(root: Any) -> Any:
    return next(iter(root.parameters()))


def _shapes(root: Any) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in root.parameters()]


def _numbers(root: Any) -> NDArray[np.float64]:
    return np.concatenate([sample(parameter) for parameter in root.parameters()])
