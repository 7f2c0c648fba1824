"""Small convolutional network for images.

    h_0 = image (standardised by channel), height x width x channel
    h_l = max(0, pool(K_l * h_{l-1} + b_l))       l = 1 .. depth                                 (1)
          K_l * h is the same-size convolution with zero padding, pool the maximum of 2 x 2 blocks
    u   = max(0, flatten(h_depth) W_1 + b_1)      only where `hidden` > 0                        (2)
    z   = u W_out + b_out                                                                        (3)
    loss = -log softmax(z)[y]   for classes,   (z - y)^2   for standardised values               (4)

Block l has `width` * 2^(l-1) channels. Pooling comes before the rectifier: both are monotone, so the
result is the same and only a quarter of the numbers are rectified.

Source: LeCun et al. 1998, section II; Goodfellow, Bengio and Courville, chapter 9; He et al. 2015 for the
start.
A healthy run: `train_loss` starts near log(classes), `train_accuracy` reaches 1 on small data,
`update_ratio` between 1e-4 and 1e-2, `dead_units` below 0.2.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.networks.convolution import convolve_pool
from modelwright.algorithms.networks.descent import ScaledDescent, descend
from modelwright.algorithms.networks.layers import drop_out, linear
from modelwright.algorithms.networks.network import draw_weights
from modelwright.algorithms.parts.demand import demand
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Config", "ConvolutionalNetwork", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ScaledDescent):
    """Convolutional network."""

    width: int = setting(16, doc="Channels of the first block; each further block has twice as many.", low=1)
    depth: int = setting(2, doc="Number of blocks; each halves height and width.", low=1, high=8)
    kernel: int = setting(3, doc="Side of the convolution's kernel, odd.", low=1, high=15)
    hidden: int = setting(0, doc="Units of a layer between the blocks and the output; 0 for none.", low=0)
    dropout: float = setting(
        0.0, doc="Probability with which an input of the output layer is left out.", low=0, below=1
    )

    def __post_init__(self) -> None:
        super(Config, self).__post_init__()
        if self.kernel % 2 == 0:
            raise BadValue("convnet.kernel must be odd", got=self.kernel, nearest=f"{self.kernel + 1}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionalNetwork:
    """Equations (1) to (3); a `Network`.

    Attributes:
        shape: Channel, height and width of an image.
        outputs: Classes, or 1 for values.
        config: Width, depth, kernel, hidden, dropout.
    """

    shape: tuple[int, int, int]
    outputs: int
    config: Config

    def initial(self, seeds: Sequence[Seed]) -> dict[str, NDArray[np.float32]]:
        """Return the parameters at the start; see `Network`."""
        config = self.config
        channels, height, width = self.shape
        shapes: dict[str, tuple[int, ...]] = {}
        gains: dict[str, float] = {}
        for block in range(1, config.depth + 1):
            out = config.width * 2 ** (block - 1)
            shapes[f"kernel_{block}"] = (config.kernel**2 * channels, out)
            shapes[f"kernel_bias_{block}"] = (1, out)
            gains[f"kernel_{block}"] = float(np.sqrt(2.0))
            channels, height, width = out, height // 2, width // 2
        flat = channels * height * width
        if config.hidden:
            shapes |= {"weight_1": (flat, config.hidden), "bias_1": (1, config.hidden)}
            gains["weight_1"] = float(np.sqrt(2.0))
        shapes |= {"weight_out": (config.hidden or flat, self.outputs), "bias_out": (1, self.outputs)}
        gains["weight_out"] = 0.1
        return draw_weights(seeds, shapes, gains)

    def forward(
        self, weights: Mapping[str, Tensor], inputs: Tensor, noise: Sequence[torch.Generator] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return outputs (seed, batch, out) and hidden activations; see `Network`."""
        config = self.config
        h = inputs.permute(0, 1, 3, 4, 2).contiguous()
        hidden: list[Tensor] = []
        for block in range(1, config.depth + 1):
            weight, bias = weights[f"kernel_{block}"], weights[f"kernel_bias_{block}"]
            h = torch.relu(convolve_pool(h, weight, bias, config.kernel))
            hidden.append(h)
        h = h.flatten(2)
        if config.hidden:
            h = torch.relu(linear(h, weights["weight_1"], weights["bias_1"]))
            hidden.append(h)
        if noise is not None and config.dropout > 0:
            h = drop_out(h, config.dropout, noise)
        return linear(h, weights["weight_out"], weights["bias_out"]), hidden


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train a convolutional network on every seed's images; one step an update.

    Raises:
        BadValue: where rows are no images, an image is too small for `depth`, or a training value is missing.
    """
    demand("convnet", experience, seeds, tasks=("classification", "regression"), images=True)
    channels, height, width = experience.features.shape[1:]
    smallest = min(height, width)
    if smallest < 2**config.depth:
        raise BadValue(
            f"Every block halves an image, so depth {config.depth} needs sides of at least {2**config.depth}",
            got=f"images of {height} x {width}",
            nearest=f"depth {smallest.bit_length() - 1}" if smallest >= 2 else None,
        )
    network = ConvolutionalNetwork(
        shape=(channels, height, width),
        outputs=len(experience.classes) if experience.task == "classification" else 1,
        config=config,
    )
    yield from descend(experience, seeds, config, network)
