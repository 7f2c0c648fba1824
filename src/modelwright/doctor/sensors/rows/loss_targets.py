"""The targets of a loss, read off the graph of what computed it."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.sheet import values_of

__all__ = ["targets_of"]

_MOST_NODES = 64


def targets_of(loss: Any, output: Any) -> NDArray[Any] | None:
    """Return what a loss compares a model's output with, one value for each row (row,).

    Losses of torch keep their targets for the gradient; a class that picks a column of log-probabilities is
    the index of `gather`; of squares and sizes of differences the targets are what is added to the output.

    Args:
        loss: Gradients of which are about to be computed.
        output: (row, ...) what the model gave.

    Returns:
        The targets; None where the graph shows none, or two that differ.
    """
    rows = int(output.shape[0])
    found: list[NDArray[Any]] = []
    waiting, seen = deque([loss.grad_fn]), 0
    while waiting and seen < _MOST_NODES:
        node = waiting.popleft()
        seen += 1
        if node is None:
            continue
        try:
            target = _target(node, output, rows)
        except (RuntimeError, TypeError, ValueError):  # what was saved was changed or let go
            target = None
        if target is not None:
            found.append(target)
            continue
        waiting.extend(child for child, _ in node.next_functions)
    if not found or any(not np.array_equal(each, found[0]) for each in found[1:]):
        return None
    return found[0]


def _target(node: Any, output: Any, rows: int) -> NDArray[Any] | None:
    name = node.name()
    if name.startswith(("NllLoss", "BinaryCrossEntropy")) or "LossBackward" in name:
        return _one_each(getattr(node, "_saved_target", None), rows)
    if name.startswith("GatherBackward"):
        return _one_each(node._saved_index, rows)
    if name.startswith("IndexBackward"):
        picked = [each for each in node._saved_indices if each is not None]
        return _one_each(picked[-1], rows) if len(picked) == 2 else None
    if name.startswith(("PowBackward0", "AbsBackward", "MulBackward0")):
        return _of_difference(node, output, rows)
    return None


def _of_difference(node: Any, output: Any, rows: int) -> NDArray[Any] | None:
    inner = node.next_functions[0][0]
    if inner is None or inner.name() != "SubBackward0" or inner._saved_alpha != 1:
        return None
    if node.name().startswith("MulBackward0") and node.next_functions[1][0] is not inner:
        return None
    difference = node._saved_self
    sides = [child is None for child, _ in inner.next_functions]
    if sum(sides) != 1 or difference.numel() != rows or output.numel() != rows:
        return None
    said, apart = output.detach().reshape(-1), difference.detach().reshape(-1)
    return values_of(said + apart if sides[0] else said - apart)


def _one_each(target: Any, rows: int) -> NDArray[Any] | None:
    if target is None or target.numel() != rows:
        return None
    return target.detach().reshape(-1).cpu().numpy().copy()
