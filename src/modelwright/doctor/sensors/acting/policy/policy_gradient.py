"""What a policy's loss rewards: the sign of its entropy, nothing else, and ratios that cannot but be one."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.policy.written_entropies import WrittenEntropies
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["PolicyGradient"]

_ENOUGH = 5
_ONE = 1e-6
_MOST_TRIES, _MOST_SOURCES = 40, 4
_CERTAIN = 0.1
"""Mean entropy of a policy that is all but certain."""

_SAME = 1e-3
"""Of sums over hundreds of small slopes, which rounding makes differ."""


class PolicyGradient(Sensor):
    """Asks torch for the slope of the loss in what distributions gave."""

    closely = frozenset({"on_backward"})
    operations = frozenset({"exp", "gather", "__getitem__", *WrittenEntropies.operations})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._entropies: list[tuple[Any, float]] = []
        self._written = WrittenEntropies()
        self._sources: deque[Any] = deque(maxlen=_MOST_SOURCES)
        self._wrote = False
        self._splits: list[bool] = []
        self._tries = 0
        self._alone: bool | None = None
        self._backwards = 0
        self._log_probabilities: list[Any] = []
        self._ratios: list[tuple[float, Place | None]] = []
        self._steps_since_acting = self._begin = 0
        self._signs: list[float] = []
        self._ones: list[float] = []
        self._ratio_place: Place | None = None
        self._loss_place: Place | None = None

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        if self._steps_since_acting:
            self._begin = self.scene.experience.round
        self._steps_since_acting = 0

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if not getattr(result, "requires_grad", False):
            return
        if what == "entropy":
            if self._wrote:  # inside of the distribution
                self._entropies, self._wrote = [], False
            self._entropies.append((result, 1.0))
        elif what == "log_prob":
            self._log_probabilities.append(result)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        written = self.scene.environments and (self._wrote or not self._entropies)
        entropy = self._written.heard(operation) if written else None
        if entropy is not None:
            if self._wrote and operation.args and operation.args[0] is self._entropies[-1][0]:
                self._entropies.pop()  # of which this one is the sum or the mean
            self._entropies.append(entropy)
            self._wrote = True
        if operation.name == "log_softmax" and self.scene.environments:
            self._sources.append(operation.result)
        elif operation.name in ("gather", "__getitem__") and self._sources:
            given, chosen = operation.argument(0, "input"), operation.result
            if any(given is each for each in self._sources) and 2 * chosen.numel() <= given.numel():
                self._log_probabilities.append(chosen)
        if operation.name != "exp" or not self._log_probabilities or operation.inside:
            return
        result = operation.result
        shape = tuple(self._log_probabilities[-1].shape)
        same = result.numel() == self._log_probabilities[-1].numel()
        summed = result.dim() and tuple(result.shape) == shape[: result.dim()]  # over numbers of an action
        if getattr(result, "requires_grad", False) and result.numel() > 1 and (same or summed):
            self._ratios.append((float((result.detach() - 1).abs().max()), operation.place))

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._forget()

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._steps_since_acting += 1
        # Of two losses the other may move them; without a reward there is nothing else to learn from.
        if self._alone is not None and self._backwards == 1 and self._rewarded():
            self._splits.append(self._alone)
        self._forget()

    def _forget(self) -> None:
        self._entropies, self._log_probabilities, self._ratios = [], [], []
        self._written.forget()
        self._sources.clear()
        self._wrote = False
        self._alone, self._backwards = None, 0

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        self._backwards += 1
        if not (self._log_probabilities or self._entropies) or loss.numel() != 1:
            return
        if self._steps_since_acting and self.scene.environments:
            for far, place in self._ratios:
                self._ones.append(far)
                self._ratio_place = place
        if self._entropies and loss.requires_grad:
            import torch

            tensors = [each for each, _ in self._entropies]
            slopes: Any = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
            found = [
                (entropy, sign, slope)
                for (entropy, sign), slope in zip(self._entropies, slopes, strict=True)
                if slope is not None and bool(slope.count_nonzero())
            ]
            if found:
                self._loss_place = self.scene.place_of_loss(loss)
            self._signs += [float((sign * slope > 0).double().mean()) for _, sign, slope in found]
            used = [(entropy, slope) for entropy, _, slope in found]
            if used and self.scene.environments and self._tries < _MOST_TRIES:
                self._tries += 1
                self._split(loss, used)

    def _rewarded(self) -> bool:
        experience = self.scene.experience
        return any(each.reward for each in experience.transitions[max(0, self._begin - experience.first) :])

    def _split(self, loss: Any, used: list[tuple[Any, Any]]) -> None:
        """Take note of whether parameters that entropies move are moved by nothing else."""
        import torch

        held = [each for each in self.scene.learning() if each.requires_grad]
        entropies, given = [each for each, _ in used], [slope for _, slope in used]
        # Of a policy that is certain, no action's log-probability has a slope, whatever it led to.
        certain = sum(float(each.detach().abs().mean()) for each in entropies) < _CERTAIN * len(entropies)
        if not held or certain:
            return
        part: Any = torch.autograd.grad(entropies, held, given, retain_graph=True, allow_unused=True)
        whole: Any = torch.autograd.grad(loss, held, retain_graph=True, allow_unused=True)
        self._alone = any(
            bool((one - other).norm() <= _SAME * one.norm())
            for one, other in zip(whole, part, strict=True)
            if one is not None and other is not None and bool(one.count_nonzero())
        )

    def findings(self) -> Iterable[Finding]:
        """Return a loss that rewards certainty, and old log-probabilities that are the new ones."""
        if len(self._signs) >= _ENOUGH and min(self._signs) == 1.0 and not self.scene.maximizes:
            yield Finding(
                kind="entropy-is-punished",
                severity=Severity.SEVERE,
                title="The loss grows with the policy's entropy: the policy is driven to be certain.",
                evidence={"losses": len(self._signs), "share_of_slopes_above_0": self._signs[:40]},
                causes=(cause("entropy-sign-flipped", self._loss_place),),
                next_check="subtract the entropy from the loss: loss = policy_loss - weight * entropy.mean()",
            )
        if sum(self._splits) >= max(_ENOUGH - 1, len(self._splits) / 2):
            yield Finding(
                kind="policy-learns-from-entropy-only",
                severity=Severity.SEVERE,
                title="All that moves the policy is its entropy: no gradient comes from what its actions "
                "led to.",
                evidence={"losses": len(self._splits), "losses_of_entropy_only": sum(self._splits)},
                causes=(cause("graph-detached", self._loss_place),),
                next_check="look for detach(), item() or no_grad() between log_prob and the loss",
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
