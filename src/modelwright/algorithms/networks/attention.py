"""Causal self-attention and layer normalisation with a leading seed axis, forward and backward.

    Z = Q K' / sqrt(d),  Z[t, u] = -inf for u > t;   A = softmax(Z) by rows;   O = A V             (1)
    dV = A' dO,  dA = dO V',  dZ = A * (dA - (dA * A) 1),  dQ = dZ K / sqrt(d),  dK = dZ' Q / sqrt(d)  (2)

    m = mean(x),  s = 1 / sqrt(mean((x - m)^2) + e),  n = (x - m) s;   y = n * g + b                (3)
    dn = dy * g,  dx = s (dn - mean(dn) - n mean(dn * n)),  dg = sum dy * n,  db = sum dy           (4)

Means and sums are products with ones, for the reason that `layers` gives. A place sees itself and what came
before it, so the answer at one place cannot know what comes next.

Source: Vaswani et al. 2017, equation 1 and section 3.2.3; Ba, Kiros and Hinton 2016, equation 4.
"""

import math
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import Function

from modelwright.algorithms.networks.layers import product, sum_rows

__all__ = ["attend", "normalise"]

_TINY = 1e-5
"""e of equation (3), as PyTorch's `layer_norm` has it."""


@lru_cache(maxsize=16)
def _later(length: int) -> Tensor:
    """True where a place would look at a later one."""
    return torch.ones(length, length, dtype=torch.bool).triu(diagonal=1)


def _sum_last(values: Tensor) -> Tensor:
    """Return the sum over the last axis of (matrix, row, number), kept as an axis of one."""
    ones = values.new_ones(1, values.shape[-1], 1).expand(values.shape[0], -1, -1)
    return product(values, ones)


class _Attend(Function):
    """Equation (1); (2) backward."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scale = 1.0 / math.sqrt(query.shape[-1])
        scores = product(query, key.transpose(1, 2)) * scale
        weights = torch.softmax(scores.masked_fill(_later(query.shape[1]), -math.inf), dim=-1)
        ctx.save_for_backward(query, key, value, weights)
        ctx.scale = scale
        return product(weights, value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        grad = grads[0].contiguous()
        query, key, value, weights = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        grad_weights = product(grad, value.transpose(1, 2))
        grad_scores = weights * (grad_weights - _sum_last(grad_weights * weights)) * ctx.scale
        return (
            product(grad_scores, key),
            product(grad_scores.transpose(1, 2), query),
            product(weights.transpose(1, 2), grad),
        )


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return what each place gathers from itself and earlier places, (matrix, place, unit).

    Args:
        query: (matrix, place, unit); a matrix is one head of one row of one seed.
        key: Like `query`.
        value: Like `query`.
    """
    return cast(Tensor, _Attend.apply(query.contiguous(), key.contiguous(), value.contiguous()))


class _Normalise(Function):
    """Equation (3); (4) backward."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        share = 1.0 / inputs.shape[-1]
        centred = inputs - _sum_last(inputs) * share
        scale = 1.0 / torch.sqrt(_sum_last(centred * centred) * share + _TINY)
        normal = centred * scale
        ctx.save_for_backward(normal, scale, gain)
        return normal * gain + bias

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        grad = grads[0].contiguous()
        normal, scale, gain = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        share = 1.0 / normal.shape[-1]
        grad_normal = grad * gain
        centred = grad_normal - _sum_last(grad_normal) * share
        grad_inputs = (centred - normal * (_sum_last(grad_normal * normal) * share)) * scale
        return grad_inputs, sum_rows(grad * normal), sum_rows(grad)


def normalise(inputs: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Return rows of mean `bias` and deviation `gain`, each row by its own mean and deviation.

    Args:
        inputs: (seed, row, unit).
        gain: (seed, 1, unit).
        bias: (seed, 1, unit).
    """
    return cast(Tensor, _Normalise.apply(inputs.contiguous(), gain, bias))
