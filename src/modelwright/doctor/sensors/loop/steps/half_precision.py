"""Gradients that are too small for half precision: they become zero, and a larger scale brings them back."""

from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Call, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["HalfPrecision"]

_ENOUGH = 4
_MOST = 24
_LOST = 0.5
"""Share of a gradient's norm that is in numbers which became zero, from which a step counts."""

_SCALES = (2.0**12, 2.0**24)
"""By which the loss is multiplied: exact in binary floating point, so nothing but underflow can change."""


class HalfPrecision(Sensor):
    """Asks torch for the slope in the last half precision tensor, with the loss as it is and far larger."""

    closely = frozenset({"on_backward", "on_step_end"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._last: Any = None
        self._shares: list[float] = []

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if not call.grad or len(self._shares) >= _MOST:
            return
        for each in tensors_in(call.output):
            if each.requires_grad and str(each.dtype) == "torch.float16":
                self._last = each

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        last, self._last = self._last, None
        if last is None or not loss.requires_grad or loss.numel() != 1:
            return
        import torch

        def slope(scale: float) -> Any:
            given = torch.full_like(loss, scale)
            return torch.autograd.grad(loss, last, given, retain_graph=True, allow_unused=True)[0]

        plain = slope(1.0)
        if plain is None or not plain.numel():
            return
        lost = 0.0
        for scale in _SCALES if not bool(plain.all()) else ():
            larger = slope(scale).double() / scale
            size = float(larger.norm())
            if size > 0 and bool(larger.isfinite().all()):
                lost = max(lost, float(larger[plain == 0].norm()) / size)
        self._shares.append(lost)

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._last = None

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._last = None

    def findings(self) -> Iterable[Finding]:
        """Return a finding where most gradients are lost in nearly all steps that were looked at."""
        scene, shares = self.scene, self._shares
        if len(shares) < _ENOUGH or sum(share >= _LOST for share in shares) < 0.9 * len(shares):
            return
        place = scene.place_of("scaler made") or scene.place_of("backward")
        yield Finding(
            kind="gradients-lost-in-half-precision",
            severity=Severity.SEVERE,
            title=f"{sum(shares) / len(shares):.0%} of the gradient is too small for half precision and "
            "becomes zero: a larger scale of the loss brings it back.",
            evidence={"share_lost_in_each_step": shares, "loss_multiplied_by": list(_SCALES)},
            causes=(cause("half-precision-underflow", place),),
            next_check="give GradScaler a larger init_scale (65536 is usual), or use bfloat16",
        )
