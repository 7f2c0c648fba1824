"""What was done to frames of pandas before a model: gaps filled, categories coded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.sheet import Sheet
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["Frames", "filled_by_class"]

_MOST_ROWS = 300_000
_MOST = 60
_ENOUGH_ROWS = 10
_MOST_CATEGORIES = 10_000
_FEWEST_VALUES = 20


@dataclass(slots=True)
class _Filled:
    """A column whose gaps were filled with its own mean, median or most common value."""

    index: Any
    name: str
    value: float
    statistic: str
    place: Place | None
    known: NDArray[np.float32]
    """Its other values, in order."""


@dataclass(slots=True)
class _Part:
    """A column of some rows whose gaps were filled with a number that is no statistic of these rows."""

    index: Any
    name: str
    value: float
    place: Place | None
    known: NDArray[np.float64]
    """Its other values."""


@dataclass(slots=True)
class _Coded:
    """A column whose categories became numbers."""

    index: Any
    name: str
    codes: dict[Any, int]
    place: Place | None
    written: bool = False
    """Whether the program wrote down which number stands for which."""


class Frames:
    """Keeps them, as long as they are few."""

    def __init__(self) -> None:
        self._filled: list[_Filled] = []
        self._parts: list[_Part] = []
        self._coded: list[_Coded] = []

    def hear(self, estimation: Estimation) -> None:
        """Take note of what pandas was asked."""
        given = estimation.given
        if (
            len(self._filled) + len(self._parts) + len(self._coded) >= _MOST
            or len(given) > _MOST_ROWS
            or len(given) < 20
        ):
            return
        if estimation.what == "code":
            used = set(np.asarray(estimation.output).tolist())
            codes = {each: at for at, each in enumerate(estimation.target) if at in used}
            if given.name is not None and 1 < len(codes) <= _MOST_CATEGORIES:
                written = estimation.name == "map"
                self._coded.append(_Coded(given.index, str(given.name), codes, estimation.place, written))
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
            statistic, name = _statistic(known, float(value)), str(column.name)
            if statistic is None:
                self._parts.append(_Part(column.index, name, float(value), estimation.place, known))
                continue
            others = np.sort(known.astype(np.float32))
            self._filled.append(
                _Filled(column.index, name, float(value), statistic, estimation.place, others)
            )

    def check_codes(self) -> Iterator[Finding]:
        """Yield a finding where one column's categories got other numbers for other rows."""
        for at, one in enumerate(self._coded):
            for other in self._coded[at + 1 :]:
                shared = one.codes.keys() & other.codes.keys()
                moved = [each for each in shared if one.codes[each] != other.codes[each]]
                if (
                    one.name != other.name
                    or len(shared) < 2
                    or not moved
                    or other.index.isin(one.index).any()
                    or ((one.written or other.written) and self._each_its_own(one, other))
                ):
                    continue
                yield Finding(
                    kind="preparation-fitted-anew-on-held-out-rows",
                    severity=Severity.SEVERE,
                    title=f"Categories of {one.name} are coded anew for other rows: the same number means "
                    "another category there.",
                    evidence={
                        "column": one.name,
                        "categories_in_both": len(shared),
                        "categories_with_another_number": len(moved),
                        "for_example": {
                            str(each): [one.codes[each], other.codes[each]]
                            for each in sorted(moved, key=str)[:8]
                        },
                        "rows": [len(one.index), len(other.index)],
                    },
                    causes=(cause("category-codes-refitted", other.place),),
                    next_check="code by the categories of the training rows: pd.Categorical(column, "
                    "categories=levels).codes",
                    subject=one.name,
                )
                return

    def _each_its_own(self, one: _Coded, other: _Coded) -> bool:
        """Return whether codes may be those of two folds, each with its own for all its rows.

        Rows of one were then coded as the other's were, too; and codes that are written down for two parts
        have the same categories and numbers.
        """
        if one.written != other.written or one.codes.keys() != other.codes.keys():
            return True
        if set(one.codes.values()) != set(other.codes.values()):
            return True
        return any(
            each.name == one.name and each.codes == codes and rows.index.isin(each.index).any()
            for each in self._coded
            for codes, rows in ((one.codes, other), (other.codes, one))
        )

    def check(self, studies: Sequence[Study]) -> Iterator[Finding]:
        """Yield a finding where such a column reaches rows that are held out."""
        for study in reversed(studies):
            for measured in study.held_out():
                told = list(self._by_class(study, measured))
                yield from told or self._imputed(study, measured)
            if study.held_out():
                yield from self._part_by_part(study)

    def _part_by_part(self, study: Study) -> Iterator[Finding]:
        """Gaps of learnt and of held-out rows were filled one after the other, with a number of both."""
        if study.labels is None:
            return
        for one in self._parts:
            own = one.index.isin(study.labels)
            others = [each for each in self._parts if (each.name, each.value) == (one.name, one.value)]
            others = [each for each in others if not each.index.isin(one.index).any()]
            if not own.any() or not others or any(each.index.isin(study.labels).any() for each in others):
                continue
            whole = np.concatenate([one.known, others[0].known])
            statistic = _statistic(whole, one.value)
            if statistic is None or len(np.unique(whole)) < _FEWEST_VALUES:
                continue
            yield _of_all_rows(
                one.name, statistic, one.value, len(one.index), len(others[0].index), one.place
            )
            return

    def _imputed(self, study: Study, measured: Measurement) -> Iterator[Finding]:
        learnt, held = study.sheet, measured.sheet
        if learnt is None or held is None or learnt.index is None or held.index is None:
            return
        renamed = learnt.index.isin(held.index).any()  # labels were given anew, and tell nothing
        for each in self._filled:
            both = np.concatenate([learnt.values, held.values])
            present = (both == np.float32(each.value)).any()
            by_label = not renamed and all(
                side.index.isin(each.index).mean() > 0.5 for side in (learnt, held)
            )
            if not present or not (by_label or _came_of(each, learnt, both)):
                continue
            yield _of_all_rows(each.name, each.statistic, each.value, len(each.index), len(held), each.place)

    def _by_class(self, study: Study, measured: Measurement) -> Iterator[Finding]:
        """Gaps of one column were filled class by class, measured rows by their own class."""
        held = measured.sheet
        if held is None or held.index is None or measured.target is None or not study.classes:
            return
        for at, one in enumerate(self._filled):
            for other in self._filled[at + 1 :]:
                sides = [_classes_at(each.index, held.index, measured.target) for each in (one, other)]
                if one.name != other.name or any(len(each) != 1 for each in sides) or sides[0] == sides[1]:
                    continue
                yield filled_by_class(one.name, other.place, {one.value: sides[0], other.value: sides[1]})
                return


def _statistic(known: NDArray[np.float64], value: float) -> str | None:
    """Return the statistic of numbers that a number is; None where it is none."""
    for name, found in (("mean", known.mean()), ("median", np.median(known))):
        if abs(found - value) <= 1e-9 * max(1.0, abs(value)):
            return name
    return None


def _of_all_rows(
    name: str, statistic: str, value: float, rows: int, held: int, place: Place | None
) -> Finding:
    return Finding(
        kind="preparation-saw-held-out-rows",
        severity=Severity.WARNING,
        title=f"Gaps of {name} were filled with the {statistic} of all rows, those that a model is then "
        "measured on among them.",
        evidence={"column": name, "filled_with": value, "rows": rows, "rows_held_out": held},
        causes=(cause("imputed-with-all-rows", place),),
        next_check="fill with a statistic of the training rows, or use SimpleImputer in a Pipeline",
        subject=name,
    )


def filled_by_class(name: str, place: Place | None, evidence: Mapping[float, Iterable[str]]) -> Finding:
    """Return what is said where gaps are filled by the class that is to be predicted.

    Args:
        name: Of the column.
        place: Of the line that computes what they are filled with.
        evidence: What gaps are filled with, and for which class.
    """
    return Finding(
        kind="feature-gives-target-away",
        severity=Severity.SEVERE,
        title=f"Gaps of {name} were filled with a statistic of rows of the same class, which is what is to "
        "be predicted.",
        evidence={"column": name, "filled": {str(key): sorted(each) for key, each in evidence.items()}},
        causes=(cause("imputed-by-label", place), cause("target-proxy-feature", place)),
        next_check="fill with one statistic of the training rows, whatever their class",
        subject=name,
    )


def _classes_at(index: Any, labels: Any, target: NDArray[Any]) -> set[str]:
    """Return the classes of the measured rows that are among some labels, where these are many; else none."""
    among = labels.isin(index)
    return set(target[among].astype(str).tolist()) if among.sum() >= _ENOUGH_ROWS else set()


def _came_of(filled: _Filled, learnt: Sheet, both: NDArray[np.float32]) -> bool:
    """Return whether a column of all rows holds the values of the one that was filled, in another order.

    Rows that are left out later may be missing, as far as they are few; none may have come in.
    """
    if learnt.names is None or filled.name not in learnt.names:
        return False
    column = both[:, learnt.names.index(filled.name)]
    own = np.sort(column[column != np.float32(filled.value)])
    if not 0.5 * len(filled.index) < len(column) <= len(filled.index) or not len(own):
        return False
    values, counts = np.unique(own, return_counts=True)
    there = np.searchsorted(filled.known, values, "right") - np.searchsorted(filled.known, values, "left")
    return bool((counts <= there).all())
