"""Multilayer perceptron for classes or values.

    h_0 = x (standardised)
    h_l = phi(h_{l-1} W_l + b_l)      l = 1 .. depth, phi = max(0, .) or tanh                    (1)
    z   = h_depth W_out + b_out                                                                  (2)
    loss = -log softmax(z)[y]   for classes,   (z - y)^2   for standardised values               (3)
    backward: d_out = softmax(z) - onehot(y)  or  2 (z - y);
              dW_l = h_{l-1}' d_l,  db_l = 1' d_l,  d_{l-1} = (d_l W_l') * phi'                  (4)

Weights start uniform with deviation gain / sqrt(fan_in), gain sqrt(2) before a rectifier, 5/3 before tanh and
0.1 before the output, so that all classes start as nearly equal; biases at zero. While training, dropout
removes each hidden unit with probability `dropout`.

Source: Goodfellow, Bengio and Courville, Deep Learning, sections 6.2 to 6.5; He et al. 2015 for the start.
A healthy run: `train_loss` starts near log(classes) (or 1 for values), `update_ratio` between 1e-4 and 1e-2,
`dead_units` below 0.2, `grad_norm` without jumps of more than a factor of ten.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.networks.descent import ScaledDescent, descend
from modelwright.algorithms.networks.layers import drop_out, linear
from modelwright.algorithms.networks.network import draw_weights
from modelwright.algorithms.parts.demand import demand
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Config", "Perceptron", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ScaledDescent):
    """Multilayer perceptron."""

    width: int = setting(64, doc="Units of each hidden layer.", low=1)
    depth: int = setting(2, doc="Number of hidden layers.", low=1, high=16)
    activation: str = setting("relu", doc="Nonlinearity of the hidden layers.", choices=("relu", "tanh"))
    dropout: float = setting(0.0, doc="Probability with which a hidden unit is left out.", low=0, below=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptron:
    """Equations (1) and (2); a `Network`.

    Attributes:
        features: Numbers in a row.
        outputs: Classes, or 1 for values.
        config: Width, depth, activation, dropout.
    """

    features: int
    outputs: int
    config: Config

    def initial(self, seeds: Sequence[Seed]) -> dict[str, NDArray[np.float32]]:
        """Return the parameters at the start; see `Network`."""
        config = self.config
        sizes = [self.features, *[config.width] * config.depth, self.outputs]
        shapes: dict[str, tuple[int, ...]] = {}
        gains: dict[str, float] = {}
        for layer in range(1, len(sizes)):
            shapes[f"weight_{layer}"] = (sizes[layer - 1], sizes[layer])
            shapes[f"bias_{layer}"] = (1, sizes[layer])
            gains[f"weight_{layer}"] = float(np.sqrt(2.0)) if config.activation == "relu" else 5.0 / 3.0
        gains[f"weight_{len(sizes) - 1}"] = 0.1
        return draw_weights(seeds, shapes, gains)

    def forward(
        self, weights: Mapping[str, Tensor], inputs: Tensor, noise: Sequence[torch.Generator] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return outputs (seed, batch, out) and hidden activations; see `Network`."""
        activate = torch.relu if self.config.activation == "relu" else torch.tanh
        h = inputs.flatten(2)
        hidden: list[Tensor] = []
        for layer in range(1, self.config.depth + 1):
            h = activate(linear(h, weights[f"weight_{layer}"], weights[f"bias_{layer}"]))
            hidden.append(h)
            if noise is not None and self.config.dropout > 0:
                h = drop_out(h, self.config.dropout, noise)
        last = self.config.depth + 1
        return linear(h, weights[f"weight_{last}"], weights[f"bias_{last}"]), hidden


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train a perceptron on every seed's rows; one step an update. Images are flattened.

    Raises:
        BadValue: where a training value is missing.
    """
    demand("mlp", experience, seeds, tasks=("classification", "regression"))
    network = Perceptron(
        features=int(np.prod(experience.features.shape[1:])),
        outputs=len(experience.classes) if experience.task == "classification" else 1,
        config=config,
    )
    yield from descend(experience, seeds, config, network)
