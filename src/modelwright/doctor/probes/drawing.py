"""Draw a sample out of whatever holds data: arrays, a data set of torch's, a loader."""

import contextlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from modelwright.base.errors import BadValue
from modelwright.doctor.probes.rows import count_rows, join_rows, map_tensors, tensors_of
from modelwright.doctor.probes.sample import Sample

__all__ = ["draw_sample", "is_data", "read_array"]

MOST_ROWS = 2048
MOST_BYTES = 64 * 2**20
LABELS = ("labels", "label", "targets", "target", "y")
DATA = "a Dataset, a DataLoader, (X, y) as arrays or tensors, or a list of batches"


def read_array(value: Any) -> Any:
    """Return an array, frame or list of numbers as a tensor; real numbers as float32; else the value."""
    if isinstance(value, Tensor):
        return value
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "f":
        return torch.tensor(value.astype(np.float32))
    return torch.tensor(value) if value.dtype.kind in "iub" else value


def is_data(value: Any) -> bool:
    """Return whether a value looks like data."""
    if isinstance(value, Tensor | np.ndarray | Dataset | DataLoader) or hasattr(value, "to_numpy"):
        return True
    if isinstance(value, list | tuple):
        values = cast("Sequence[Any]", value)
        return bool(values) and all(is_data(each) for each in values)
    return (
        isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) and not callable(value)
    )


def draw_sample(data: Any, what: str = "data") -> Sample:
    """Return up to 2048 rows.

    Args:
        data: What holds them.
        what: Its name, for messages.

    Raises:
        BadValue: where it is nothing that holds rows.
    """
    if isinstance(data, DataLoader):
        return _of_loader(data)
    if isinstance(data, Tensor | np.ndarray) or hasattr(data, "to_numpy"):
        return _checked(Sample(inputs=read_array(data), targets=None), what)
    if isinstance(data, Mapping):
        columns = {key: read_array(each) for key, each in cast("Mapping[Any, Any]", data).items()}
        return _checked(_few(*_parted(columns), total=count_rows(columns)), what)
    if isinstance(data, tuple | list) and _is_columns(cast("Sequence[Any]", data)):
        columns = [read_array(each) for each in cast("Sequence[Any]", data)]
        return _checked(_few(*_parted(columns), total=count_rows(columns)), what)
    if isinstance(data, IterableDataset):
        return _of_items(itertools.islice(iter(data), MOST_ROWS))
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, str | bytes):
        return _of_dataset(data, what)
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return _of_batches(cast("Iterable[Any]", data), None)
    raise BadValue(f"{what} is {DATA}", got=f"a {type(data).__name__}")


def _is_columns(values: Sequence[Any]) -> bool:
    """Tell (X, y) from a list of batches or items: columns are arrays of one length."""
    arrays = [isinstance(each, Tensor | np.ndarray) or hasattr(each, "to_numpy") for each in values]
    if not arrays or not all(arrays) or len(values) > 8:
        return False
    return len({len(each) if np.ndim(each) else -1 for each in values}) == 1


def _parted(row: Any) -> tuple[Any, Any]:
    """Return inputs and targets of a batch."""
    if isinstance(row, Mapping):
        given = dict(cast("Mapping[Any, Any]", row))
        name = next((name for name in LABELS if name in given), None)
        if name is None:
            return given, None
        rest = {key: each for key, each in given.items() if key != name}
        return rest, given[name]
    if isinstance(row, list | tuple):
        parts = list(cast("Sequence[Any]", row))
        if len(parts) == 1:
            return parts[0], None
        return (parts[0] if len(parts) == 2 else tuple(parts[:-1])), parts[-1]
    return row, None


def _checked(sample: Sample, what: str) -> Sample:
    if not any(True for _ in tensors_of((sample.inputs, sample.targets))):
        raise BadValue(
            f"{what} is {DATA}, of numbers",
            got=f"{type(sample.inputs).__name__}",
            next_step="turn text and categories into numbers first",
        )
    return sample


def _few(inputs: Any, targets: Any, *, total: int | None, **more: Any) -> Sample:
    """Return a sample of rows that are evenly spread over those at hand."""
    count = count_rows(inputs if targets is None else (inputs, targets))
    if not count:
        empty = total == 0 or count == 0
        note = "" if empty else "rows of the data: its arrays do not have one length"
        return Sample(inputs=inputs, targets=targets, total=total, note=note, **more)
    size = sum(each.numel() * each.element_size() for each in tensors_of((inputs, targets)))
    most = min(MOST_ROWS, max(2, int(MOST_BYTES // max(1, size // count))))
    if count > most:
        index = np.linspace(0, count - 1, most).astype(np.int64)

        def pick(each: Tensor) -> Tensor:
            return each[torch.from_numpy(index).to(each.device)]

        inputs, targets = map_tensors(inputs, pick), map_tensors(targets, pick)
    return Sample(inputs=inputs, targets=targets, total=total, **more)


def _of_dataset(data: Any, what: str) -> Sample:
    total = len(data)
    if not total:
        return Sample(inputs=None, targets=None, total=0, item=data.__getitem__)
    first = data[0]
    if isinstance(data, list) and count_rows(_parted(first)) not in (None, 0, 1):
        return _of_batches(data, None)
    size = sum(each.numel() * each.element_size() for each in tensors_of(default_collate([first])))
    most = int(min(MOST_ROWS, total, max(2, MOST_BYTES // max(1, size))))
    items = (data[int(index)] for index in np.linspace(0, total - 1, most))
    return _checked(_of_items(items, total=total, item=data.__getitem__), what)


def _of_items(items: Iterable[Any], **more: Any) -> Sample:
    rows = list(items)
    try:
        inputs, targets = _parted(default_collate(rows))
    except (TypeError, RuntimeError):
        inputs, targets = _parted(default_collate(rows[:1]))
        more["note"] = "more than one row: rows differ in shape and the data has no loader that joins them"
    return _few(_single(inputs), _single(targets), **{"total": None, **more})


def _of_loader(loader: Any) -> Sample:
    total = None
    with contextlib.suppress(TypeError, AttributeError, NotImplementedError):
        total = len(loader.dataset)
    if total == 0:
        return Sample(inputs=None, targets=None, total=0)
    item = getattr(loader.dataset, "__getitem__", None)
    item = None if isinstance(loader.dataset, IterableDataset) else item
    return _of_batches(loader, total, batch_size=loader.batch_size, item=item)


def _of_batches(batches: Iterable[Any], total: int | None, **more: Any) -> Sample:
    taken: list[Any] = []
    rows, size = 0, 0
    for batch in batches:
        row = _parted(map_tensors(_arrays(batch), lambda each: each))
        taken.append(row)
        rows += count_rows(row) or 0
        size += sum(each.numel() * each.element_size() for each in tensors_of(row))
        if rows >= MOST_ROWS or size >= MOST_BYTES or len(taken) >= MOST_ROWS:
            break
    if not taken:
        return Sample(inputs=None, targets=None, total=0)
    note = ""
    try:
        inputs, targets = join_rows(taken) if len(taken) > 1 else taken[0]
    except (RuntimeError, TypeError, KeyError, IndexError):
        inputs, targets = taken[0]
        note = "more than one batch: batches differ in shape"
    count = count_rows(taken[0])
    more["batch_size"] = more.get("batch_size") or count or 1
    return _few(_single(inputs), _single(targets), total=total, **{"note": note, **more})


def _arrays(batch: Any) -> Any:
    if isinstance(batch, np.ndarray):
        return read_array(batch)
    if isinstance(batch, tuple | list):
        return [_arrays(each) for each in cast("Sequence[Any]", batch)]
    if isinstance(batch, Mapping):
        return {key: _arrays(each) for key, each in cast("Mapping[Any, Any]", batch).items()}
    return batch


def _single(nested: Any) -> Any:
    """Return real numbers in single precision, as models have them; loaders make double out of NumPy."""
    return map_tensors(nested, lambda each: each.float() if each.dtype == torch.float64 else each)
