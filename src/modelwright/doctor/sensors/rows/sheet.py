"""A table as a program gave it to an estimator or a model, read as numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sheet", "labels_of", "sheet_of", "values_of"]

_MOST_COLUMNS = 400
_MOST_CELLS = 8_000_000


@dataclass(slots=True)
class Sheet:
    """Rows as numbers.

    Attributes:
        values: (row, column) float32; text as a hash, times as seconds, what is missing as NaN.
        names: Of the columns, where they have any.
        index: Labels of the rows, where a frame has them.
        numeric: (column,) whether a column holds numbers rather than hashes of texts.
        times: Names of the columns that hold times, and their values (row,).
    """

    values: NDArray[np.float32]
    names: tuple[str, ...] | None
    index: Any
    numeric: NDArray[np.bool_]
    times: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def keys(self) -> NDArray[np.uint64]:
        """A hash of each row (row,)."""
        return mixed(self.values)


def sheet_of(given: Any) -> Sheet | None:
    """Return a table as numbers; None for what is no table, or is too large to be read."""
    shape = getattr(given, "shape", None)
    if shape is None or not len(shape) or shape[0] < 2:
        return None
    if hasattr(given, "iloc"):
        return _of_frame(given)
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    if hasattr(given, "toarray"):
        if shape[0] * shape[1] > _MOST_CELLS:
            return None
        given = given.toarray()
    if not isinstance(given, np.ndarray) or given.size == 0:
        return None
    table = given.reshape(len(given), -1)
    if table.shape[1] > _MOST_COLUMNS:
        table = table[:, :: -(-table.shape[1] // _MOST_COLUMNS)]
    if table.size > _MOST_CELLS:
        return None
    if table.dtype.kind in "OUS":
        return _of_objects(table)
    if table.dtype.kind not in "biuf":
        return None
    return Sheet(_plain(table), None, None, np.ones(table.shape[1], bool), {})


def _of_frame(frame: Any) -> Sheet | None:
    index = frame.index
    if frame.ndim == 1:
        frame = frame.to_frame()
    if frame.shape[1] == 0 or frame.shape[1] > _MOST_COLUMNS or frame.size > _MOST_CELLS:
        return None
    kinds = np.array([getattr(each, "kind", "O") for each in frame.dtypes])
    values = np.empty(frame.shape, np.float32)
    plain = np.flatnonzero(np.isin(kinds, list("biuf")))
    with np.errstate(over="ignore"):
        values[:, plain] = frame.iloc[:, plain].to_numpy(dtype=np.float64, na_value=np.nan)
    times: dict[str, NDArray[np.int64]] = {}
    for place in np.flatnonzero(~np.isin(kinds, list("biuf"))).tolist():
        column = frame.iloc[:, place]
        if kinds[place] == "M":
            moments = column.to_numpy().astype("datetime64[s]").astype(np.int64)
            times[str(frame.columns[place])] = moments
            values[:, place] = moments
        else:
            values[:, place] = _hashed(column.astype(object))
    names = tuple(str(name) for name in frame.columns)
    return Sheet(_plain(values), names, index, np.isin(kinds, list("biufM")), times)


def _of_objects(table: NDArray[Any]) -> Sheet:
    columns: list[NDArray[np.float32]] = []
    numeric: list[bool] = []
    for place in range(table.shape[1]):
        try:
            columns.append(table[:, place].astype(np.float64).astype(np.float32))
            numeric.append(True)
        except (TypeError, ValueError):
            columns.append(_hashed(table[:, place]))
            numeric.append(False)
    return Sheet(_plain(np.column_stack(columns)), None, None, np.array(numeric), {})


def _hashed(column: Any) -> NDArray[np.float32]:
    import pandas.util

    hash_array: Any = pandas.util.hash_array
    texts: Any
    texts, codes = np.unique(np.array([str(each) for each in column], dtype=object), return_inverse=True)
    return (hash_array(texts) >> np.uint64(40)).astype(np.float32)[codes]


def labels_of(given: Any) -> Any:
    """Return the labels of the rows of a frame or a series; None of anything else, a list for example."""
    return given.index if hasattr(given, "iloc") else None


def values_of(given: Any) -> NDArray[Any] | None:
    """Return targets or predictions as an array (row,); None where there is not one for each row."""
    if given is None:
        return None
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    try:
        found = np.asarray(given)
    except Exception:
        return None
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    return found if found.ndim == 1 and found.dtype.kind in "biufOUS" and len(found) >= 2 else None


def _plain(table: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        plain = np.array(table, dtype=np.float32, order="C")
    plain += np.float32(0)
    plain[np.isnan(plain)] = np.nan
    return plain


def mixed(values: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a hash of each row of (row, column), which depends on the columns' order."""
    bits = values.view(np.uint32).astype(np.uint64)
    salt = np.arange(1, bits.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits += salt
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits.sum(axis=1, dtype=np.uint64) + np.uint64(bits.shape[1])
