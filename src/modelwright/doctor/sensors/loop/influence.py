"""How far what a model says of other places moves when the input at one place changes."""

from collections.abc import Callable
from typing import Any

__all__ = ["FAR", "influence"]

FAR = 1e-3
"""Change of an output, over the outputs' deviation, that is no rounding."""


def influence(ask: Callable[[Any], Any], given: Any, new: Any, axis: int, plain: Any) -> float | None:
    """Change the first place of an axis, and return how far outputs of the others move, or None.

    Args:
        ask: The model, in evaluation mode: output for an input, with the same axis, or None.
        given: Its input.
        new: What is put at the first place, of that place's shape.
        axis: The axis.
        plain: Output for the input as it is.

    Returns:
        The largest change over the outputs' deviation.
    """
    changed = given.clone()
    changed.select(axis, 0).copy_(new)
    if bool((changed == given).all()):
        return None
    after = ask(changed)
    if after is None or after.shape != plain.shape:
        return None
    moved = (after - plain).narrow(axis, 1, plain.shape[axis] - 1).abs().max()
    far = float(moved) / (float(plain.std()) + 1e-12)
    return far if far > FAR else None
