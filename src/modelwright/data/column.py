"""One column of a table, read the same way whatever file, frame or query it came from."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["ArrowColumn", "Column", "read_column"]

ArrowColumn = Any
"""A `pyarrow.ChunkedArray`; pyarrow ships no types."""

_EXACT_INTEGERS = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column with one kind of value.

    Attributes:
        name: Its name.
        kind: `number`, `flag` (true or false), `text`, or `time`.
        values: (row,) int64 where all are whole, else float64; bool; int64 codes into `levels`;
            datetime64[us] in UTC. Where a value is missing the entry means nothing.
        missing: (row,) bool.
        levels: The different texts in order of code points; empty for other kinds.
    """

    name: str
    kind: Literal["number", "flag", "text", "time"]
    values: NDArray[Any]
    missing: NDArray[np.bool_]
    levels: tuple[str, ...] = ()

    def take(self, rows: NDArray[np.bool_]) -> "Column":
        """Return the column at the marked rows; levels that no row has any more are gone."""
        values, levels = self.values[rows], self.levels
        missing = self.missing[rows]
        if self.kind == "text":
            used = np.unique(values[~missing])
            levels = tuple(levels[code] for code in used)
            values = np.searchsorted(used, values).astype(np.int64)
        return Column(name=self.name, kind=self.kind, values=values, missing=missing, levels=levels)

    def numbers(self) -> NDArray[np.float64]:
        """Return numbers and flags as float64 with NaN where missing."""
        numbers = self.values.astype(np.float64)
        numbers[self.missing] = np.nan
        return numbers

    def texts(self) -> NDArray[np.str_]:
        """Return every value as its one text: `5` for 5 and 5.0, `True` for a flag, ISO 8601 for a time."""
        if self.kind == "text":
            return np.array(self.levels or ("",))[np.where(self.missing, 0, self.values)]
        found, place = np.unique(self.values, return_inverse=True)
        return np.array([str(value) for value in (found if self.kind == "time" else found.tolist())])[place]


def read_column(name: str, array: ArrowColumn, missing: Collection[str] = ()) -> Column:
    """Return the column that an Arrow array holds.

    Text is stripped of surrounding spaces; texts in `missing` are missing values, and so is a number that
    one of them spells. A text column whose values all read as numbers is a column of numbers, and one of
    `true` and `false` (in any case) is a column of flags, so that a CSV file and a typed file with the same
    values give the same column.

    Raises:
        BadValue: for a type that has no place in a table of numbers: lists, structs, bytes, durations.
    """
    column = _read(name, array, missing)
    codes = [number for number in map(_spelled, missing) if number is not None]
    if column.kind != "number" or not codes:
        return column
    absent = column.missing | np.isin(column.values, codes)
    return _whole(name, np.where(absent, 0, column.values), absent)


def _spelled(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if np.isnan(number) else number


def _read(name: str, array: ArrowColumn, missing: Collection[str]) -> Column:
    import pyarrow as pa

    kind: Any = array.type
    if pa.types.is_dictionary(kind):
        array = pa.chunked_array([chunk.dictionary_decode() for chunk in array.chunks], type=kind.value_type)
        kind = array.type
    if pa.types.is_null(kind):
        return Column(
            name=name,
            kind="number",
            values=np.zeros(len(array), dtype=np.int64),
            missing=np.ones(len(array), dtype=bool),
        )
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _read_text(name, array.cast(pa.string()), missing)
    if pa.types.is_boolean(kind):
        return Column(name=name, kind="flag", values=_filled(array, False), missing=_nulls(array))
    if pa.types.is_integer(kind):
        if kind == pa.uint64():
            return _number(name, array.cast(pa.float64(), safe=False))
        return Column(
            name=name, kind="number", values=_filled(array.cast(pa.int64()), 0), missing=_nulls(array)
        )
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _number(name, array.cast(pa.float64(), safe=False))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        moments = array.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        values = _filled(moments.cast(pa.int64()), 0).astype("datetime64[us]")
        return Column(name=name, kind="time", values=values, missing=_nulls(array))
    raise BadValue(
        "A column holds numbers, true or false, text, or times",
        got=f"{name}: {kind}",
        next_step=f"drop it with data.drop=[{name}], or turn it into columns of numbers first",
    )


def _read_text(name: str, array: ArrowColumn, missing: Collection[str]) -> Column:
    import pyarrow as pa
    from pyarrow import compute

    coded = compute.call_function("utf8_trim_whitespace", [array]).combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    found: list[str] = coded.dictionary.to_pylist()
    codes = _filled(pa.chunked_array([coded.indices.cast(pa.int64())]), -1)
    gone = np.array([text in missing for text in found] + [True])
    absent = gone[codes]
    kept = [text for text in found if text not in missing]
    if not kept:
        return Column(name=name, kind="number", values=np.zeros(len(codes), dtype=np.int64), missing=absent)
    if {text.lower() for text in kept} <= {"true", "false"}:
        flags = np.array([text.lower() == "true" for text in found] + [False])
        return Column(name=name, kind="flag", values=flags[codes], missing=absent)
    numbers = _parsed(kept)
    if numbers is not None:
        place = np.full(len(found) + 1, len(kept))
        place[[i for i, text in enumerate(found) if text not in missing]] = np.arange(len(kept))
        padded = np.append(numbers, numbers.dtype.type(0))
        values = padded[place[codes]]
        return _whole(name, values, absent)
    levels = sorted(kept)
    rank = {text: code for code, text in enumerate(levels)}
    table = np.array([rank.get(text, 0) for text in found] + [0], dtype=np.int64)
    return Column(name=name, kind="text", values=table[codes], missing=absent, levels=tuple(levels))


def _parsed(texts: list[str]) -> NDArray[Any] | None:
    """Return the numbers that the texts spell, exact where all are whole, or None where one is no number."""
    import pyarrow as pa

    array = pa.array(texts, type=pa.string())
    for kind in (pa.int64(), pa.float64()):
        try:
            return array.cast(kind).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            continue
    return None


def _number(name: str, array: ArrowColumn) -> Column:
    values = _filled(array, np.nan)
    absent = np.isnan(values)
    return _whole(name, np.where(absent, 0.0, values), absent)


def _whole(name: str, values: NDArray[Any], missing: NDArray[np.bool_]) -> Column:
    """Keep whole numbers as int64, so that 5 and 5.0 are one value on every route."""
    if values.dtype != np.int64:
        missing = missing | np.isnan(values)
        values = np.where(missing, 0.0, values)
        if (np.abs(values) < _EXACT_INTEGERS).all() and (values == np.trunc(values)).all():
            values = values.astype(np.int64)
    return Column(name=name, kind="number", values=values, missing=missing)


def _filled(array: ArrowColumn, value: Any) -> NDArray[Any]:
    return np.array(array.fill_null(value).to_numpy())


def _nulls(array: ArrowColumn) -> NDArray[np.bool_]:
    return np.array(array.is_null().to_numpy(), dtype=bool)
