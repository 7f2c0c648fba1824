"""Numbers that are none: losses, gradients and parameters that are not finite; and losses that only grow."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.graph import nodes_near
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["Numbers"]

_ENOUGH = 20
_MOST_NODES = 64
"""Functions between a loss and what it is the mean of."""


class Numbers(Sensor):
    """Watches losses at every step."""

    by_phase = True
    closely = frozenset({"on_backward"})
    operations = frozenset({"mean", "sum", "multinomial", "gather"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._drawn: list[Any] = []
        self._no_errors: list[Any] = []
        self._is_no_error = False
        self._rates: list[float] = []
        self._first = len(scene.losses)
        self._stepped: set[int] = set()

    def on_optimizer(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._rates.append(float(optimizer.param_groups[0]["lr"]))

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._stepped.add(id(optimizer))

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        result, given = operation.result, operation.argument(0, "input")
        if operation.name == "multinomial":
            self._drawn = [*self._drawn[-63:], result]
        if self._is_no_error or not getattr(result, "requires_grad", False):
            return
        if operation.name == "gather":
            self._note(result, self._is_drawn(operation.argument(2, "index")))
        elif not result.dim() and hasattr(given, "detach") and given.numel() > 1:
            numbers = given.detach()
            self._note(result, bool((numbers < 0).any()) and bool((numbers > 0).any()))

    def _note(self, result: Any, is_no_error: bool) -> None:
        if is_no_error:
            self._no_errors = [*self._no_errors[-7:], result.grad_fn]

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if self._no_errors and not self._is_no_error:
            near = nodes_near(loss, _MOST_NODES)
            self._is_no_error = any(each in near for each in self._no_errors)
        self._no_errors, self._drawn = [], []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._no_errors, self._drawn = [], []  # they hold what gradients were to be computed with

    def on_sample(self, distribution: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        self._drawn = [*self._drawn[-63:], result]

    def on_log_prob(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if getattr(result, "requires_grad", False):
            self._note(result, self._is_drawn(value))

    def _is_drawn(self, value: Any) -> bool:
        """Return whether a tensor lies where one lies that was drawn in this update, and is held since."""
        where = getattr(value, "data_ptr", int)()
        return bool(where) and any(where == each.data_ptr() for each in self._drawn)

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
        elif len(values) >= _ENOUGH and len(self._stepped) <= 1 and not self._is_no_error:
            # Where one learns against another, one's loss grows while the other's falls. A mean over rows of
            # both signs, and one of draws that a model made itself, measure no distance.
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
