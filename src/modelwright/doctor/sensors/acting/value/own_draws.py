"""Log-probabilities that a policy gives to its own draws: of what, and how they enter its loss."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.acting.value.severe import severe
from modelwright.doctor.sensors.acting.value.slopes import even_slope
from modelwright.doctor.sensors.loop.losses.output_range import last_operation
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Scene

__all__ = ["OwnDraws"]

Numbers = NDArray[np.float64]

_ENOUGH = 5
_MOST = 12
_SAME = 1e-4
_FEWEST_ROWS = 8
_STEEP = -6.0
"""Logarithms of slopes of tanh below which small constants, added for safety, are not small."""


@dataclass(slots=True)
class _Draw:
    """Log-probabilities of draws, with gradients.

    Attributes:
        value: The draws (row, number).
        result: Their log-probabilities, a tensor.
    """

    value: Numbers
    result: Any


class OwnDraws:
    """Looks at log-probabilities of draws through which gradients flow.

    Args:
        scene: What all sensors know.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._draws: list[_Draw] = []
        self.surprises: list[Numbers] = []
        self._normals = self._squashed = 0
        self._squashed_place: Place | None = None
        self._losses = self._punished = self._added = self._taken_off = self._meant = 0
        self._place: Place | None = None
        self._loss_place: Place | None = None

    def asked(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """Hear how likely a draw is."""
        if type(distribution).__name__ != "Normal" or not hasattr(value, "detach"):
            return
        if value.dim() != 2 or len(value) < _FEWEST_ROWS or tuple(result.shape) != tuple(value.shape):
            return
        if not result.requires_grad:
            self._keep(value, result)
        elif value.requires_grad:
            self._normals += 1
            self._squashed += last_operation(value) == "Tanh"
            self._squashed_place = place
            self._place = place
            if len(self._draws) < _MOST:
                self._draws.append(_Draw(_numbers(value), result))

    def _keep(self, value: Any, result: Any) -> None:
        raw = _numbers(result).sum(axis=1)
        squashed = raw - _log_slope(_numbers(value)).sum(axis=1)
        self.surprises = [*self.surprises[2 - _MOST :], raw, squashed]

    def forget(self) -> None:
        """A step was taken, or a look ends."""
        self._draws = []

    def clear(self) -> None:
        """The environment stepped."""
        self.surprises = []

    def weigh(self, loss: Any, results: Sequence[Any], of_value: float) -> None:
        """Look at the loss of a policy that a critic judges.

        Args:
            loss: It.
            results: Tensors that were computed since, with gradients.
            of_value: Slope in the critic's value of one row, below 0.
        """
        import torch

        if not self._draws:
            return
        draws = [each.result for each in self._draws]
        try:
            slopes = torch.autograd.grad(loss, [*draws, *results], retain_graph=True, allow_unused=True)
        except RuntimeError:
            return
        for draw, slope in zip(self._draws, slopes, strict=False):
            weight = even_slope(slope)
            if not weight:
                continue
            self._losses += 1
            self._loss_place = self._scene.place_of_loss(loss)
            self._punished += weight < 0
            self._meant += self._is_mean(weight / abs(of_value), draw.value.shape[1])
            correction = _log_slope(draw.value)
            steep = correction > _STEEP
            for each, its in zip(results, slopes[len(draws) :], strict=True):
                own = even_slope(its)
                if not own or abs(abs(own) - abs(weight)) > 1e-5 * abs(weight):
                    continue
                if each.numel() != draw.value.size:
                    continue
                found = _numbers(each).reshape(draw.value.shape)
                side = float(np.sign(own * weight))
                if _is_shifted(side * found, correction, steep):
                    self._added += 1
                    break
                if _is_shifted(-side * found, correction, steep):
                    self._taken_off += 1
                    break
            return

    def _is_mean(self, weight: float, size: int) -> bool:
        """Return whether a learnt temperature was divided by the numbers of an action."""
        if size < 2:
            return False
        held = [
            [p for group in each.param_groups for p in group["params"]] for each in self._scene.optimizers
        ]
        learnt = [float(each[0].detach()) for each in held if len(each) == 1 and each[0].numel() == 1]
        if len(learnt) != 1:
            return False
        known = (float(np.exp(np.clip(learnt[0], -30, 30))), learnt[0])
        whole = any(abs(weight - each) <= 1e-3 * abs(each) for each in known)
        return not whole and any(abs(weight * size - each) <= _SAME * abs(each) for each in known)

    def findings(self) -> Iterable[Finding]:
        """Return what all losses of policies have in common."""
        if self._squashed >= _ENOUGH and self._squashed == self._normals:
            yield severe(
                kind="log-probability-of-squashed-actions",
                name="log-prob-of-clipped-action",
                title="A normal distribution is asked how likely tanh of its draw is, not how likely the "
                "draw is.",
                evidence={"calls": self._squashed},
                check="keep the draw from before tanh, and ask for its log-probability",
                place=self._squashed_place,
            )
        if self._losses < _ENOUGH or self._scene.maximizes:
            return
        if self._punished == self._losses:
            yield severe(
                kind="entropy-is-punished",
                name="entropy-sign-flipped",
                title="The loss grows with the policy's entropy: the policy is driven to be certain.",
                evidence={"losses": self._losses},
                check="the loss is the mean of alpha * log_prob - value",
                place=self._loss_place,
            )
        if self._added >= _ENOUGH and not self._taken_off:
            yield severe(
                kind="squashing-counted-the-wrong-way",
                name="log-det-missing",
                title="The correction for tanh is added to log-probabilities, not subtracted.",
                evidence={"losses": self._added},
                check="subtract log(1 - tanh(u)**2), summed over actions",
                place=self._place,
            )
        if self._meant == self._losses:
            yield severe(
                kind="log-probabilities-averaged",
                name="log-prob-not-summed",
                title="The log-probability of an action is the mean of those of its numbers, not their sum.",
                evidence={"losses": self._losses},
                check="sum log-probabilities over the numbers of an action",
                place=self._place,
            )


def _numbers(tensor: Any) -> Numbers:
    return tensor.detach().double().cpu().numpy().copy()


def _log_slope(value: Numbers) -> Numbers:
    """Return log(1 - tanh(value)**2)."""
    return 2.0 * (np.log(2.0) - value - np.logaddexp(0.0, -2.0 * value))


def _is_shifted(found: Numbers, correction: Numbers, steep: NDArray[np.bool_]) -> bool:
    """Return whether numbers are the correction, and one more number for each column at most."""
    for at in range(found.shape[1]):
        rows = steep[:, at]
        if rows.sum() < _FEWEST_ROWS:
            return False
        far = found[rows, at] - correction[rows, at]
        if np.ptp(far) > 0.02 or np.ptp(correction[rows, at]) < 0.1:
            return False
    return True
