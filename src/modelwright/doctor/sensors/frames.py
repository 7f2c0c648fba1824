"""What was done to frames of pandas before a model: gaps filled, and targets averaged over groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.study import Measurement, Study
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["Frames"]

_MOST_ROWS = 300_000
_MOST = 60


@dataclass(slots=True)
class _Filled:
    """A column whose gaps were filled with its own mean, median or most common value."""

    index: Any
    name: str
    value: float
    statistic: str
    place: Place | None


@dataclass(slots=True)
class _Averaged:
    """A column that holds a statistic of each group of another."""

    given: Any
    output: Any
    place: Place | None


class Frames:
    """Keeps them, as long as they are few."""

    def __init__(self) -> None:
        self._filled: list[_Filled] = []
        self._averaged: list[_Averaged] = []

    def hear(self, estimation: Estimation) -> None:
        """Take note of what pandas was asked."""
        given = estimation.given
        if len(self._filled) + len(self._averaged) >= _MOST or len(given) > _MOST_ROWS or len(given) < 20:
            return
        if estimation.what == "group":
            if getattr(estimation.output, "ndim", 0) == 1 and given.ndim == 1 and given.dtype.kind in "biuf":
                self._averaged.append(_Averaged(given.copy(), estimation.output.copy(), estimation.place))
            return
        columns = [given] if given.ndim == 1 else [given[name] for name in given.columns[:200]]
        for column in columns:
            if getattr(column, "ndim", 0) != 1 or getattr(column.dtype, "kind", "O") not in "iuf":
                continue
            value = estimation.target
            if hasattr(value, "get"):
                value = value.get(column.name) if given.ndim == 2 else None
            if not isinstance(value, int | float | np.number):
                continue
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            known = values[~np.isnan(values)]
            if len(known) in (0, len(values)) or len(np.unique(known)) < 5:
                continue
            for statistic, found in (("mean", known.mean()), ("median", np.median(known))):
                if abs(found - float(value)) <= 1e-9 * max(1.0, abs(float(value))):
                    self._filled.append(
                        _Filled(column.index, str(column.name), float(value), statistic, estimation.place)
                    )
                    break

    def check(self, studies: Sequence[Study]) -> Iterator[Finding]:
        """Yield a finding where such a column reaches rows that are held out."""
        for study in reversed(studies):
            for measured in study.held_out():
                yield from self._imputed(study, measured)
                yield from self._encoded(study, measured)

    def _imputed(self, study: Study, measured: Measurement) -> Iterator[Finding]:
        learnt, held = study.sheet, measured.sheet
        if learnt is None or held is None or learnt.index is None or held.index is None:
            return
        if learnt.index.isin(held.index).any():
            return  # labels were given anew, and tell nothing
        for each in self._filled:
            both = np.concatenate([learnt.values, held.values])
            present = (both == np.float32(each.value)).any()
            if not present or not held.index.isin(each.index).mean() > 0.5:
                continue
            if not learnt.index.isin(each.index).mean() > 0.5:
                continue
            yield Finding(
                kind="preparation-saw-held-out-rows",
                severity=Severity.WARNING,
                title=f"Gaps of {each.name} were filled with the {each.statistic} of all rows, those that "
                f"{study.name} is then measured on among them.",
                evidence={
                    "column": each.name,
                    "filled_with": each.value,
                    "rows": len(each.index),
                    "rows_held_out": len(held),
                },
                causes=(cause("imputed-with-all-rows", each.place),),
                next_check="fill with a statistic of the training rows, or use SimpleImputer in a Pipeline",
                subject=each.name,
            )

    def _encoded(self, study: Study, measured: Measurement) -> Iterator[Finding]:
        """A feature that is a statistic of the target over each group, held-out rows' own target in it."""
        held = measured.sheet
        if held is None or held.index is None or measured.target is None:
            return
        for each in self._averaged:
            if not each.output.index.is_unique or not held.index.isin(each.output.index).all():
                continue
            true = each.given.loc[held.index].to_numpy()
            if measured.target.dtype.kind not in "biuf" or not np.array_equal(true, measured.target):
                continue
            coded = each.output.loc[held.index].to_numpy(dtype=np.float64, na_value=np.nan).astype(np.float32)
            columns = enumerate(held.values.T)
            same = [at for at, column in columns if np.array_equal(column, coded, equal_nan=True)]
            if not same or len(np.unique(coded)) < 2:
                continue
            name = held.names[same[0]] if held.names else f"column {same[0]}"
            yield Finding(
                kind="feature-gives-target-away",
                severity=Severity.SEVERE,
                title=f"{name} is computed from the target over groups, measured rows among them.",
                evidence={"feature": name, "rows": len(each.given), "rows_held_out": len(held)},
                causes=(
                    cause("target-copied-into-feature", each.place),
                    cause("target-proxy-feature", each.place),
                ),
                next_check="compute it from training rows only, and for those out of fold (TargetEncoder)",
                subject=name,
            )
