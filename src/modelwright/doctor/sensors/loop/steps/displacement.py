"""Weights that the first steps of an optimizer throw away: those learnt before, and a policy's first ones."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Displacement"]

_STEPS = 10
_FAR = 3.0
"""Distance from what was learnt, over its size; steps that refine it make a few hundredths of it."""

_AT_ONCE = 1.0
"""The same after one step of a program that acts; a hundredth is usual, a tenth is much."""

_AT_EACH = 0.3
"""The same where the optimizer's later steps are as large as its first, as Adam's are."""

_FEWEST_EPISODES, _RISE = 10, 0.001
"""Episodes at the beginning and at the end whose returns are compared, and p-value of a rise."""

_SMALLEST, _KEPT, _MOST = 64, 4096, 6


@dataclass(slots=True)
class _Start:
    """Where an optimizer began.

    Attributes:
        optimizer: It.
        weights: Parameters, with some of their values then.
        place: Of the line that made it.
        steps: It took since.
    """

    optimizer: Any
    weights: list[tuple[Any, Any]]
    place: Place | None
    steps: int = 0


class Displacement(Sensor):
    """Keeps a few learnt weights where an optimizer takes them over, and looks again ten steps later."""

    holds_models = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._met: dict[int, Any] = {}
        self._moved: dict[int, bool] = {}
        self._starts: dict[int, _Start] = {}
        self._found: list[Finding] = []
        self._places: dict[int, Place | None] = {}
        self._thrown: tuple[_Start, float] | None = None

    def on_optimizer(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._places[id(optimizer)] = self.scene.newest_place_of("on_optimizer")

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if id(optimizer) in self._met:
            return
        self._met[id(optimizer)] = optimizer
        held = [p for group in optimizer.param_groups for p in group["params"]]
        learnt = [
            p
            for p in held
            if p.dim() >= 2
            and p.numel() >= _SMALLEST
            and (self.scene.environments or self._moved.get(id(p)) or self.scene.is_loaded(p))
        ]
        if learnt:
            weights = [(p, _some(p).clone()) for p in learnt[:_MOST]]
            self._starts[id(optimizer)] = _Start(optimizer, weights, self._places.get(id(optimizer)))
        self._moved.update((id(p), True) for p in held)

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        start = self._starts.get(id(optimizer))
        if start is None:
            return
        start.steps += 1
        acts = self.scene.environments
        if start.steps < (1 if acts else _STEPS):
            return
        del self._starts[id(optimizer)]
        far = [
            float((_some(p) - before).norm() / before.norm())
            for p, before in start.weights
            if float(before.norm()) > 0
        ]
        if acts and far and self._thrown is None:
            even = all("betas" in group for group in start.optimizer.param_groups)
            # Of two layers, the last one may be drawn very small on purpose.
            if statistics.median(far) > _AT_ONCE or (even and statistics.median_low(far) > _AT_EACH):
                self._thrown = start, statistics.median(far)
        elif not acts and far and statistics.median(far) > _FAR:
            self._found.append(_finding(start, statistics.median(far)))

    def on_end(self) -> None:
        """See `Sensor`."""
        if self._thrown is not None and not _rises(self.scene.experience.returns()):
            self._found.append(_at_once(*self._thrown))

    def findings(self) -> Iterable[Finding]:
        """Return a warning for each optimizer whose first steps left nothing of what was learnt."""
        return self._found


def _at_once(start: _Start, far: float) -> Finding:
    rates = [float(group["lr"]) for group in start.optimizer.param_groups if "lr" in group]
    return Finding(
        kind="first-step-throws-weights-away",
        severity=Severity.WARNING,
        title=f"The first step moves weights by {far:.3g} times their size, and returns do not rise.",
        evidence={"distance_over_size": far, "learning_rates": rates},
        causes=(cause("learning-rate-too-high", start.place),),
        next_check="divide the learning rate by a hundred, and compare returns",
    )


def _rises(returns: list[float]) -> bool:
    """Return whether the last fifth of episodes gained more than the first; true where too few are known."""
    from scipy.stats import mannwhitneyu

    few = len(returns) // 5
    if few < _FEWEST_EPISODES:
        return True
    return float(mannwhitneyu(returns[-few:], returns[:few], alternative="greater").pvalue) < _RISE


def _some(parameter: Any) -> Any:
    """Return the first numbers of a parameter."""
    return parameter.detach().flatten()[:_KEPT]


def _finding(start: _Start, far: float) -> Finding:
    rates = [float(group["lr"]) for group in start.optimizer.param_groups if "lr" in group]
    return Finding(
        kind="learnt-weights-lost",
        severity=Severity.WARNING,
        title=f"In {_STEPS} steps, weights that were learnt before moved by {far:.3g} times their size: "
        "nothing of them is left.",
        evidence={"distance_over_size": far, "steps": _STEPS, "learning_rates": rates},
        causes=(cause("learning-rate-too-high", start.place),),
        next_check="refine what was learnt with a rate a hundred times as small, and compare with a model "
        "that learns from random weights",
    )
