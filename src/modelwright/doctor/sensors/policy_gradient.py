"""What a policy's loss rewards: the sign of its entropy, and ratios that cannot but be one."""

from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["PolicyGradient"]

_ENOUGH = 5
_ONE = 1e-6


class PolicyGradient(Sensor):
    """Asks torch for the slope of the loss in what distributions gave."""

    closely = frozenset({"on_backward"})
    operations = frozenset({"exp"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._entropies: list[Any] = []
        self._log_probabilities: list[Any] = []
        self._ratios: list[tuple[float, Place | None]] = []
        self._steps_since_acting = 0
        self._signs: list[float] = []
        self._ones: list[float] = []
        self._ratio_place: Place | None = None

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        self._steps_since_acting = 0

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if not getattr(result, "requires_grad", False):
            return
        if what == "entropy":
            self._entropies.append(result)
        else:
            self._log_probabilities.append(result)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if not self._log_probabilities or operation.inside:
            return
        result = operation.result
        if result.requires_grad and result.numel() == self._log_probabilities[-1].numel() > 1:
            self._ratios.append((float((result.detach() - 1).abs().max()), operation.place))

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._forget()

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._steps_since_acting += 1
        self._forget()

    def _forget(self) -> None:
        self._entropies, self._log_probabilities, self._ratios = [], [], []

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if not self._log_probabilities or loss.numel() != 1:
            return
        if self._steps_since_acting and self.scene.environments:
            for far, place in self._ratios:
                self._ones.append(far)
                self._ratio_place = place
        if self._entropies and loss.requires_grad:
            import torch

            slopes: Any = torch.autograd.grad(loss, self._entropies, retain_graph=True, allow_unused=True)
            for slope in slopes:
                if slope is not None and bool(slope.count_nonzero()):
                    self._signs.append(float((slope > 0).double().mean()))

    def findings(self) -> Iterable[Finding]:
        """Return a loss that rewards certainty, and old log-probabilities that are the new ones."""
        if len(self._signs) >= _ENOUGH and min(self._signs) == 1.0 and not self.scene.maximizes:
            yield Finding(
                kind="entropy-is-punished",
                severity=Severity.SEVERE,
                title="The loss grows with the policy's entropy: the policy is driven to be certain.",
                evidence={"losses": len(self._signs), "share_of_slopes_above_0": self._signs[:40]},
                causes=(cause("entropy-sign-flipped", self.scene.place_of("backward")),),
                next_check="subtract the entropy from the loss: loss = policy_loss - weight * entropy.mean()",
            )
        if len(self._ones) >= _ENOUGH and max(self._ones) < _ONE:
            yield Finding(
                kind="ratio-always-one",
                severity=Severity.SEVERE,
                title="The ratio of new to old probabilities is 1 after steps were taken: the old ones are "
                "computed with the new parameters.",
                evidence={"losses": len(self._ones), "farthest_from_1": max(self._ones)},
                causes=(cause("old-log-prob-recomputed", self._ratio_place),),
                next_check="keep the log-probabilities of the time of acting, and use them in the ratio",
            )
