"""Losses that are cut off from above: what they cut gives no gradient, and is what was to be learnt."""

from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.losses.loss_sign import LOSSES
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["ClippedLosses"]

_CUTS = ("clamp", "clamp_", "clip", "clip_", "clamp_max", "clamp_max_", "minimum")
_ENOUGH = 5
_MANY = 0.05


class ClippedLosses(Sensor):
    """Looks at cuts of what a loss function gave."""

    closely = frozenset({"on_step_end"})
    operations = LOSSES | set(_CUTS)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._losses: list[Any] = []
        self._shares: list[float] = []
        self._place: Place | None = None

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if self.scene.environments:
            return
        if operation.name in LOSSES and operation.result.requires_grad:
            self._losses.append(operation.result)
        elif any(operation.args[0] is each for each in self._losses):
            before, after = operation.args[0].detach(), operation.result.detach()
            if before is not after and before.shape == after.shape:
                # What is cut from both sides loses its gradient on both; a lower bound alone is often meant.
                cut = after != before if bool((after < before).any()) else after < before
                self._shares.append(float(cut.double().mean()))
                self._place = operation.place

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._losses = []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._losses = []

    def findings(self) -> Iterable[Finding]:
        """Return cuts that took the gradient of many rows, or of many batches."""
        if len(self._shares) < _ENOUGH or sum(self._shares) < _MANY * len(self._shares):
            return
        share = sum(self._shares) / len(self._shares)
        yield Finding(
            kind="large-losses-cut-off",
            severity=Severity.WARNING,
            title=f"{share:.0%} of the losses are cut off and give no gradient: what is wrong the "
            "most is learnt the least.",
            evidence={"share_cut_in_each_batch": self._shares[:60]},
            causes=(cause("loss-clipped", self._place),),
            next_check="clip gradients, not losses; or use a loss that grows slowly, smooth_l1_loss say",
        )
