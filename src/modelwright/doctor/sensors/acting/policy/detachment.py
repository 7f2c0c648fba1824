"""Gradients that go where they should not: through advantages into values, and into the targets of values."""

from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.advantages.value_tables import tensors_of
from modelwright.doctor.sensors.acting.policy.policy_updates import PolicyUpdates, keys_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["Detachment"]

_ENOUGH = 3
_MOST = 12


class Detachment(Sensor):
    """Asks torch what the weights of log-probabilities depend on, and what the loss does."""

    closely = frozenset({"on_backward"})
    while_acting = frozenset({"on_backward", "on_step_end"})
    operations = PolicyUpdates.operations | {"mul", "__mul__", "__rmul__"}

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._updates = PolicyUpdates()
        self._begin = 0
        self._stepped = True
        self._seen = {"advantages": 0, "targets": 0}
        self._wrong = {"advantages": 0, "targets": 0}
        self._places: dict[str, Place | None] = {}

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        if self._stepped:
            self._begin, self._stepped = self.scene.experience.round, False

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if self.scene.environments:
            self._updates.hear_call(call)

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if what == "log_prob":
            self._updates.hear_distribution(result, None, 0, place)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if not self.scene.environments:
            return
        self._updates.hear_operation(operation, 0)
        if not self._updates.heard or operation.name not in ("mul", "__mul__", "__rmul__"):
            return
        if getattr(operation.result, "requires_grad", False) and not operation.inside:
            size, several = operation.result.numel(), len(self._updates.heard) > 1
            if size > 1 and (several or size == self._updates.heard[-1].tensor.numel()):
                self._places["product"] = operation.place

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._stepped = True
        self._updates.forget()

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._updates.forget()

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if not self._updates.heard:
            return
        if loss.numel() != 1 or not loss.requires_grad:
            return
        try:
            if self._seen["advantages"] < _MOST:
                self._look_at_advantages(loss)
            if self._seen["targets"] < _MOST:
                self._look_at_targets(loss)
        except RuntimeError:
            self._updates.forget()  # a graph that was changed in place, or has no second derivative

    def _look_at_advantages(self, loss: Any) -> None:
        import torch

        known = [each.tensor for each in self._updates.heard]
        slopes: Any = torch.autograd.grad(loss, known, create_graph=True, allow_unused=True)
        used = [(tensor, slope) for tensor, slope in zip(known, slopes, strict=True) if slope is not None]
        used = [(tensor, slope) for tensor, slope in used if bool(slope.detach().count_nonzero())]
        if not used:
            return
        self._seen["advantages"] += 1
        moving = [slope.sum() for _, slope in used if slope.requires_grad]
        outputs = [
            each for call in self._updates.calls for each in tensors_of(call.output) if each.requires_grad
        ]
        # A model may give its log-probabilities: the weights of a ratio depend on them, as they have to.
        outputs = [each for each in outputs if not _comes_from(each, [tensor for tensor, _ in used])]
        if not moving or not outputs:
            return
        weights: Any = torch.stack(moving).sum()
        policy: Any = torch.stack([tensor.sum() for tensor, _ in used]).sum()
        of_weights: Any = torch.autograd.grad(weights, outputs, retain_graph=True, allow_unused=True)
        of_policy: Any = torch.autograd.grad(policy, outputs, retain_graph=True, allow_unused=True)
        for weight, own in zip(of_weights, of_policy, strict=True):
            if own is None and weight is not None and bool(weight.count_nonzero()):
                self._wrong["advantages"] += 1
                return

    def _look_at_targets(self, loss: Any) -> None:
        import torch

        experience = self.scene.experience
        recent = experience.transitions[max(self._begin - experience.first, 0) :]
        if not recent or len(recent) > 8192:
            return
        seen, following = {each.observation for each in recent}, {each.following for each in recent}
        numbers = len(recent[0].observation) // 4
        learnt = False
        for call in self._updates.calls:
            keys = keys_of(call.args[0], numbers)
            if not keys:
                continue
            learnt = learnt or all(key in seen for key in keys)
            if not learnt and not all(key in following for key in keys):
                continue
            if not all(key in following for key in keys) or all(key in seen for key in keys):
                continue
            outputs = [
                each for each in tensors_of(call.output) if each.numel() == len(keys) and each.requires_grad
            ]
            slopes: Any = (
                torch.autograd.grad(loss, outputs, retain_graph=True, allow_unused=True) if outputs else ()
            )
            if any(each is not None and bool(each.count_nonzero()) for each in slopes):
                self._wrong["targets"] += 1
                self._places["targets"] = call.place
                break
        self._seen["targets"] += 1

    def findings(self) -> Iterable[Finding]:
        """Return gradients that reach values through advantages, or targets."""
        if self._wrong["advantages"] >= _ENOUGH:
            yield Finding(
                kind="policy-loss-moves-values",
                severity=Severity.SEVERE,
                title="What the policy's loss gives to log-probabilities carries gradients of the values: "
                "values learn to make advantages small.",
                evidence={"losses": self._seen["advantages"], "losses_that_do": self._wrong["advantages"]},
                causes=(cause("advantages-not-detached", self._places.get("product")),),
                next_check="detach the advantages before they meet the log-probabilities",
            )
        if self._wrong["targets"] >= _ENOUGH:
            yield Finding(
                kind="loss-moves-targets",
                severity=Severity.SEVERE,
                title="The loss has a slope in the values of what follows: targets move towards predictions.",
                evidence={"losses": self._seen["targets"], "losses_that_do": self._wrong["targets"]},
                causes=(cause("values-not-detached", self._places.get("targets")),),
                next_check="compute targets under torch.no_grad()",
            )


def _comes_from(tensor: Any, sources: list[Any]) -> bool:
    import torch

    if any(tensor is each for each in sources):
        return False
    slopes: Any = torch.autograd.grad(tensor.sum(), sources, retain_graph=True, allow_unused=True)
    return any(each is not None for each in slopes)
