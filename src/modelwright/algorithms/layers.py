"""Layers with a leading seed axis, built only from operations that treat every seed alike.

Each layer is written forward and backward, as equations. What may be used was measured: torch picks another
kernel for a batch of one matrix than for two (and sums in another order), grouped convolution picks by the number
of groups, and some elementwise functions (`sigmoid`, `log1p`, `gelu`) round differently at the end of an array.
Batched products of at least two matrices, single additions and multiplications, `tanh`, maxima and row-wise
`log_softmax` do not. `tests/algorithms/test_company.py` holds this on the machine that runs it.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import Function, FunctionCtx

__all__ = ["convolve", "cross_entropy", "drop_out", "linear", "max_pool", "product"]


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix product of each seed, (seed, a, b) times (seed, b, c).

    A lone seed is multiplied beside a copy of itself, because a batch of one takes another kernel.
    """
    if left.shape[0] == 1:
        return torch.bmm(left.expand(2, -1, -1), right.expand(2, -1, -1))[:1]
    return torch.bmm(left, right)


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
        ones = grad.new_ones(1, 1, grad.shape[1]).expand(grad.shape[0], -1, -1)
        grad_inputs = product(grad, weight.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return grad_inputs, product(inputs.transpose(1, 2), grad), product(ones, grad)


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


class _Patches(Function):
    """Zero-padded k x k neighbourhoods of every pixel; backward adds each patch back where it came from."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, kernel: int) -> Tensor:
        ctx.kernel = kernel
        seeds, batch, height, width, channels = images.shape
        reach = kernel // 2
        padded = images.new_zeros(seeds, batch, height + 2 * reach, width + 2 * reach, channels)
        padded[:, :, reach : reach + height, reach : reach + width] = images
        stride = padded.stride()
        return padded.as_strided(
            (seeds, batch, height, width, kernel, kernel, channels),
            (stride[0], stride[1], stride[2], stride[3], stride[2], stride[3], stride[4]),
        ).reshape(seeds, batch, height, width, kernel * kernel * channels)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,) = grads
        kernel: int = ctx.kernel
        seeds, batch, height, width, _ = grad.shape
        reach = kernel // 2
        parts = grad.view(seeds, batch, height, width, kernel * kernel, -1).unbind(-2)
        padded = grad.new_zeros(seeds, batch, height + 2 * reach, width + 2 * reach, parts[0].shape[-1])
        for place, part in enumerate(parts):
            row, column = divmod(place, kernel)
            padded[:, :, row : row + height, column : column + width] += part
        return padded[:, :, reach : reach + height, reach : reach + width].contiguous(), None


def convolve(images: Tensor, weight: Tensor, bias: Tensor, kernel: int) -> Tensor:
    """Return the same-size convolution of each seed, as one product with unfolded patches.

    Args:
        images: (seed, batch, height, width, channel).
        weight: (seed, kernel * kernel * channel, out), patch rows first, then columns, then channels.
        bias: (seed, 1, out).
        kernel: Side of the square kernel, odd.

    Returns:
        (seed, batch, height, width, out).
    """
    seeds, batch, height, width, _ = images.shape
    patches = cast(Tensor, _Patches.apply(images, kernel)).view(seeds, batch * height * width, -1)
    return linear(patches, weight, bias).view(seeds, batch, height, width, -1)


def max_pool(images: Tensor) -> Tensor:
    """Return the maximum of each 2 x 2 block of (seed, batch, height, width, channel); odd edges are cut."""
    height, width = images.shape[2] // 2 * 2, images.shape[3] // 2 * 2
    top = torch.maximum(images[:, :, 0:height:2, 0:width:2], images[:, :, 0:height:2, 1:width:2])
    bottom = torch.maximum(images[:, :, 1:height:2, 0:width:2], images[:, :, 1:height:2, 1:width:2])
    return torch.maximum(top, bottom)


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
    """Return -log softmax(logits)[target] in nats, (seed, batch), from (seed, batch, class) and (seed, batch)."""
    return -torch.log_softmax(logits, dim=-1).gather(-1, target[..., None])[..., 0]
