"""What one network learnt from and was measured on, row by row."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.row_store import RowStore
from modelwright.doctor.sensors.rows.sheet import Sheet
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.watch.place import Place

__all__ = ["Held", "Learner", "Mixed"]

_CALM, _STRIDE = 8, 16
"""Batches without a new row, beyond one pass, after which one in so many is read."""


@dataclass(slots=True)
class _Side:
    """Rows with a value or two for each, and how long none was new."""

    rows: RowStore = field(default_factory=RowStore)
    first: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    second: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    group: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    whole: bool = True
    _calm: int = 0
    _passed: int = 0

    def rests(self) -> bool:
        """Return whether the next batch need not be read: the last pass brought no new row.

        A few are read all the same.
        """
        if not self.whole:
            return True
        if not self.settled:
            return False
        self._passed += 1
        return self._passed % _STRIDE > 0 or self.rows.full

    def idle(self, rows: int) -> None:
        """Take note that so many rows came that belong to the other side."""
        self._calm += rows

    @property
    def settled(self) -> bool:
        """Whether all rows seem to be known."""
        return self.rows.full or self._calm > len(self.rows) + _CALM

    @property
    def closed(self) -> bool:
        """Whether a whole pass brought no other row than those that are here."""
        return self.whole and not self.rows.full and self.settled

    def add(self, table: NDArray[np.float32], group: int) -> NDArray[np.int64]:
        """Add rows, and return their numbers."""
        before, settled = len(self.rows), self.settled
        places = self.rows.add(table, count=not settled)
        grown = len(self.rows) - before
        # A pass is over when as many rows came as are known, and none of them was new.
        self._calm = 0 if grown else self._calm + len(places)
        if grown:
            self.first, self.second = (
                np.append(each, np.full(grown, np.nan)) for each in (self.first, self.second)
            )
            self.group = np.append(self.group, np.full(grown, group))
        return places

    def say(self, places: NDArray[np.int64], values: NDArray[Any] | None) -> None:
        """Take note of a value for each row, the first and the second that were told."""
        if values is None or len(values) != len(places) or values.dtype.kind not in "biuf":
            return
        kept = places >= 0
        places, told = places[kept], values[kept].astype(np.float64)
        again = ~np.isnan(self.first[places])
        fresh = again & np.isnan(self.second[places])
        self.second[places[fresh]] = told[fresh]
        self.first[places[~again]] = told[~again]


@dataclass(slots=True)
class Mixed:
    """Batches, measured in one stretch, that hold rows that were learnt from and rows that were not.

    Attributes:
        batches: How many.
        known_rows: Rows in them that were learnt from.
        fresh_rows: Rows in them that were not.
        told_rows: Rows in those of which somebody asks whether the answers are right.
        known, fresh: Numbers of these among the rows learnt from, and among those measured.
        place: Of the line that measured the first of them.
    """

    place: Place | None
    batches: int = 0
    known_rows: int = 0
    fresh_rows: int = 0
    told_rows: int = 0
    known: set[int] = field(default_factory=set[int])
    fresh: set[int] = field(default_factory=set[int])

    def add(self, known: NDArray[np.int64], fresh: NDArray[np.int64]) -> None:
        """Add a batch."""
        self.batches += 1
        self.known_rows += len(known)
        self.fresh_rows += len(fresh)
        self.known.update(known.tolist())
        self.fresh.update(fresh.tolist())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """Rows that were measured and not learnt from, of one kind: validation rows or test rows, for example.

    Attributes:
        values: (row, column).
        counts: How often each came.
        place: Of the line that measured them.
    """

    values: NDArray[np.float32]
    counts: NDArray[np.int64]
    place: Place | None


@dataclass(slots=True, eq=False)
class Evaluation:
    """Rows that a network was asked about, whose answers a metric was given.

    Attributes:
        key: Tells it from others.
        asked: (what it was called with, rows) of each call.
        said: What it gave, so that the key stays its own.
        true: (row,)
        output: (row,) or (row, class), as the metric was given it or a part of it.
        place: Of the line of the first metric.
        scores: (metric, value).
        ranked: (metric, output, what it was given, true, value, place).
    """

    key: tuple[int, int]
    asked: list[tuple[Any, int]]
    said: list[Any]
    true: NDArray[Any]
    output: NDArray[Any]
    place: Place | None
    scores: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    ranked: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])


@dataclass(slots=True)
class Learner:
    """A network with its rows.

    Attributes:
        module: The network.
        name: Its class.
        learnt: Rows that it learnt from, with their targets.
        asked: Rows that it was measured on and had not learnt from; `first` what is true, `second` is
            what it said.
        place: Of the line that calls it to learn.
        compared_at: Of the line that compares what it says with targets.
        asked_at: Group of measured rows -> the line that measured them.
        within: Whether it learns inside of an estimator of scikit-learn.
        floats: Whether its targets are numbers rather than classes.
        still: Whether it learns in evaluation mode.
        bootstraps: Whether its targets are made of what it says itself.
        recorded: Whether gradients were recorded in its last call.
        shape: Of a row, where it is given one tensor that is read whole.
        outputs: Numbers that it gives for each row; 0 where those are no columns.
        lowest: Least label that its classes, as they are, were compared with.
        highest: Largest of these.
        compared_with: Of the line that compares them.
        mixed: Group of measured rows -> batches among them with rows that were learnt from.
        evaluations: What metrics were given of its answers, the newest last.
        target_at: Place of the targets among the tensors that it is called with, where it is given them.
        target_tries: Calls in which that was looked for.
    """

    module: Any
    name: str
    learnt: _Side = field(default_factory=_Side)
    asked: _Side = field(default_factory=_Side)
    place: Place | None = None
    compared_at: Place | None = None
    asked_at: dict[int, Place | None] = field(default_factory=dict[int, Place | None])
    within: bool = False
    floats: bool = False
    still: bool = False
    recorded: bool = False
    bootstraps: bool = False
    shape: tuple[int, ...] = ()
    outputs: int = 0
    lowest: float = np.inf
    highest: float = -np.inf
    compared_with: Place | None = None
    mixed: dict[int, Mixed] = field(default_factory=dict[int, Mixed])
    evaluations: list[Evaluation] = field(default_factory=list[Evaluation])
    target_at: int | None = None
    target_tries: int = 0

    def knows(self, table: NDArray[np.float32]) -> bool:
        """Return whether all rows are among those learnt from, or all among those measured."""
        return any(bool(side.rows.has(table).all()) for side in (self.learnt, self.asked))

    @property
    def targets_vary(self) -> bool:
        """Whether no row, or not half of those that came again, had the same target again."""
        first, second = self.learnt.first, self.learnt.second
        again = ~np.isnan(second)
        return not again.any() or float((first[again] != second[again]).mean()) > 0.5

    def held(self) -> list[Held]:
        """Return measured rows that were not learnt from, by the stretch in which they were first met."""
        if not len(self.asked.rows):
            return []
        fresh = self._fresh()
        found: list[Held] = []
        for group in np.unique(self.asked.group[fresh]).tolist():
            mine = fresh & (self.asked.group == group)
            found.append(
                Held(
                    values=self.asked.rows.values[mine],
                    counts=self.asked.rows.counts[mine],
                    place=self.asked_at.get(group),
                )
            )
        return found

    def _fresh(self) -> NDArray[np.bool_]:
        return self.learnt.rows.find(self.asked.rows) < 0

    @property
    def classes(self) -> bool:
        """Whether its targets are classes."""
        known = self.learnt.first[~np.isnan(self.learnt.first)]
        return not self.floats or bool(np.isin(known, (0, 1)).all())

    def study(self, least: int) -> Study | None:
        """Return what it learnt and was measured on as one study; None where targets or rows are too few."""
        known = ~np.isnan(self.learnt.first)
        fresh = self._fresh() if len(self.asked.rows) else np.zeros(0, bool)
        if known.sum() < max(least, 0.9 * len(known)) or fresh.sum() < 2:
            return None
        classes = self.classes
        target = self.learnt.first[known]
        study = Study(
            name=self.name,
            rows=np.flatnonzero(known),
            lineage=frozenset(),
            target=target.astype(np.int64) if classes else target,
            classes=classes,
            place=self.place,
            sheet=_sheet(self.learnt.rows.values[known]),
            distinct=1.0,
            ordered=False,
        )
        true, said = self.asked.first[fresh], self.asked.second[fresh]
        if classes and (said != np.rint(said)).any():  # of two classes one number: a logit, or a probability
            said = said > (0.0 if np.nanmin(said) < 0 else 0.5)
        known = ~np.isnan(true)
        told = known.any() and not (classes and self.outputs <= 1 and not np.isin(true[known], target).all())
        # Of rows that were measured where nobody listened, what is true was not heard.
        for some in ([known] if told and not known.all() else []) + [np.ones(len(true), bool)]:
            study.measured.append(
                self._measurement(fresh, some, true, said, told=bool(told and known[some].all()))
            )
        return study

    def _measurement(
        self,
        fresh: NDArray[np.bool_],
        some: NDArray[np.bool_],
        true: NDArray[np.float64],
        said: NDArray[Any],
        *,
        told: bool,
    ) -> Measurement:
        """Return what some of the measured rows are, with what is true of them and what was predicted."""
        places, true, said = np.flatnonzero(fresh)[some], true[some], said[some]
        as_told = np.int64 if self.classes else np.float64
        return Measurement(
            rows=len(self.learnt.rows) + places,
            lineage=frozenset(),
            place=self.asked_at.get(int(self.asked.group[places].max())),
            sheet=_sheet(self.asked.rows.values[places]),
            target=true.astype(as_told) if told else None,
            predicted=None if np.isnan(said).any() else said.astype(as_told),
        )


def _sheet(values: NDArray[np.float32]) -> Sheet:
    return Sheet(values, None, None, np.ones(values.shape[1], bool), {})
