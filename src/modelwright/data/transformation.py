"""What was done to a table on its way to a dataset, and the steps that leave rows out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelwright.base.errors import BadValue
from modelwright.data.column import Column

__all__ = ["drop_duplicates", "drop_incomplete", "transformation"]


def transformation(
    name: str, arguments: Mapping[str, Any], *, rows: tuple[int, int], columns: tuple[int, int]
) -> dict[str, Any]:
    """Return the record of one step: its name and arguments, and rows and columns as (before, after)."""
    return {"name": name, "arguments": dict(arguments), "rows": list(rows), "columns": list(columns)}


def drop_incomplete(
    columns: Mapping[str, Column], features: int, steps: list[dict[str, Any]]
) -> dict[str, Column]:
    """Leave out rows that lack any value; appends the step.

    Raises:
        BadValue: where no row would be left.
    """
    gone = np.any([column.missing for column in columns.values()], axis=0)
    if not gone.any():
        return dict(columns)
    if gone.all():
        worst = max(columns.values(), key=lambda column: int(column.missing.sum()))
        raise BadValue(
            "Dropping rows with missing values leaves rows",
            got=f"a gap in every row; {worst.name} alone lacks {int(worst.missing.sum())} of {len(gone)}",
            next_step="drop that column with data.drop",
        )
    counts = {name: int(column.missing.sum()) for name, column in columns.items() if column.missing.any()}
    rows = (len(gone), int((~gone).sum()))
    steps.append(transformation("drop_rows", {"missing": counts}, rows=rows, columns=(features, features)))
    return {name: column.take(~gone) for name, column in columns.items()}


def drop_duplicates(
    columns: Mapping[str, Column], compared: Sequence[str], features: int, steps: list[dict[str, Any]]
) -> dict[str, Column]:
    """Leave out rows that repeat an earlier row in all compared columns; appends the step."""
    codes = [
        np.where(column.missing, -1, np.unique(column.values, return_inverse=True)[1])
        for column in (columns[name] for name in compared)
    ]
    _, first = np.unique(np.column_stack(codes), axis=0, return_index=True)
    kept = np.zeros(len(codes[0]), dtype=bool)
    kept[first] = True
    if kept.all():
        return dict(columns)
    rows = (len(kept), int(kept.sum()))
    steps.append(
        transformation(
            "drop_duplicates", {"compared": list(compared)}, rows=rows, columns=(features, features)
        )
    )
    return {name: column.take(kept) for name, column in columns.items()}
