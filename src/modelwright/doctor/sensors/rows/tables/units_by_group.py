"""Columns whose unit depends on where a row comes from, which the model is not told."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.columns.units import UNITS as OFTEN
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, at_labels, stands_at

__all__ = ["check_units_by_group"]

_UNITS = OFTEN | {
    "weeks and months": (52 / 12, 0.0),
    "days and weeks": (7.0, 0.0),
    "months and years": (12.0, 0.0),
    "hours and days": (24.0, 0.0),
}
_ENOUGH = 150
_MOST_GROUPS = 6
_MOST_COLUMNS = 60
_MOST_ROWS = 100_000
_ALIKE, _UNLIKE, _OTHERS_ALIKE = 0.05, 1e-12, 1e-6
_LEAST_FACTOR = 1.5
_SURE = 0.015
"""Standard error of the logarithm of a ratio, at most."""


def check_units_by_group(studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
    """Yield a column of which one group of rows has another unit, and groups are alike in the other columns.

    The groups are those of a column of the table that rows were taken from, which the model does not use.

    Args:
        studies: What was learnt and measured.
        ledger: What pandas was asked.
    """
    study = next((each for each in reversed(studies) if each.sheet is not None), None)
    if study is None or study.sheet is None or study.sheet.names is None or len(study.rows) > _MOST_ROWS:
        return
    known = study.columns or frozenset(study.sheet.names)
    seen: set[str] = set()
    for made in reversed([*ledger.of("table", "join")]):
        places = at_labels(made.given.index, study.labels) if made.given.ndim == 2 else None
        if places is None or not made.given.columns.is_unique:
            continue
        if not stands_at(study.sheet, made.given, places):
            continue
        for name in made.given.columns[:_MOST_COLUMNS]:
            if str(name) in known or str(name) in seen:
                continue
            groups = _groups(made.given[name], places)
            if groups is not None and not _is_told(study, groups):
                seen.add(str(name))
                yield from _check(study, str(name), groups)


def _groups(column: Any, places: NDArray[np.int64]) -> NDArray[Any] | None:
    """Return a column's few values, one for each row; None where they are many."""
    if getattr(column.dtype, "kind", "O") in "fM":
        return None
    values = column.iloc[places].astype(str).to_numpy()
    return values if 2 <= len(set(values[:2000].tolist())) <= _MOST_GROUPS else None


def _is_told(study: Study, groups: NDArray[Any]) -> bool:
    """Return whether groups are known to the model by one of its columns, or are what it is to predict."""
    assert study.sheet is not None
    for column in (study.target, *study.sheet.values.T):
        few = np.unique(column[:2000])
        if len(few) > _MOST_GROUPS or len(np.unique(column)) > _MOST_GROUPS:
            continue
        pairs = {*zip(column.tolist(), groups.tolist(), strict=True)}
        if len(few) > 1 and len(pairs) == len(np.unique(column)):
            return True
    return False


def _check(study: Study, name: str, groups: NDArray[Any]) -> Iterator[Finding]:
    assert study.sheet is not None
    names = study.sheet.names or ()
    for each in np.unique(groups).tolist():
        mine = groups == each
        apart: list[tuple[str, str, float, float]] = []
        alike = others = 0
        for at in np.flatnonzero(study.sheet.numeric).tolist()[:_MOST_COLUMNS]:
            column = study.sheet.values[:, at].astype(np.float64)
            known = np.isfinite(column)
            one, other = column[known & mine], column[known & ~mine]
            if min(len(one), len(other)) < _ENOUGH or len(np.unique(column[known])) < 20:
                continue
            others += 1
            before = _p_value(one, other)
            if before > _OTHERS_ALIKE:
                alike += 1
            elif before < _UNLIKE:
                unit, after = _best(one, other)
                if after > _ALIKE:
                    apart.append((names[at], unit, before, after))
        if len(apart) != 1 or alike < max(2, 0.6 * others):
            continue
        column_name, unit, before, after = apart[0]
        yield Finding(
            kind="rows-in-two-units",
            severity=Severity.WARNING,
            title=f"{column_name} is in another unit where {name} is {each}, as the model is not told: "
            f"{unit}.",
            evidence={
                "column": column_name,
                "rows": int(mine.sum()),
                "p_value_as_it_is": before,
                "p_value_after_the_change": after,
                "other_columns_alike": alike,
            },
            causes=(cause("unit-mismatch", study.place),),
            next_check=f"bring {column_name} to one unit for all values of {name}",
            subject=column_name,
        )
        return


def _best(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[str, float]:
    """Return the change of units that makes two groups most alike, and the p-value that they differ then."""
    found = [("", 0.0)]
    for unit, (factor, offset) in _UNITS.items():
        if factor < _LEAST_FACTOR and not offset:
            continue
        for low, high in ((one, other), (other, one)):
            if offset or _is_ratio(low, high, factor):
                found.append((unit, _p_value(low * factor + offset, high)))
    return max(found, key=lambda each: each[1])


def _is_ratio(low: NDArray[np.float64], high: NDArray[np.float64], factor: float) -> bool:
    """Return whether two groups are in this ratio, and it is known well enough that few others would be."""
    logs = [np.log(each[each > 0]) for each in (low, high)]
    if any(len(each) < 0.98 * len(side) for each, side in zip(logs, (low, high), strict=True)):
        return False
    error = float(np.sqrt(sum(each.var() / len(each) for each in logs)))
    return error < _SURE and abs(float(logs[1].mean() - logs[0].mean()) - np.log(factor)) < 2.5 * error


def _p_value(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from scipy.stats import ks_2samp

    return float(ks_2samp(one, other).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
