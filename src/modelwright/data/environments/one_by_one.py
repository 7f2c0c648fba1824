"""Functions that Gymnasium takes of one number at a time, taken of each row as it does.

The C library's cosine and power are not NumPy's of arrays: x to the power 2 differs from x times x in the
last bit about once in a thousand times. Equal numbers need equal functions, and a row's number must not
depend on how many rows there are, as it may where an array is cut into blocks.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cosine", "square"]


def cosine(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `math.cos` of each number of an array (row,)."""
    return np.array([math.cos(one) for one in angle.tolist()])


def square(value: NDArray[Any]) -> NDArray[Any]:
    """Return each number of an array (row,) to the power 2, in its own type."""
    if value.dtype == np.float64:
        return np.array([one**2 for one in value.tolist()])  # a Python float's power is the C library's too
    return np.array([one**2 for one in value], value.dtype)
