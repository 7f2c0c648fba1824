"""What enters a network as rows of numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["input_table"]

_MOST_COLUMNS = 256
_LARGEST_ROW = 200_000
_SOME = 7


def input_table(args: tuple[Any, ...], rows: int, some: bool = False) -> NDArray[np.float32] | None:
    """Return what enters a network as numbers (row, column): some columns where they are many.

    Args:
        args: What it was called with.
        rows: Of the batch.
        some: Whether only a few rows are asked for, the first among them.
    """
    parts = [each for each in tensors_in(args) if each.dim() and each.shape[0] == rows]
    if not rows or not any(each.is_floating_point() and each.dim() >= 2 for each in parts):
        return None
    if any(each.requires_grad or each.is_sparse or each.is_complex() for each in parts):
        return None
    flat = [each.detach().reshape(rows, -1) for each in parts]
    width = sum(each.shape[1] for each in flat)
    if not width or rows * width > _LARGEST_ROW * 64 or width > _LARGEST_ROW:
        return None
    rows_apart, columns_apart = max(1, (rows - 1) // _SOME) if some else 1, -(-width // _MOST_COLUMNS)
    tables: list[NDArray[np.float32]] = []
    for each in flat:
        tables.append(each[::rows_apart, ::columns_apart].float().cpu().numpy())
    return np.ascontiguousarray(np.concatenate(tables, axis=1))
