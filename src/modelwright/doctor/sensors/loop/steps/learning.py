"""Whether anything is learnt: the loss beside that of the best constant."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["Learning"]

_ENOUGH = 100
"""Steps before anything is said."""

_LEARNT = 0.97
"""Share of the constant's loss that a model which learnt anything is below."""

_WILD, _TINY = 0.1, 1e-5
"""Change of the parameters in a step, over their size: above, they are thrown about; below, they stay."""

_PATH = 0.1
"""The same of all steps together: below, they stay where they were drawn."""

_CUT = 10.0
"""A gradient's norm over the limit that it is clipped to: above it in nearly all steps, the limit decides."""


class Learning(Sensor):
    """Compares the last losses with the loss of a constant prediction, which the targets decide."""

    closely = frozenset({"on_backward", "on_step_end"})
    operations = frozenset({"cross_entropy", "nll_loss", "mse_loss", "binary_cross_entropy_with_logits"})

    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._kind = ""
        self._counts: dict[int, int] = {}
        self._weights: list[float] | None = None
        self._sums = np.zeros(3)
        self._seen: list[tuple[int, float]] = []
        self._given = 0
        self._is_loss = 0
        self._last: Any = None
        self._stepped: list[int] = []
        self._clips: list[float] = []
        self._first = (scene.steps, len(scene.losses), len(scene.changes))

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        given, target = operation.argument(0, "input"), operation.argument(1, "target")
        weight = operation.argument(2, "weight") if operation.name != "mse_loss" else None
        classes = operation.name in ("cross_entropy", "nll_loss")
        plain = operation.kwargs.get("reduction", "mean") == "mean" and (weight is None or classes)
        if not given.requires_grad or target.requires_grad or not plain or operation.result.dim():
            return
        if operation.kwargs.get("label_smoothing", 0.0) or operation.kwargs.get("pos_weight") is not None:
            return
        weights = weight.tolist() if weight is not None else None
        if (self._seen and weights != self._weights) or not self._count(operation.name, target):
            return
        self._weights = weights
        self._last = operation.result
        self._seen.append((operation.step, float(operation.result.detach())))

    def _count(self, name: str, target: Any) -> bool:
        if self._kind not in ("", name):
            return False
        self._kind = name
        values = target.detach().reshape(-1)
        if name in ("cross_entropy", "nll_loss"):
            if values.is_floating_point():
                return False
            for value, count in zip(*values[values >= 0].unique(return_counts=True), strict=True):
                self._counts[int(value)] = self._counts.get(int(value), 0) + int(count)
        else:
            numbers = values.double()
            self._sums += [len(numbers), float(numbers.sum()), float(numbers.square().sum())]
        return True

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._stepped = [*self._stepped[-_ENOUGH:], id(optimizer)]

    def on_clip(self, parameters: Any, limit: float, norm: Any) -> None:
        """See `Sensor`."""
        if norm is not None and self.scene.close and limit > 0:
            self._clips.append(float(norm) / limit)

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        self._given += 1
        self._is_loss += loss is self._last
        self._last = None

    def on_end(self) -> None:
        """See `Sensor`."""
        constant = self._constant()
        is_all = self._given and self._is_loss >= 0.9 * self._given
        if constant and is_all and len(set(self._stepped)) == 1:
            self.scene.constant_loss = constant

    def _constant(self) -> float | None:
        """Return the loss of the best constant prediction."""
        if self._counts:
            share = np.array(list(self._counts.values()), np.float64)
            if self._weights is not None:
                share *= np.array(self._weights, np.float64)[list(self._counts)]
            share = share[share > 0] / max(share.sum(), 1e-12)
            return float(-(share * np.log(share)).sum())
        count, total, squares = self._sums
        if count < 2:
            return None
        mean = total / count
        if self._kind == "mse_loss":
            return float(squares / count - mean * mean)
        return float(-(mean * np.log(mean) + (1 - mean) * np.log(1 - mean))) if 0 < mean < 1 else None

    def findings(self) -> Iterable[Finding]:
        """Return a warning where the loss ends no better than a constant's."""
        constant = self._constant()
        if (
            self.scene.environments
            or self.scene.steps - self._first[0] < _ENOUGH
            or not constant
            or not self._given
        ):
            return
        if len(set(self._stepped)) > 1:
            return  # where one learns against another, both may be best at chance
        curve = self._seen
        if self._is_loss >= 0.9 * self._given:
            curve = self.scene.losses[self._first[1] :]
        values = np.array([value for _, value in curve])
        last = values[-max(5, len(values) // 10) :]
        if not len(values) or not np.isfinite(last).all() or np.median(last) < _LEARNT * constant:
            return
        sizes = [size for _, size in self.scene.changes[self._first[2] :][:10]]
        size = float(np.median(sizes)) if sizes else 0.0
        yield Finding(
            kind="nothing-learnt",
            severity=Severity.WARNING,
            title=f"After {self.scene.steps} steps the loss is {np.median(last):.4g}; "
            f"that of the best constant prediction is {constant:.4g}.",
            evidence={
                "loss": values[:: max(1, len(values) // 60)].tolist(),
                "loss_of_the_best_constant": constant,
                "steps": self.scene.steps,
                "change_of_parameters_in_a_first_step": size,
            },
            causes=self._causes(size, len(values), float(np.median(last)) / constant),
            next_check="try to fit one single batch: a model that cannot has a fault in the loop; "
            "one that can, in its data or its learning rate",
        )

    def _causes(self, size: float, steps: int, excess: float) -> tuple[Cause, ...]:
        high = cause("learning-rate-too-high", self.scene.place_of("on_optimizer"))
        low = cause("learning-rate-too-low", self.scene.place_of("on_optimizer"))
        shuffled = cause("features-shuffled-against-labels")
        sign = cause("loss-sign-flipped", self.scene.place_of("loss"))
        if 0 < size * steps < _PATH:
            if self._clips and float(np.quantile(self._clips, 0.1)) > _CUT:
                return (cause("clip-norm-tiny", self.scene.place_of("clip")), low, high, shuffled)
            return (low, high, shuffled)
        if excess > 1.5 or size > _WILD:
            return (high, sign, shuffled)
        return (low, high, shuffled) if size < _TINY else (shuffled, high, low)
