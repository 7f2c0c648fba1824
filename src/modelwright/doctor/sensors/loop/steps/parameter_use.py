"""Which parameters get gradients, which an optimizer has, and which it changes."""

import weakref
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.steps.fixed_networks import FixedNetworks
from modelwright.doctor.watch.graph import leaves_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import any_nonzero, sample

__all__ = ["ParameterUse"]

_CUTTING = ("detach", "data", "numpy")

_ENOUGH = 3
"""Steps that must show it."""


@dataclass(slots=True)
class _Facts:
    """Of one parameter, from the steps that were looked at closely.

    Of one that is in no optimizer, its name and numbers when it was last reached are kept, too: the program
    may have ended before it is asked for, and the parameter with it.
    """

    parameter: "weakref.ref[Any]"
    first: NDArray[np.float64]
    reached: int = 0
    last_reached: int = -1
    stepped: int = 0
    with_gradient: int = 0
    before: NDArray[np.float64] | None = None
    last: NDArray[np.float64] | None = None
    name: str = ""
    shape: tuple[int, ...] = ()
    is_loaded: bool = False


class ParameterUse(Sensor):
    """Holds every parameter to: reached by a gradient, in an optimizer, and changed by it."""

    holds_models = True

    closely = frozenset({"on_backward", "on_step_begin", "on_step_end"})
    operations = frozenset(_CUTTING)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._facts: dict[int, _Facts] = {}
        self._steps: dict[int, int] = {}
        self._backwards = 0
        self._newest = 0
        self._called: dict[int, tuple[Any, int]] = {}
        self._roots: dict[int, Any] = {}
        self._cuts: Counter[Place] = Counter()
        self._fixed = FixedNetworks()

    def _fact(self, parameter: Any) -> _Facts:
        known = self._facts.get(id(parameter))
        if known is None or known.parameter() is not parameter:
            known = _Facts(parameter=weakref.ref(parameter), first=sample(parameter))
            self._facts[id(parameter)] = known
        return known

    def on_optimizer(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._newest = self.scene.steps
        for parameter in _parameters(optimizer):
            self._fact(parameter)

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        self._fixed.take(call)
        if next(iter(call.module._parameters.values()), None) is None:
            return
        if call.training:
            known = self._called.get(id(call.module))
            self._called[id(call.module)] = (call.module, (known[1] if known else 0) + 1)
            self._roots[id(call.module)] = call.root
            if known is None:
                for parameter in call.module._parameters.values():
                    if parameter is not None and not parameter.requires_grad:
                        self._fact(parameter)  # to see whether it ever changes

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if operation.place is not None:
            given = operation.args[0]
            if getattr(given, "requires_grad", False) and given.numel() > 1:
                self._cuts[operation.place] += 1

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        from torch import nn

        self._backwards += 1
        owned = self.scene.owned()
        for leaf in leaves_of(loss):
            facts = self._fact(leaf)
            facts.reached += 1
            facts.last_reached = self.scene.steps
            if id(leaf) not in owned and isinstance(leaf, nn.Parameter):
                facts.last, facts.is_loaded = sample(leaf), self.scene.is_loaded(leaf)
                facts.name, facts.shape = facts.name or self.scene.name_of(leaf), tuple(leaf.shape)

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        for parameter in _parameters(optimizer):
            facts = self._fact(parameter)
            facts.before = sample(parameter)
            facts.with_gradient += any_nonzero(parameter.grad)

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._steps[id(optimizer)] = self._steps.get(id(optimizer), 0) + 1
        moved, size = 0.0, 0.0
        for parameter in _parameters(optimizer):
            facts = self._fact(parameter)
            if facts.before is None:
                continue
            facts.stepped += 1
            after = sample(parameter)
            moved += float(np.square(after - facts.before).sum())
            size += float(np.square(facts.before).sum())
            facts.before = None
        if size > 0 and np.isfinite(moved):
            self.scene.changes.append((self.scene.steps, (moved / size) ** 0.5))

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return parameters that are left out, each kind once."""
        if self._backwards < _ENOUGH:
            return
        owned = self.scene.owned()
        held = [optimizer for optimizer in self.scene.optimizers if self._is_idle(optimizer)]
        outside = [
            facts
            for key, facts in self._facts.items()
            if key not in owned and facts.name and facts.reached >= _ENOUGH and self._is_unmoved(facts)
        ]
        if held and outside:
            yield self._old_parameters(held[0], outside)
        elif outside and owned:
            yield from self._missing(outside)
        if not (held and outside):
            yield from self._unreached(owned)
        yield from self._frozen(owned)

    def _is_idle(self, optimizer: Any) -> bool:
        """Return whether none of its parameters was ever reached, though it stepped."""
        known = [self._facts[id(p)] for p in _parameters(optimizer) if id(p) in self._facts]
        return self._steps.get(id(optimizer), 0) >= _ENOUGH and not any(
            facts.reached or facts.with_gradient for facts in known
        )

    def _is_unmoved(self, facts: _Facts) -> bool:
        parameter = facts.parameter()
        last = sample(parameter) if parameter is not None else facts.last
        return last is not None and np.array_equal(facts.first, last)

    def _old_parameters(self, optimizer: Any, outside: list[_Facts]) -> Finding:
        names = [facts.name for facts in outside]
        return Finding(
            kind="optimizer-of-other-parameters",
            severity=Severity.SEVERE,
            title=f"{type(optimizer).__name__} holds parameters that the loss does not depend on; "
            f"those that it depends on ({names[0]}, ...) are in no optimizer.",
            evidence={
                "steps": self._steps[id(optimizer)],
                "held_and_reached": 0,
                "reached_and_not_held": names[:20],
            },
            causes=(cause("optimizer-holds-old-parameters", self.scene.place_of("on_optimizer")),),
            next_check="make the optimizer after the model is in its final form, from model.parameters()",
            subject=type(optimizer).__name__,
        )

    def _missing(self, outside: list[_Facts]) -> Iterable[Finding]:
        fresh = [facts for facts in outside if not facts.is_loaded]
        names = [facts.name for facts in fresh]
        if not names:
            return
        place = self.scene.newest_place_of("on_optimizer")
        causes = [cause("parameters-missing-from-optimizer", place)]
        if self._replaced(fresh):
            causes.insert(0, cause("optimizer-holds-old-parameters", place))
        yield Finding(
            kind="parameters-in-no-optimizer",
            severity=Severity.SEVERE,
            title=f"{len(names)} parameters get gradients and are in no optimizer: {', '.join(names[:3])}.",
            evidence={"parameters": names[:20], "steps_looked_at": self._backwards, "changed": 0},
            causes=tuple(causes),
            next_check="give them to the optimizer, or set requires_grad_(False) where they are to stay",
            subject=names[0],
        )

    def _replaced(self, fresh: list[_Facts]) -> bool:
        """Return whether an optimizer holds, for each of these, one of its shape that nothing reaches now."""
        spare = [
            tuple(parameter.shape)
            for optimizer in self.scene.optimizers
            for parameter in _parameters(optimizer)
            if self._facts[id(parameter)].last_reached < self._newest
        ]
        return all(facts.shape in spare for facts in fresh)

    def _unreached(self, owned: set[int]) -> Iterable[Finding]:
        """Return parameters that an optimizer has, of modules called for a loss, without a gradient."""
        names: list[str] = []
        for module, calls in self._called.values():
            for parameter in module._parameters.values():
                facts = self._facts.get(id(parameter))
                if (
                    parameter is not None
                    and facts is not None
                    and calls >= _ENOUGH
                    and id(parameter) in owned
                    and parameter.requires_grad
                    and facts.stepped >= _ENOUGH
                    and not facts.reached
                    and not facts.with_gradient
                ):
                    names.append(self.scene.name_of(parameter))
        if names:
            cuts = self._cuts.most_common(1)
            place = cuts[0][0] if cuts else self.scene.place_of("backward")
            yield Finding(
                kind="parameters-without-gradient",
                severity=Severity.SEVERE,
                title=f"No gradient reaches {len(names)} parameters that are used and are in the optimizer: "
                f"{', '.join(names[:3])}.",
                evidence={"parameters": names[:20], "steps_looked_at": self._backwards, "gradients": 0},
                causes=(cause("graph-detached", place),),
                next_check="look for detach(), .data, .item(), .numpy() or no_grad() from them to the loss",
                subject=names[0],
            )

    def _frozen(self, owned: set[int]) -> Iterable[Finding]:
        names: list[str] = []
        for module, calls in self._called.values():
            if calls < _ENOUGH or not hasattr(module, "reset_parameters") or self._fixed.has(module):
                continue
            held = list(self._roots[id(module)].parameters())
            if not any(parameter.requires_grad or id(parameter) in owned for parameter in held):
                continue  # a network of which nothing learns: a copy that follows, features on purpose
            for parameter in module._parameters.values():
                if parameter is None or parameter.requires_grad or not self.scene.is_drawn(parameter):
                    continue
                facts = self._facts.get(id(parameter))
                if facts is None or self._is_unmoved(facts):
                    names.append(self.scene.name_of(parameter))
        if names:
            yield Finding(
                kind="untrained-layers-frozen",
                severity=Severity.WARNING,
                title=f"{len(names)} parameters stay at their random first values with requires_grad off: "
                f"{', '.join(names[:3])}.",
                evidence={"parameters": names[:20], "steps_looked_at": self._backwards},
                causes=(cause("layers-frozen"),),
                next_check="freeze layers only after they were trained or loaded",
                subject=names[0],
            )


def _parameters(optimizer: Any) -> Iterable[Any]:
    for group in optimizer.param_groups:
        yield from group["params"]
