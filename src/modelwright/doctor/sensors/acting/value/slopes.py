"""Slopes of a loss in what it is made of."""

from typing import Any

__all__ = ["even_slope"]

_SAME = 1e-5


def even_slope(slope: Any) -> float:
    """Return a slope (of any shape) that is the same everywhere; 0 where it is not, or there is none."""
    if slope is None:
        return 0.0
    flat = slope.detach().reshape(-1)
    first = float(flat[0])
    return first if first and float((flat - first).abs().max()) <= _SAME * abs(first) else 0.0
