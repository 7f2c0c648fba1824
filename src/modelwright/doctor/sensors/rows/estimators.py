"""Follows rows through a program that uses scikit-learn: what is fitted on what, and measured on what."""

import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.rows.answers import cuts, is_part, one_each
from modelwright.doctor.sensors.rows.columns.scale_identity import check_scales_of_study
from modelwright.doctor.sensors.rows.estimator_kind import (
    codes_of,
    columns_of,
    kind_of,
    predicts,
    says_class,
    search_of,
    settings_of,
    support_of,
)
from modelwright.doctor.sensors.rows.isolated import isolated, once
from modelwright.doctor.sensors.rows.labels.pairing import check_pairing
from modelwright.doctor.sensors.rows.parts.overlapping_windows import check_overlap_of
from modelwright.doctor.sensors.rows.parts.preparation_leaks import check_preparation
from modelwright.doctor.sensors.rows.parts.rows_twice import check_rows_twice
from modelwright.doctor.sensors.rows.parts.set_aside import SetAside
from modelwright.doctor.sensors.rows.parts.split_windows import SplitWindows
from modelwright.doctor.sensors.rows.row_book import RowBook, Traced
from modelwright.doctor.sensors.rows.scores.beside_a_line import check_beside_a_line
from modelwright.doctor.sensors.rows.scores.chosen_settings import check_settings
from modelwright.doctor.sensors.rows.scores.differences import Differences
from modelwright.doctor.sensors.rows.scores.hard_labels import check_hard_labels
from modelwright.doctor.sensors.rows.scores.reversed_scores import check_reversed_scores
from modelwright.doctor.sensors.rows.scores.target_units import check_target_units, units_of
from modelwright.doctor.sensors.rows.scores.tried_thresholds import check_thresholds
from modelwright.doctor.sensors.rows.sheet import Sheet, labels_of, sheet_of, values_of
from modelwright.doctor.sensors.rows.study import BY_HAND, Measurement, Preparation, Study
from modelwright.doctor.sensors.rows.table_checks import check_table
from modelwright.doctor.sensors.rows.tables.heard import Tables
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Estimation, Scene, Sensor

__all__ = ["Estimators"]

_MOST_STUDIES = 400
_MOST_CALLS = 600
_LEAST_ASKED = 20
_LEAST_S, _SHARE = 1.5, 0.04
_KEPT_CELLS = 4_000_000
_MOST_CLASSES = 50
_MOST_RAW, _RAW_CELLS = 6, 500_000
"""Tables that are kept as they were before they were scaled, and their cells."""


class Estimators(Sensor):
    """Keeps which rows were learnt from, measured, and used to fit what prepares them."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._book = RowBook()
        self._preparations: list[Preparation] = []
        self._latest: dict[int, tuple[Any, int]] = {}
        self._studies: list[Study] = []
        self._of: dict[int, tuple[Any, Study]] = {}
        self._tables = Tables()
        self._aside = SetAside()
        self._windows = SplitWindows()
        self._raw: list[tuple[NDArray[np.int64], Sheet]] = []
        self._entered: list[Traced] = []
        self._asked: list[Traced] = []
        self._asked_at: Place | None = None
        self._calls = 0
        self._began = self._spent = 0.0
        self._answers: list[tuple[Any, Measurement]] = []
        self._differences = Differences()

    def on_estimation(self, estimation: Estimation) -> None:
        """See `Sensor`."""
        began = time.perf_counter()
        self._began = self._began or began
        self._hear(estimation)
        self._spent += time.perf_counter() - began

    @property
    def _dear(self) -> bool:
        """Whether following rows took too large a share of the program's time: the next fit is left out."""
        return self._spent > _LEAST_S and self._spent > _SHARE * (time.perf_counter() - self._began)

    def _hear(self, estimation: Estimation) -> None:
        if self._book.full:
            return
        self._tables.hear(estimation)
        what = estimation.what
        if what == "differ":
            self._differences.hear(estimation, [output for output, _ in self._answers])
        elif what == "compare" and not isinstance(estimation.target, str):
            self._compare(estimation)
        elif what in ("split", "splitter"):
            self._tables.split(estimation, self._book)
            self._aside.split(estimation)
            self._windows.split(estimation)
        elif what == "metric":
            self._score(estimation)
        elif what == "fit" and predicts(estimation.by) and estimation.target is not None:
            self._learn(estimation)
        elif what in ("fit", "transform", "resample"):
            self._prepare(estimation)
        elif what in ("predict", "score"):
            self._measure(estimation)

    # ---- models of torch ----

    def on_call(self, call: Call) -> None:
        """Rows that a transformer made enter a network."""
        if call.depth or self.scene.environments or not self._preparations or self._calls >= _MOST_CALLS:
            return
        if not call.args or getattr(call.args[0], "ndim", 0) != 2 or call.args[0].requires_grad:
            return
        sheet = sheet_of(call.args[0])
        if sheet is None:
            return
        self._calls += 1
        traced = self._book.look_up(sheet)
        (self._entered if call.grad else self._asked).append(traced)
        if not call.grad:
            self._asked_at = call.place

    def _network(self) -> Study | None:
        """Return what networks learnt from and were measured on, where these rows can be told apart.

        Only some of the rows that a network learns from are heard. So rows are taken for held out only where
        hardly any of those that were heard is measured.
        """
        if not self._entered or not self._asked:
            return None
        learnt = np.unique(np.concatenate([each.origins for each in self._entered]))
        asked = np.unique(np.concatenate([each.origins for each in self._asked]))
        if (learnt < 0).any() or (asked < 0).any() or np.isin(learnt, asked).mean() > 0.05:
            return None
        lineage = [
            frozenset[int]().union(*(e.lineage for e in side)) for side in (self._entered, self._asked)
        ]
        saw_all = [n for n in lineage[0] | lineage[1] if np.isin(asked, self._preparations[n].rows).all()]
        if not saw_all or len(asked) < _LEAST_ASKED:
            return None
        study = Study(
            name="the network",
            rows=learnt,
            lineage=lineage[0] & frozenset(saw_all) | (lineage[0] - lineage[1]),
            target=np.zeros(len(learnt)),
            classes=False,
            place=None,
            sheet=None,
            distinct=1.0,
        )
        seen = lineage[1] & frozenset(saw_all)
        study.measured.append(Measurement(rows=asked, lineage=seen, place=self._asked_at))
        return study

    # ---- transformers ----

    def _prepare(self, estimation: Estimation) -> None:
        sheet = sheet_of(estimation.given)
        if sheet is None or not hasattr(estimation.by, "transform"):
            return
        traced = self._book.trace(sheet)
        if kind_of(estimation.by) == "scale" and sheet.values.size <= _RAW_CELLS:
            self._raw = [*self._raw[1 - _MOST_RAW :], (traced.origins, sheet)]
        if estimation.what == "fit":
            self._fit(estimation, sheet, traced)
        reference, number = self._latest.get(id(estimation.by), (None, -1))
        if number < 0 or reference() is not estimation.by or estimation.name == "fit":
            return
        output = sheet_of(estimation.output)
        if output is not None and len(output) == len(sheet):
            self._book.made(output, traced, number)
            if estimation.name == "fit_transform":
                self._book.remember_columns(output, number)

    def _fit(self, estimation: Estimation, sheet: Sheet, traced: Traced) -> None:
        what = kind_of(estimation.by)
        if what is None:
            self._latest.pop(id(estimation.by), None)
            return
        number = len(self._preparations)
        chosen = support_of(estimation.by) if what == "select" else None
        names: frozenset[str] = frozenset()
        if chosen is not None and len(chosen) == sheet.values.shape[1]:
            support = frozenset(np.flatnonzero(chosen).tolist())
            self._book.selects(sheet, traced, support, number)
            if sheet.names is not None:
                names = frozenset(sheet.names[at] for at in support)
                self._book.remember_names(sheet, traced)
        self._preparations.append(
            Preparation(
                kind=type(estimation.by).__name__,
                what=what,
                rows=np.unique(traced.origins),
                place=estimation.place,
                names=names,
                all_names=frozenset(sheet.names or ()),
                codes=codes_of(estimation.by) if what == "code" else "",
            )
        )
        self._latest[id(estimation.by)] = (weakref.ref(estimation.by), number)

    # ---- models ----

    def _learn(self, estimation: Estimation) -> None:
        sheet, target = sheet_of(estimation.given), values_of(estimation.target)
        if (
            sheet is None
            or target is None
            or len(target) != len(sheet)
            or len(self._studies) >= _MOST_STUDIES
        ):
            self._of.pop(id(estimation.by), None)
            return
        traced = self._book.trace(sheet)
        columns = columns_of(estimation.by)
        names = columns or frozenset(sheet.names or ())
        study = Study(
            name=type(estimation.by).__name__,
            rows=traced.origins,
            lineage=traced.lineage | self._choosers(names, sheet),
            target=target,
            classes=says_class(estimation.by),
            place=estimation.place,
            sheet=sheet if sheet.values.size <= _KEPT_CELLS else None,
            distinct=traced.distinct,
            columns=names,
            settings=settings_of(estimation.by),
            labels=sheet.index if sheet.index is not None else labels_of(estimation.target),
            target_labels=labels_of(estimation.target),
            search=search_of(estimation.by, estimation.groups),
        )
        self._tables.groups.told(estimation.groups, traced.origins)
        self._studies.append(study)
        self._of[id(estimation.by)] = (weakref.ref(estimation.by), study)
        for each in self._studies[2:-2]:
            each.sheet = None
            for measurement in each.measured:
                measurement.sheet = None

    def _choosers(self, names: frozenset[str], sheet: Sheet) -> frozenset[int]:
        """Return the preparations that chose exactly the columns that a model uses, by name."""
        return frozenset(
            number
            for number, each in enumerate(self._preparations)
            if each.names and each.names < each.all_names and names & each.all_names == each.names
        )

    def _measure(self, estimation: Estimation) -> None:
        reference, study = self._of.get(id(estimation.by), (None, None))
        if study is None or reference is None or reference() is not estimation.by:
            return
        sheet = sheet_of(estimation.given)
        if sheet is None:
            return
        traced = self._book.trace(sheet)
        predicted = one_each(estimation.output) if estimation.what == "predict" else None
        measurement = Measurement(
            rows=traced.origins,
            lineage=traced.lineage,
            place=estimation.place,
            sheet=sheet if sheet.values.size <= _KEPT_CELLS else None,
            predicted=predicted,
            how=estimation.name,
            output=_small(estimation.output),
            order=sum(len(each.measured) for each in self._studies),
        )
        if estimation.what == "score":
            measurement.target = values_of(estimation.target)
            name = "accuracy" if study.classes else "r2"
            measurement.scores.append((name, float(estimation.output)))
            measurement.score_place = estimation.place
        else:
            self._answers = [*self._answers[-7:], (estimation.output, measurement)]
        study.measured.append(measurement)

    def _score(self, estimation: Estimation) -> None:
        """A metric was computed: find the rows whose predictions it was given."""
        true, said = values_of(estimation.given), estimation.target
        if true is None:
            return
        latest = [
            (not is_part(said, output), output, measurement)
            for output, measurement in reversed(self._answers)
            if len(measurement.rows) == len(true)
        ]
        # What was said as it is comes before what may have been made of it.
        for is_made, output, measurement in sorted(latest, key=lambda each: each[0]):
            if self._take_score(estimation, true, output, measurement, is_made):
                return

    def _take_score(
        self, estimation: Estimation, true: NDArray[Any], output: Any, measurement: Measurement, is_made: bool
    ) -> bool:
        """Take note of a metric; return whether it was given what the model said, or what was made of it."""
        said = estimation.target
        if not is_made:
            measurement.target = true
        elif not cuts(said, output):
            units = units_of(said, output)
            if units is None or true.dtype.kind not in "biuf":
                return False
            measurement.target = true = units.back(true.astype(np.float64))
            measurement.unit = units.there
        value = estimation.output
        number = float(value) if isinstance(value, float | np.floating) else float("nan")
        if measurement.target is not None or true.dtype.kind in "biuf":
            measurement.target = true if measurement.target is None else measurement.target
            measurement.scores.append((estimation.name, number))
            measurement.score_place = estimation.place
            measurement.rank(estimation.name, output, said, true, number, estimation.place)
        return True

    def _compare(self, estimation: Estimation) -> None:
        """A column was compared with an array: where both are classes, told and true, that is an accuracy."""
        one, other = values_of(estimation.given), values_of(estimation.target)
        if one is None or other is None:
            return
        for output, measurement in reversed(self._answers):
            if len(measurement.rows) != len(one) or measurement.how != "predict":
                continue
            sides = (
                [(one, other)] if is_part(other, output) else [(other, one)] if is_part(one, output) else []
            )
            for true, said in sides:
                if np.unique(true).size <= _MOST_CLASSES and not is_part(true, output):
                    value = float(np.mean(np.asarray(true == said)))
                    measurement.target = true
                    measurement.scores.append((BY_HAND, value))
                    measurement.accuracy_at = estimation.place
                    return

    # ---- the end ----

    def findings(self) -> Iterable[Finding]:
        """Return what is wrong with rows, splits and columns."""
        studies = [each for each in self._studies if each.measured]
        network = self._network()
        traced = [*studies, network] if network is not None else studies
        yield from once(self._prepared(traced))
        yield from self._tables.check_frames(studies, codes=bool(studies or self.scene.steps))
        yield from once(isolated(self._rows_twice, studies))
        yield from self._tables.check_orders(studies, self._studies)
        yield from once(isolated(check_pairing, studies))
        yield from isolated(check_hard_labels, studies)
        yield from isolated(check_target_units, studies)
        for each in studies[-1:]:
            yield from isolated(self._differences.check, each)
        yield from isolated(check_reversed_scores, studies)
        yield from isolated(check_thresholds, studies)
        yield from isolated(check_settings, studies)
        yield from self._tables.check(studies)
        yield from once(self._overlap(studies))
        yield from isolated(check_beside_a_line, studies)
        yield from once(check_table(studies))

    def _overlap(self, studies: Sequence[Study]) -> Iterator[Finding]:
        """Return whether rows are windows that overlap with measured ones, as they were before scaling."""
        yield from isolated(self._windows.check)
        last = next((each for each in reversed(studies) if each.sheet is not None and each.held_out()), None)
        if last is None:
            return
        measured = last.held_out()[-1]
        sides = [
            self._before_scaling(last.rows, last.sheet),
            self._before_scaling(measured.rows, measured.sheet),
        ]
        learnt, held = sides
        if learnt is not None and held is not None and learnt.values.shape[1] == held.values.shape[1]:
            yield from isolated(check_overlap_of, learnt.values, held.values, last.name, last.place)

    def _before_scaling(self, origins: NDArray[np.int64], sheet: Sheet | None) -> Sheet | None:
        for rows, raw in self._raw:
            if len(rows) == len(origins) and np.array_equal(rows, origins):
                return raw
        return sheet

    def _rows_twice(self, studies: Sequence[Study]) -> Iterable[Finding]:
        return check_rows_twice(studies, self._aside.is_idle(self._studies, self._book))

    def _prepared(self, studies: Sequence[Study]) -> Iterator[Finding]:
        """Return what is wrong with what prepares rows: a transformer, or arithmetic."""
        yield from isolated(check_preparation, studies, self._preparations)
        last = next(
            (each for each in reversed(self._studies) if each.sheet is not None and each.held_out()), None
        )
        if last is not None:
            yield from isolated(check_scales_of_study, last)


def _small(output: Any) -> NDArray[Any] | None:
    return output if getattr(output, "ndim", 0) in (1, 2) and output.size <= _KEPT_CELLS else None
