"""Policies that are improved through a critic: which way their loss pushes, and what the step changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.acting.value.own_draws import OwnDraws
from modelwright.doctor.sensors.acting.value.seen_calls import is_stacked
from modelwright.doctor.sensors.acting.value.severe import severe
from modelwright.doctor.sensors.acting.value.slopes import comes_from, even_slope
from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.watch.graph import leaves_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene

__all__ = ["Policies"]

Numbers = NDArray[np.float64]

_ENOUGH = 5
_MOST_RESULTS = 160
_SAME = 1e-4


@dataclass(slots=True)
class _Asked:
    """A critic that was asked about pairs while gradients were recorded."""

    module: Any
    output: Any
    keys: list[bytes]
    live: bool


@dataclass(slots=True)
class _Push:
    """What the loss of a policy did."""

    critics: list[Any]
    live: bool
    even: bool


class Policies:
    """Looks at losses that reach a critic's value of a pair.

    Args:
        scene: What all sensors know.

    Attributes:
        soft: Losses that weigh a policy's log-probabilities beside values.
        log_probability: Mean of the log-probabilities of the newest such loss; None where there was none.
        draws: Log-probabilities that policies give to their own draws.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.soft = 0
        self.log_probability: float | None = None
        self.draws = OwnDraws(scene)
        self._asked: list[_Asked] = []
        self._raw: list[Any] = []
        self._raw_values: list[Numbers] = []
        self._results: list[Any] = []
        self._after = 0
        self._squashed = False
        self._values: list[Any] = []
        self._within: list[Any] = []
        self._root: Any = None
        self._raw_root: Any = None
        self._signs: list[float] = []
        self._lost = self._kept = 0
        self._uncorrected = self._corrected = 0
        self._push: _Push | None = None
        self._reached: dict[int, Any] = {}
        self._changed = self._steps = 0
        self._place: Place | None = None
        self._raw_place: Place | None = None

    # ---- heard ----

    def called(self, seen: Seen, call: Call) -> None:
        """Hear of a call of a critic on pairs."""
        if not call.grad or seen.rest is None:
            return
        made = self._scene.experience.transitions
        if not made or seen.rest.shape[1] != made[-1].action.size:
            return  # what stands beside the observation is no action: a state that a network hands on
        output = call.output[0] if isinstance(call.output, tuple | list) else call.output
        if not getattr(output, "requires_grad", False):
            return
        live = any(getattr(each, "requires_grad", False) for each in call.args)
        outputs = call.output if isinstance(call.output, tuple | list) else (call.output,)
        self._asked += [_Asked(call.module, each, seen.keys, live) for each in outputs]

    def computed(self, operation: Operation) -> None:
        """Hear of an operation, where a critic of pairs is known."""
        result, self._root = operation.result, operation.root
        if not getattr(result, "requires_grad", False):
            return
        if operation.inside:  # many policies draw, and ask how likely that is, in their own forward
            if operation.name == "tanh" and len(self._within) < _MOST_RESULTS:
                self._within.append(operation.args[0])
            if not self._raw or operation.root is not self._raw_root:
                return
        elif operation.name == "tanh":
            self._squashed = True
        if 1 <= result.dim() <= 2 and len(self._results) < _MOST_RESULTS:
            self._results.append(result)

    def asked(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """Hear how likely a draw is."""
        if getattr(value, "requires_grad", False):
            self._values.append(value)
        self.draws.asked(distribution, value, result, place)

    def drawn(self, result: Any, place: Place | None) -> None:
        """Hear that a distribution gave log-probabilities."""
        if getattr(result, "requires_grad", False):
            # Copies: many programs correct log-probabilities in place.
            self._raw.append(result)
            self._raw_values.append(result.detach().double().cpu().numpy().copy())
            self._after = len(self._results)
            self._raw_place, self._raw_root = place, self._root

    def forget(self) -> None:
        """A step was taken, or a look ends."""
        self._asked, self._raw, self._results, self._squashed = [], [], [], False
        self._values, self._within, self._raw_root = [], [], None
        self._raw_values, self._after = [], 0
        self.draws.forget()

    def zeroed(self, optimizers: Sequence[Any]) -> None:
        """Hear that gradients were cleared."""
        for each in optimizers:
            for group in each.param_groups:
                for parameter in group["params"]:
                    self._reached.pop(id(parameter), None)

    def backward(self, loss: Any, own: Sequence[Seen]) -> None:
        """Hear that gradients of a loss are about to be computed."""
        self._drop_cleared()
        asked = [each for each in self._asked if each.output.requires_grad]
        if not asked or loss.numel() != 1 or not loss.requires_grad:
            return
        pairs = [each for each in asked if each.live] or self._of_policy(asked)
        if not pairs:
            return
        import torch

        wanted = [each.output for each in pairs]
        try:
            slopes: Any = torch.autograd.grad(
                loss, [*wanted, *self._raw, *self._results], retain_graph=True, allow_unused=True
            )
        except RuntimeError:
            return
        of_pairs = [
            (each, slope)
            for each, slope in zip(pairs, slopes, strict=False)
            if slope is not None and slope.any()
        ]
        if not of_pairs:
            return
        self._place = self._scene.place_of_loss(loss)
        rows = [_by_row(slope.detach(), len(each.keys)) for each, slope in of_pairs]
        whole: Numbers = np.sum([each.sum(axis=1) for each in rows], axis=0)
        even = bool(np.ptp(whole) <= 1e-6 * np.abs(whole).max() and whole[0] < 0)
        live = any(each.live for each, _ in of_pairs)
        if live:
            least = min(float(each.min()) for each in rows)
            self._signs.append(-1.0 if least < 0 else 1.0)
            ids = {id(leaf): leaf for leaf in leaves_of(loss)}
            for each, _ in of_pairs:
                for parameter in each.module.parameters():
                    if id(parameter) in ids:
                        self._reached[id(parameter)] = parameter
        self._push = _Push([each.module for each, _ in of_pairs], live, even)
        self._squashed |= any(given is value for given in self._within for value in self._values)
        self._weigh(slopes[len(wanted) :], whole, wanted)
        # Each row's share of the value, over critics of which one is the smaller.
        if live and whole[0] < 0 and np.ptp(whole) <= 1e-6 * abs(whole[0]):
            self.draws.weigh(loss, self._results, float(whole[0]))

    def _of_policy(self, asked: list[_Asked]) -> list[_Asked]:
        """Return those whose actions are not the ones that were taken."""
        found = self._scene.experience
        return [each for each in asked if all(found.knows(key) for key in each.keys[:4])]

    def _weigh(self, slopes: Sequence[Any], whole: Numbers, worths: Sequence[Any]) -> None:
        """Look at log-probabilities in the loss of a policy: which tensors have an even slope above zero."""
        raw = [
            (each, slope) for each, slope in zip(self._raw_values, slopes, strict=False) if even_slope(slope)
        ]
        if not raw:
            return
        first, slope = raw[-1]
        weight = float(slope.reshape(-1)[0])
        if weight <= 0:
            return
        self.soft += 1
        rows = len(whole)
        values = first.reshape(rows, -1)
        plain = values.sum(axis=1)
        last = plain
        other = False
        later = slopes[len(self._raw) + self._after :]
        for each, its in zip(self._results[self._after :], later, strict=True):
            if its is None or each.numel() not in (rows, values.size) or not even_slope(its):
                continue
            if abs(abs(float(its.reshape(-1)[0])) - weight) > 1e-5 * weight:
                continue
            numbers = each.detach().double().cpu().numpy().reshape(rows, -1)
            same = np.allclose(np.abs(numbers.sum(axis=1)), np.abs(plain), rtol=1e-4, atol=1e-5)
            if not same and not _among(numbers, values):
                # Where both weigh the same, values and what they are added to are no log-probabilities.
                other = other or not comes_from(each, worths)
            if float(its.reshape(-1)[0]) > 0 and numbers.shape[1] in (1, values.shape[1]):
                last = numbers.sum(axis=1)
        self.log_probability = float(last.mean())
        if self._squashed:
            self._uncorrected += not other
            self._corrected += other

    def _drop_cleared(self) -> None:
        for name, parameter in list(self._reached.items()):
            if parameter.grad is None or not bool(parameter.grad.any()):
                del self._reached[name]

    def step(self, optimizer: Any) -> None:
        """Hear that an optimizer is about to step."""
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        push, self._push = self._push, None
        if (
            push is not None
            and push.even
            and not any(id(parameter) in held for critic in push.critics for parameter in critic.parameters())
        ):
            self._lost += not push.live
            self._kept += push.live
        self._drop_cleared()
        reached = [name for name in self._reached if name in held]
        if push is not None and push.live:
            self._steps += 1
            self._changed += bool(reached) and len(reached) == len(self._reached)

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return what all losses of policies have in common."""
        yield from self.draws.findings()
        if len(self._signs) >= _ENOUGH and min(self._signs) > 0 and not self._scene.maximizes:
            yield severe(
                kind="policy-lowers-value",
                name="policy-loss-sign",
                title="The policy's loss grows with the critic's value of its actions: it seeks low values.",
                evidence={"losses": len(self._signs)},
                check="the loss is the negative mean of the critic's values",
                place=self._place,
            )
        if self._lost >= _ENOUGH and not self._kept:
            yield severe(
                kind="policy-without-slope-of-value",
                name="reparameterisation-lost",
                title="The critic's value is in the policy's loss, and gives the policy's actions no "
                "gradient.",
                evidence={"losses": self._lost},
                check="draw actions with rsample(), and do not detach them",
                place=self._raw_place or self._place,
            )
        if self._steps >= _ENOUGH and self._changed == self._steps:
            yield severe(
                kind="policy-step-changes-critic",
                name="actor-loss-updates-critic",
                title="The step on the policy's loss changes the critic too, which learns to overrate.",
                evidence={"steps": self._changed},
                check="give the policy's optimizer the policy's parameters only",
                place=self._scene.place_of("on_optimizer"),
            )
        if self._uncorrected >= _ENOUGH and not self._corrected:
            yield severe(
                kind="squashing-not-counted",
                name="log-det-missing",
                title="Actions go through tanh, and their log-probabilities are those of before.",
                evidence={"losses": self._uncorrected},
                check="subtract log(1 - tanh(u)**2), summed over actions",
                place=self._raw_place,
            )


def _by_row(slope: Any, rows: int) -> Numbers:
    """Return slopes (row, number) in what one critic gave, or several, stacked."""
    numbers = slope.double().cpu().numpy()
    return numbers.reshape(len(numbers), rows).T if is_stacked(slope, rows) else numbers.reshape(rows, -1)


def _among(numbers: Numbers, values: Numbers) -> bool:
    return numbers.shape == values.shape and np.allclose(
        np.abs(numbers), np.abs(values), rtol=1e-4, atol=1e-5
    )
