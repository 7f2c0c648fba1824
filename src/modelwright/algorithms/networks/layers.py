"""Layers with a leading seed axis, built only from operations that treat every seed alike.

Each layer is written forward and backward, as equations. What may be used was measured: torch picks another
kernel for a batch of one matrix than for two (and sums in another order), grouped convolution picks by the
number of groups, and some elementwise functions (`sigmoid`, `log1p`, `gelu`) round differently at the end
of an array. Batched products of at least two matrices, single additions and multiplications, `tanh`,
maxima and row-wise `log_softmax` do not. `tests/algorithms/test_company.py` holds this on the machine that
runs it.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import Function, FunctionCtx

__all__ = ["cross_entropy", "drop_out", "linear", "product", "sum_rows"]


def product(left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Return the matrix product of each seed, (seed, a, b) times (seed, b, c).

    A lone seed is multiplied beside a copy of itself, because a batch of one takes another kernel.

    Args:
        left: (seed, a, b).
        right: (seed, b, c).
        out: (seed, a, c), where the result is written and which is returned then.
    """
    if left.shape[0] == 1:
        found = torch.bmm(left.expand(2, -1, -1), right.expand(2, -1, -1))[:1]
        return found if out is None else out.copy_(found)
    return torch.bmm(left, right, out=out)


def sum_rows(values: Tensor) -> Tensor:
    """Return the sum over rows of each seed, (seed, 1, out) from (seed, row, out), as a product with ones."""
    return product(values.new_ones(1, 1, values.shape[1]).expand(values.shape[0], -1, -1), values)


class _Linear(Function):
    """y = x W + b; dx = dy W', dW = x' dy, db = 1' dy."""

    @staticmethod
    def forward(ctx: FunctionCtx, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return product(inputs, weight) + bias

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        (grad,) = grads
        inputs, weight = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)
        grad_inputs = product(grad, weight.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return grad_inputs, product(inputs.transpose(1, 2), grad), sum_rows(grad)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the affine map of each seed.

    Args:
        inputs: (seed, batch, in).
        weight: (seed, in, out).
        bias: (seed, 1, out).

    Returns:
        (seed, batch, out).
    """
    return cast(Tensor, _Linear.apply(inputs, weight, bias))


def drop_out(inputs: Tensor, share: float, generators: Sequence[torch.Generator]) -> Tensor:
    """Set a random `share` of each seed's numbers to zero and scale the others up to keep the mean.

    Args:
        inputs: (seed, batch, *feature).
        share: In [0, 1).
        generators: One per seed; each draws the mask of its own seed.
    """
    noise = torch.empty(inputs.shape)
    for row, generator in zip(noise, generators, strict=True):
        row.uniform_(generator=generator)
    return inputs * (noise >= share).to(inputs.dtype) * (1.0 / (1.0 - share))


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return -log softmax(logits)[target] in nats, (seed, batch).

    Args:
        logits: (seed, batch, class).
        target: (seed, batch) class indices.
    """
    return -torch.log_softmax(logits, dim=-1).gather(-1, target[..., None])[..., 0]
