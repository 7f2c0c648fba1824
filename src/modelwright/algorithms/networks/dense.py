"""Fully connected layers of a cohort in one piece: forward and backward as equations.

    h_0 = x,   h_l = phi(h_{l-1} W_l + b_l)  for l < L,   z = h_{L-1} W_L + b_L                  (1)
    d_L = dz,  dW_l = h_{l-1}' d_l,  db_l = 1' d_l,  d_{l-1} = (d_l W_l') * phi'(h_{l-1})        (2)

The same as `layers.linear` between activations, without automatic differentiation: a small network spends
more time between its layers than in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.networks.layers import product
from modelwright.algorithms.networks.weights import Weights
from modelwright.base.seed import Seed

__all__ = ["Activation", "Dense", "Pass", "orthogonal"]

Activation = Literal["tanh", "relu"]
_FEW_COLUMNS = 16
_ZERO = np.zeros((), np.float32)
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

    def few(
        self, arrays: Mapping[str, NDArray[np.float32]], inputs: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return outputs (seed, row, out) by equation (1) for few rows, as when acting.

        Small products take NumPy a quarter of the time that they take torch.
        """
        h = inputs
        last = len(self.names) - 2
        for at in range(0, len(self.names), 2):
            h = np.matmul(h, arrays[self.names[at]])
            h += arrays[self.names[at + 1]]
            if at < last:
                h = np.tanh(h, out=h) if self.activation == "tanh" else np.maximum(h, _ZERO, out=h)
        return h


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layer:
    """Where the parameters of a layer and their gradients lie, (seed, in, out) and (seed, 1, out)."""

    weight: Tensor
    bias: Tensor
    weight_slope: Tensor
    bias_slope: Tensor
    found: Tensor  # contiguous, of the weight's shape: products into parts of rows take another kernel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Memory:
    """What a pass of some rows writes, h and d of each layer (seed, row, out), and ones to sum rows by."""

    h: list[Tensor]
    d: list[Tensor]
    ones: Tensor


class Pass:
    """Forward and backward through a stack of certain parameters, in memory of its own that is used again.

    What automatic differentiation does around every product takes small networks longer than the products.
    The gradient of a loss with respect to the outputs is the caller's affair.

    Attributes:
        leaf: What `judge` returned last.

    Args:
        network: The stack.
        weights: Its parameters; read by `forward`, their gradient written by `backward`.
        seeds: Those that take part, as a slice of the seed axis of `weights`; all unless told.
        beside: A pass of as many seeds through the same stack whose memory of hidden layers is used as well:
            less of a processor's cache is taken, and what that one was to go backward by is lost.
    """

    def __init__(
        self,
        network: Dense,
        weights: Weights,
        *,
        seeds: slice = slice(None),
        beside: "Pass | None" = None,
    ) -> None:
        names = network.names
        self._tanh = network.activation == "tanh"
        self._widths = network.sizes[1:]
        self._count = len(weights.packed[seeds])
        self._layers = [
            _Layer(
                weight=weights.named[weight].detach()[seeds],
                bias=weights.named[bias].detach()[seeds],
                weight_slope=weights.slope[weight][seeds],
                bias_slope=weights.slope[bias][seeds],
                found=torch.empty_like(weights.named[weight][seeds], memory_format=torch.contiguous_format),
            )
            for weight, bias in zip(names[::2], names[1::2], strict=True)
        ]
        self._beside = beside
        self._memories: dict[int, _Memory] = {}
        self._memory = self._of(0)
        self._inputs = self.leaf = torch.empty(0)

    def _of(self, rows: int) -> _Memory:
        if rows not in self._memories:
            ones = torch.ones(self._count, 1, rows)
            h, d = ([torch.empty(self._count, rows, width) for width in self._widths] for _ in range(2))
            if self._beside is not None:
                theirs = self._beside._of(rows)
                h, d = [*theirs.h[:-1], h[-1]], theirs.d
            self._memories[rows] = _Memory(h=h, d=d, ones=ones)
        return self._memories[rows]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs (seed, row, out) for inputs (seed, row, in) that need no gradient.

        The next call with as many rows overwrites them.
        """
        self._inputs, self._memory = inputs, self._of(inputs.shape[1])
        h = inputs
        for layer, place in zip(self._layers, self._memory.h, strict=True):
            if h is not inputs:
                h = h.tanh_() if self._tanh else h.clamp_min_(0.0)
            h = product(h, layer.weight, out=place).add_(layer.bias)
        return h

    def judge(self, inputs: Tensor) -> Tensor:
        """Return the same for automatic differentiation to begin with: a loss is made of it by torch."""
        self.leaf = self.forward(inputs).detach().requires_grad_()
        return self.leaf

    def backward(self, slope: Tensor) -> None:
        """Set the gradient of the parameters by equation (2).

        Args:
            slope: (seed, row, out) gradient of the loss with respect to the outputs of the last `forward`.
        """
        d = slope
        for place in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[place]
            h = self._memory.h[place - 1] if place else self._inputs
            layer.bias_slope.copy_(product(self._memory.ones, d))
            # Products of few columns take several times as long as those of few rows.
            if d.shape[2] < _FEW_COLUMNS:
                layer.weight_slope.transpose(1, 2).copy_(product(d.transpose(1, 2), h))
            else:
                layer.weight_slope.copy_(product(h.transpose(1, 2), d, out=layer.found))
            if place:
                d = self._down(place, d)

    def slope_of_inputs(self, slope: Tensor) -> Tensor:
        """Return the gradient with respect to the inputs, (seed, row, in); the parameters get none.

        Args:
            slope: As of `backward`.
        """
        d = slope
        for place in range(len(self._layers) - 1, 0, -1):
            d = self._down(place, d)
        return product(d, self._layers[0].weight.transpose(1, 2))

    def _down(self, place: int, d: Tensor) -> Tensor:
        """Return d of the layer below this one, (d_l W_l') * phi'(h_{l-1})."""
        h = self._memory.h[place - 1]
        d = product(d, self._layers[place].weight.transpose(1, 2), out=self._memory.d[place - 1])
        if self._tanh:
            _tanh_backward(d, h, grad_input=d)
        else:
            _relu_backward(d, h, 0, grad_input=d)
        return d


def orthogonal(generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a matrix with orthonormal rows or columns, whichever are fewer, uniformly drawn."""
    tall = generator.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return (q if shape[0] >= shape[1] else q.T).astype(np.float32)
