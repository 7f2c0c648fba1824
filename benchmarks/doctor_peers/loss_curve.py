"""What somebody sees who watches the loss: no number, divergence, no fall.

The curve of each loss (by the line that calls backward) is cut into 50 stretches, for want of epochs that
every program has; their means are the points. Ten points are the patience that early stopping and
schedules usually have. A curve that fell and then stays level has converged, which is no alarm.
"""

import math
from typing import Any, ClassVar

import numpy as np

from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene

from .peer import Peer

__all__ = ["LossCurve", "points"]

_STRETCHES = 50
_PATIENCE = 10
_FALL = 0.05
_GROWTH = 3.0


class LossCurve(Peer):
    """Keeps the value of every loss."""

    points_at: ClassVar[dict[str, tuple[str, ...]]] = {
        "not-finite": ("learning-rate-too-high", "inputs-not-scaled"),
        "diverges": ("learning-rate-too-high", "loss-sign-flipped"),
        "does-not-fall": (
            "learning-rate-too-low",
            "learning-rate-too-high",
            "graph-detached",
            "zero-grad-after-backward",
            "optimizer-holds-old-parameters",
        ),
    }

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._curves: dict[Place | None, list[float]] = {}

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if loss.numel() != 1:
            return
        value = float(loss.detach())
        self._curves.setdefault(place_of_caller(2), []).append(value)
        if not math.isfinite(value):
            self.alarm("not-finite")

    def end(self) -> None:
        """See `Peer`."""
        for values in self._curves.values():
            curve = points(values)
            if len(curve) < 2 * _PATIENCE or not np.isfinite(curve).all():
                continue
            first, last, best = curve[0], float(np.median(curve[-5:])), float(curve.min())
            scale = abs(float(first))
            if last - best > _GROWTH * scale and last > first:
                self.alarm("diverges")
            # A loss of a policy hovers about zero by its nature, and says nothing by its height.
            elif not self.scene.environments and best > first - _FALL * scale:
                self.alarm("does-not-fall")


def points(values: list[float]) -> Any:
    """Return the means of 50 stretches of a curve, or the curve where it is shorter (stretch,)."""
    if not values:
        return np.zeros(0)
    parts = np.array_split(np.asarray(values), min(_STRETCHES, len(values)))
    return np.array([part.mean() for part in parts])
