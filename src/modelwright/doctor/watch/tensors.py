"""Read tensors without a change to them or to what is recorded of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["any_nonzero", "sample"]

_SAMPLE = 64


def any_nonzero(tensor: Any) -> bool:
    """Return whether any number of a tensor is not zero; None has none."""
    if tensor is None:
        return False
    found = tensor.detach()
    if found.is_sparse:
        found = found.coalesce().values()
    return bool(found.count_nonzero().item())


def sample(tensor: Any, most: int = _SAMPLE) -> NDArray[np.float64]:
    """Return some of a tensor's numbers, spread over it, as a copy (number,)."""
    flat = tensor.detach().reshape(-1)
    stride = max(1, flat.numel() // most) | 1  # odd, or it would meet the same column in every row
    return flat[::stride][:most].double().cpu().numpy().copy()
