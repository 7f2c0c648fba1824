"""Weights of classes in a loss beside how often the classes are."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["ClassWeights"]

_ENOUGH_ROWS = 100
_UNEVEN = 1.5
"""The most frequent class is so many times as frequent as the rarest, or weights have nothing to even out."""


class ClassWeights(Sensor):
    """Reads `weight` of cross_entropy and `pos_weight` of the logistic loss."""

    operations = frozenset({"cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"})

    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._counts: NDArray[np.float64] | None = None
        self._weights: NDArray[np.float64] | None = None
        self._place: Place | None = None

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if operation.name in ("cross_entropy", "nll_loss"):
            weight, target = operation.argument(2, "weight"), operation.argument(1, "target")
            if weight is None or target.is_floating_point():
                return
            values = target.detach().reshape(-1)
            counts = values[values >= 0].bincount(minlength=len(weight)).double().cpu().numpy()
            self._add(counts, weight.detach().double().cpu().numpy(), operation.place)
        else:
            weight, target = operation.kwargs.get("pos_weight"), operation.argument(1, "target")
            if weight is None or weight.numel() != 1:
                return
            ones = float(target.detach().double().sum())
            counts = np.array([target.numel() - ones, ones])
            self._add(counts, np.array([1.0, float(weight.detach())]), operation.place)

    def _add(self, counts: Any, weights: Any, place: Place | None) -> None:
        if self._weights is None or not np.array_equal(weights, self._weights):
            self._counts, self._weights, self._place = counts, weights, place
        else:
            self._counts = counts + self._counts

    def findings(self) -> Iterable[Finding]:
        """Return a warning where frequent classes weigh more than rare ones."""
        counts, weights = self._counts, self._weights
        if counts is None or weights is None or counts.sum() < _ENOUGH_ROWS or (counts == 0).any():
            return
        common, rare = int(counts.argmax()), int(counts.argmin())
        if counts[common] < _UNEVEN * counts[rare] or weights[common] <= 1.05 * weights[rare]:
            return
        yield Finding(
            kind="frequent-classes-weigh-more",
            severity=Severity.WARNING,
            title=f"Class {common} is {counts[common] / counts[rare]:.1f} times as frequent as class {rare}, "
            f"and weighs {weights[common] / weights[rare]:.2g} times as much: weights add to the imbalance.",
            evidence={"counts": counts.tolist(), "weights": weights.tolist()},
            causes=(cause("class-weights-inverted", self._place),),
            next_check="weigh classes by the inverse of their frequency in the training rows",
        )
