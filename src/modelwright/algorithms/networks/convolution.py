"""Convolution and pooling of images with a leading seed axis, as gathers and batched products.

    y[q] = b + sum_o x[q + o] K[o]        q a place, o an offset of the kernel, x zero outside      (1)
    z[p] = max of y over the 2 x 2 block p                                                          (2)
    dK[o] = sum_q x[q + o]' dy[q],   db = sum_q dy[q],   dx[p] = sum_o dy[p - o] K[o]'              (3)
    dy[q] = dz[p] for the first q of block p with y[q] = z[p], else 0                               (4)

Both sums of (1) and (3) are one product after a gather of neighbourhoods. PyTorch's grouped convolution
would do the same with groups for seeds; it picks its algorithm by the number of groups, so that a seed's
last digits would depend on its company, and it is slower here.

Source: LeCun et al. 1998, section II; Goodfellow, Bengio and Courville, Deep Learning, sections 9.1 to 9.3.
"""

from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import Function

from modelwright.algorithms.networks.layers import product, sum_rows

__all__ = ["convolve_pool"]

_BELOW_ZERO = -1e-44
_BLOCK = ((0, 0), (0, 1), (1, 0), (1, 1))


@lru_cache(maxsize=64)
def _gather_forward(height: int, width: int, channels: int, kernel: int) -> Tensor:
    """Where each number of each patch lies in a flat image; the place after the last is a zero.

    Order: place within its block, block row, block column, kernel row, kernel column, channel.
    """
    reach = kernel // 2
    padded = torch.full((height + 2 * reach, width + 2 * reach, channels), height * width * channels)
    inside = torch.arange(height * width * channels).view(height, width, channels)
    padded[reach : reach + height, reach : reach + width] = inside
    parts: list[Tensor] = []
    for row, column in _BLOCK:
        offsets = [
            padded[
                row + down : row + down + height // 2 * 2 : 2,
                column + right : column + right + width // 2 * 2 : 2,
            ]
            for down in range(kernel)
            for right in range(kernel)
        ]
        parts.append(torch.stack(offsets, dim=2))
    return torch.stack(parts).flatten()


@lru_cache(maxsize=64)
def _gather_backward(height: int, width: int, channels: int, kernel: int) -> Tensor:
    """Where the gradients of the outputs that a pixel entered lie; the place after the last is a zero.

    Outputs are in the order of `_gather_forward`; the result is in the order row, column, kernel row,
    kernel column, output channel.
    """
    reach = kernel // 2
    rows, columns = height // 2, width // 2
    absent = 4 * rows * columns * channels
    inside = torch.arange(absent).view(2, 2, rows, columns, channels).permute(2, 0, 3, 1, 4)
    padded = torch.full((height + 2 * reach, width + 2 * reach, channels), absent)
    padded[reach : reach + 2 * rows, reach : reach + 2 * columns] = inside.reshape(
        2 * rows, 2 * columns, channels
    )
    offsets = [
        padded[2 * reach - down : 2 * reach - down + height, 2 * reach - right : 2 * reach - right + width]
        for down in range(kernel)
        for right in range(kernel)
    ]
    return torch.stack(offsets, dim=2).flatten()


def _with_zero(flat: Tensor) -> Tensor:
    """Append a zero to each row of (image, number)."""
    return torch.cat([flat, flat.new_zeros(len(flat), 1)], dim=1)


class _ConvolvePool(Function):
    """Equations (1) and (2); (3) and (4) backward."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, kernel: int) -> Tensor:
        seeds, batch, height, width, channels = images.shape
        blocks = (height // 2) * (width // 2)
        gather = _gather_forward(height, width, channels, kernel)
        patches = torch.index_select(_with_zero(images.reshape(seeds * batch, -1)), 1, gather)
        patches = patches.view(seeds, batch * 4 * blocks, -1)
        outputs = (product(patches, weight) + bias).view(seeds, batch, 4, -1)
        pooled = outputs.amax(dim=2)
        ctx.save_for_backward(patches, weight, outputs, pooled)
        ctx.shape, ctx.kernel = images.shape, kernel
        return pooled.view(seeds, batch, height // 2, width // 2, -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        seeds, batch, height, width, channels = ctx.shape
        kernel: int = ctx.kernel
        patches, weight, outputs, pooled = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        behind = outputs - pooled[:, :, None]
        waiting = grads[0].reshape(pooled.shape)
        spread = torch.empty_like(outputs)
        for place in range(4):
            # A rectifier's backward lets through where its input is above a threshold: here, where it is 0.
            won = torch.ops.aten.threshold_backward(waiting, behind[:, :, place], _BELOW_ZERO)
            spread[:, :, place] = won
            waiting = waiting - won
        grad = spread.view(seeds, patches.shape[1], -1)
        grad_weight, grad_bias = product(patches.transpose(1, 2), grad), sum_rows(grad)
        if not ctx.needs_input_grad[0]:
            return None, grad_weight, grad_bias, None
        out = grad.shape[2]
        gather = _gather_backward(height, width, out, kernel)
        near = torch.index_select(_with_zero(spread.view(seeds * batch, -1)), 1, gather)
        turned = weight.reshape(seeds, kernel**2, channels, out).transpose(2, 3).reshape(seeds, -1, channels)
        grad_images = product(near.view(seeds, batch * height * width, -1), turned)
        return grad_images.view(ctx.shape), grad_weight, grad_bias, None


def convolve_pool(images: Tensor, weight: Tensor, bias: Tensor, kernel: int) -> Tensor:
    """Return the maximum of each 2 x 2 block of the same-size convolution of each seed; odd edges are cut.

    Args:
        images: (seed, batch, height, width, channel).
        weight: (seed, kernel * kernel * channel, out), kernel rows first, then columns, then channels.
        bias: (seed, 1, out).
        kernel: Side of the square kernel, odd.

    Returns:
        (seed, batch, height // 2, width // 2, out).
    """
    return cast(Tensor, _ConvolvePool.apply(images, weight, bias, kernel))
