"""Finds what an agent keeps of its steps, wherever it keeps it: rows are known by their observations."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from modelwright.doctor.probes.agents.coded.coded_world import moments_of
from modelwright.doctor.probes.agents.task_environment import DIRECTIONS
from modelwright.doctor.probes.agents.tasks import SIGHTS

__all__ = ["Stored", "stored_in"]

_DEEPEST, _MOST_OWNERS, _MOST_PARTS = 5, 2000, 64
_FEWEST_ROWS, _MOST_ROWS = 16, 20_000
_LEAST_SHARE = 0.5
"""Of the rows that are not all zero, those that must be observations for a column to be one of them."""

_CLOSED = (
    torch.nn.Module,
    torch.optim.Optimizer,
    gymnasium.Env,
    gymnasium.Space,
    FunctionType,
    ModuleType,
    type,
)
"""What holds no experience."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Columns of equal length that an agent keeps, by the names that it has for them.

    Attributes:
        seen: Name -> (row, 3) the moment of each observation, -1 where there is none.
        numbers: Name -> (row,) one number each.
        forces: Name -> (row, DIRECTIONS).
    """

    seen: Mapping[str, NDArray[np.int64]]
    numbers: Mapping[str, NDArray[np.float64]]
    forces: Mapping[str, NDArray[np.float64]]


def stored_in(agent: Any) -> list[Stored]:
    """Return all columns that hold observations, with those beside them of the same length."""
    found: list[Stored] = []
    for columns in _owners(agent):
        by_shape: dict[tuple[int, ...], dict[str, NDArray[Any]]] = {}
        for name, values in columns.items():
            if values.shape[-1:] == (SIGHTS,):
                by_shape.setdefault(values.shape[:-1], {})[name] = values
        for shape, seen in by_shape.items():
            if int(np.prod(shape)) >= _FEWEST_ROWS:
                stored = _read(shape, seen, columns)
                found += [stored] if stored is not None else []
    return found


def _read(
    shape: tuple[int, ...], sights: Mapping[str, NDArray[Any]], columns: Mapping[str, NDArray[Any]]
) -> Stored | None:
    most = -(-_MOST_ROWS // max(1, int(np.prod(shape[1:]))))  # along the first axis: memories fill from there
    seen: dict[str, NDArray[np.int64]] = {}
    for name, values in sights.items():
        rows = values[:most].reshape(-1, SIGHTS).astype(np.float32)
        moments = moments_of(rows)
        filled = (rows != 0).any(axis=1)
        if filled.sum() >= _FEWEST_ROWS and (moments[filled, 0] >= 0).mean() >= _LEAST_SHARE:
            seen[name] = moments
    if not seen:
        return None
    others = {name: each[:most] for name, each in columns.items() if name not in sights}
    numbers = {
        name: _flat(each, 0) for name, each in others.items() if columns[name].shape in (shape, (*shape, 1))
    }
    forces = {
        name: _flat(each, DIRECTIONS)
        for name, each in others.items()
        if columns[name].shape == (*shape, DIRECTIONS)
    }
    return Stored(seen, numbers, forces)


def _flat(values: NDArray[Any], width: int) -> NDArray[np.float64]:
    """Return (row,), or (row, width) where that is not 0."""
    return values.reshape((-1, width) if width else -1).astype(np.float64)


def _owners(agent: Any) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the columns of each thing that an agent holds: its attributes, or the fields of its records."""
    waiting: deque[tuple[Any, int]] = deque([(agent, 0)])
    met: dict[int, Any] = {}
    while waiting and len(met) < _MOST_OWNERS:
        owner, depth = waiting.popleft()
        if id(owner) in met or isinstance(owner, _CLOSED):
            continue
        met[id(owner)] = owner
        parts = _parts(owner)
        columns = {name: each for name, value in parts.items() if (each := _column(value)) is not None}
        if columns:
            yield columns
        for name, value in parts.items():
            if name in columns:
                continue
            records = _records(value)
            if records is not None:
                yield records
            elif depth < _DEEPEST and value is not None and not isinstance(value, str | bytes | int | float):
                waiting.append((value, depth + 1))


def _parts(owner: Any) -> dict[str, Any]:
    if isinstance(owner, Mapping):
        return {str(name): value for name, value in cast("Mapping[Any, Any]", owner).items()}
    if isinstance(owner, list | tuple):
        return {str(at): value for at, value in enumerate(cast("list[Any]", owner)[:_MOST_PARTS])}
    return _attributes(owner)


def _attributes(owner: Any) -> dict[str, Any]:
    slots = [name for kind in type(owner).__mro__ for name in getattr(kind, "__slots__", ())]
    found = {name: getattr(owner, name) for name in slots if hasattr(owner, name)}
    return found | (dict(vars(owner)) if hasattr(owner, "__dict__") else {})


def _column(value: Any) -> NDArray[Any] | None:
    """Return an array, a tensor or a list of equal rows as an array; None of anything else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy() if not value.is_sparse else None
    elif isinstance(value, list | deque) and len(cast("list[Any]", value)) >= _FEWEST_ROWS:
        value = _stacked(list(cast("list[Any]", value))[-_MOST_ROWS:])
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf" or not value.ndim:
        return None
    return value if len(value) >= _FEWEST_ROWS or value.ndim > 1 else None


def _stacked(values: list[Any]) -> NDArray[Any] | None:
    """Return one array of numbers, arrays or tensors of the same shape."""
    first = values[0]
    if not isinstance(first, int | float | bool | np.ndarray | np.generic | torch.Tensor):
        return None
    try:
        rows = [
            each.detach().cpu().numpy() if isinstance(each, torch.Tensor) else np.asarray(each)
            for each in values
        ]
        made = np.stack(rows)
    except (TypeError, ValueError):
        return None
    return made.reshape(len(made), -1) if made.ndim > 2 and made.shape[1] == 1 else made


def _records(value: Any) -> dict[str, NDArray[Any]] | None:
    """Return the fields of a list of records (tuples, mappings, objects) as columns."""
    if not isinstance(value, list | tuple | deque) or len(cast("list[Any]", value)) < _FEWEST_ROWS:
        return None
    records = [each for each in list(cast("list[Any]", value))[-_MOST_ROWS:] if each is not None]
    if len(records) < _FEWEST_ROWS:
        return None
    fields = [_fields(each) for each in records]
    names = set(fields[0]).intersection(*fields)
    columns: dict[str, NDArray[Any]] = {}
    for name in sorted(names):
        made = _stacked([each[name] for each in fields])
        if made is not None and made.dtype.kind in "biuf":
            columns[name] = made
    return columns or None


def _fields(record: Any) -> Mapping[str, Any]:
    if isinstance(record, Mapping):
        return {str(name): each for name, each in cast("Mapping[Any, Any]", record).items()}
    if isinstance(record, tuple) and hasattr(record, "_fields"):
        return cast("Any", record)._asdict()
    if isinstance(record, list | tuple):
        return {str(at): each for at, each in enumerate(cast("list[Any]", record))}
    if isinstance(record, torch.Tensor | np.ndarray | int | float):
        return {}
    return _attributes(record)
