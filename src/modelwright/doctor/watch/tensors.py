"""Read tensors without a change to them or to what is recorded of them."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Unreadable",
    "any_nonzero",
    "as_read",
    "is_readable",
    "sample",
    "tensors_in",
    "twin_of",
    "without_copies",
]

_SAMPLE = 64
_REGISTERED = ("_parameters", "_buffers", "_modules")


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


def without_copies(tensor: Any) -> NDArray[np.float64]:
    """Return a tensor's numbers without axes of length one or of copies of one number."""
    small = tensor.detach()
    for axis in reversed(range(small.dim())):
        if small.shape[axis] == 1 or not small.stride(axis):
            small = small.select(axis, 0)
    return small.double().cpu().numpy()


@dataclass(frozen=True, slots=True, eq=False)
class Unreadable:
    """Stands where sensors are told of a tensor whose numbers do not lie in memory, a sparse one.

    Attributes:
        tensor: What it stands for.
    """

    tensor: Any


def is_readable(value: Any) -> bool:
    """Return whether a value is no tensor, or one whose numbers lie in memory."""
    import torch

    return not isinstance(value, torch.Tensor) or value.layout is torch.strided


def as_read(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return values with something that stands for each that is not readable."""
    return tuple(each if is_readable(each) else Unreadable(each) for each in values)


def tensors_in(value: Any) -> Iterator[Any]:
    """Yield the tensors of a value, those of lists, tuples and mappings in it included."""
    if hasattr(value, "detach"):
        if is_readable(value):
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors_in(each)


def twin_of(module: Any) -> Any:
    """Return a copy of a module.

    Torch copies no tensor that belongs to a graph; those that a module keeps as attributes,
    log-probabilities of an episode for example, are copied without it.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for each in tensors_in({name: kept for name, kept in vars(part).items() if name not in _REGISTERED}):
            if each.grad_fn is not None:
                memo[id(each)] = each.detach().clone()
    return copy.deepcopy(module, memo)
