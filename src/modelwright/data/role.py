"""Columns that are no features: target, group, time, part."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.metric import Task
from modelwright.data.column import Column

__all__ = ["read_labels", "read_target", "read_times"]

_MANY_VALUES = 20
_MOST_CLASSES = 1000


def read_target(column: Column, task: str) -> tuple[Task, NDArray[Any], tuple[str, ...]]:
    """Return task, target (row,) and class names.

    Args:
        column: The target column.
        task: The task asked for. Where empty, text and true/false are classes; so are whole numbers with at
            most 20 different values that come up twice or more on average; all else is regression.

    Raises:
        BadValue: where a target is missing, infinite or a time, or does not suit the task.
    """
    rows = len(column.missing)
    if column.missing.any():
        raise BadValue(
            "Every row has a target",
            got=f"{column.name} is missing in {int(column.missing.sum())} of {rows} rows",
            next_step="data.when_missing=drop_rows leaves those rows out",
        )
    if column.kind == "time":
        raise BadValue("A target is a number, text, or true or false", got=f"{column.name} holds times")
    if column.kind == "number" and not np.isfinite(column.values).all():
        raise BadValue(
            "Every target is a finite number",
            got=f"{column.name} is infinite in {int((~np.isfinite(column.values)).sum())} rows",
        )
    found, codes = np.unique(column.values, return_inverse=True)
    if not task:
        whole = column.values.dtype == np.int64 and len(found) <= _MANY_VALUES and 2 * len(found) <= rows
        task = "classification" if column.kind != "number" or whole else "regression"
    if task == "regression":
        if column.kind == "text":
            raise BadValue(
                "A regression target is numbers",
                got=f"{column.name} holds text, e.g. {column.levels[0]}",
                nearest="data.task=classification",
            )
        return "regression", column.values.astype(np.float64), ()
    if len(found) > _MANY_VALUES and (2 * len(found) > rows or len(found) > _MOST_CLASSES):
        raise BadValue(
            f"Classes come up again, and are at most {_MOST_CLASSES}",
            got=f"{column.name} has {len(found)} different values in {rows} rows",
            nearest="data.task=regression" if column.kind == "number" else None,
        )
    if column.kind == "text":
        classes = tuple(column.levels[code] for code in found)
    else:
        classes = tuple(str(value) for value in found.tolist())
    return "classification", codes.astype(np.int64), classes


def read_labels(column: Column, role: str) -> NDArray[np.str_]:
    """Return the group or part of each row as text.

    Raises:
        BadValue: where one is missing.
    """
    if column.missing.any():
        raise BadValue(
            f"Every row has a {role}",
            got=f"{column.name} is missing in {int(column.missing.sum())} rows",
            next_step="data.when_missing=drop_rows leaves those rows out",
        )
    return column.texts()


def read_times(column: Column, time_format: str) -> NDArray[Any]:
    """Return when each row happened: int64 or float64 as they stand, dates as datetime64[us] in UTC.

    Args:
        column: The time column.
        time_format: How texts or numbers spell dates; empty for ISO 8601 texts and for plain numbers.

    Raises:
        BadValue: where a time is missing, infinite, or does not parse.
    """
    if column.missing.any():
        raise BadValue(
            "Every row has a time",
            got=f"{column.name} is missing in {int(column.missing.sum())} rows",
            next_step="data.when_missing=drop_rows leaves those rows out",
        )
    if column.kind == "flag":
        raise BadValue("A time is a number or a date", got=f"{column.name} holds true and false")
    if column.kind == "number" and not np.isfinite(column.values).all():
        raise BadValue("Every time is finite", got=f"{column.name} holds an infinity")
    if column.kind != "text" and not time_format:
        return column.values
    import pandas as pd

    texts = column.texts()
    try:
        parsed = pd.to_datetime(pd.Series(texts), format=time_format or "ISO8601", utc=True)
    except (ValueError, OverflowError) as error:
        raise BadValue(
            "Every time is a number or a date "
            + (f"written as {time_format}" if time_format else "in ISO 8601"),
            got=f"{column.name}: {str(error).splitlines()[0][:200]}",
            next_step="set data.time_format, e.g. %d/%m/%Y %H:%M",
        ) from error
    return parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
