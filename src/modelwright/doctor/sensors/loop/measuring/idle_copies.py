"""Copies of a model that are measured in its place, and stay as the model was before its first step."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["IdleCopies"]

_FEWEST_STEPS, _LATE = 50, 0.75
_MOST_MODELS, _MOST_WEIGHTS, _KEPT = 8, 16, 2048
_FEWEST_ROWS = 8
_MOVED = 1e-3
"""Change of weights over their size, of a model that learnt."""


@dataclass(slots=True)
class _Learns:
    """A model that learns.

    Attributes:
        measured: Whether it was ever called in another way than to learn.
    """

    module: Any
    measured: bool = False


@dataclass(slots=True)
class _Asked:
    """A model that is only ever asked, with the steps before which it was, the last time."""

    module: Any
    place: Place | None
    step: int = 0
    learns: bool = False


class IdleCopies(Sensor):
    """Keeps some first values of models that learn, and which models are measured."""

    by_phase = True
    holds_models = True
    unless_acting = frozenset({"on_forward", "on_step_begin"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._first = scene.steps
        self._learns: list[_Learns] = []
        self._asked: list[_Asked] = []
        self._met: list[Any] = []
        self._weights: dict[int, tuple[Any, Any]] = {}

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if any(each is optimizer for each in self._met):
            return
        self._met = [*self._met[1 - _MOST_MODELS :], optimizer]
        for each in (each for group in optimizer.param_groups for each in group["params"]):
            if each.dim() >= 2 and len(self._weights) < _MOST_WEIGHTS:
                part = each.detach().flatten()[:_KEPT]
                if len(part) > 1 and bool((part != part[0]).any()):
                    self._weights.setdefault(id(each), (each, part.clone()))

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        import torch

        graded = torch.is_grad_enabled() and module.training
        learner = next((each for each in self._learns if each.module is module), None)
        if learner is not None:
            learner.measured |= not graded
            return
        asked = next((each for each in self._asked if each.module is module), None)
        if graded:
            if asked is not None:
                asked.learns = True
            elif len(self._learns) < _MOST_MODELS:
                self._learns.append(_Learns(module))
        elif asked is not None:
            asked.step = self.scene.steps
        elif len(self._asked) < _MOST_MODELS and _rows(output) >= _FEWEST_ROWS:
            self._asked.append(_Asked(module, place_of_caller(), self.scene.steps))

    def findings(self) -> Iterable[Finding]:
        """Return a copy that was measured to the end, and a model that learnt and never was."""
        steps = self.scene.steps - self._first
        if steps < _FEWEST_STEPS or self.scene.environments or self.scene.asks_often:
            return
        owned = self.scene.owned()
        for each in self._asked:
            late = each.step - self._first >= _LATE * steps
            if each.learns or not late or any(id(p) in owned for p in each.module.parameters()):
                continue
            for learner in self._learns:
                if learner.measured or not self._is_first(each.module, learner.module):
                    continue
                name = type(learner.module).__name__
                yield Finding(
                    kind="copy-measured-never-follows",
                    severity=Severity.SEVERE,
                    title=f"What is measured is a copy of {name} as it was before its first step; {name} "
                    "itself, which learns, never is.",
                    evidence={"steps": steps, "matrices_compared": len(self._weights)},
                    causes=(cause("copy-never-updated", each.place),),
                    next_check="bring the copy up to date after each step, as an average of weights is, or "
                    "measure the model that learnt",
                    subject=name,
                )
                return

    def _is_first(self, copy: Any, model: Any) -> bool:
        """Return whether a model has the first values of another one, which has others now."""
        own, theirs = list(copy.parameters()), list(model.parameters())
        if [each.shape for each in own] != [each.shape for each in theirs]:
            return False
        pairs = [
            (a, *self._weights[id(b)]) for a, b in zip(own, theirs, strict=True) if id(b) in self._weights
        ]
        for mine, other, first in pairs:
            if not bool((_part(mine, first) == first).all()):
                return False
            if float((_part(other, first) - first).norm()) < _MOVED * float(first.norm()):
                return False
        return bool(pairs)


def _part(parameter: Any, like: Any) -> Any:
    return parameter.detach().flatten()[: len(like)].to(like)


def _rows(output: Any) -> int:
    shape: Any = getattr(output, "shape", ())
    return int(shape[0]) if len(shape) else 0
