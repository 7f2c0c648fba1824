"""Fully connected layers of a cohort in one piece: forward and backward as equations.

    h_0 = x,   h_l = phi(h_{l-1} W_l + b_l)  for l < L,   z = h_{L-1} W_L + b_L                  (1)
    d_L = dz,  dW_l = h_{l-1}' d_l,  db_l = 1' d_l,  d_{l-1} = (d_l W_l') * phi'(h_{l-1})        (2)

The same as `layers.linear` between activations, as one step of differentiation: small networks spend their
time between layers rather than in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import Function, FunctionCtx

from modelwright.algorithms.networks.layers import product, sum_rows
from modelwright.algorithms.networks.weights import Weights
from modelwright.base.seed import Seed

__all__ = ["Activation", "Dense", "orthogonal"]

Activation = Literal["tanh", "relu"]
_FEW_COLUMNS = 16
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_relu_backward = torch.ops.aten.threshold_backward.grad_input


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A stack of fully connected layers; holds no parameters, so one object serves any cohort.

    Attributes:
        name: Its parameters are called `NAME.weight_1`, `NAME.bias_1` ...
        sizes: Inputs, units of each hidden layer, outputs.
        activation: phi, after every layer but the last.
        names: Of its parameters, in order.
    """

    name: str
    sizes: tuple[int, ...]
    activation: Activation
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        layers = range(1, len(self.sizes))
        names = tuple(f"{self.name}.{kind}_{layer}" for layer in layers for kind in ("weight", "bias"))
        object.__setattr__(self, "names", names)

    def orthogonal(self, seeds: Sequence[Seed], *, last: float) -> dict[str, NDArray[np.float32]]:
        """Return orthogonal weights, gain sqrt(2) and `last` for the last layer, and biases of zero.

        Drawn from each seed's stream `init/NAME`. Source: Saxe et al. 2014; usual for policy gradients.
        """
        draw = [seed.generator(f"init/{self.name}") for seed in seeds]
        found: dict[str, NDArray[np.float32]] = {}
        for layer in range(1, len(self.sizes)):
            shape = (self.sizes[layer - 1], self.sizes[layer])
            gain = last if layer == len(self.sizes) - 1 else float(np.sqrt(2.0))
            found[f"{self.name}.weight_{layer}"] = np.stack([gain * orthogonal(each, shape) for each in draw])
            found[f"{self.name}.bias_{layer}"] = np.zeros((len(seeds), 1, shape[1]), np.float32)
        return found

    def uniform(self, seeds: Sequence[Seed], *, last: float | None = None) -> dict[str, NDArray[np.float32]]:
        """Return weights and biases from U(-b, b) with b = 1 / sqrt(inputs), PyTorch's own start of a layer.

        Drawn from each seed's stream `init/NAME`.

        Args:
            seeds: One per seed.
            last: b of the last layer, where it shall be another.
        """
        draw = [seed.generator(f"init/{self.name}") for seed in seeds]
        found: dict[str, NDArray[np.float32]] = {}
        for layer in range(1, len(self.sizes)):
            inputs, outputs = self.sizes[layer - 1], self.sizes[layer]
            bound = 1.0 / np.sqrt(inputs) if layer < len(self.sizes) - 1 or last is None else last
            for kind, shape in (("weight", (inputs, outputs)), ("bias", (1, outputs))):
                values = [each.uniform(-bound, bound, shape).astype(np.float32) for each in draw]
                found[f"{self.name}.{kind}_{layer}"] = np.stack(values)
        return found

    def __call__(self, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Return outputs (seed, batch, out) for inputs (seed, batch, in); equation (1)."""
        return cast(Tensor, _Dense.apply(inputs, self.activation, *(weights[name] for name in self.names)))

    def few(
        self, arrays: Mapping[str, NDArray[np.float32]], inputs: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the same for few rows, as when acting: small products take NumPy a quarter of the time."""
        h = inputs
        last = len(self.names) - 2
        for at in range(0, len(self.names), 2):
            h = np.matmul(h, arrays[self.names[at]])
            h += arrays[self.names[at + 1]]
            if at < last:
                h = np.tanh(h, out=h) if self.activation == "tanh" else np.maximum(h, 0.0, out=h)
        return h


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layer:
    """What a pass needs of one layer; `across` is the same memory with rows and columns exchanged."""

    weight: Tensor
    weight_across: Tensor
    bias: Tensor
    weight_slope: Tensor
    weight_slope_across: Tensor
    bias_slope: Tensor
    h: Tensor
    d: Tensor


class Pass:
    """Forward and backward through a stack of certain parameters, in memory of its own that is used again.

    What automatic differentiation does around every product takes small networks longer than the products.
    The gradient of a loss with respect to the outputs is the caller's affair.

    Args:
        network: The stack.
        weights: Its parameters; read by `forward`, their gradient written by `backward`.
        batch: Rows of each seed.
    """

    def __init__(self, network: Dense, weights: Weights, batch: int) -> None:
        names, seeds = network.names, len(weights.packed)
        self._tanh = network.activation == "tanh"
        self._ones = torch.ones(seeds, 1, batch)
        self._inputs = torch.empty(0)
        self._layers = [
            _Layer(
                weight=weights.named[weight].detach(),
                weight_across=weights.named[weight].detach().transpose(1, 2),
                bias=weights.named[bias].detach(),
                weight_slope=weights.slope[weight],
                weight_slope_across=weights.slope[weight].transpose(1, 2),
                bias_slope=weights.slope[bias],
                h=torch.empty(seeds, batch, outputs),
                d=torch.empty(seeds, batch, outputs),
            )
            for weight, bias, outputs in zip(names[::2], names[1::2], network.sizes[1:], strict=True)
        ]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs (seed, batch, out) for inputs (seed, batch, in); the next call overwrites them."""
        self._inputs = h = inputs
        *hidden, last = self._layers
        for layer in hidden:
            h = product(h, layer.weight, out=layer.h).add_(layer.bias)
            h = h.tanh_() if self._tanh else h.clamp_min_(0.0)
        return product(h, last.weight, out=last.h).add_(last.bias)

    def backward(self, slope: Tensor) -> None:
        """Set the gradient of the parameters by equation (2).

        Args:
            slope: (seed, batch, out) gradient of the loss with respect to the outputs of the last `forward`.
        """
        d = slope
        for place in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[place]
            below = self._layers[place - 1] if place else None
            h = self._inputs if below is None else below.h
            layer.bias_slope.copy_(product(self._ones, d))
            # Products of few columns take several times as long as those of few rows.
            if d.shape[2] < _FEW_COLUMNS:
                layer.weight_slope_across.copy_(product(d.transpose(1, 2), h))
            else:
                layer.weight_slope.copy_(product(h.transpose(1, 2), d))
            if below is not None:
                d = product(d, layer.weight_across, out=below.d)
                if self._tanh:
                    _tanh_backward(d, h, grad_input=d)
                else:
                    _relu_backward(d, h, 0, grad_input=d)


def orthogonal(generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a matrix with orthonormal rows or columns, whichever are fewer, uniformly drawn."""
    tall = generator.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return (q if shape[0] >= shape[1] else q.T).astype(np.float32)


class _Dense(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, inputs: Tensor, activation: Activation, *parameters: Tensor) -> Tensor:
        h, saved = inputs, [inputs]
        last = len(parameters) - 2
        for at in range(0, len(parameters), 2):
            h = product(h, parameters[at], parameters[at + 1])
            if at < last:
                h = torch.tanh_(h) if activation == "tanh" else torch.relu_(h)
                saved.append(h)
        ctx.save_for_backward(*saved, *parameters[::2])
        cast(Any, ctx).activation = activation
        return h

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        count = len(saved) // 2
        hidden, weights = saved[:count], saved[count:]
        found: list[Tensor | None] = []
        (d,) = grads
        # A target that is only looked at, or a critic that an actor climbs, needs no gradient of its own.
        learns = any(ctx.needs_input_grad[2:])
        for layer in range(count - 1, -1, -1):
            if learns:
                found += [sum_rows(d), product(hidden[layer].transpose(1, 2), d)]
            else:
                found += [None, None]
            if layer > 0:
                d = product(d, weights[layer].transpose(1, 2))
                h = hidden[layer]
                if ctx.activation == "tanh":
                    d = torch.ops.aten.tanh_backward(d, h)
                else:
                    d = torch.ops.aten.threshold_backward(d, h, 0)
        down = product(d, weights[0].transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return (down, None, *reversed(found))
