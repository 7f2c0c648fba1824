"""From columns of several kinds to one float32 table, without looking at any statistic of the rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.data.column import Column
from modelwright.data.spelling import spelling_of
from modelwright.data.transformation import transformation

__all__ = ["MISSING_LEVEL", "encode_features"]

MISSING_LEVEL = "(missing)"
"""The category of a missing text."""
_MOST_LEVELS = 1000
_NOTABLE = 0.01


def encode_features(
    columns: Sequence[Column], *, when_missing: str, categorical: str, steps: list[dict[str, Any]]
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return features (row, feature) float32 and their names; what was done is appended to `steps`.

    One-hot columns are named `column=level`, indicators `column is missing`. Ordinal codes follow the order
    of code points. The levels are those of the whole table: they fix names and width, and say nothing of any
    target.

    Raises:
        BadValue: where a column holds times, an infinity, text although `categorical` is `refuse`, gaps
            although `when_missing` is `refuse`, or more than a thousand different texts.
    """
    rows = len(columns[0].missing)
    parts: list[NDArray[np.floating[Any]]] = []
    names: list[str] = []
    encoded: list[dict[str, Any]] = []
    filled: dict[str, int] = {}
    for column in columns:
        _check(column, when_missing, categorical)
        start = len(names)
        if column.kind == "text":
            levels, codes = _levels(column)
            if categorical == "one_hot":
                parts.append((codes[:, None] == np.arange(len(levels))).astype(np.float64))
                names.extend(f"{column.name}={level}" for level in levels)
            else:
                parts.append(codes.astype(np.float64)[:, None])
                names.append(column.name)
            encoded.append(
                {"column": column.name, "levels": list(levels), "first": start, "width": len(names) - start}
            )
            continue
        numbers = column.numbers()
        if when_missing == "indicator" and column.missing.any():
            filled[column.name] = int(column.missing.sum())
            parts.append(np.column_stack([np.where(column.missing, 0.0, numbers), column.missing * 1.0]))
            names.extend([column.name, f"{column.name} is missing"])
        else:
            parts.append(numbers[:, None])
            names.append(column.name)
    same, width = (rows, rows), (len(columns), len(names))
    if encoded:
        steps.append(transformation(categorical, {"columns": encoded}, rows=same, columns=width))
    if filled:
        steps.append(transformation("zero_and_indicator", {"missing": filled}, rows=same, columns=width))
    return _rounded(parts, names, rows, steps), tuple(names)


def _check(column: Column, when_missing: str, categorical: str) -> None:
    if column.kind == "time":
        raise BadValue(
            "A feature is numbers, text, or true or false",
            got=f"{column.name} holds times",
            next_step="name it in data.time or data.drop, or turn it into numbers with a query",
        )
    if column.kind == "number" and not np.isfinite(column.values).all():
        raise BadValue(
            "Every feature is a finite number or missing",
            got=f"{column.name} is infinite in {int((~np.isfinite(column.values)).sum())} rows",
            next_step="mend the rows, or name inf in data.missing if it stands for a missing value",
        )
    if column.kind == "text" and categorical == "refuse":
        raise BadValue(
            "Features are numbers where data.categorical=refuse",
            got=f"{column.name} holds text, e.g. {', '.join(column.levels[:3])}",
            next_step="drop it, name the text that means missing in data.missing, or encode it: one_hot",
        )
    if column.missing.any() and when_missing == "refuse":
        raise BadValue(
            "No feature is missing where data.when_missing=refuse",
            got=f"{column.name} is missing in {int(column.missing.sum())} of {len(column.missing)} rows",
            next_step="use keep, drop_rows or indicator",
        )
    if len(column.levels) > _MOST_LEVELS:
        counts = np.bincount(column.values[~column.missing], minlength=len(column.levels))
        spelling = spelling_of(column.levels, counts)
        odd = (spelling.odd or spelling.usual) if spelling else column.levels
        raise BadValue(
            f"A text feature has at most {_MOST_LEVELS} different values",
            got=f"{column.name} has {len(column.levels)}, e.g. {', '.join(odd[:3])}",
            next_step=f"drop it with data.drop=[{column.name}]"
            + {
                "number": "; most others are numbers: correct these cells, or name them in data.missing",
                "date": "; it holds dates: name it in data.time, or turn it into numbers with a query",
                "text": "",
            }[spelling.kind if spelling else "text"],
        )


def _levels(column: Column) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if not column.missing.any():
        return column.levels, column.values
    return (*column.levels, MISSING_LEVEL), np.where(column.missing, len(column.levels), column.values)


def _rounded(
    parts: Sequence[NDArray[np.floating[Any]]], names: Sequence[str], rows: int, steps: list[dict[str, Any]]
) -> NDArray[np.float32]:
    """Round to float32, and note the columns in which a notable share of different values became one.

    Two of many measurements in floating point come as near by chance, and nothing is lost.
    """
    features = np.empty((rows, len(names)), dtype=np.float32)
    merged: dict[str, int] = {}
    place = 0
    for part in parts:
        for values in part.T:
            with np.errstate(over="ignore"):
                features[:, place] = values
            if not np.array_equal(features[:, place], values, equal_nan=True):
                column = features[:, place]
                if np.isinf(column).any():
                    raise BadValue(
                        "A feature fits float32, up to 3.4e38",
                        got=f"{names[place]}: {np.nanmax(np.abs(values))}",
                    )
                known = ~np.isnan(values)
                distinct = len(np.unique(values[known]))
                lost = distinct - len(np.unique(column[known]))
                if lost >= _NOTABLE * distinct:
                    merged[names[place]] = lost
            place += 1
    if merged:
        width = (len(names), len(names))
        steps.append(transformation("to_float32", {"merged": merged}, rows=(rows, rows), columns=width))
    return features
