"""Two recordings of one trial's metrics, compared number by number."""

import enum
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.step import THROUGHPUT

__all__ = ["MetricComparison", "MetricPoint", "Sameness", "compare_metrics"]

Values = NDArray[np.float64]
Updates = NDArray[np.int64]


class Sameness(enum.StrEnum):
    """How much alike a run and its repetition are, the strictest first."""

    BITWISE_EQUAL = "bitwise_equal"
    """Every number is the same to the last bit; every NaN counts as one value."""
    NUMERICALLY_EQUAL = "numerically_equal"
    """Every number is the same within the tolerance."""
    STATISTICALLY_EQUAL = "statistically_equal"
    """The numbers differ, and the score is one that another seed could have had."""
    DIFFERENT = "different"
    """None of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """A place at which two recordings differ.

    Attributes:
        metric: Name.
        update: Update, or place in the series where no updates were given, from 1.
        recorded: The number then; None where there is none.
        now: The number now; None where there is none.
        relative: |recorded - now| / max(|recorded|, |now|); infinite where one is missing or not finite.
    """

    metric: str
    update: int
    recorded: float | None
    now: float | None
    relative: float

    def record(self) -> dict[str, Any]:
        """Return the point as JSON types; numbers that are not finite become text."""
        return {
            "metric": self.metric,
            "update": self.update,
            "recorded": _plain(self.recorded),
            "now": _plain(self.now),
            "relative": _plain(self.relative),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """How two recordings compare.

    Attributes:
        sameness: `BITWISE_EQUAL`, `NUMERICALLY_EQUAL` or `DIFFERENT`.
        numbers: How many places were compared, missing ones included.
        metrics: How many metrics.
        unequal: At how many places the two are not bit for bit the same.
        tolerance: The relative tolerance.
        first: The earliest place at which they differ, None where there is none.
        largest: The place at which they differ most, None where there is none.
        ignored: Metrics that were not compared.
    """

    sameness: Sameness
    numbers: int
    metrics: int
    unequal: int
    tolerance: float
    first: MetricPoint | None
    largest: MetricPoint | None
    ignored: tuple[str, ...] = ()

    @property
    def largest_relative(self) -> float:
        """The largest relative difference; 0 where there is none, infinite where a number is missing."""
        return 0.0 if self.largest is None else self.largest.relative

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return {
            "sameness": self.sameness.value,
            "numbers": self.numbers,
            "metrics": self.metrics,
            "unequal": self.unequal,
            "tolerance": self.tolerance,
            "first": None if self.first is None else self.first.record(),
            "largest": None if self.largest is None else self.largest.record(),
            "ignored": list(self.ignored),
        }


def _plain(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def compare_metrics(
    recorded: Any, now: Any, *, tolerance: float, ignore: Collection[str] = (THROUGHPUT,)
) -> MetricComparison:
    """Compare all metrics of a run with those of its repetition.

    Each side is a PyArrow table or a mapping of columns, in one of two forms: long, with the columns
    `update`, `metric` and `value`; or wide, with one column per metric and, if wanted, `update`.

    Args:
        recorded: The run.
        now: The repetition.
        tolerance: Relative tolerance of numerical equality, at least 0.
        ignore: Metrics that cannot repeat, such as seconds.

    Raises:
        BadValue: where the tolerance is not such a number, columns have different lengths, or neither
            side has a number to compare.
    """
    if not math.isfinite(tolerance) or tolerance < 0:
        raise BadValue(
            "The tolerance is a finite relative difference, at least 0", got=tolerance, nearest="0"
        )
    was, is_now = _series(recorded, "recorded"), _series(now, "now")
    ignored = tuple(sorted((was.keys() | is_now.keys()) & set(ignore)))
    names = sorted((was.keys() | is_now.keys()) - set(ignore))
    compared = [_compare(name, was.get(name, _NOTHING), is_now.get(name, _NOTHING)) for name in names]
    numbers = sum(part.numbers for part in compared)
    if numbers == 0:
        raise BadValue("There must be a number to compare", got="no metrics on either side")
    firsts = [part.first for part in compared if part.first is not None]
    largest = [part.largest for part in compared if part.largest is not None]
    worst = max(largest, key=lambda point: point.relative, default=None)
    return MetricComparison(
        sameness=_sameness(worst, tolerance),
        numbers=numbers,
        metrics=len(names),
        unequal=sum(part.unequal for part in compared),
        tolerance=tolerance,
        first=min(firsts, key=lambda point: (point.update, point.metric), default=None),
        largest=worst,
        ignored=ignored,
    )


def _sameness(worst: MetricPoint | None, tolerance: float) -> Sameness:
    if worst is None:
        return Sameness.BITWISE_EQUAL
    return Sameness.NUMERICALLY_EQUAL if worst.relative <= tolerance else Sameness.DIFFERENT


@dataclass(frozen=True, slots=True)
class _Part:
    numbers: int
    unequal: int
    first: MetricPoint | None
    largest: MetricPoint | None


_NOTHING: tuple[Updates, Values] = (np.empty(0, np.int64), np.empty(0, np.float64))


def _compare(name: str, recorded: tuple[Updates, Values], now: tuple[Updates, Values]) -> _Part:
    updates, was, was_there, is_now, now_there = _align(recorded, now)
    same = (
        was_there
        & now_there
        & ((was.view(np.int64) == is_now.view(np.int64)) | (np.isnan(was) & np.isnan(is_now)))
    )
    places = np.flatnonzero(~same)
    if len(places) == 0:
        return _Part(len(updates), 0, None, None)
    relative = _relative(was[places], is_now[places])
    relative[~(was_there & now_there)[places]] = np.inf

    def point(which: int) -> MetricPoint:
        place = places[which]
        return MetricPoint(
            metric=name,
            update=int(updates[place]),
            recorded=float(was[place]) if was_there[place] else None,
            now=float(is_now[place]) if now_there[place] else None,
            relative=float(relative[which]),
        )

    return _Part(len(updates), len(places), point(0), point(int(relative.argmax())))


def _align(
    recorded: tuple[Updates, Values], now: tuple[Updates, Values]
) -> tuple[Updates, Values, NDArray[np.bool_], Values, NDArray[np.bool_]]:
    """Return the updates of both sides, and for each side the values there and whether it has one."""
    if np.array_equal(recorded[0], now[0]):
        there = np.ones(len(recorded[0]), np.bool_)
        return recorded[0], recorded[1], there, now[1], there
    # An update may hold several numbers of one metric; the n-th of one side belongs to the n-th of the other.
    keys = [np.stack([updates, _turn(updates)], axis=1) for updates, _ in (recorded, now)]
    union, inverse = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    sides: list[tuple[Values, NDArray[np.bool_]]] = []
    for places, (_, values) in zip(np.split(inverse, [len(keys[0])]), (recorded, now), strict=True):
        filled, there = np.zeros(len(union)), np.zeros(len(union), np.bool_)
        filled[places], there[places] = values, True
        sides.append((filled, there))
    return union[:, 0], *sides[0], *sides[1]


def _turn(updates: Updates) -> Updates:
    """Return how many equal updates come before each one of sorted `updates`."""
    return np.arange(len(updates)) - np.searchsorted(updates, updates, side="left")


def _relative(was: Values, is_now: Values) -> Values:
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(was), np.abs(is_now))
        # Divided before subtracting, so that numbers near the largest do not overflow.
        relative = np.abs(was / scale - is_now / scale)
    relative[scale == 0] = 0.0  # 0.0 and -0.0
    relative[~np.isfinite(was) | ~np.isfinite(is_now)] = np.inf
    return relative


def _series(columns: Any, side: str) -> dict[str, tuple[Updates, Values]]:
    names = (
        list(columns.column_names)
        if hasattr(columns, "column_names")
        else list(cast("Mapping[str, Any]", columns))
    )
    lengths = {name: len(columns[name]) for name in names}
    if len(set(lengths.values())) > 1:
        raise BadValue(f"The columns of the {side} metrics have one length", got=lengths)
    if {"update", "metric", "value"} <= set(names):
        return _long(columns)
    length = next(iter(lengths.values()), 0)
    updates = _numbers(columns["update"]).astype(np.int64) if "update" in names else np.arange(1, length + 1)
    order = np.argsort(updates, kind="stable")
    return {name: (updates[order], _numbers(columns[name])[order]) for name in names if name != "update"}


def _long(columns: Any) -> dict[str, tuple[Updates, Values]]:
    updates, values = _numbers(columns["update"]).astype(np.int64), _numbers(columns["value"])
    names, codes = _encoded(columns["metric"])
    order = np.lexsort((updates, codes))
    updates, values, codes = updates[order], values[order], codes[order]
    ends = np.searchsorted(codes, np.arange(len(names) + 1))
    return {
        name: (updates[start:end], values[start:end])
        for name, start, end in zip(names, ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        if end > start
    }


def _encoded(column: Any) -> tuple[list[str], NDArray[np.int64]]:
    if hasattr(column, "dictionary_encode"):  # PyArrow: do not build a million strings
        encoded = column.dictionary_encode()
        if hasattr(encoded, "unify_dictionaries"):
            encoded = encoded.unify_dictionaries().combine_chunks()
        return list(encoded.dictionary.to_pylist()), np.asarray(encoded.indices).astype(np.int64)
    names, codes = np.unique(np.asarray(column, dtype=np.str_), return_inverse=True)
    return [str(name) for name in names], codes.reshape(-1)


def _numbers(column: Any) -> Values:
    return np.ascontiguousarray(np.asarray(column), dtype=np.float64)
