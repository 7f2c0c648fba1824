"""What mistaken functions of returns have in common: masks of other steps, sums in another order."""

from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Inputs
from modelwright.algorithms.scrutiny.subjects.stretch import ended

__all__ = ["OFF_BY_ONE", "accumulate", "keep_last", "later", "standard"]


def accumulate(delta: Any, carry: Any, *, forward: bool = False) -> Any:
    """Return the running sum from the last step to the first, or the other way round."""
    found = np.zeros_like(delta)
    following = np.zeros(delta.shape[1:])
    order = range(len(delta)) if forward else range(len(delta) - 1, -1, -1)
    for step in order:
        following = delta[step] + carry[step] * following
        found[step] = following
    return found


def later(x: Inputs, last: Any) -> Any:
    """Return masks taken from the step after, and `last` for the last step."""
    return 1.0 - np.concatenate([ended(x)[1:], ended(x)[-1:] & False | last])


def keep_last(x: Inputs, mask: Any) -> Any:
    """Return masks with the right one for the last step."""
    return np.concatenate([mask[:-1], 1.0 - ended(x)[-1:]])


OFF_BY_ONE = (
    "The done mask is off by one: step t is masked with the flag of another step.",
    "delta_t and A_t both use (1 - done_t), done_t telling that step t ended the episode",
)


def standard(array: Any, freedom: int) -> Any:
    """Return an array with mean 0 and deviation 1."""
    return (array - array.mean()) / (array.std(ddof=freedom if array.size > freedom else 0) + 1e-8)
