"""Numbers that are none: losses, gradients and parameters that are not finite; and losses that only grow."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Numbers"]

_ENOUGH = 20


class Numbers(Sensor):
    """Watches losses at every step."""

    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._rates: list[float] = []
        self._first = len(scene.losses)
        self._stepped: set[int] = set()

    def on_optimizer(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._rates.append(float(optimizer.param_groups[0]["lr"]))

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._stepped.add(id(optimizer))

    def findings(self) -> Iterable[Finding]:
        """Return a severe finding where the loss is no number, or ends far above where it began."""
        losses = self.scene.losses[self._first :]
        if not losses:
            return
        broken = [(step, value) for step, value in losses if not math.isfinite(value)]
        values = np.array([value for _, value in losses])
        if broken and len(broken) >= 0.01 * len(losses):
            yield Finding(
                kind="loss-not-finite",
                severity=Severity.SEVERE,
                title=f"The loss is no finite number, first at step {broken[0][0]}.",
                evidence={
                    "first_at_step": broken[0][0],
                    "not_finite": len(broken),
                    "losses": len(losses),
                    "before": [value for _, value in losses[:20] if math.isfinite(value)],
                    "learning_rates": self._rates,
                },
                causes=(
                    cause("learning-rate-too-high", self.scene.place_of("on_optimizer")),
                    cause("inputs-not-scaled"),
                    cause("initialisation-too-large"),
                ),
                next_check="lower the learning rate tenfold; look for the first tensor that is not finite "
                "(torch.autograd.set_detect_anomaly(True)), and for log or division of zero",
            )
        elif len(values) >= _ENOUGH and len(self._stepped) <= 1:
            # Where one learns against another, one's loss grows while the other's falls.
            yield from self._grown(values)

    def _grown(self, values: Any) -> Iterable[Finding]:
        part = max(5, len(values) // 10)
        first, last = float(np.median(values[:part])), float(np.median(values[-part:]))
        if self.scene.environments or first <= 0 or last < 3 * first:
            return
        yield Finding(
            kind="loss-grows",
            severity=Severity.SEVERE,
            title=f"The loss ends {last / first:.1f} times as high as it began.",
            evidence={
                "median_first": first,
                "median_last": last,
                "losses": len(values),
                "learning_rates": self._rates,
            },
            causes=(
                cause("learning-rate-too-high", self.scene.place_of("on_optimizer")),
                cause("loss-sign-flipped", self.scene.place_of("loss")),
                cause("zero-grad-missing", self.scene.place_of("backward")),
            ),
            next_check="lower the learning rate tenfold; if the loss still grows, look at its sign",
        )
