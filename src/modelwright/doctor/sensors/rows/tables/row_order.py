"""Targets that stand beside the features of other rows of the table that both were taken from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.scores.reversed_scores import area_of
from modelwright.doctor.sensors.rows.sheet import Sheet, mixed, sheet_of
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, at_labels
from modelwright.doctor.watch.place import Place

__all__ = ["RowOrders"]

_ENOUGH = 60
_MOST_PAIRS = 2
_MOST_TABLES = 12
_FOUND = 0.95
_ELSEWHERE = 0.5
_MOST_CLASSES = 50
_LEAST_OF_CLASS = 10
_APART = 0.2


@dataclass(slots=True, eq=False)
class _Pair:
    """Rows with their targets, as they stand side by side.

    Attributes:
        sheet: The rows.
        target: (row,)
        labels: Of the targets, where they have any.
        place: Of the user's line.
    """

    sheet: Sheet
    target: NDArray[Any]
    labels: Any
    place: Place | None


class RowOrders:
    """Keeps what was given to splits; what was learnt is in studies."""

    def __init__(self) -> None:
        self._pairs: list[_Pair] = []

    def split(self, given: Any, target: NDArray[Any] | None, labels: Any, place: Place | None) -> None:
        """Hear that rows and targets were split together."""
        if target is None or not hasattr(given, "iloc"):
            return
        sheet = sheet_of(given)
        if sheet is not None and len(sheet) == len(target) >= _ENOUGH:
            self._pairs = [*self._pairs[1 - _MOST_PAIRS :], _Pair(sheet, target, labels, place)]

    def check(self, studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
        """Yield a finding where rows and targets come from one table, and from other rows of it.

        Rows are known again by their content. The targets fit a column of the table exactly, row by row: not
        in the order that the features came in, but in that of the targets' own labels, or as they stood.
        """
        last = next((each for each in reversed(studies) if each.sheet is not None), None)
        if last is None or last.sheet is None or len(last.target) < _ENOUGH:
            return
        pairs = [*self._pairs, _Pair(last.sheet, last.target, last.target_labels, last.place)]
        made = [each for each in ledger.of("table", "join") if getattr(each.given, "ndim", 0) == 2]
        tables = [table for each in made[-_MOST_TABLES:] for table in (each.output, each.given)]
        tables = [each for each in tables if getattr(each, "ndim", 0) == 2]
        for pair in pairs:
            verdicts = [_other_rows(pair, table) for table in reversed(tables)]
            if any(right for right, _ in verdicts):
                continue
            shown = next((each for _, each in verdicts if each is not None), None)
            if shown is not None:
                yield _finding(last, _reordered_at(ledger) or pair.place, *shown)
                return


def _other_rows(pair: _Pair, table: Any) -> tuple[bool, tuple[str, float, int] | None]:
    """Return whether rows have their own targets, and, where they have not, what shows it.

    Returns:
        (whether targets fit a column as the rows stand in it, (column, share of rows beside a target of
        another row, rows) or None where that is not known).
    """
    mine_too = [name for name in table.columns if str(name) in (pair.sheet.names or ())]
    others = [name for name in table.columns if str(name) not in (pair.sheet.names or ())]
    numbers = [name for name in mine_too if getattr(table.dtypes[name], "kind", "O") in "biuf"]
    if not mine_too or not others or len(table) < len(pair.target) or not table.columns.is_unique:
        return False, None
    mine = _found_in(pair.sheet, table, numbers or mine_too)
    if mine is None:
        return False, None
    columns = {str(name): table[name].to_numpy() for name in others if not table[name].isna().any()}
    if any(_follows(pair.target, column[mine]) for column in columns.values()):
        return True, None
    stands = at_labels(table.index, pair.labels) if pair.labels is not None else None
    if stands is None and len(table) == len(pair.target):
        stands = np.arange(len(table))
    if stands is None or (mine == stands).mean() > 1 - _ELSEWHERE or not _permuted(mine, stands):
        return False, None
    told = next((name for name, column in columns.items() if _follows(pair.target, column[stands])), None)
    return False, None if told is None else (told, float((mine != stands).mean()), len(mine))


def _found_in(sheet: Sheet, table: Any, names: list[Any]) -> NDArray[np.int64] | None:
    """Return where rows stand in a table, by columns that both have (row,); None where one is not found."""
    whole = sheet_of(table[names])
    if whole is None:
        return None
    at = [(sheet.names or ()).index(str(name)) for name in names]
    theirs, mine = mixed(whole.values), mixed(np.ascontiguousarray(sheet.values[:, at]))
    order = np.argsort(theirs, kind="stable")
    places = np.minimum(np.searchsorted(theirs[order], mine), len(order) - 1)
    found = theirs[order][places] == mine
    if len(np.unique(theirs)) < _FOUND * len(theirs) or not found.all():
        return None
    return order[places]


def _permuted(mine: NDArray[np.int64], stands: NDArray[np.int64]) -> bool:
    """Return whether these are the same rows in another order, and not rows that were all shifted alike."""
    same = np.isin(mine, stands).mean() > _FOUND or len(mine) < len(np.unique(stands)) * _FOUND
    return bool(same) and len(np.unique(mine - stands)) > _APART * len(mine)


def _follows(target: NDArray[Any], column: NDArray[Any]) -> bool:
    """Return whether targets are a function of a column, that is no function by its many values alone."""
    counts = np.unique(target, return_counts=True)[1]
    if len(counts) < 2 or (len(counts) <= _MOST_CLASSES and np.sort(counts)[-2] < _LEAST_OF_CLASS):
        return False
    numbers = target.dtype.kind in "biuf" and column.dtype.kind in "biuf"
    if numbers and np.array_equal(target.astype(np.float64), column.astype(np.float64)):
        return True
    found, codes = np.unique(column.astype(str), return_inverse=True)
    if 2 <= len(found) <= min(_MOST_CLASSES, len(target) / 5):
        pairs = {*zip(codes.tolist(), target.tolist(), strict=True)}
        return len(pairs) == len(found)
    if not numbers:
        return False
    classes = np.unique(target)
    if len(classes) == 2:
        return area_of(column, target == classes[1]) in (0.0, 1.0)
    if len(classes) < _MOST_CLASSES:
        return False
    one, other = np.unique(target, return_inverse=True)[1], np.unique(column, return_inverse=True)[1]
    return bool((one == other).all() or (one == other.max() - other).all())


def _reordered_at(ledger: Ledger) -> Place | None:
    """Return the only line that put rows into another order; None where none, or several did."""
    places = {made.place for made in ledger.of("table") if made.name in ("sort_values", "sample")}
    return next(iter(places)) if len(places) == 1 else None


def _finding(study: Study, place: Place | None, column: str, share: float, rows: int) -> Finding:
    return Finding(
        kind="targets-of-other-rows",
        severity=Severity.SEVERE,
        title=f"{share:.0%} of the rows stand beside the {column} of another row of the table that both come "
        "from.",
        evidence={"column": column, "share_of_rows": share, "rows": rows},
        causes=(cause("features-shuffled-against-labels", place),),
        next_check="take features and targets out of the table after it is sorted or shuffled, not before",
        subject=study.name,
    )
