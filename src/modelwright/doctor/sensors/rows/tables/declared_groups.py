"""Which rows the program itself says belong together, and whether its splits keep them together."""

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.row_book import RowBook
from modelwright.doctor.sensors.rows.sheet import labels_of, sheet_of
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, at_labels
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["DeclaredGroups"]

_MOST_ROWS = 300_000
_MOST_COLUMNS = 8
_MOST_TOLD = 12
_ENOUGH = 40
_KNOWN, _MIXED, _APART = 0.95, 0.5, 0.02
_MIXING = frozenset(
    {
        "int",
        "KFold",
        "RepeatedKFold",
        "RepeatedStratifiedKFold",
        "ShuffleSplit",
        "StratifiedKFold",
        "StratifiedShuffleSplit",
    }
)


class DeclaredGroups:
    """Groups that splits and searches were told of, by row, and where splits were made."""

    def __init__(self) -> None:
        self._group: dict[int, int] = {}
        self._codes: dict[str, int] = {}
        self._made: dict[int, tuple[Any, Place | None]] = {}
        self._splits: list[tuple[Place | None, bool]] = []
        self._columns: list[Any] = []
        self._told = 0

    def split(self, estimation: Estimation, book: RowBook) -> None:
        """Hear that a splitter was made, or asked."""
        if estimation.what == "splitter":
            self._made[id(estimation.by)] = (weakref.ref(estimation.by), estimation.place)
            return
        if estimation.name != "TimeSeriesSplit":
            self._splits = [*self._splits[-200:], (estimation.place, estimation.groups is not None)]
        self._told += estimation.groups is not None
        heard = estimation.groups is not None and self._told <= _MOST_TOLD
        sheet = sheet_of(estimation.given) if heard else None
        if sheet is not None and len(self._group) < _MOST_ROWS:
            traced = book.trace(sheet)
            if traced.distinct > _KNOWN:
                self.told(estimation.groups, traced.origins)

    def told(self, groups: Any, origins: NDArray[np.int64]) -> None:
        """Take note of the group of each row (row,)."""
        if groups is None or len(groups) != len(origins) or len(self._group) >= _MOST_ROWS:
            return
        if labels_of(groups) is not None and len(self._columns) < _MOST_COLUMNS:
            self._columns.append(groups.copy(deep=False))
        for origin, each in zip(origins.tolist(), np.asarray(groups).astype(str).tolist(), strict=True):
            self._group.setdefault(origin, self._codes.setdefault(each, len(self._codes)))

    def _of(self, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return groups of rows; None where they are not known."""
        found = np.array([self._group.get(each, -1) for each in rows.tolist()], np.int64)
        return found if len(found) and (found >= 0).mean() > _KNOWN else None

    def _spread(self, study: Study, measured: Measurement, ledger: Ledger) -> None:
        """Take note of groups of measured rows, where a column of a table is what was told of the others."""
        if self._of(measured.rows) is not None or measured.labels is None or study.labels is None:
            return
        for column in self._columns:
            for made in ledger.of("table", "join"):
                index = made.given.index
                if made.given.ndim != 2 or column.name not in made.given.columns:
                    continue
                at, own = at_labels(index, column.index), at_labels(index, measured.labels)
                whole = made.given[column.name]
                if at is None or own is None or whole.ndim != 1 or not _equal(whole.iloc[at], column):
                    continue
                self.told(whole.iloc[own], measured.rows)
                return

    def check(self, studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
        """Yield a finding where groups are told of at one split, and stand on both sides of another."""
        told = [(study, m) for study in studies for m in study.held_out() if len(m.rows) >= _ENOUGH]
        if not self._group or not told:
            return
        for study, measured in told[-_MOST_COLUMNS:]:
            self._spread(study, measured, ledger)
        shares = [self._share(study, measured) for study, measured in told]
        if any(share is None for share in shares):
            return
        known = [share for share in shares if share is not None]
        mixing = [place for place, told in self._splits if not told]
        if min(known) > _MIXED and mixing:
            yield self._of_split(*told[-1], known[-1], mixing[-1])
        elif max(known) < _APART:
            yield from self._of_search(told[-1][0])

    def _share(self, study: Study, measured: Measurement) -> float | None:
        """Return the share of measured rows whose group was learnt from; None where that is not known."""
        one, other = self._of(study.rows), self._of(measured.rows)
        return float(np.isin(other, one).mean()) if one is not None and other is not None else None

    def _of_split(self, study: Study, measured: Measurement, share: float, place: Place | None) -> Finding:
        return _finding(
            [cause("group-in-both-splits", place)],
            f"The program says which rows belong together, and {share:.0%} of the rows that {study.name} is "
            "measured on belong to groups that it learnt from.",
            {
                "share_of_measured_rows_with_a_group_learnt_from": share,
                "groups": len(self._codes),
                "rows_learnt_from": len(study.rows),
                "rows_measured": len(measured.rows),
            },
        )

    def _of_search(self, study: Study) -> Iterator[Finding]:
        """The search of the last model chose by folds that mix groups, which its test keeps apart."""
        groups, search = self._of(study.rows), study.search
        if groups is None or search is None or search.told_groups or search.folds not in _MIXING:
            return
        counts = np.bincount(groups[groups >= 0])
        again = float((counts[groups[groups >= 0]] > 1).mean())
        if again < _MIXED:
            return
        reference, made = self._made.get(search.splitter, (None, None))
        place = made if reference is not None and reference() is not None else study.place
        yield _finding(
            [cause(name, place) for name in ("groups-ignored-in-cross-validation", "group-in-both-splits")],
            f"Rows are held out by group, and {study.name} chose its settings by folds that mix groups.",
            {
                "folds": search.folds,
                "share_of_rows_that_are_not_alone_in_their_group": again,
                "best_mean_over_folds": search.best,
            },
        )


def _equal(one: Any, other: Any) -> bool:
    return np.array_equal(one.to_numpy().astype(str), other.to_numpy().astype(str))


def _finding(causes: Sequence[Cause], title: str, evidence: dict[str, object]) -> Finding:
    return Finding(
        kind="groups-on-both-sides",
        severity=Severity.WARNING,
        title=title,
        evidence=evidence,
        causes=tuple(causes),
        next_check="split by the same groups everywhere: GroupShuffleSplit, GroupKFold, fit(groups=groups)",
    )
