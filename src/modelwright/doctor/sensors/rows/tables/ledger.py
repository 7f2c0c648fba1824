"""What pandas was asked to make of tables and columns, kept until it is known what was learnt from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.sheet import Sheet
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["Ledger", "Made", "at_labels", "floats_of", "plain_window", "stands_at"]

_MOST_ROWS = 300_000
_MOST_CELLS = 2_000_000
_MOST_KEPT = 6_000_000
_MOST = 48
"""Calls of each sort that are kept, the newest."""


@dataclass(slots=True, eq=False)
class Made:
    """One call of pandas.

    Attributes:
        what: Its sort, as `PandasWatch` tells it.
        name: Of the method, or of the statistic.
        by: What it was asked of, where that is no table: a window for example.
        given: The table or column; it shares its memory until somebody writes.
        target: The first argument.
        output: What it gave.
        place: Of the user's line.
        groups: (row,) number of each row's group, where it was asked of groups; -1 for none.
    """

    what: str
    name: str
    by: Any
    given: Any
    target: Any
    output: Any
    place: Place | None
    groups: NDArray[np.int64] | None = None

    @property
    def cells(self) -> int:
        """Numbers that it keeps."""
        return sum(int(getattr(each, "size", 0)) for each in (self.given, self.target, self.output))


class Ledger:
    """Calls of pandas, as long as they are few and small."""

    def __init__(self) -> None:
        self._made: dict[str, list[Made]] = {}

    def hear(self, told: Estimation) -> None:
        """Keep a call."""
        if len(told.given) > _MOST_ROWS:
            return
        groups = None
        if hasattr(told.by, "ngroup"):
            groups = np.nan_to_num(np.asarray(told.by.ngroup(), np.float64), nan=-1).astype(np.int64)
        made = Made(
            what=told.what,
            name=told.name,
            by=None if told.by is told.given else plain_window(told.by),
            given=_kept(told.given),
            target=_kept(told.target),
            output=_kept(told.output),
            place=told.place,
            groups=groups,
        )
        kept = self._made.setdefault(told.what, [])
        if made.cells <= _MOST_CELLS:
            kept.append(made)
            while len(kept) > _MOST or sum(each.cells for each in kept) > _MOST_KEPT:
                del kept[0]

    def of(self, *whats: str) -> Iterator[Made]:
        """Yield calls of some sorts, of each the first one first."""
        for what in whats:
            yield from self._made.get(what, ())

    def earlier_labels(self, labels: Any) -> Iterator[Any]:
        """Yield labels of rows, and what the same rows may have been called before labels were given anew.

        Rows may never have been in a table whose labels they are found in: who asks looks at values, too.
        """
        yield labels
        for made in reversed(self._made.get("table", ())):
            if made.name != "reset_index" or len(made.target) != len(made.output):
                continue
            places = at_labels(made.output.index, labels)
            if places is not None:
                yield made.target[places]


def _kept(given: Any) -> Any:
    """Return a copy of a table or column that shares its memory until somebody writes; others as they are."""
    if hasattr(given, "iloc"):
        return given.copy(deep=not _shares_until_written())
    return given.copy() if isinstance(given, np.ndarray) else given


@cache
def _shares_until_written() -> bool:
    """Return whether pandas itself copies what is shared before it is written to, as it does from 3.0 on."""
    import pandas

    return int(pandas.__version__.split(".")[0]) >= 3


def plain_window(by: Any) -> dict[str, Any]:
    """Return what tells how far a window reaches."""
    return {
        "kind": type(by).__name__,
        "window": getattr(by, "window", None),
        "center": bool(getattr(by, "center", False)),
        "closed": getattr(by, "closed", None),
    }


def floats_of(column: Any) -> NDArray[np.float64] | None:
    """Return a column as numbers (row,), what is missing as NaN; None where it holds no numbers."""
    if getattr(column, "ndim", 0) != 1 or getattr(column.dtype, "kind", "O") not in "biuf":
        return None
    if hasattr(column, "iloc"):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(column, np.float64)


def at_labels(index: Any, labels: Any) -> NDArray[np.int64] | None:
    """Return where labels of rows stand in an index (row,); None where not all do, or some do twice."""
    if index is None or labels is None or not index.is_unique:
        return None
    places = index.get_indexer(labels)
    return None if (places < 0).any() else np.asarray(places, np.int64)


def stands_at(sheet: Sheet | None, table: Any, places: NDArray[np.int64]) -> bool:
    """Return whether rows are those of a table at these places, by a column that both have.

    Labels that were given anew would lead to other rows.

    Args:
        sheet: Rows as they were given to a model.
        table: A frame of pandas.
        places: Of the rows in the table (row,).
    """
    if sheet is None or sheet.names is None:
        return False
    for at in np.flatnonzero(sheet.numeric).tolist():
        name = sheet.names[at]
        if name not in table.columns or getattr(table[name].dtype, "kind", "O") not in "iuf":
            continue
        theirs = table[name].to_numpy(dtype=np.float64, na_value=np.nan)[places].astype(np.float32)
        if len(np.unique(theirs)) > 5:
            return bool((theirs == sheet.values[:, at])[np.isfinite(theirs)].all())
    return False
