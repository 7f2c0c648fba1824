"""How much the loss of values weighs beside that of the policy, where the two meet."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.advantages.advantage_ways import AdvantageFit
from modelwright.doctor.watch.graph import leaves_of
from modelwright.doctor.watch.place import Place

__all__ = ["LossWeights"]

_LARGE = 10.0
"""Usual weights are 0.25 to 2; advantages that are not normalised make up for one or two more."""

_ENOUGH = 3
_NORMALISED = 0.7, 1.3
"""Deviation of advantages that were normalised, of the whole or of another batch."""


class LossWeights:
    """Reads the weight of a squared error of values off the slopes of one loss.

    The slope in a value is 2 c (v - R) / n, so that the weight of rewards in it is 2 c / n; their weight in
    what the loss gives to log-probabilities is 1 / n, or 1 / (n deviations) where advantages are normalised.
    """

    def __init__(self) -> None:
        self._value: tuple[Any, float, set[int]] | None = None
        self._waiting: tuple[float, set[int], set[int]] | None = None
        self._weights: list[float] = []

    def values(self, loss: Any, output: Any, fit: AdvantageFit | None) -> None:
        """Take note of what the loss gives to values.

        Args:
            loss: What is differentiated.
            output: The values.
            fit: The right way that fits them.
        """
        self._value = (loss, abs(fit.reward), _parameters(output)) if fit is not None else None

    def policy(
        self, loss: Any, log_probability: Any, weights: NDArray[np.float64], fit: AdvantageFit | None
    ) -> None:
        """Take note of what the same loss gives to log-probabilities.

        Args:
            loss: What is differentiated.
            log_probability: The tensor.
            weights: What the loss gives to each (row,).
            fit: The right way that fits them; None where none does.
        """
        known, self._value = self._value, None
        if known is None or known[0] is not loss or fit is None or not fit.reward:
            return
        deviation = float(np.std(weights))
        normalised = any(
            _NORMALISED[0] < each < _NORMALISED[1] for each in (deviation, deviation * len(weights))
        )
        weight = known[1] / 2 / (deviation if normalised else abs(fit.reward))
        own = _parameters(log_probability)
        if known[2] & own:
            self._weights.append(weight)
        else:
            self._waiting = weight, known[2], own

    def clipped(self, parameters: Iterable[Any]) -> None:
        """Take note that the gradients of parameters were scaled down together."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            together = {id(each) for each in parameters}
            if waiting[1] & together and waiting[2] & together:
                self._weights.append(waiting[0])

    def findings(self, place: Place | None) -> Iterable[Finding]:
        """Return a weight of values that leaves the policy nothing of what both share."""
        if len(self._weights) < _ENOUGH or np.median(self._weights) < _LARGE:
            return
        yield Finding(
            kind="value-loss-outweighs-policy",
            severity=Severity.WARNING,
            title=f"The squared error of values counts about {np.median(self._weights):.3g} times as much as "
            "the policy's loss, and both share parameters, or the norm that they are clipped to; "
            "from 0.25 to 2 is usual.",
            evidence={"weight_of_the_value_loss": self._weights[:40]},
            causes=(cause("value-loss-weight-too-high", place),),
            next_check="learn once with a weight of 0.5 for the value loss",
        )


def _parameters(tensor: Any) -> set[int]:
    """Return ids of the matrices that a tensor's gradients reach."""
    return {id(leaf) for leaf in leaves_of(tensor) if leaf.dim() >= 2}
