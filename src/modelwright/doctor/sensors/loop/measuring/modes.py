"""Training and evaluation mode: what dropout and batch normalisation do, and when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.measuring.draws_by_mode import copied, draws_in_training_only
from modelwright.doctor.sensors.loop.measuring.slopes import Slopes
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Scene, Sensor

__all__ = ["Modes"]

_ENOUGH = 3


@dataclass(slots=True)
class _Root:
    """How one model with layers that depend on the mode was called.

    Attributes:
        learnt: Calls from which was learnt, by mode.
        measured: Calls without gradients, by mode.
        given: Of a model without such layers, what it was called with once, and the names of the last of it.
        waiting: Calls with gradients, with their mode, until these come back or do not.
    """

    model: Any
    layers: list[str]
    learnt: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    measured: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    given: tuple[tuple[Any, ...], tuple[str, ...]] | None = None
    waiting: list[tuple[bool, Slopes]] = field(default_factory=list[tuple[bool, Slopes]])
    place_learnt: Place | None = None
    place_measured: Place | None = None

    @property
    def learns_still(self) -> bool:
        """Whether it learns in evaluation mode."""
        return self.learnt[False] >= _ENOUGH


class Modes(Sensor):
    """Looks at models that hold dropout or batch normalisation, or draw in training mode only."""

    holds_models = True

    closely = frozenset({"on_step_end", "on_zero"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._roots: dict[int, _Root] = {}

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth:
            return
        root = self._roots.get(id(call.module))
        if root is None:
            root = self._roots[id(call.module)] = _Root(call.module, _layers(call.module))
        if not root.layers and call.grad and root.given is None and not self.scene.environments:
            root.given = copied(call.args) or (), call.keywords
        if call.grad:
            root.waiting.append((call.training, Slopes(call.output)))
            root.place_learnt = call.place
        elif not self.scene.environments:
            root.measured[call.training] += 1
            if call.training:
                root.place_measured = call.place

    def on_zero(self, optimizers: Sequence[Any]) -> None:
        """See `Sensor`."""
        for root in self._roots.values():
            for _, slopes in root.waiting:
                slopes.forget()

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        for root in self._roots.values():
            for mode, slopes in root.waiting:
                root.learnt[mode] += slopes.reached
            root.waiting = [each for each in root.waiting if each[1].waits()]

    def on_end(self) -> None:
        """See `Sensor`."""
        for root in self._roots.values():
            if root.layers or root.given is None or not root.given[0]:
                continue
            if (root.learns_still or self._is_measured(root)) and draws_in_training_only(
                root.model, *root.given
            ):
                root.layers = ["draws in its forward"]

    def findings(self) -> Iterable[Finding]:
        """Return models that learn in evaluation mode, and such that are measured in training mode."""
        for root in self._roots.values():
            name = type(root.model).__name__
            if root.layers and root.learns_still:
                yield self._learnt(name, root)
            if root.layers and self._is_measured(root):
                yield self._measured(name, root)

    def _is_measured(self, root: _Root) -> bool:
        """Return whether it is measured in training mode, and only so; it may learn as a part of another."""
        if not root.measured[True] or root.measured[False]:
            return False
        if root.learnt[True] >= _ENOUGH:
            return True
        if not any(parameter.requires_grad for parameter in root.model.parameters()):
            return False  # a copy that follows the one that learns
        wholes = [
            each
            for each in self._roots.values()
            if each is not root and any(part is root.model for part in each.model.modules())
        ]
        return any(each.learnt[True] >= _ENOUGH and not each.measured[False] for each in wholes)

    def _learnt(self, name: str, root: _Root) -> Finding:
        before = root.learnt[True] > 0
        return Finding(
            kind="learning-in-evaluation-mode",
            severity=Severity.SEVERE if before else Severity.WARNING,
            title=f"{name} learns in evaluation mode: {', '.join(root.layers[:3])} behave as at evaluation.",
            evidence={
                "training_calls_in_training_mode": root.learnt[True],
                "training_calls_in_evaluation_mode": root.learnt[False],
                "layers": root.layers[:20],
            },
            causes=(cause("train-mode-not-restored", self.scene.place_of("eval") or root.place_learnt),),
            next_check="call model.train() at the beginning of every epoch",
            subject=name,
        )

    def _measured(self, name: str, root: _Root) -> Finding:
        return Finding(
            kind="measured-in-training-mode",
            severity=Severity.WARNING,
            title=f"{name} is measured in training mode: {', '.join(root.layers[:3])} behave as in training.",
            evidence={
                "calls_without_gradients_in_training_mode": root.measured[True],
                "calls_without_gradients_in_evaluation_mode": 0,
                "layers": root.layers[:20],
            },
            causes=(cause("eval-mode-missing", root.place_measured),),
            next_check="call model.eval() before the held-out data and model.train() after them",
            subject=name,
        )


def _layers(model: Any) -> list[str]:
    """Return names of layers that behave otherwise in training."""
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
    from torch.nn.modules.dropout import _DropoutNd  # pyright: ignore[reportPrivateUsage]

    found: list[str] = []
    for name, module in model.named_modules():
        if isinstance(module, _DropoutNd):
            if module.p > 0:
                found.append(f"{name or 'the model'} ({type(module).__name__})")
        elif isinstance(module, _BatchNorm):
            if module.track_running_stats:
                found.append(f"{name or 'the model'} ({type(module).__name__})")
        elif isinstance(module, nn.MultiheadAttention | nn.RNNBase) and module.dropout > 0:
            found.append(f"{name or 'the model'} ({type(module).__name__})")
    return found
