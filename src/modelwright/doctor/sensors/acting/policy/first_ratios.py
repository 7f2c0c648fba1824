"""Whether new probabilities of actions are the old ones before any step: the policy is still the same."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.policy.policy_updates import PolicyUpdates, keys_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["FirstRatios"]

_ENOUGH, _SOME = 4, 2
_FEWEST_ROWS = 8
_FAR, _FAR_OF_MEMORY = 0.1, 1e-3
"""Root mean square of logarithms of ratios that is no rounding; without a memory, so large that statistics of
observations that were brought up to date after acting do not make it."""

_FAR_OF_THE_SAME = 0.01
"""Where the same modules were given the same numbers while acting."""

_MOST_ACTED = 20_000
"""Observations that are kept as models were given them while acting."""

_MOST_SHARE = 0.8
"""Of updates of a policy with memory: the first begins as no later one does."""


class FirstRatios(Sensor):
    """Looks at the first ratios after acting, of rows that were acted on since the last step."""

    closely = frozenset({"on_backward"})
    while_acting = frozenset({"on_step_end"})
    operations = PolicyUpdates.operations | {"exp"}

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._updates = PolicyUpdates()
        self._ratios: list[tuple[Any, Place | None]] = []
        self._begin = 0
        self._stepped = True
        self._acted: set[bytes] = set()
        self._actors: set[int] = set()
        self._bounds: list[float] = []
        self._bound = _FAR
        self._fars: list[float] = []
        self._averaged = 0
        self._remembers = False
        self._place: Place | None = None

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        if self._stepped:
            self._begin, self._stepped = self.scene.experience.round, False

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if not self.scene.environments:
            return
        self._updates.hear_call(call)
        experience = self.scene.experience
        if call.grad or call.depth or not call.args:
            return
        made = experience.transitions
        numbers = len(made[-1].observation) // 4 if made else max(experience.sizes, default=0)
        size = getattr(call.args[0], "numel", int)()
        if numbers and 0 < size <= numbers * len(experience.numbers) and len(self._acted) < _MOST_ACTED:
            self._acted.update(keys_of(call.args[0], numbers) or ())
            self._actors.add(id(call.module))

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if what == "log_prob":
            self._updates.hear_distribution(result, None, 0, place)

    def on_load(self, module: Any, state: Mapping[str, Any]) -> None:
        """See `Sensor`."""
        self._actors = set()

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if not self.scene.environments or self._stepped:
            return
        self._updates.hear_operation(operation, 0)
        result = operation.result
        graded = operation.name == "exp" and self._updates.heard and getattr(result, "requires_grad", False)
        if graded and result.numel() >= _FEWEST_ROWS:
            self._ratios.append((operation.argument(0, "input"), operation.place))

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._stepped = True
        self._acted, self._actors = set(), set()
        self._forget()

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._forget()

    def _forget(self) -> None:
        self._updates.forget()
        self._ratios = []

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        ratios, self._ratios = self._ratios, []
        if self._stepped or not ratios or not loss.requires_grad or loss.numel() != 1:
            return
        try:
            for exponent, place in ratios:
                if self._is_ratio(exponent, loss) and self._is_fresh():
                    self._fars.append(float(exponent.detach().double().square().mean().sqrt()))
                    self._bounds.append(self._bound)
                    self._place = place
                    return
        except RuntimeError:
            self._forget()  # a graph that was changed in place

    def _is_ratio(self, exponent: Any, loss: Any) -> bool:
        """Return whether the loss depends on log-probabilities less something that has no gradient."""
        import torch

        heard = [each.tensor for each in self._updates.heard]
        slopes: Any = torch.autograd.grad(exponent.sum(), heard, retain_graph=True, allow_unused=True)
        used = [(tensor, slope) for tensor, slope in zip(heard, slopes, strict=True) if slope is not None]
        moved: Any = torch.autograd.grad(loss, [exponent], retain_graph=True, allow_unused=True)[0]
        if len(used) != 1 or moved is None or not bool(moved.count_nonzero()):
            return False
        tensor, slope = used[0]
        if tensor.numel() % exponent.numel():
            return False
        each = tensor.detach().reshape((*exponent.shape, -1))
        of_all, of_one = each.sum(dim=-1), each.mean(dim=-1)
        if bool((slope == 1).all()):
            new, other = of_all, of_one
        elif bool((slope == 1 / each.shape[-1]).all()):
            new, other = of_one, of_all
        else:
            return False
        old = new - exponent.detach()
        self._averaged += each.shape[-1] > 1 and torch.allclose(old, other, rtol=1e-3, atol=1e-3)
        return bool(old.any())  # something is taken from it

    def _is_fresh(self) -> bool:
        """Return whether rows are of this rollout, and models say the same whenever they are asked."""
        experience = self.scene.experience
        recent = experience.transitions[max(self._begin - experience.first, 0) :]
        seen, numbers = {each.observation for each in recent}, len(recent[0].observation) // 4
        fresh, exact = False, True
        for call in self._updates.calls:
            keys = keys_of(call.args[0], max(1, numbers))
            if keys is None:
                continue
            if not all(key in seen or key in self._acted for key in keys):
                return False
            fresh = fresh or len(keys) >= _FEWEST_ROWS
            exact &= id(call.module) in self._actors and self._acted.issuperset(keys)
        self._bound = _FAR_OF_THE_SAME if exact else _FAR
        from torch import nn
        from torch.nn.modules import batchnorm, dropout

        at_random = (dropout._DropoutNd, batchnorm._NormBase)  # pyright: ignore[reportPrivateUsage]
        modules = [part for root in self.scene.roots for part in root.modules()]
        self._remembers |= any(isinstance(part, nn.RNNBase | nn.RNNCellBase) for part in modules)
        return fresh and not any(isinstance(part, at_random) for part in modules)

    def findings(self) -> Iterable[Finding]:
        """Return first ratios that are never one."""
        bounds = [_FAR_OF_MEMORY if self._remembers else each for each in self._bounds]
        pairs = list(zip(self._fars, bounds, strict=True))
        if self._bounds.count(_FAR_OF_THE_SAME) >= _SOME:  # of others, what is near says nothing
            pairs = [(far, bound) for far, bound in pairs if far >= bound or bound == _FAR_OF_THE_SAME]
        count = sum(far >= bound for far, bound in pairs)
        if count < _ENOUGH or count < len(pairs) * (_MOST_SHARE if self._remembers else 1.0):
            return
        name = "memory-replayed-otherwise" if self._remembers else "log-prob-of-other-rows"
        if self._averaged >= count:
            name = "log-prob-not-summed"  # in one of the two places
        yield Finding(
            kind="ratio-not-one-at-first",
            severity=Severity.WARNING,
            title="Before any step is taken, the ratio of new to old probabilities is not 1: updates compute "
            "something else than acting did.",
            evidence={"updates": len(self._fars), "root_mean_square_of_log_ratio": self._fars[:40]},
            causes=(cause(name, self._place),),
            next_check="print the ratio of the first minibatch after acting; each must be 1",
        )
