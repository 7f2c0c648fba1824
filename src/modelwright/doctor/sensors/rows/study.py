"""What one model learnt from and was measured on, and what was done to the rows before."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.sheet import Sheet
from modelwright.doctor.watch.place import Place

__all__ = ["Measurement", "Preparation", "Study"]


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
        how: The method that was called.
    """

    rows: NDArray[np.int64]
    lineage: frozenset[int]
    place: Place | None
    sheet: Sheet | None = None
    target: NDArray[Any] | None = None
    predicted: NDArray[Any] | None = None
    scores: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    score_place: Place | None = None
    how: str = ""


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

    def held_out(self) -> list[Measurement]:
        """Return what was measured on rows that were not all learnt from."""
        return [each for each in self.measured if np.isin(each.rows, self.rows).mean() < 0.95]
