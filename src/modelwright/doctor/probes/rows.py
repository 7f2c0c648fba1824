"""Rows of nested tensors: batches as loaders give them, one axis of rows in front of every tensor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

__all__ = ["count_rows", "join_rows", "main_tensor", "map_tensors", "take_rows", "tensors_of"]


def tensors_of(nested: Any) -> Iterator[Tensor]:
    """Yield all tensors inside of tuples, lists and mappings, in order."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, Mapping):
        for each in cast("Mapping[Any, Any]", nested).values():
            yield from tensors_of(each)
    elif isinstance(nested, list | tuple):
        for each in cast("Sequence[Any]", nested):
            yield from tensors_of(each)


def map_tensors(nested: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return the same nest with every tensor changed; mappings become dictionaries."""
    if isinstance(nested, Tensor):
        return change(nested)
    if isinstance(nested, Mapping):
        return {key: map_tensors(each, change) for key, each in cast("Mapping[Any, Any]", nested).items()}
    if isinstance(nested, tuple) and hasattr(nested, "_fields"):
        return type(nested)(*(map_tensors(each, change) for each in cast("Sequence[Any]", nested)))
    if isinstance(nested, list | tuple):
        made = [map_tensors(each, change) for each in cast("Sequence[Any]", nested)]
        return made if isinstance(nested, list) else tuple(made)
    return nested


def count_rows(nested: Any) -> int | None:
    """Return the length of the first axis of every tensor; None where they differ or there is none."""
    lengths = {int(each.shape[0]) if each.dim() else -1 for each in tensors_of(nested)}
    return lengths.pop() if len(lengths) == 1 and -1 not in lengths else None


def take_rows(nested: Any, index: Any) -> Any:
    """Return the rows with these numbers, or in this slice."""
    if isinstance(index, slice):
        return map_tensors(nested, lambda each: each[index])
    numbers = torch.as_tensor(index, dtype=torch.long)
    return map_tensors(nested, lambda each: each[numbers.to(each.device)])


def join_rows(parts: Sequence[Any]) -> Any:
    """Return rows of one kind, one after another.

    Raises:
        RuntimeError: where their shapes differ beyond the first axis.
    """
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, Mapping):
        return {key: join_rows([part[key] for part in parts]) for key in cast("Mapping[Any, Any]", first)}
    if isinstance(first, list | tuple):
        columns = [join_rows([part[at] for part in parts]) for at in range(len(cast("Sequence[Any]", first)))]
        return columns if isinstance(first, list) else tuple(columns)
    return first


def main_tensor(output: Any) -> Tensor | None:
    """Return the tensor that a model's output is mainly about: itself, `logits`, or the first one."""
    logits = getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    return next(tensors_of(output), None)
