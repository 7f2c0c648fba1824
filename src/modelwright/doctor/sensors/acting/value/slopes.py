"""Slopes of a loss in what it is made of."""

from collections.abc import Sequence
from typing import Any

__all__ = ["comes_from", "even_slope"]

_SAME = 1e-5


def even_slope(slope: Any) -> float:
    """Return a slope (of any shape) that is the same everywhere; 0 where it is not, or there is none."""
    if slope is None:
        return 0.0
    flat = slope.detach().reshape(-1)
    first = float(flat[0])
    return first if first and float((flat - first).abs().max()) <= _SAME * abs(first) else 0.0


def comes_from(tensor: Any, sources: Sequence[Any]) -> bool:
    """Return whether gradients of a tensor reach any of its sources."""
    import torch

    slopes: Any = torch.autograd.grad(tensor.sum(), sources, retain_graph=True, allow_unused=True)
    return any(slope is not None for slope in slopes)
