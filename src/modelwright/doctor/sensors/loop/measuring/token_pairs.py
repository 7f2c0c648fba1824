"""Rows of tokens with their classes, of those that are learnt and those that are measured."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.labels.relation import Relation, relation_of, standing_for
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["TokenPairs"]

_COLUMNS, _MOST_ROWS, _LONGEST = 256, 2000, 2048


@dataclass(slots=True)
class _Side:
    counts: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    classes: list[NDArray[np.int64]] = field(default_factory=list[NDArray[np.int64]])
    rows: int = 0


class TokenPairs:
    """Keeps how often tokens come in up to 2000 rows of each part, whatever their order.

    Token `t` is counted in column `t % 256`: where a few share a column, less is told, and nothing wrong.
    """

    def __init__(self) -> None:
        self._sides = _Side(), _Side()

    def add(self, args: tuple[Any, ...], batch: Any, *, learnt: bool) -> None:
        """Add a batch; nothing is kept of what has no tokens, or not one class for each row.

        Args:
            args: What a model was called with.
            batch: What a loader gave last.
            learnt: Whether it is learnt from.
        """
        side = self._sides[not learnt]
        tokens = next((each for each in tensors_in(args) if _is_tokens(each)), None)
        if tokens is None or side.rows + tokens.shape[0] > _MOST_ROWS:
            return
        given, rows = list(tensors_in(batch)), int(tokens.shape[0])
        columns = [each for each in given if each.dim() and each.shape[0] == rows == each.numel()]
        if len(columns) != 1 or not any(each.numel() == tokens.numel() for each in given):
            return
        classes = columns[0].detach().reshape(-1).cpu().numpy()
        if classes.dtype.kind not in "biuf" or (classes != np.rint(classes)).any():
            return
        codes = tokens.detach().cpu().numpy() % _COLUMNS + _COLUMNS * np.arange(rows)[:, None]
        counts = np.bincount(codes.reshape(-1), minlength=rows * _COLUMNS).reshape(rows, _COLUMNS)
        side.counts.append(counts.astype(np.float32))
        side.classes.append(classes.astype(np.int64))
        side.rows += rows

    def relation(self) -> Relation | None:
        """Return how tokens and classes go together in both parts; None where too few were heard."""
        if not all(side.rows for side in self._sides):
            return None
        learnt, held = (np.concatenate(side.counts) for side in self._sides)
        target, true = (np.concatenate(side.classes) for side in self._sides)
        targets = standing_for(target, true, classes=True)
        return relation_of(learnt, targets[0], held, targets[1]) if targets is not None else None


def _is_tokens(tensor: Any) -> bool:
    plain = not tensor.is_floating_point() and not tensor.is_complex() and str(tensor.dtype) != "torch.bool"
    return plain and tensor.dim() == 2 and 1 < tensor.shape[1] <= _LONGEST
