"""Decoder-only transformer that predicts the next symbol of a sequence.

    h_0[t] = E[x_t] + P[t]                                    t = 1 .. length                    (1)
    a_l = h_(l-1) + heads(norm(h_(l-1))) W_o + b_o            l = 1 .. depth                     (2)
          heads: Q, K, V = norm(h) W_qkv + b_qkv, cut into `heads` parts; each part causal softmax
          attention softmax(Q K' / sqrt(width / heads)) V  (see `attention`)
    h_l = a_l + max(0, norm(a_l) W_1 + b_1) W_2 + b_2         4 width units inside                (3)
    z[t] = norm(h_depth[t]) W_out + b_out,    p(x_(t+1) | x_1 .. x_t) = softmax(z[t])            (4)
    loss = mean over t of -log p(x_(t+1) | x_1 .. x_t),  x_(length+1) = y                         (5)

A row is a window of symbols, the target what comes after it. Every place of the window is trained to predict
its successor; the prediction for a row is the one at its last place. While training, dropout leaves out
embeddings (1) and what (2) and (3) add.

Weights start uniform with deviation 1 / sqrt(fan_in), W_1 with sqrt(2) times that; what adds to the
residual stream is 1 / sqrt(2 depth) times as large, embeddings and positions have deviation 0.1, and
W_out a tenth of its share, so that all symbols start as nearly equal.

Source: Vaswani et al. 2017, sections 3.1 to 3.3; Radford et al. 2019, section 2.3, for normalisation before
each part and the scaled start.
Differs: positions are learnt; the rectifier of Vaswani et al. instead of GELU, whose kernel rounds
differently at the end of an array; the output has weights of its own.
A healthy run (the manual of Python, windows of 32): `train_loss` starts at log(symbols), is near 2.9 after
100 updates and 1.9 after 1000 (held out 1.86, single characters 3.22); `update_ratio` falls from 2e-2 to
a few 1e-3, `dead_units` below 0.05 but for the first tens of updates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.networks.attention import attend, normalise
from modelwright.algorithms.networks.descent import Descent, descend
from modelwright.algorithms.networks.layers import drop_out, linear, product
from modelwright.algorithms.networks.network import draw_weights
from modelwright.algorithms.parts.demand import demand
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Config", "Transformer", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Descent):
    """Decoder-only transformer."""

    width: int = setting(64, doc="Units of the residual stream.", low=1)
    heads: int = setting(4, doc="Heads of attention; they share the width.", low=1)
    depth: int = setting(2, doc="Number of blocks of attention and perceptron.", low=1, high=16)
    dropout: float = setting(0.0, doc="Probability with which a unit is left out.", low=0, below=1)
    batch_size: int | None = setting(16, doc="Rows in a batch of one seed; null takes all rows.", low=1)
    learning_rate: float = setting(3e-3, doc="Size of a step.", above=0)

    def __post_init__(self) -> None:
        super(Config, self).__post_init__()
        if self.width % self.heads:
            nearest = min(
                (part for part in range(1, self.width + 1) if self.width % part == 0),
                key=lambda part: abs(part - self.heads),
            )
            raise BadValue(
                "transformer.heads share the width in equal parts",
                got=f"{self.heads} heads for width {self.width}",
                nearest=f"{nearest} heads",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """Equations (1) to (4); a `Network`.

    Attributes:
        length: Symbols in a row.
        symbols: Different symbols.
        config: Width, heads, depth, dropout.
    """

    length: int
    symbols: int
    config: Config

    def initial(self, seeds: Sequence[Seed]) -> dict[str, NDArray[np.float32]]:
        """Return the parameters at the start; see `Network`."""
        width, depth = self.config.width, self.config.depth
        into_stream = 1.0 / float(np.sqrt(2.0 * depth))
        shapes: dict[str, tuple[int, ...]] = {
            "embedding": (self.symbols, width),
            "position": (self.length, width),
        }
        # draw_weights divides by the root of the first size.
        gains = {name: 0.1 * float(np.sqrt(shape[0])) for name, shape in shapes.items()}
        for block in range(1, depth + 1):
            for name, size, out, gain in (
                ("qkv", width, 3 * width, 1.0),
                ("attended", width, width, into_stream),
                ("inner", width, 4 * width, float(np.sqrt(2.0))),
                ("outer", 4 * width, width, into_stream),
            ):
                shapes |= {f"{name}_weight_{block}": (size, out), f"{name}_bias_{block}": (1, out)}
                gains[f"{name}_weight_{block}"] = gain
            for name in ("attention", "perceptron"):
                shapes |= _norm_shapes(f"{name}_norm", width, block)
        shapes |= _norm_shapes("last_norm", width, 0)
        shapes |= {"weight_out": (width, self.symbols), "bias_out": (1, self.symbols)}
        gains["weight_out"] = 0.1
        drawn = draw_weights(seeds, shapes, gains)
        for name in drawn:
            if "_gain_" in name:
                drawn[name] += 1.0
        return drawn

    def forward(
        self, weights: Mapping[str, Tensor], inputs: Tensor, noise: Sequence[torch.Generator] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return logits and hidden activations; see `Network`.

        While training, `noise` given, there are logits at every place, (seed, batch * place, symbol), the
        places of a row one after another; else those at the last place, (seed, batch, symbol).
        """
        seeds, batch, length = inputs.shape
        # A product with rows of one 1 is an exact look-up, and its gradient a sum in an order of its own.
        known = torch.nn.functional.one_hot(inputs.long(), self.symbols).to(inputs.dtype)
        h = product(known.view(seeds, batch * length, -1), weights["embedding"])
        h = (h.view(seeds, batch, length, -1) + weights["position"][:, None]).flatten(1, 2)
        h = self._leave_out(h, noise)
        hidden: list[Tensor] = []
        for block in range(1, self.config.depth + 1):
            heads = self._heads(weights, _normalised("attention_norm", weights, block, h), block, length)
            h = h + self._leave_out(_affine("attended", weights, block, heads), noise)
            u = torch.relu(
                _affine("inner", weights, block, _normalised("perceptron_norm", weights, block, h))
            )
            hidden.append(u)
            h = h + self._leave_out(_affine("outer", weights, block, u), noise)
        if noise is None:
            h = h.view(seeds, batch, length, -1)[:, :, -1].contiguous()
        h = _normalised("last_norm", weights, 0, h)
        return linear(h, weights["weight_out"], weights["bias_out"]), hidden

    def _heads(self, weights: Mapping[str, Tensor], h: Tensor, block: int, length: int) -> Tensor:
        """Return what all heads gather, side by side: (seed, batch * place, width)."""
        seeds, rows, width = h.shape
        heads = self.config.heads
        joint = _affine("qkv", weights, block, h)
        parts = joint.view(seeds, rows // length, length, 3, heads, width // heads).permute(3, 0, 1, 4, 2, 5)
        query, key, value = (part.reshape(-1, length, width // heads) for part in parts.unbind(0))
        gathered = attend(query, key, value).view(seeds, rows // length, heads, length, width // heads)
        return gathered.transpose(2, 3).reshape(seeds, rows, width)

    def _leave_out(self, h: Tensor, noise: Sequence[torch.Generator] | None) -> Tensor:
        return h if noise is None or not self.config.dropout else drop_out(h, self.config.dropout, noise)


def _norm_shapes(name: str, width: int, block: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}_gain_{block}": (1, width), f"{name}_bias_{block}": (1, width)}


def _affine(name: str, weights: Mapping[str, Tensor], block: int, h: Tensor) -> Tensor:
    return linear(h, weights[f"{name}_weight_{block}"], weights[f"{name}_bias_{block}"])


def _normalised(name: str, weights: Mapping[str, Tensor], block: int, h: Tensor) -> Tensor:
    return normalise(h, weights[f"{name}_gain_{block}"], weights[f"{name}_bias_{block}"])


def next_symbols(inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the successor of every place, (seed, batch * place): the next input, and last the target.

    Args:
        inputs: (seed, batch, place).
        targets: (seed, batch).
    """
    return torch.cat([inputs[..., 1:].long(), targets[..., None]], dim=-1).flatten(1)


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train a transformer on every seed's windows; one step an update.

    Raises:
        BadValue: where rows are no windows of symbols: features that are no class indices, or images.
    """
    demand("transformer", experience, seeds, tasks=("classification",))
    features, symbols = experience.features, len(experience.classes)
    used = features[np.unique(np.concatenate(experience.rows))]
    if features.ndim != 2 or (used != np.floor(used)).any() or used.min() < 0 or used.max() >= symbols:
        raise BadValue(
            "transformer reads windows of symbols: features (row, place) are class indices, whole numbers "
            f"from 0 to {symbols - 1}",
            got=f"features of shape {features.shape} from {used.min():g} to {used.max():g}",
            next_step="take data of kind text, or mlp for measured values",
        )
    network = Transformer(length=features.shape[1], symbols=symbols, config=config)
    yield from descend(experience, seeds, config, network, answers=next_symbols)
