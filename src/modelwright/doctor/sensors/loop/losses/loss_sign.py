"""Whether a step lowers the loss: the slope of what is differentiated in the losses that it is made of."""

from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.losses.written_losses import (
    LIKELIHOODS,
    SIZES,
    Part,
    Slope,
    part_of,
    slope_of,
)
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["LOSSES", "LossSign"]

_ENOUGH = 3
LOSSES = frozenset(
    {"cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}
    | {"binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "poisson_nll_loss"}
)
_ENDS = ("neg", "__neg__", "mean", "sum", "mul", "__mul__", "__rmul__", "div", "__truediv__")
_MOST_PARTS = 32


class LossSign(Sensor):
    """Asks torch for that slope."""

    closely = frozenset({"on_backward", "on_step_end"})
    operations = frozenset({*LOSSES, *LIKELIHOODS, *SIZES, *_ENDS})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._losses: list[Any] = []
        self._place: Place | None = None
        self._divergences: list[Any] = []
        self._fallen: list[bool] = []
        self._divergence_place: Place | None = None
        self._falling = 0
        self._seen = 0
        self._parts: list[Part] = []
        self._written: list[Slope | None] = []
        self._end: tuple[Any, Place | None] = None, None
        self._written_place: Place | None = None

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if operation.name not in LOSSES:
            self._hear_part(operation)
        elif operation.result.requires_grad:
            self._losses.append(operation.result)
            self._place = operation.place

    def _hear_part(self, operation: Operation) -> None:
        if self.scene.environments or len(self._parts) >= _MOST_PARTS:
            return
        if operation.name in _ENDS:
            result = operation.result
            if getattr(result, "requires_grad", False) and result.numel() == 1:
                self._end = result, operation.place
            return
        part = part_of(operation)
        if part is not None:
            self._parts.append(part)

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if what == "divergence" and result.requires_grad and not self.scene.environments:
            self._divergences.append(result)
            self._divergence_place = place

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._losses, self._divergences, self._parts = [], [], []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._losses, self._divergences, self._parts = [], [], []

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        self._hear_divergences(loss)
        losses, self._losses = self._losses, []
        parts, self._parts = self._parts, []
        if not loss.requires_grad or loss.numel() != 1:
            return
        if not losses:
            if parts:
                self._written.append(slope_of(loss, parts))
                self._written_place = self._end[1] if self._end[0] is loss else self._written_place
            self._end = None, None
            return
        if any(each is loss for each in losses):
            self._seen += 1
            return
        import torch

        slopes: Any = torch.autograd.grad(loss, losses, retain_graph=True, allow_unused=True)
        known = [float(slope.sum()) for slope in slopes if slope is not None]
        if known:
            self._seen += 1
            self._falling += all(slope < 0 for slope in known)

    def _hear_divergences(self, loss: Any) -> None:
        """Take note of whether the loss falls as a distance from a prior grows."""
        divergences, self._divergences = self._divergences, []
        if not divergences or not loss.requires_grad or loss.numel() != 1:
            return
        import torch

        slopes: Any = torch.autograd.grad(loss, divergences, retain_graph=True, allow_unused=True)
        known = [slope for slope in slopes if slope is not None and bool(slope.count_nonzero())]
        if known:
            self._fallen.append(all(bool((slope <= 0).all()) for slope in known))

    def findings(self) -> Iterable[Finding]:
        """Return a loss that every step raises, and a divergence that it does."""
        if len(self._fallen) >= _ENOUGH and all(self._fallen) and not self.scene.maximizes:
            yield Finding(
                kind="loss-is-raised",
                severity=Severity.SEVERE,
                title="What is differentiated falls as a divergence grows: every step makes it larger.",
                evidence={"backward_passes": len(self._fallen), "with_a_falling_slope": sum(self._fallen)},
                causes=(cause("loss-sign-flipped", self._divergence_place),),
                next_check="add the divergence to the loss; subtract it from a bound that is made larger",
            )
        yield from self._judge_written()
        # Where several optimizers take turns, one may raise what another lowers.
        if self._falling < _ENOUGH or self._falling < self._seen or len(self.scene.optimizers) > 1:
            return
        if self.scene.maximizes:
            return
        yield Finding(
            kind="loss-is-raised",
            severity=Severity.SEVERE,
            title="What is differentiated falls as the loss grows: every step makes the loss larger.",
            evidence={"backward_passes": self._seen, "with_a_falling_slope": self._falling},
            causes=(cause("loss-sign-flipped", self._place),),
            next_check="remove the minus before the loss; optimizers make what they are given smaller",
        )

    def _judge_written(self) -> Iterable[Finding]:
        """Return a loss that is written out and falls as predictions get worse, always alike."""
        slopes = [each for each in self._written if each is not None and each.wrong]
        if len(slopes) < _ENOUGH or len(slopes) < len(self._written) or self._seen:
            return
        if len(self.scene.optimizers) > 1 or self.scene.maximizes:
            return
        if not all(each.is_like(slopes[0]) for each in slopes):
            return  # what each row counts is another from batch to batch, as a reward is
        yield Finding(
            kind="loss-is-raised",
            severity=Severity.SEVERE,
            title="What is differentiated falls as predictions get worse, by the same amount in every row: "
            "every step makes them worse.",
            evidence={
                "backward_passes": len(self._written),
                "with_a_falling_slope": len(slopes),
                "slope_of_each_row": slopes[0].each,
            },
            causes=(cause("loss-sign-flipped", self._written_place),),
            next_check="a log-likelihood that is to grow gets one minus, a squared error none",
        )
