"""What is odd about the columns and targets that a model learns from and is measured on."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.data.dataset import Dataset
from modelwright.data.gaps import check_gaps
from modelwright.data.leak import check_leaks
from modelwright.data.leak_score import rank_values
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.columns.exchanged import check_exchanged
from modelwright.doctor.sensors.rows.columns.far_codes import check_far_codes
from modelwright.doctor.sensors.rows.columns.filled_by_class import check_filled_by_class
from modelwright.doctor.sensors.rows.columns.lone_counts import check_lone_counts
from modelwright.doctor.sensors.rows.columns.series import check_series, times_of
from modelwright.doctor.sensors.rows.columns.units import check_units, check_units_in_order
from modelwright.doctor.sensors.rows.isolated import isolated
from modelwright.doctor.sensors.rows.labels.label_errors import check_label_errors
from modelwright.doctor.sensors.rows.parts.near_copies import check_near_copies
from modelwright.doctor.sensors.rows.scores.imbalance import check_imbalance
from modelwright.doctor.sensors.rows.sheet import Sheet
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.watch.place import Place

__all__ = ["check_table"]

_MOST_ROWS = 20_000
_ENOUGH = 40
_LARGE_CODE = 90
_CLOSE, _FARTHER, _APART = 0.02, 4.0, 0.05
"""Share of a target's variance, of ranks, that the feature leaves; how much more the others do, at least."""

_WIDTHS, _FAR_SHARE = 2, 0.9
_DISTINCT, _EXACT, _NEARLY_ALL = 0.5, 1e-5, 0.95

_NEVER_ZERO = frozenset({"age", "bmi", "glucose", "height", "pressure", "pulse", "cholesterol"})
"""Words in names of columns of persons' measurements that are above zero."""

_NOT_GROUPS = 20
_SHARED = 0.9

_ALONE = ("feature-nearly-determines-target", "feature-dominates-target")


@dataclass(slots=True)
class _Rows:
    """Rows that one model learnt from, and those that it was measured on."""

    study: Study
    measured: Measurement
    learnt: Sheet
    held: Sheet
    names: tuple[str, ...]
    place: Place | None


def check_table(studies: Sequence[Study]) -> Iterable[Finding]:
    """Yield what the rows themselves show: those of the last model that was measured on held-out rows."""
    rows = _last(studies)
    if rows is None:
        return
    checks: tuple[Callable[[_Rows], Iterable[Finding]], ...] = (
        _series,
        _leaks,
        _codes,
        _units,
        _near,
        _filled,
        _exchanged,
        _shares,
        _labels,
    )
    for check in checks:
        yield from isolated(check, rows)
    yield from isolated(_earlier_rows, studies)
    yield from isolated(check_imbalance, studies)


def _last(studies: Sequence[Study]) -> _Rows | None:
    for study in reversed(studies):
        for measured in reversed(study.held_out()):
            learnt, held = study.sheet, measured.sheet
            if learnt is None or held is None or learnt.values.shape[1] != held.values.shape[1]:
                continue
            if not _ENOUGH <= len(learnt) <= _MOST_ROWS or (
                study.target.dtype.kind in "OUS" and not study.classes
            ):
                continue
            names = learnt.names or tuple(f"column {at}" for at in range(learnt.values.shape[1]))
            return _Rows(study, measured, learnt, held, names, study.place)
    return None


def _series(rows: _Rows) -> Iterable[Finding]:
    told = [each for each in rows.study.held_out() if each.sheet is not None and each.target is not None]
    return check_series(rows.study, (told or [rows.measured])[-1])


def _units(rows: _Rows) -> Iterable[Finding]:
    values = np.concatenate([rows.learnt.values, rows.held.values])
    told = rows.names, rows.learnt.numeric, rows.place
    found = list(check_units(values, *told, scaled=not rows.study.ordered))
    return found or (check_units_in_order(values, *told) if rows.study.ordered else ())


def _labels(rows: _Rows) -> Iterable[Finding]:
    return check_label_errors(rows.study)


def _filled(rows: _Rows) -> Iterable[Finding]:
    return check_filled_by_class(rows.study, rows.measured)


def _exchanged(rows: _Rows) -> Iterable[Finding]:
    return check_exchanged(rows.study, rows.measured)


def _near(rows: _Rows) -> Iterable[Finding]:
    return check_near_copies(rows.learnt, rows.held, rows.study.name, rows.place)


def _dataset(rows: _Rows) -> Dataset:
    target = rows.study.target
    if rows.study.classes:
        found, codes = np.unique(target.astype(str), return_inverse=True)
        return Dataset(
            name="rows",
            features=rows.learnt.values.copy(),
            target=codes.astype(np.int64),
            task="classification",
            classes=tuple(found.tolist()),
            columns=rows.names,
        )
    return Dataset(
        name="rows",
        features=rows.learnt.values.copy(),
        target=target.astype(np.float64),
        task="regression",
        columns=rows.names,
    )


def _leaks(rows: _Rows) -> Iterator[Finding]:
    """A feature that is the target, or all but is, while the others are far from it."""
    if rows.learnt.values.shape[1] < 2 or rows.learnt.values.size > 1_500_000:
        return
    told = list(check_leaks(_dataset(rows), np.random.default_rng(0)))
    alone = [each for each in told if each.kind in _ALONE]
    for found in told:
        # Where several features each do it, classes are far apart, as kinds of iris are.
        if found.kind in _ALONE and len(alone) > 1:
            continue
        if found.severity is not Severity.SEVERE and not _stands_for_target(rows, found):
            continue
        equal = found.kind in ("feature-equals-target", "features-equal-target")
        names = ("target-copied-into-feature", "target-proxy-feature")
        if equal and _is_of_series(rows, found.subject):
            names = ("window-includes-target", *names)
        yield Finding(
            kind="feature-gives-target-away",
            severity=Severity.SEVERE,
            title=found.title,
            evidence={"feature": found.subject, **found.evidence},
            causes=tuple(cause(name, rows.place) for name in (names if equal else names[::-1])),
            next_check=f"ask whether {found.subject} is known when a prediction is needed; if not, drop it",
            subject=found.subject,
        )
        return
    if rows.study.classes:
        learnt = rows.learnt
        yield from check_lone_counts(learnt.values, rows.names, learnt.numeric, rows.study.target, rows.place)


def _is_of_series(rows: _Rows, name: str) -> bool:
    """Return whether a column's numbers are those of another column in other rows: both are of a window."""
    if name not in rows.names:
        return False
    values = rows.learnt.values
    mine = rows.names.index(name)
    if len(np.unique(values[:, mine])) < max(_NOT_GROUPS, 0.2 * len(values)):
        return False
    others = (at for at in range(values.shape[1]) if at != mine)
    return any(float(np.isin(values[:, at], values[:, mine]).mean()) > _SHARED for at in others)


def _stands_for_target(rows: _Rows, found: Finding) -> bool:
    """Return whether one feature follows the target far more closely than all others do.

    In a series by ranks; where no times are known, it must be the target itself in nearly all rows, shifted
    and scaled, and no number that stays the same for long.
    """
    if rows.study.classes or found.subject not in rows.names:
        return False
    feature = rows.learnt.values[:, rows.names.index(found.subject)].astype(np.float64)
    target = rows.study.target.astype(np.float64)
    if times_of(rows.learnt) is None:
        return _is_nearly_always(feature, target)
    one, other = (rank_values(each) for each in (feature, target))
    error = 1 - float(np.corrcoef(one, other)[0, 1]) ** 2
    return error < _CLOSE and 1 - found.evidence["score_of_all_others"] > max(_FARTHER * error, _APART)


def _is_nearly_always(feature: NDArray[np.float64], target: NDArray[np.float64]) -> bool:
    if not np.isfinite(feature).all() or len(np.unique(target)) < _DISTINCT * len(target):
        return False
    low, high = np.quantile(target, [0.1, 0.9])
    one, other = (int(np.abs(target - each).argmin()) for each in (low, high))
    if target[one] == target[other]:
        return False
    slope = (feature[other] - feature[one]) / (target[other] - target[one])
    off = np.abs(feature[one] + slope * (target - target[one]) - feature)
    return bool(slope and (off < _EXACT * np.ptp(feature)).mean() > _NEARLY_ALL)


def _codes(rows: _Rows) -> Iterator[Finding]:
    """A code for missing values, that no step of the model was told of."""
    known = np.isfinite(rows.study.target.astype(np.float64)) if not rows.study.classes else None
    if known is not None and not known.all():
        return
    if not rows.study.ordered:  # a network's, which may have been scaled: no code is left as it was
        yield from check_far_codes(rows.learnt.values, rows.names, rows.place)
        return
    columns: dict[str, object] = {}
    for found in check_gaps(_dataset(rows)):
        if found.kind != "disguised-missing":
            continue
        for name, each in found.evidence["columns"].items():
            place = rows.names.index(name)
            code = each["code"]
            if isinstance(code, str) or not rows.learnt.numeric[place] or abs(code) < _LARGE_CODE:
                continue
            if set(str(abs(int(code)))) in ({"9"}, {"8"}) and code not in rows.study.settings:
                columns[name] = each
    columns |= _impossible_zeros(rows)
    if columns:
        first = next(iter(columns))
        yield Finding(
            kind="missing-value-taken-for-number",
            severity=Severity.WARNING,
            title=f"{first} holds a number far from all others, again and again: a code for a missing value.",
            evidence={"columns": columns},
            causes=(cause("missing-value-code", rows.place),),
            next_check="look the code up; if it means missing, turn it into NaN before anything is fitted",
            subject=first,
        )
        return
    plain = np.flatnonzero(rows.learnt.numeric)
    names = tuple(rows.names[at] for at in plain.tolist())
    yield from check_far_codes(rows.learnt.values[:, plain], names, rows.place, rows.study.settings)


def _impossible_zeros(rows: _Rows) -> dict[str, object]:
    """Return columns of what nobody has none of, with zeros in many rows and nothing near them."""
    found: dict[str, object] = {}
    for at in np.flatnonzero(rows.learnt.numeric).tolist():
        words = set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rows.names[at]).lower()))
        column = rows.learnt.values[:, at]
        others = column[np.isfinite(column) & (column != 0)]
        zeros = int((column == 0).sum())
        if not words & _NEVER_ZERO or zeros < max(5, 0.01 * len(column)):
            continue
        if len(np.unique(others)) < _NOT_GROUPS:
            continue
        if others.min() > 0.1 * float(np.median(others)):
            found[rows.names[at]] = {"code": 0.0, "rows": zeros, "others_from": float(others.min())}
    return found


def _earlier_rows(studies: Sequence[Study]) -> Iterator[Finding]:
    """Codes and units in rows of earlier models, which may have prepared themselves what the last one got."""
    for study in reversed(studies[:-1]):
        rows = _last([study])
        if rows is not None and study.ordered:
            yield from _codes(rows)
            yield from _units(rows)


def _shares(rows: _Rows) -> Iterator[Finding]:
    """Classes, and ranges of columns, of measured rows that the model never met."""
    learnt, held = rows.learnt.values, rows.held.values
    if rows.study.classes and rows.measured.target is not None and len(held) >= _ENOUGH:
        known, true = rows.study.target.astype(str), rows.measured.target.astype(str)
        classes = np.unique(np.concatenate([known, true]))
        shares = np.array([[(side == each).mean() for each in classes] for side in (known, true)])
        apart = float(np.abs(shares[0] - shares[1]).sum() / 2)
        unmet = float(shares[1][shares[0] == 0].sum())
        if unmet > 0.05 or apart > 0.5:
            yield Finding(
                kind="classes-differ-between-splits",
                severity=Severity.WARNING,
                title=f"Classes are not as frequent among measured rows as among those that {rows.study.name}"
                " "
                f"learnt from: {apart:.0%} of the rows would have to change sides.",
                evidence={
                    "classes": classes[:20].tolist(),
                    "shares_learnt": shares[0][:20].tolist(),
                    "shares_measured": shares[1][:20].tolist(),
                    "share_of_classes_never_met": unmet,
                },
                causes=(cause("label-shift-between-splits", rows.place),),
                next_check="stratify the split by the target; if rows are sorted by it, shuffle them first",
            )
            return
    if len(held) < _ENOUGH:
        return
    if not rows.study.ordered:  # here a column that follows time cannot be known by its order
        yield from _far_away(rows)
        return
    outside = {name: share for name, share in _outside(learnt, held, rows) if share > 0.25}
    if len(outside) >= max(2, 0.15 * len(rows.names)) or any(share > 0.5 for share in outside.values()):
        worst = max(outside, key=outside.__getitem__)
        yield Finding(
            kind="measured-outside-of-what-was-learnt",
            severity=Severity.WARNING,
            title=f"{outside[worst]:.0%} of the measured rows lie outside of the range of {worst} that "
            f"{rows.study.name} learnt from.",
            evidence={"share_outside": outside, "rows_measured": len(held), "rows_learnt_from": len(learnt)},
            causes=(
                cause("covariate-shift-between-splits", rows.place),
                cause("preprocessing-differs-at-evaluation", rows.measured.place),
                cause("unit-mismatch", rows.place),
            ),
            next_check=f"draw {worst} for both sides; are units, coding and the choice of rows the same?",
            subject=worst,
        )


def _far_away(rows: _Rows) -> Iterator[Finding]:
    """A column of measured rows that lies many widths of what was learnt away from it: not so far in time."""
    for place in np.flatnonzero(rows.learnt.numeric).tolist():
        one, other = (side.values[:, place].astype(np.float64) for side in (rows.learnt, rows.held))
        if len(np.unique(one)) < 5 or not np.isfinite(one).all():
            continue
        low, high = float(one.min()), float(one.max())
        away = np.maximum(low - other, other - high) > _WIDTHS * (high - low)
        if float(away.mean()) < _FAR_SHARE:
            continue
        yield Finding(
            kind="measured-outside-of-what-was-learnt",
            severity=Severity.WARNING,
            title=f"{away.mean():.0%} of the measured rows lie more than {_WIDTHS} widths of what "
            f"{rows.study.name} learnt from outside of it, in {rows.names[place]}.",
            evidence={
                "learnt_from_to": [low, high],
                "measured_from_to": [float(np.nanmin(other)), float(np.nanmax(other))],
                "rows_measured": len(other),
            },
            causes=(
                cause("preprocessing-differs-at-evaluation", rows.measured.place),
                cause("unit-mismatch", rows.place),
            ),
            next_check="print mean and deviation of what enters the model in both places, and share one "
            "function that prepares it",
            subject=rows.names[place],
        )
        return


def _outside(
    learnt: NDArray[np.float32], held: NDArray[np.float32], rows: _Rows
) -> Iterator[tuple[str, float]]:
    """Yield the share of measured rows below the least or above the largest value that was learnt from."""
    for place, name in enumerate(rows.names):
        one, other = learnt[:, place].astype(np.float64), held[:, place].astype(np.float64)
        if not rows.learnt.numeric[place] or len(np.unique(one)) < 5 or not np.isfinite(one).any():
            continue
        if _follows_time(one) or _follows_time(other) or _counts_up(np.concatenate([one, other])):
            continue
        low, high = np.nanmin(one), np.nanmax(one)
        yield name, float(((other < low) | (other > high)).mean())


def _counts_up(values: NDArray[np.float64]) -> bool:
    """Return whether values go up in even steps, each of them equally often, as days of a panel do."""
    found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    steps = np.diff(found)
    return len(found) >= _NOT_GROUPS and bool(
        (np.abs(steps - np.median(steps)) < 1e-3 * np.median(steps)).mean() > 0.9
        and counts.max() <= 1.25 * np.median(counts)
    )


def _follows_time(values: NDArray[np.float64]) -> bool:
    """Return whether values rise or fall with the order of rows, as years and counters do."""
    order = np.arange(len(values))
    known = np.isfinite(values)
    if known.sum() < 3 or values[known].std() == 0:
        return False
    return bool(abs(np.corrcoef(order[known], values[known])[0, 1]) > 0.7)
