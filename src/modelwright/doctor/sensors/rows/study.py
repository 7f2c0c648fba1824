"""What one model learnt from and was measured on, and what was done to the rows before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.answers import column_of
from modelwright.doctor.sensors.rows.sheet import Sheet, values_of
from modelwright.doctor.watch.place import Place

__all__ = ["BY_HAND", "Measurement", "Preparation", "Ranked", "Search", "Study"]

BY_HAND = "accuracy by hand"
"""Name of a score that is the share of equal pairs of what is true and what was predicted."""

_MOST_RANKED = 64


@dataclass(slots=True)
class Preparation:
    """One fit of a transformer.

    Attributes:
        kind: Name of its class.
        what: `scale`, `impute`, `select` or `code`: what it does with the rows.
        rows: Origins of the rows that it was fitted on.
        place: Of the user's line.
        names: Columns that it chose, where it chooses and they have names.
        all_names: Columns that it chose from.
        codes: The categories that it codes, in order, as text.
    """

    kind: str
    what: str
    rows: NDArray[np.int64]
    place: Place | None
    names: frozenset[str] = frozenset()
    all_names: frozenset[str] = frozenset()
    codes: str = ""


@dataclass(slots=True, eq=False)
class Ranked:
    """A metric of how rows are ordered, or of two classes, that was given what a model said.

    Attributes:
        name: Of the metric.
        column: Of the model's output that it was given; -1 for all others.
        said: (row,) what it was given.
        true: (row,) what is true.
        value: What it gave; NaN for what is not one number.
        place: Of the user's line.
    """

    name: str
    column: int
    said: NDArray[Any]
    true: NDArray[Any]
    value: float
    place: Place | None


@dataclass(slots=True)
class Measurement:
    """One set of rows that a model was asked about after it had learnt.

    Attributes:
        rows: Their origins.
        lineage: Numbers of the preparations that they went through.
        place: Of the user's line.
        sheet: The rows; None where they are not kept.
        target: What is true of them, where it was heard.
        predicted: What the model said, where that is one value for each row.
        scores: (metric, value) of what was heard.
        score_place: Of the line that asked for a score.
        accuracy_at: Of the line that computed an accuracy by hand.
        how: The method that was called.
        output: What it gave, as long as it is small.
        ranked: Metrics of two classes that were given what it says.
        unit: What turns targets as they were learnt into those of the metric, where that is known.
        order: How many others there were before, of all models.
    """

    rows: NDArray[np.int64]
    lineage: frozenset[int]
    place: Place | None
    sheet: Sheet | None = None
    target: NDArray[Any] | None = None
    predicted: NDArray[Any] | None = None
    scores: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    score_place: Place | None = None
    accuracy_at: Place | None = None
    how: str = ""
    output: NDArray[Any] | None = None
    ranked: list[Ranked] = field(default_factory=list[Ranked])
    unit: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    order: int = 0

    @property
    def labels(self) -> Any:
        """Labels of the rows, where a frame has them."""
        return self.sheet.index if self.sheet is not None else None

    @property
    def accuracy_place(self) -> Place | None:
        """Of the line that asked for an accuracy."""
        return self.accuracy_at or self.score_place or self.place

    def rank(
        self, name: str, output: Any, said: Any, true: NDArray[Any], value: float, place: Place | None
    ) -> None:
        """Take note of a metric of two classes that was given what the model said."""
        if len(self.ranked) >= _MOST_RANKED:
            return
        one = values_of(said)
        if one is not None and len(np.unique(true)) == 2:
            self.ranked.append(Ranked(name, column_of(said, output), one, true, value, place))


@dataclass(frozen=True, slots=True)
class Search:
    """A search for settings.

    Attributes:
        scoring: Name of what is compared; empty for what is no name.
        best: Its best mean over folds.
        folds: Class of what makes the folds; `int` for a number of them, empty for those given one by one.
        splitter: id of what makes the folds.
        told_groups: Whether it was told which rows belong together.
    """

    scoring: str
    best: float
    folds: str
    splitter: int
    told_groups: bool


@dataclass(slots=True)
class Study:
    """One fit of a model, and what it was asked afterwards.

    Attributes:
        name: Of the model's class.
        rows: Origins of what it learnt from.
        lineage: Numbers of the preparations that they went through.
        target: (row,) what it learnt to predict.
        classes: Whether that is a class.
        place: Of the user's line.
        sheet: The rows; None where they are not kept.
        distinct: Share of rows that no other row equals.
        measured: What it was asked.
        columns: Names of the columns that it uses, where it names them.
        settings: Plain numbers among its settings, and how its class is called.
        ordered: Whether rows are in the order in which the program has them.
        labels: Of the rows, where a frame, or else the targets, have them.
        target_labels: Of the targets, where they have them.
        search: How settings were chosen, where they were.
    """

    name: str
    rows: NDArray[np.int64]
    lineage: frozenset[int]
    target: NDArray[Any]
    classes: bool
    place: Place | None
    sheet: Sheet | None
    distinct: float
    measured: list[Measurement] = field(default_factory=list[Measurement])
    columns: frozenset[str] = frozenset()
    settings: frozenset[float] = frozenset()
    ordered: bool = True
    labels: Any = None
    target_labels: Any = None
    search: Search | None = None

    def held_out(self) -> list[Measurement]:
        """Return what was measured on rows that were not all learnt from."""
        return [each for each in self.measured if np.isin(each.rows, self.rows).mean() < 0.95]
