"""Targets that were brought over from another table by position, where a key says which row is which."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, at_labels, floats_of

__all__ = ["check_brought_over"]

_ENOUGH = 60
_MOST_COLUMNS, _MOST_TABLES = 40, 24
_ELSEWHERE = 0.5
_OWN = 0.5
"""Share of a column's numbers that differ, from which on all of them are found in another by no chance."""


def check_brought_over(studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding where targets are those of another table, and beside other keys than there.

    Both tables have one key, and all numbers of one are among those of the other; only which key has which
    number differs.

    Args:
        studies: What was learnt and measured.
        ledger: What pandas was asked.
    """
    last = next((each for each in reversed(studies) if each.held_out()), None)
    if last is None or last.classes or last.labels is None or len(last.target) < _ENOUGH:
        return
    tables = [each for made in ledger.of("table", "join") for each in (made.given, made.target, made.output)]
    tables = [each for each in tables if getattr(each, "ndim", 0) == 2 and each.columns.is_unique]
    tables = tables[-_MOST_TABLES:]
    for mine in reversed(tables):
        column = _target_in(mine, last)
        if column is None:
            continue
        for other in tables:
            told = _elsewhere(mine, column, other)
            if told is not None:
                yield _finding(last, column, *told)
                return
        return


def _target_in(table: Any, study: Study) -> str | None:
    """Return the column of a table that was learnt, as it is or in another unit; None where none was."""
    places = at_labels(table.index, study.labels)
    if places is None:
        return None
    units = [each.unit for each in study.measured if each.unit is not None]
    target = study.target.astype(np.float64)
    for name in table.columns[:_MOST_COLUMNS]:
        values = floats_of(table[name])
        if values is None or len(np.unique(values)) < _ENOUGH:
            continue
        for unit in (None, *units):
            if np.allclose(values[places], target if unit is None else unit(target), rtol=1e-6):
                return name
    return None


def _elsewhere(mine: Any, column: str, other: Any) -> tuple[str, float, int] | None:
    """Return (key, share of rows beside another row's number, rows); None where all may be right."""
    if len(mine) > len(other) or mine is other:
        return None
    values = floats_of(mine[column])
    assert values is not None
    keys = [name for name in mine.columns if name in other.columns and name != column]
    for key in keys[:_MOST_COLUMNS]:
        if not (mine[key].is_unique and other[key].is_unique):
            continue
        places = at_labels(other.set_index(key).index, mine[key])
        if places is None:
            continue
        for name in other.columns[:_MOST_COLUMNS]:
            theirs = floats_of(other[name]) if name != key else None
            if theirs is None or len(np.unique(theirs)) < _OWN * len(theirs):
                continue
            if not np.isin(values, theirs).all() or _moved_in_time(values, theirs, places):
                continue
            apart = float((values != theirs[places]).mean())
            return (str(key), apart, len(values)) if apart > _ELSEWHERE else None
    return None


def _moved_in_time(
    values: NDArray[np.float64], theirs: NDArray[np.float64], places: NDArray[np.int64]
) -> bool:
    """Return whether most numbers are those of a row so many rows away: what comes next, to be told ahead."""
    order = np.argsort(theirs, kind="stable")
    found = order[np.minimum(np.searchsorted(theirs[order], values), len(order) - 1)]
    return bool(np.unique(found - places, return_counts=True)[1].max() > _ELSEWHERE * len(values))


def _finding(study: Study, column: str, key: str, share: float, rows: int) -> Finding:
    return Finding(
        kind="targets-of-other-rows",
        severity=Severity.SEVERE,
        title=f"{share:.0%} of the rows stand beside the {column} of another {key}: the table that it comes "
        "from is in another order.",
        evidence={"column": column, "key": key, "share_of_rows": share, "rows": rows},
        causes=(cause("features-shuffled-against-labels", study.place),),
        next_check=f"join both tables by {key}, or make it the index of both before columns are brought over",
        subject=study.name,
    )
