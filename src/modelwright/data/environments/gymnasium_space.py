"""Gymnasium's spaces as ours, and what is observed in them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.data.environments.space import Box, Discrete, Space

__all__ = ["give_action", "read_observation", "read_space"]

_WRAPPERS = {
    "Discrete": "wrap the environment so that its numbers start at 0",
    "MultiDiscrete": "wrap the environment so that one number stands for each combination",
    "MultiBinary": "wrap the environment so that one number stands for each combination",
    "Dict": "wrap the environment in gymnasium.wrappers.FlattenObservation",
    "Tuple": "wrap the environment in gymnasium.wrappers.FlattenObservation",
}


def read_space(space: Any, name: str, what: str) -> Space:
    """Return a space of Gymnasium's as one of ours; numbers other than uint8 become float32.

    Args:
        space: Gymnasium's.
        name: The environment's, for messages.
        what: `observation` or `action`.

    Raises:
        BadValue: for a kind of space that no learner here can use.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return Discrete(n=int(space.n))
    if isinstance(space, spaces.Box) and 0 in space.shape:
        raise BadValue(f"The {what} space of {name} holds at least one number", got=str(space))
    if isinstance(space, spaces.Box) and what == "action" and np.dtype(space.dtype).kind != "f":
        raise BadValue(
            f"Actions of {name} in a Box are real numbers",
            got=str(space)[:200],
            next_step="wrap the environment so that one number stands for each action (Discrete), or so that "
            "it rounds real numbers itself",
        )
    if isinstance(space, spaces.Box) and np.dtype(space.dtype).kind in "fiub":
        if np.dtype(space.dtype) == np.uint8 and what == "observation":
            return Box(low=space.low, high=space.high, dtype=np.dtype(np.uint8))
        with np.errstate(over="ignore"):
            return Box(low=space.low.astype(np.float32), high=space.high.astype(np.float32))
    kind = type(space).__name__
    next_step = _WRAPPERS.get(kind, "wrap the environment so that it is one of these")
    if what == "action" and kind in ("Dict", "Tuple"):
        next_step = "wrap the environment so that an action is one number or one array"
    raise BadValue(
        f"The {what} space of {name} is a Box of numbers, or Discrete from 0",
        got=str(space)[:200],
        next_step=next_step,
    )


def give_action(action: NDArray[Any], space: Any) -> NDArray[Any]:
    """Return action values, (..., *action) float32, in the type of Gymnasium's space.

    A bound comes out as the space has it: float32 of 0.1 is above 0.1, and outside.
    """
    values = np.array(action, space.dtype)
    if space.dtype != np.float32:
        for bound in (space.low, space.high):
            values = np.where(action == bound.astype(np.float32), bound, values)
    return values


def read_observation(
    seen: Any, space: Space, name: str, where: str, rows: tuple[int, ...] = ()
) -> NDArray[Any]:
    """Return a copy of what was observed, of the space's shape and type.

    Args:
        seen: (*rows, *observation), or whatever the environment gave.
        space: What it should be.
        name: The environment's, for messages.
        where: What gave it, for messages: `step()`.
        rows: The shape before that of one observation: () for one, (row,) for a vector environment's.

    Raises:
        BadValue: for another shape or type, numbers outside a discrete space, and what is not finite.
    """
    shape = (*rows, *space.shape)
    plain = type(seen) is np.ndarray and seen.shape == shape and seen.dtype == space.dtype
    if plain and (seen.dtype == np.uint8 or (seen.dtype == np.float32 and np.isfinite(seen).all())):
        return seen.copy()  # nearly all environments; the rest would say the same, slower
    try:
        made = np.array(seen)
    except ValueError:  # lists of different lengths
        made = np.array(None)
    if space.dtype == np.uint8:
        words, fits = "uint8", made.dtype == np.uint8
    elif isinstance(space, Discrete):
        words, fits = "whole numbers", made.dtype.kind in "iu"
    else:
        words, fits = "numbers", made.dtype.kind in "fiub"
    if made.shape != shape or not fits:
        raise BadValue(
            f"{where} of {name} gives observations of {words} in shape {shape}, as its space says",
            got=f"a {type(seen).__name__} of shape {made.shape} and type {made.dtype}",
        )
    if isinstance(space, Discrete):
        outside = (made < 0) | (made >= space.n)
        if outside.any():
            raise BadValue(
                f"{where} of {name} gives whole numbers from 0 to {space.n - 1}, as its space says",
                got=str(made[outside][0]),
            )
        return made.astype(np.int64, copy=False)
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite there, and refused
        cast = made.astype(space.dtype, copy=False)
    if cast.dtype.kind == "f" and not np.isfinite(cast).all():
        raise BadValue(
            f"Observations of {name} are finite numbers within float32",
            got=f"{made[~np.isfinite(cast)][0]} from {where}",
        )
    return cast
