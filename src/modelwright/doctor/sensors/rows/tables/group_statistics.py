"""Statistics of groups among the features: of the target, or by the class that is to be predicted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.scores.target_units import lost_unit
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.sensors.rows.tables.frames import filled_by_class
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, Made, at_labels, floats_of
from modelwright.doctor.watch.place import Place

__all__ = ["check_group_statistics"]

_ENOUGH = 10
_LEAST_GROUPS = 5
_NEARLY_ALL, _HARDLY_ANY = 0.9, 0.1
_EXACT = 2e-6
_MOST_ROWS = 100_000


@dataclass(slots=True, eq=False)
class _Sides:
    """Rows that were learnt and all rows that were measured, with their targets as numbers."""

    values: NDArray[np.float32]
    target: NDArray[np.float64]
    learnt: int
    names: tuple[str, ...] | None


def check_group_statistics(studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
    """Yield features that are means of the target over groups, the targets of measured rows in them.

    The means are computed anew from what was learnt alone, and from all rows: only one of the two fits.

    Args:
        studies: What was learnt and measured.
        ledger: What pandas was asked.
    """
    for study in reversed(studies):
        for measured in study.held_out():
            yield from _filled(study, measured, ledger)
            yield from _averaged(measured, ledger)
        sides = _sides(study)
        if sides is None:
            continue
        units = {id(each.unit): each.unit for each in study.held_out()}.values()
        for unit in units:
            target = sides.target if unit is None else unit(sides.target)
            yield from _encoded(study, replace(sides, target=target), ledger)


def _filled(study: Study, measured: Measurement, ledger: Ledger) -> Iterator[Finding]:
    """Gaps of a column hold the statistic of the rows of their own class."""
    held, target = measured.sheet, measured.target
    if held is None or target is None or not study.classes or held.names is None:
        return
    for made in ledger.of("group"):
        places = at_labels(made.given.index, held.index)
        given, output = floats_of(made.given), floats_of(made.output)
        if places is None or given is None or output is None or made.groups is None:
            continue
        if len(output) != len(given) or str(made.given.name) not in held.names:
            continue
        if not _one_to_one(made.groups[places], target):
            continue
        gaps = np.isnan(given[places])
        column = held.values[gaps, held.names.index(str(made.given.name))]
        told = output[places][gaps].astype(np.float32)
        if gaps.sum() >= _ENOUGH and len(np.unique(told)) > 1 and (column == told).mean() > _NEARLY_ALL:
            classes = target[gaps].astype(str)
            found = {float(each): np.unique(classes[told == each]).tolist() for each in np.unique(told)}
            yield filled_by_class(str(made.given.name), made.place, found)


def _one_to_one(groups: NDArray[np.int64], target: NDArray[np.generic]) -> bool:
    """Return whether groups are the classes."""
    pairs = {*zip(groups.tolist(), target.astype(str).tolist(), strict=True)}
    return 1 < len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


def _averaged(measured: Measurement, ledger: Ledger) -> Iterator[Finding]:
    """A feature that is a statistic of the target over each group, held-out rows' own target in it."""
    held, target = measured.sheet, measured.target
    if held is None or held.index is None or target is None or target.dtype.kind not in "biuf":
        return
    for made in ledger.of("group"):
        given, told = floats_of(made.given), _each_row(made)
        places = at_labels(made.given.index, held.index)
        if given is None or told is None or places is None:
            continue
        if not _is_target(given[places], target.astype(np.float64), measured.unit):
            continue
        coded = told[places].astype(np.float32)
        columns = enumerate(held.values.T)
        same = [at for at, column in columns if np.array_equal(column, coded, equal_nan=True)]
        if same and len(np.unique(coded)) > 1:
            name = held.names[same[0]] if held.names else f"column {same[0]}"
            evidence = {"feature": name, "rows": len(given), "rows_held_out": len(held)}
            yield _finding(name, evidence, made.place)
            return


def _is_target(
    given: NDArray[np.float64], target: NDArray[np.float64], unit: Callable[[Any], Any] | None
) -> bool:
    """Return whether a column is what is to be predicted, as it is learnt or as it is measured."""
    return np.array_equal(given, target) or (unit is not None and np.allclose(given, unit(target), rtol=1e-9))


def _each_row(made: Made) -> NDArray[np.float64] | None:
    """Return the statistic of each row's group (row,), whether it was given for rows or for groups."""
    output, groups = floats_of(made.output), made.groups
    if output is None or groups is None or groups.max(initial=-1) < 0:
        return None
    if len(output) != len(made.given):
        return np.append(output, np.nan)[groups] if groups.max() + 1 == len(output) else None
    # What differs within a group, as a lag does, is no statistic of it.
    one = np.full(groups.max() + 1, np.nan)
    one[groups] = output
    return output if np.array_equal(one[groups], output, equal_nan=True) else None


def _sides(study: Study) -> _Sides | None:
    """Return all rows with targets; None where they are not known."""
    held = [m for m in study.held_out() if m.sheet is not None and m.target is not None]
    held = [each for each in held if lost_unit(study, each) is None]
    if study.sheet is None or not held or study.sheet.values.shape[0] > _MOST_ROWS:
        return None
    values, targets, rows = [study.sheet.values], [study.target], study.rows
    for measured in held:
        assert measured.sheet is not None
        assert measured.target is not None
        if measured.sheet.values.shape[1] != values[0].shape[1]:
            return None
        fresh = ~np.isin(measured.rows, rows)
        values.append(measured.sheet.values[fresh])
        targets.append(measured.target[fresh])
        rows = np.concatenate([rows, measured.rows[fresh]])
    try:
        target = np.concatenate([each.astype(np.float64) for each in targets])
    except ValueError:
        found, target = np.unique(np.concatenate([each.astype(str) for each in targets]), return_inverse=True)
        if len(found) != 2:
            return None
    if not np.isfinite(target).all() or len(np.unique(target)) < 2:
        return None
    return _Sides(np.concatenate(values), target.astype(np.float64), len(study.rows), study.sheet.names)


def _encoded(study: Study, sides: _Sides, ledger: Ledger) -> Iterator[Finding]:
    for at in range(sides.values.shape[1]):
        column = sides.values[:, at]
        found, codes = np.unique(column, return_inverse=True)
        if not _LEAST_GROUPS <= len(found) <= len(column) / 2 or not np.isfinite(found).all():
            continue
        if (found == np.rint(found)).mean() > 0.5 or np.ptp(sides.target) == 0:
            continue
        fits = _fits(found.astype(np.float64), codes, sides) or _own(found.astype(np.float64), codes, sides)
        if fits is None:
            continue
        name = sides.names[at] if sides.names else f"column {at}"
        evidence = {
            "feature": name,
            "groups": len(found),
            "groups_that_fit_with_measured_rows": fits[0],
            "groups_that_fit_without": fits[1],
            "prior_weight": fits[2],
        }
        yield _finding(name, evidence, _place_of(found, ledger) or study.place)
        return


def _fits(
    found: NDArray[np.float64], codes: NDArray[np.int64], sides: _Sides
) -> tuple[float, float, float] | None:
    """Return shares of groups whose value is the mean of all targets, and of those learnt; None where not so.

    A mean may be drawn towards that of all rows, by a weight that is the same for all groups.
    """
    learnt = codes[: sides.learnt]
    counts, sums = _sums(codes, sides.target, len(found))
    own_counts, own_sums = _sums(learnt, sides.target[: sides.learnt], len(found))
    mixed = (own_counts > 0) & (counts > own_counts)
    differ = mixed & (
        np.abs(sums / np.maximum(counts, 1) - own_sums / np.maximum(own_counts, 1))
        > 50 * _EXACT * np.abs(sides.target).max()
    )
    if differ.sum() < _LEAST_GROUPS:
        return None
    shares: list[float] = []
    weight = 0.0
    for n, total in ((own_counts, own_sums), (counts, sums)):
        plain = _near(total[differ] / n[differ], found[differ])
        share, weight = plain, 0.0
        if plain < _NEARLY_ALL and differ.sum() >= 2 * _LEAST_GROUPS:
            design = np.column_stack([np.ones(int(differ.sum())), -found[differ]])
            (prior, pull), *_ = np.linalg.lstsq(design, found[differ] * n[differ] - total[differ], rcond=None)
            if pull > 0:
                share = _near((total[differ] + prior) / (n[differ] + pull), found[differ])
                weight = float(pull)
            share = max(share, _scaled(total[differ] / n[differ], found[differ]))
        shares.append(share)
    return (shares[1], shares[0], weight) if shares[1] > _NEARLY_ALL and shares[0] < _HARDLY_ANY else None


def _own(
    found: NDArray[np.float64], codes: NDArray[np.int64], sides: _Sides
) -> tuple[float, float, float] | None:
    """Return the same where no group is on both sides: measured rows hold the mean of their own targets."""
    counts, sums = _sums(codes[sides.learnt :], sides.target[sides.learnt :], len(found))
    squares = _sums(codes[sides.learnt :], sides.target[sides.learnt :] ** 2, len(found))[1]
    means = sums / np.maximum(counts, 1)
    mixed = (counts > 1) & (
        squares / np.maximum(counts, 1) - means**2 > _EXACT * np.square(sides.target).max()
    )
    if mixed.sum() < _LEAST_GROUPS or len(np.unique(means[mixed])) < _LEAST_GROUPS:
        return None
    share = max(_near(means[mixed], found[mixed]), _scaled(means[mixed], found[mixed]))
    return (share, 0.0, 0.0) if share > _NEARLY_ALL else None


def _scaled(means: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Return the share of groups whose value is their mean, shifted and scaled as all others are."""
    design = np.column_stack([np.ones(len(means)), means - means.mean()])
    factors = np.linalg.lstsq(design, found, rcond=None)[0]
    if factors[1] == 0 or np.ptp(found) == 0:
        return 0.0
    return float((np.abs(design @ factors - found) < 50 * _EXACT * np.abs(found).max()).mean())


def _sums(
    codes: NDArray[np.int64], target: NDArray[np.float64], groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (group,) how many rows there are, and the sum of their targets."""
    return np.bincount(codes, minlength=groups).astype(np.float64), np.bincount(codes, target, groups).astype(
        np.float64
    )


def _near(one: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    return float((np.abs(one - found) < 5 * _EXACT * np.abs(found).max()).mean())


def _place_of(found: NDArray[np.float32], ledger: Ledger) -> Place | None:
    """Return the line that computed a statistic of groups whose values a column has."""
    for made in ledger.of("group"):
        columns = [made.output] if getattr(made.output, "ndim", 0) == 1 else []
        if getattr(made.output, "ndim", 0) == 2:
            columns = [made.output.iloc[:, at] for at in range(min(20, made.output.shape[1]))]
        for column in columns:
            values = floats_of(column)
            if values is None:
                continue
            known = np.unique(values[np.isfinite(values)])
            if np.isin(found, known.astype(np.float32)).mean() > _NEARLY_ALL:
                return made.place
            if len(known) == len(found) and _scaled(known, found.astype(np.float64)) > _NEARLY_ALL:
                return made.place
    return None


def _finding(name: str, evidence: Mapping[str, object], place: Place | None) -> Finding:
    return Finding(
        kind="feature-gives-target-away",
        severity=Severity.SEVERE,
        title=f"{name} is computed from the target over groups, measured rows among them.",
        evidence=evidence,
        causes=(
            cause("target-encoded-on-all-rows", place),
            cause("target-copied-into-feature", place),
            cause("target-proxy-feature", place),
        ),
        next_check="compute it from training rows only, and for those out of fold (TargetEncoder)",
        subject=name,
    )
