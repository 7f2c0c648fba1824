"""Lags and windows over the target, as pandas made them: whether they reach what is to be predicted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.columns.series import (
    check_interleaved,
    check_interleaved_groups,
    times_of,
)
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, Made, at_labels, floats_of, plain_window
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["check_split_of_series", "check_time_columns"]

_ENOUGH = 60
_SAME = 0.98
_VALUES = 20
_DEPTH = 3
_MOST_COLUMNS = 60


@dataclass(slots=True, eq=False)
class _Step:
    """One column that pandas made of another.

    Attributes:
        index: Labels of the rows.
        given: (row,) what it was made of.
        output: (row,)
        reach: Of the last of the values it was made of, in rows after its own.
        window: Whether it is a statistic of several values.
        place: Of the user's line.
        grouped: Whether it was made within groups of rows.
        groups: (row,) number of each row's group, where these are known; -1 for none.
    """

    index: Any
    given: NDArray[np.float64]
    output: NDArray[np.float64]
    reach: int
    window: bool
    place: Place | None
    grouped: bool
    groups: NDArray[np.int64] | None = None


def check_time_columns(studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
    """Yield a feature that is a lag of the target, or a statistic of a window over it, that comes too late.

    What the target is made of is known by its values, and so is each feature: nothing is taken for a lag
    that pandas was not asked to make.

    Args:
        studies: What was learnt and measured.
        ledger: What pandas was asked.
    """
    study = next((each for each in reversed(studies) if each.sheet is not None and each.held_out()), None)
    if study is None or study.target.dtype.kind not in "biuf" or len(study.target) < _ENOUGH:
        return
    target = study.target.astype(np.float64)
    if study.labels is None and len(np.unique(target)) < _VALUES:
        return  # classes do not tell which rows they are of
    steps = list(_steps(ledger))
    for step in steps:
        for rows in _rows_of(step, steps, study.labels, target, ledger):
            base = _base(step, steps, rows, target)
            # A row may know what is there at its own time, unless that is what it is to predict.
            if base is None or (base[0] <= 0 if base[1] or not step.window else base[0] < 0):
                continue
            for at in _columns_of(study, step.output[rows]):
                yield _finding(study, at, step, *base)
                return


def check_split_of_series(studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
    """Yield a random split of rows that the program itself holds for a series.

    It does so where a feature, or the target, is a lag or a window over the rows of the table.

    Args:
        studies: What was learnt and measured.
        ledger: What pandas was asked.
    """
    study = next((each for each in reversed(studies) if each.sheet is not None and each.held_out()), None)
    if study is None or study.labels is None or times_of(study.sheet) is not None:
        return
    measured = study.held_out()[-1]
    if study.target.dtype.kind not in "biuf":
        return
    target = study.target.astype(np.float64)
    for step in _steps(ledger):
        if step.grouped and (step.groups is None or step.window):
            continue
        for one, other in zip(
            ledger.earlier_labels(study.labels), ledger.earlier_labels(measured.labels), strict=False
        ):
            learnt, held = at_labels(step.index, one), at_labels(step.index, other)
            if learnt is None or held is None:
                continue
            made = step.output[learnt]
            if next(_columns_of(study, made), None) is None and (step.grouped or not _same(made, target)):
                continue
            if not step.grouped:
                yield from check_interleaved(study, learnt, held)
                return
            if step.groups is not None and _same(step.given[learnt], target):
                yield from check_interleaved_groups(study, step.groups, learnt, held)
                return


def _rows_of(
    step: _Step, steps: list[_Step], labels: Any, target: NDArray[np.float64], ledger: Ledger
) -> Iterator[NDArray[np.int64]]:
    """Yield where the rows that were learnt stand, by their labels, or else by their targets."""
    if labels is not None:
        found = (at_labels(step.index, each) for each in ledger.earlier_labels(labels))
        yield from (rows for rows in found if rows is not None)
        return
    ahead = [each.output for each in steps if not each.window and each.reach > 0 and each.index is step.index]
    for column in (step.given, *ahead):
        order = np.argsort(column, kind="stable")
        places = np.searchsorted(column[order], target)
        places = order[np.minimum(places, len(order) - 1)]
        if len(np.unique(places)) > _SAME * len(places) and _same(column[places], target):
            yield places


def _steps(ledger: Ledger) -> Iterator[_Step]:
    for made in ledger.of("shift", "window", "within"):
        if made.name == "count":
            continue
        reach, window = _reach_within(made) if made.what == "within" else _reach(made)
        given = [made.given] if made.given.ndim == 1 else [made.given[name] for name in made.given.columns]
        if made.output.ndim != made.given.ndim or len(made.output) != len(made.given) or reach is None:
            continue
        output = made.output
        if made.given.index.nlevels < output.index.nlevels:  # groups stand before the labels of rows
            output = output.droplevel(list(range(output.index.nlevels - made.given.index.nlevels)))
        if not output.index.is_unique or not output.index.isin(made.given.index).all():
            continue
        output = output.reindex(made.given.index)
        for column in given[:_MOST_COLUMNS]:
            one = floats_of(column)
            other = floats_of(output if output.ndim == 1 else output.get(column.name))
            if one is not None and other is not None:
                place = made.place
                grouped = made.groups is not None or "Groupby" in str(made.by)
                yield _Step(made.given.index, one, other, reach, window, place, grouped, made.groups)


def _reach(made: Made | Estimation) -> tuple[int | None, bool]:
    """Return how many rows after its own a column reaches, None if that is not known; whether as a window."""
    if made.what == "shift":
        return (-int(made.target), False) if isinstance(made.target, int | np.integer) else (None, False)
    if made.name in ("diff", "pct_change", "cumsum"):
        steps = made.target if made.name != "cumsum" and made.target is not None else 1
        return (max(0, -int(steps)) if isinstance(steps, int | np.integer) else None), True
    by = plain_window(made.by) if isinstance(made, Estimation) else made.by
    if not isinstance(by, dict):
        return None, True
    if by.get("closed") in ("left", "neither"):
        return -1, True
    if not by.get("center"):
        return 0, True
    return (int(by["window"]) // 2 if isinstance(by.get("window"), int) else None), True


def _reach_within(made: Made) -> tuple[int | None, bool]:
    """Return the same of a function of each group: of its steps from a group's rows to what it gave.

    What was kept are the steps of the first groups; they are followed backwards from the output.
    """
    pieces: list[Estimation] = made.target
    index = pieces[-1].given.index
    if made.given.ndim != 1 or not made.given.index.is_unique or not index.isin(made.given.index).all():
        return None, False
    output = made.output
    if output.index.nlevels > index.nlevels:
        output = output.droplevel(list(range(output.index.nlevels - index.nlevels)))
    if getattr(output, "ndim", 0) != 1 or not output.index.is_unique or not index.isin(output.index).all():
        return None, False
    wanted, first = floats_of(output.loc[index]), floats_of(made.given.loc[index])
    total, window = 0, False
    for piece in reversed(pieces):
        given, given_out = floats_of(piece.given), floats_of(piece.output)
        if not piece.given.index.equals(index) or not _equal(given_out, wanted):
            continue
        reach, wide = _reach(piece)
        if reach is None:
            return None, False
        total, window, wanted = total + reach, window or wide, given
        if _equal(wanted, first):
            return total, window
    return None, False


def _equal(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other, equal_nan=True)


def _base(
    step: _Step, steps: list[_Step], rows: NDArray[np.int64], target: NDArray[np.float64]
) -> tuple[int, int] | None:
    """Return how far a column reaches into the target's values: (rows after its own, rows it is ahead).

    Args:
        step: What made the column.
        steps: All such.
        rows: Where the rows that were learnt stand in its index (row,).
        target: (row,)
    """
    reach, given = step.reach, step.given
    for _ in range(_DEPTH):
        ahead = _ahead(given, step.index, steps, rows, target)
        if ahead is not None:
            return reach, ahead
        before = next(
            (each for each in steps if each.index.equals(step.index) and _same(each.output, given)), None
        )
        if before is None:
            return None
        reach, given = reach + before.reach, before.given
    return None


def _ahead(
    given: NDArray[np.float64],
    index: Any,
    steps: list[_Step],
    rows: NDArray[np.int64],
    target: NDArray[np.float64],
) -> int | None:
    """Return by how many rows the target is ahead of a column that it was taken of; None where it was not."""
    if _same(given[rows], target):
        return 0
    for each in steps:
        if each.window or each.reach <= 0 or not each.index.equals(index):
            continue
        if _same(each.output[rows], target) and _same(each.given, given):
            return each.reach
    return None


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether columns are equal; where they hold a few classes, in every row."""
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < max(_ENOUGH, 0.5 * len(one)):
        return False
    values, counts = np.unique(one[known], return_counts=True)
    equal = float((one[known].astype(np.float32) == other[known].astype(np.float32)).mean())
    if len(values) < _VALUES:
        return equal == 1.0 and int(known.sum() - counts.max()) >= _VALUES
    return equal > _SAME


def _columns_of(study: Study, made: NDArray[np.float64]) -> Iterator[int]:
    """Yield the features that a column became."""
    assert study.sheet is not None
    for at in np.flatnonzero(study.sheet.numeric).tolist():
        if _same(study.sheet.values[:, at].astype(np.float64), made):
            yield at


def _finding(study: Study, at: int, step: _Step, reach: int, ahead: int) -> Finding:
    assert study.sheet is not None
    name = study.sheet.names[at] if study.sheet.names else f"column {at}"
    names = ("window-includes-target", "target-copied-into-feature", "target-proxy-feature")
    if not step.window:
        names = ("lag-from-the-future", "target-proxy-feature", "target-copied-into-feature")
    what = (
        "a statistic of the target's values in time" if step.window else "the target of another row in time"
    )
    when = f"up to {reach} rows after its own" if reach > 0 else "that of its own row among them"
    return Finding(
        kind="window-reaches-target",
        severity=Severity.SEVERE,
        title=f"{name} is {what}, {when}.",
        evidence={
            "feature": name,
            "rows_after_its_own": reach,
            "rows_that_the_target_is_ahead": ahead,
            "rows_learnt_from": len(study.rows),
        },
        causes=tuple(cause(each, step.place) for each in names),
        next_check="shift the target by the horizon, a positive number, before rolling or differencing it",
        subject=name,
    )
