"""Rows that follow one another in time: what the order of times, and lagged values, show of a split."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Measurement, Study

__all__ = ["check_interleaved", "check_series", "times_of"]

_ENOUGH = 40
_BETWEEN = 0.3
_MOST_WINDOW, _MOST_AHEAD = 40, 10
_MOST_ROWS, _MOST_COLUMNS = 4000, 100
_FEWEST_OF_GROUP = 8


def check_series(study: Study, measured: Measurement) -> Iterator[Finding]:
    """Yield a random split of a series, and features that reach the target's own time.

    Args:
        study: What was learnt.
        measured: Rows that were not learnt from.
    """
    if study.sheet is None or measured.sheet is None or study.target.dtype.kind not in "biuf":
        return
    learnt_times, held_times = times_of(study.sheet), times_of(measured.sheet)
    if learnt_times is not None and held_times is not None and len(held_times) >= 10:
        yield from check_interleaved(study, learnt_times, held_times)
        yield from _windows(study, learnt_times)
    elif study.ordered:  # the order of rows may be that of time: sums of targets that fit exactly say so
        yield from _windows(study, np.arange(len(study.target)))
    yield from _targets_among_features(study, measured)


def times_of(sheet: object) -> NDArray[np.int64] | None:
    """Return the times of rows, from the index or the one column of times; None where there are none."""
    index, times = getattr(sheet, "index", None), getattr(sheet, "times", {})
    if index is not None and type(index).__name__ in ("DatetimeIndex", "PeriodIndex"):
        stamps = index.to_timestamp() if type(index).__name__ == "PeriodIndex" else index
        return stamps.to_numpy().astype("datetime64[s]").astype(np.int64)
    return next(iter(times.values())) if len(times) == 1 else None


def check_interleaved(study: Study, learnt: NDArray[np.int64], held: NDArray[np.int64]) -> Iterator[Finding]:
    """Yield a finding where rows that were learnt and rows that are measured alternate in time.

    Args:
        study: What was learnt.
        learnt: Times of its rows (row,), or their places in a series.
        held: Those of the measured rows (row,).
    """
    target = study.target.astype(np.float64)[np.argsort(learnt, kind="stable")]
    if target.std() == 0 or len(target) < _ENOUGH:
        return
    centred = target - target.mean()
    follows = float((centred[1:] * centred[:-1]).mean() / centred.var())
    later = _later(learnt, held)
    if follows < 0.3 or follows < 5 / np.sqrt(len(target)):
        return  # rows have dates, and yet do not follow one another
    if 0.1 < later < 0.9 and not _blocks(learnt, held):
        yield _interleaved(study, later, follows, len(learnt), len(held))


def check_interleaved_groups(
    study: Study, groups: NDArray[np.int64], learnt: NDArray[np.int64], held: NDArray[np.int64]
) -> Iterator[Finding]:
    """Yield the same of several series, one for each group of rows, which are in order of time.

    Args:
        study: What was learnt.
        groups: Group of each row of the table (row,).
        learnt: Where its rows stand in the table (row,).
        held: Where the measured rows stand (row,).
    """
    target = study.target.astype(np.float64)
    later: list[float] = []
    product = variance = 0.0
    rows = asked = blocks = 0
    for group in np.unique(groups[held]).tolist():
        mine, theirs = groups[learnt] == group, held[groups[held] == group]
        asked += len(theirs)
        if mine.sum() < _FEWEST_OF_GROUP:
            continue
        order = np.argsort(learnt[mine], kind="stable")
        centred = target[mine][order] - target[mine].mean()
        product, variance = (
            product + float((centred[1:] * centred[:-1]).sum()),
            variance + float(centred @ centred),
        )
        rows, blocks = rows + len(theirs), blocks + len(theirs) * _blocks(learnt[mine], theirs)
        later.append(_later(learnt[mine], theirs) * len(theirs))
    if rows < max(_ENOUGH, 0.9 * asked) or variance == 0 or len(target) < _ENOUGH:
        return  # groups that were left out as a whole
    follows, share = product / variance, sum(later) / rows
    if follows >= 0.3 and follows >= 5 / np.sqrt(len(target)) and 0.1 < share < 0.9 and blocks < 0.1 * rows:
        yield _interleaved(study, share, follows, len(learnt), len(held))


def _later(learnt: NDArray[np.int64], held: NDArray[np.int64]) -> float:
    """Return the share of pairs of a learnt and a measured row in which the learnt one is later."""
    ordered = np.sort(learnt)
    return float((len(ordered) - np.searchsorted(ordered, held, side="right")).mean() / len(ordered))


def _interleaved(study: Study, later: float, follows: float, learnt: int, held: int) -> Finding:
    return Finding(
        kind="times-interleaved",
        severity=Severity.WARNING,
        title=f"Rows that {study.name} learnt from lie between those that it is measured on in time, and "
        "neighbours in time are alike.",
        evidence={
            "share_of_pairs_with_the_learnt_row_later": later,
            "correlation_of_neighbouring_targets": follows,
            "rows_learnt_from": learnt,
            "rows_measured": held,
        },
        causes=(cause("random-split-of-time-series", study.place),),
        next_check="split at a date, or with TimeSeriesSplit, and measure again",
    )


def _blocks(learnt: NDArray[np.int64], held: NDArray[np.int64]) -> bool:
    """Return whether measured rows are few whole stretches of time, as in a cross-validation by blocks."""
    times = np.concatenate([learnt, held])
    sides = np.repeat([0, 1], [len(learnt), len(held)])[np.argsort(times, kind="stable")]
    changes = int((np.diff(sides) != 0).sum())
    return changes < 0.2 * min(len(held), len(learnt))


def _windows(study: Study, times: NDArray[np.int64]) -> Iterator[Finding]:
    """A feature that is a weighted sum of the target's values, the present one or later ones among them."""
    assert study.sheet is not None
    order = np.argsort(times, kind="stable")[:_MOST_ROWS]
    gaps = np.diff(times[order])
    if len(gaps) < 2 * _MOST_WINDOW or (gaps == np.median(gaps)).mean() < 0.9:
        return
    target = study.target.astype(np.float64)[order]
    if len(np.unique(target)) < 0.5 * len(target):
        return
    most = min(_MOST_WINDOW, len(target) // 8)
    ahead = min(_MOST_AHEAD, most // 2)
    count = len(target) - most - ahead
    # (row, value): the present target, the later ones, then those before.
    offsets = [0, *range(1, ahead + 1), *range(-1, -most, -1)]
    around = np.column_stack([target[most + each : most + each + count] for each in offsets])
    even = np.convolve(gaps == np.median(gaps), np.ones(most), "valid")[:count] == most
    even &= np.convolve(gaps == np.median(gaps), np.ones(ahead), "valid")[most : most + count] == ahead
    design = np.column_stack([np.ones(count), around])[even]
    before = [0, *range(2 + ahead, design.shape[1])]
    bases = [np.linalg.qr(design[:, each])[0] for each in (range(design.shape[1]), before, [0, 1])]
    for place in np.flatnonzero(study.sheet.numeric).tolist()[:_MOST_COLUMNS]:
        feature = study.sheet.values[order, place].astype(np.float64)[most : most + count][even]
        if len(feature) < 3 * most or not np.isfinite(feature).all() or feature.std() < 1e-9:
            continue
        with_now, without, alone = (_misfit(each, feature) for each in bases)
        if with_now > 1e-4 or alone <= 1e-4:
            continue  # no sum of targets, or the target itself, which is looked at elsewhere
        if without > 100 * max(with_now, 1e-6):
            name = study.sheet.names[place] if study.sheet.names else f"column {place}"
            yield Finding(
                kind="window-reaches-target",
                severity=Severity.SEVERE,
                title=f"{name} is a sum of the target's values in time, that of its own row or later ones "
                "among them.",
                evidence={
                    "feature": name,
                    "misfit_with_the_own_target": with_now,
                    "misfit_without": without,
                    "rows": len(feature),
                },
                causes=(
                    cause("window-includes-target", study.place),
                    cause("target-copied-into-feature", study.place),
                ),
                next_check="shift the target by the horizon before rolling or differencing it",
                subject=name,
            )
            return


def _misfit(base: NDArray[np.float64], feature: NDArray[np.float64]) -> float:
    """Return the root mean square that a least squares fit leaves, over the feature's deviation.

    Args:
        base: (row, direction) orthonormal.
        feature: (row,).
    """
    left = feature - base @ (base.T @ feature)
    return float(np.sqrt(np.square(left).mean()) / feature.std())


def _targets_among_features(study: Study, measured: Measurement) -> Iterator[Finding]:
    """Targets of measured rows that stand among the features of rows that were learnt from."""
    assert study.sheet is not None
    if measured.target is None or study.classes or measured.target.dtype.kind != "f":
        return
    targets = np.unique(measured.target.astype(np.float32))
    if len(targets) < 0.8 * len(measured.target) or len(targets) < _ENOUGH:
        return
    if (targets != np.rint(targets)).mean() < 0.5:
        return
    values = study.sheet.values
    shares = {at: float(np.isin(targets, values[:, at]).mean()) for at in range(values.shape[1])}
    lags = [at for at, share in shares.items() if share > _BETWEEN]
    own = set(np.unique(study.target.astype(np.float32)).tolist())
    fresh = np.array([each not in own for each in targets.tolist()])
    if not lags or fresh.mean() < 0.9:
        return
    backwards = (
        max(
            float(np.isin(study.target.astype(np.float32), measured.sheet.values[:, at]).mean())
            for at in lags
        )
        if measured.sheet
        else 0.0
    )
    if backwards < 0.02:
        return
    yield Finding(
        kind="times-interleaved",
        severity=Severity.WARNING,
        title=f"Targets that {study.name} is measured on are features of rows that it learnt from.",
        evidence={
            "share_of_targets_in_a_feature": max(shares.values()),
            "features": [study.sheet.names[at] if study.sheet.names else at for at in lags[:10]],
        },
        causes=(cause("random-split-of-time-series", study.place),),
        next_check="split at a point in time, so that no lag reaches a row that is measured",
    )
