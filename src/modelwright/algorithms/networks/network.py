"""A differentiable predictor for a cohort: what a network must offer, how it starts, how it predicts."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.networks.weights import Weights
from modelwright.algorithms.parts.scale import Scale
from modelwright.base.errors import BadValue
from modelwright.base.metric import Task
from modelwright.base.seed import Seed

__all__ = ["Network", "NetworkModel", "draw_weights"]

_ROWS_AT_ONCE = 1024


class Network(Protocol):
    """An architecture; holds no parameters, so one object serves all seeds and any subset of them."""

    def initial(self, seeds: Sequence[Seed]) -> dict[str, NDArray[np.float32]]:
        """Return the parameters at the start, name -> (seed, *shape), each seed's from its stream `init`."""
        ...

    def forward(
        self, weights: Mapping[str, Tensor], inputs: Tensor, noise: Sequence[torch.Generator] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return outputs and hidden activations.

        Args:
            weights: Name -> (seed, *shape).
            inputs: (seed, batch, *feature), standardised.
            noise: One generator per seed while training, for dropout; None while predicting.

        Returns:
            Logits (seed, batch, class) or values (seed, batch, 1), and one array (seed, batch, *place,
            unit) of each hidden layer.
        """
        ...


def draw_weights(
    seeds: Sequence[Seed], shapes: Mapping[str, tuple[int, ...]], gains: Mapping[str, float]
) -> dict[str, NDArray[np.float32]]:
    """Return weights from U(-b, b) with b = gain * sqrt(3 / fan_in), so that their deviation is gain /
    sqrt(fan_in).

    Args:
        seeds: Their streams `init` are drawn from, in the order of `shapes`.
        shapes: Name -> (fan_in, out) of a weight or (1, out) of a bias.
        gains: Name -> gain, of weights; a name without one is a bias and starts at zero. sqrt(2) before a
            rectifier, 5/3 before tanh, small before the output.

    Source: He et al. 2015, equation 10; Glorot and Bengio 2010.
    """
    drawn = {name: np.zeros((len(seeds), *shape), np.float32) for name, shape in shapes.items()}
    for place, seed in enumerate(seeds):
        generator = seed.generator("init")
        for name, gain in gains.items():
            bound = gain * float(np.sqrt(3.0 / shapes[name][0]))
            drawn[name][place] = generator.uniform(-bound, bound, shapes[name])
    return drawn


class NetworkModel:
    """A cohort of networks with the scales of their inputs and targets, as a `base.step.Model`.

    Args:
        network: The architecture.
        weights: The parameters, read when asked, so the model follows the training.
        inputs: Scale of the features.
        target: Scale of regression targets, (seed, 1); unused for classification.
        task: Kind of target.
    """

    def __init__(self, network: Network, weights: Weights, inputs: Scale, target: Scale, task: Task) -> None:
        self._network = network
        self._weights = weights
        self._inputs = inputs
        self._target = target
        self._task: Task = task

    def predict(self, features: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Predict for each seed; see `base.step.Model`."""
        if len(features) != len(self._weights.packed):
            raise BadValue(
                "Predicting takes one array of rows per seed",
                got=f"{len(features)} arrays for {len(self._weights.packed)} seeds",
            )
        return [self._predict(place, np.asarray(rows)) for place, rows in enumerate(features)]

    def _predict(self, place: int, rows: NDArray[Any]) -> NDArray[np.float64]:
        weights = self._weights.of(place)
        mean, deviation = self._inputs.mean[place], self._inputs.deviation[place]
        parts: list[NDArray[np.float64]] = []
        for start in range(0, max(len(rows), 1), _ROWS_AT_ONCE):
            part = standardise(rows[None, start : start + _ROWS_AT_ONCE], mean[None], deviation[None])
            with torch.no_grad():
                outputs, _ = self._network.forward(weights, part, None)
            parts.append(outputs[0].numpy().astype(np.float64))
        outputs = np.concatenate(parts)
        if self._task == "regression":
            return outputs[:, 0] * self._target.deviation[place] + self._target.mean[place]
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return every learnt number, name -> (seed, *shape)."""
        learnt: dict[str, NDArray[Any]] = dict(self._weights.state())
        learnt |= {"input_mean": self._inputs.mean, "input_deviation": self._inputs.deviation}
        if self._task == "regression":
            learnt |= {"target_mean": self._target.mean, "target_deviation": self._target.deviation}
        return learnt


def standardise(rows: NDArray[Any], mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Tensor:
    """Return (rows - mean) / deviation as float32.

    Args:
        rows: (seed, batch, *feature).
        mean: (seed, *feature).
        deviation: (seed, *feature).
    """
    centred = rows - mean[:, None].astype(np.float32)
    return torch.from_numpy(centred / deviation[:, None].astype(np.float32))
