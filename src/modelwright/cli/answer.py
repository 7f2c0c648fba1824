"""What a question in SQL is answered with, as text and as JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast

import numpy as np

__all__ = ["Answer"]


class Answer:
    """The rows of a query.

    Args:
        frame: A pandas frame, as `Journal.query` returns it.
        notes: What the rows lack.
    """

    def __init__(self, frame: Any, notes: Sequence[str] = ()) -> None:
        self._frame = frame
        self.notes = tuple(notes)

    def record(self) -> dict[str, Any]:
        """Return columns in order and rows by column, as JSON types.

        Missing values, NaN and infinities are null; instants and dates are ISO 8601; durations are text;
        bytes are hexadecimal.
        """
        columns = [str(name) for name in self._frame.columns]
        held = [self._frame.iloc[:, at].tolist() for at in range(len(columns))]
        rows = [dict(zip(columns, map(_plain, row), strict=True)) for row in zip(*held, strict=True)]
        return {"columns": columns, "rows": rows, "notes": list(self.notes)}

    def __str__(self) -> str:
        columns = ", ".join(str(name) for name in self._frame.columns)
        return self._frame.to_string(index=False) if len(self._frame) else f"No rows ({columns})."


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(item) for item in cast("Iterable[object]", value)]
    return str(value)
