"""Rows that a model learns from beside rows that it is measured on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.measuring.slopes import Slopes
from modelwright.doctor.sensors.rows.parts.alike_by_chance import share_of_copies
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Scene, Sensor

__all__ = ["Splits"]

_ENOUGH_ROWS = 40
_ALL = 0.9
_MANY = 0.05
_BEFORE = 0.3
"""Share of the rows met again that were learnt from before they were measured, at least."""

_DIFFERENT = 0.5
"""Share of a batch's rows that differ from one another, or a row is no name of its own."""

_LARGEST_ROW = 16_384
_NARROW, _MOST_NUMBERS = 256, 2_000_000
"""Columns of rows whose numbers are kept, at most; and numbers kept of learnt rows, and of measured ones."""


class _Batch(NamedTuple):
    """Hashes of rows, and their numbers (row, column) where they are narrow."""

    keys: list[int]
    table: NDArray[np.float32] | None


@dataclass(slots=True)
class _Measured:
    """Hashes of rows that a model was asked of without gradients, and how many had been learnt from then."""

    rows: set[int]
    known: int


@dataclass(slots=True)
class _Rows:
    """Rows of one shape: what one model gives to another has a shape of its own.

    Attributes:
        learnt: Hashes of those that were learnt from.
        beside: Of all in the batches with those.
        measured: Those of each call without gradients.
        place: Of the line that measured last.
        values: Numbers of narrow rows, by hash, of those that were learnt from and of those measured.
    """

    learnt: set[int] = field(default_factory=set[int])
    beside: set[int] = field(default_factory=set[int])
    measured: list[_Measured] = field(default_factory=list[_Measured])
    place: Place | None = None
    values: dict[int, NDArray[np.float32]] = field(default_factory=dict[int, NDArray[np.float32]])

    def keep(self, given: _Batch, room: int) -> int:
        """Keep the numbers of narrow rows, as far as there is room; return how much is left."""
        for key, row in zip(given.keys, given.table, strict=True) if given.table is not None else ():
            if row.size <= room and key not in self.values:
                self.values[key] = row
                room -= row.size
        return room

    def told(self) -> list[_Measured]:
        """Return the calls of which each row may be measured.

        A batch with rows that entered beside learnt ones, and were never learnt from, holds what the others
        are computed with: all nodes of a graph, of which scores count a part as losses do.
        """
        never = self.beside - self.learnt
        return [each for each in self.measured if each.rows and never.isdisjoint(each.rows)]

    def share_of_copies(self, measured: set[int]) -> float:
        """Return the share of measured rows that are copies of learnt ones, of those that are kept."""
        sides = [[self.values[key] for key in side if key in self.values] for side in (self.learnt, measured)]
        if min(len(side) for side in sides) < _ENOUGH_ROWS // 2:
            return 1.0
        learnt, held = (np.stack(side) for side in sides)
        return share_of_copies(learnt, held)


@dataclass(slots=True)
class _Waiting:
    """A batch that entered a model with gradients.

    Attributes:
        by: id of the model.
        keys: Hash of each row.
        shape: Of a row.
        slopes: What comes back to the model's output.
    """

    by: int
    keys: list[int]
    shape: tuple[int, ...]
    slopes: Slopes

    def counted(self) -> set[int]:
        """Return the rows that were learnt from; all, where that was not heard."""
        sloped = self.slopes.sloped
        if sloped is None:
            return set(self.keys)
        return {key for key, is_sloped in zip(self.keys, sloped, strict=True) if is_sloped}


class Splits(Sensor):
    """Keeps a hash of rows that enter models, with gradients and without."""

    closely = frozenset({"on_step_end", "on_zero"})
    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._rows: dict[tuple[int, ...], _Rows] = {}
        self._waiting: list[_Waiting] = []
        self._asked: list[tuple[int, set[int]]] = []
        self._by: list[tuple[int, _Measured]] = []
        self._before: list[_Waiting] = []
        self._late: list[_Waiting] = []
        self._steps = self._followed = 0
        self._room = {True: _MOST_NUMBERS, False: _MOST_NUMBERS}

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or self.scene.environments or not call.args or not hasattr(call.args[0], "shape"):
            return
        given = call.args[0]
        batch = _rows(call.args)
        if batch is None:
            return
        mine = self._rows.setdefault(tuple(given.shape[1:]), _Rows())
        rows = set(batch.keys)
        self._room[call.grad] = mine.keep(batch, self._room[call.grad])
        if call.grad:
            if given.grad_fn is None:  # else what another model gave
                slopes = Slopes(call.output, len(batch.keys))
                self._waiting.append(_Waiting(id(call.module), batch.keys, tuple(given.shape[1:]), slopes))
        elif len(rows) >= 2:
            self._asked.append((len(given), rows))
            mine.measured.append(_Measured(set(rows), len(rows & mine.learnt)))
            self._by.append((id(call.module), mine.measured[-1]))
            mine.place = call.place

    def on_zero(self, optimizers: Sequence[Any]) -> None:
        """See `Sensor`."""
        for each in (*self._late, *self._waiting):
            each.slopes.forget()

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._steps += 1
        # What rows are followed by is asked in a batch of as many rows, and they are others.
        learnt = [set(each.keys) for each in (*self._before, *self._waiting)]
        sizes = {len(each.keys) for each in self._waiting}
        self._followed += any(number in sizes and rows not in learnt for number, rows in self._asked)
        self._before = self._waiting
        now = [*self._late, *self._waiting]
        self._late = [each for each in now if each.slopes.waits()]
        for each in now:
            mine, counted = self._rows[each.shape], each.counted()
            mine.learnt |= counted
            if counted:
                mine.beside.update(each.keys)
            # Of what one model learns from in this step, another tells what is to be learnt: a teacher.
            for by, measured in self._by:
                if by != each.by:
                    measured.rows -= counted
        self._waiting, self._asked, self._by = [], [], []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._waiting, self._late, self._asked, self._by = [], [], [], []

    @property
    def _bootstraps(self) -> bool:
        """Whether models are asked in order to learn: mostly about as many other rows as are learnt."""
        return self.scene.asks_often and 2 * self._followed > self._steps

    def findings(self) -> Iterable[Finding]:
        """Return a warning where rows that are measured were learnt from."""
        for rows in self._rows.values():
            yield from self._judge(rows)

    def _judge(self, rows: _Rows) -> Iterable[Finding]:
        told = rows.told()
        measured = set[int]().union(*(each.rows for each in told))
        if len(rows.learnt) < _ENOUGH_ROWS or len(measured) < _ENOUGH_ROWS // 2:
            return
        both = rows.learnt & measured
        share_learnt, share_measured = len(both) / len(rows.learnt), len(both) / len(measured)
        shares = [len(each.rows & rows.learnt) / len(each.rows) for each in told]
        # What is first met without gradients and learnt from later is acted on, not measured.
        known = sum(len(each.rows & rows.learnt) for each in told)
        if sum(each.known for each in told) < _BEFORE * known:
            return
        everywhere = min(shares) > 0.3 * float(np.mean(shares)) > 0
        evidence = {
            "rows_learnt_from": len(rows.learnt),
            "rows_measured": len(measured),
            "rows_in_both": len(both),
            "share_of_each_measured_batch": shares[:40],
        }
        if share_learnt >= _ALL and everywhere:
            yield Finding(
                kind="measured-on-training-rows",
                severity=Severity.INFO if self._bootstraps else Severity.WARNING,
                title=f"{share_learnt:.0%} of the rows that the model learnt from are those that it is "
                "measured on, and no others are.",
                evidence=evidence,
                causes=(cause("evaluated-on-training-rows", rows.place),),
                next_check="measure on rows that were held out",
            )
        elif share_measured >= _MANY and everywhere and rows.share_of_copies(measured) >= _MANY:
            yield Finding(
                kind="rows-learnt-and-measured",
                severity=Severity.WARNING,
                title=f"{share_measured:.0%} of the rows that the model is measured on were learnt from.",
                evidence=evidence,
                causes=(
                    cause("duplicates-across-split", rows.place),
                    cause("oversampled-before-split", rows.place),
                    cause("evaluated-on-training-rows", rows.place),
                ),
                next_check="remove copies of rows before the split, and resample training rows only after it",
            )


def _rows(args: tuple[Any, ...]) -> _Batch | None:
    """Return the rows of all inputs; None where rows cannot be told apart, or are too large."""
    count = args[0].shape[0] if args[0].dim() else 0
    inputs = [each for each in args if hasattr(each, "detach") and each.dim() and each.shape[0] == count]
    if args[0].dim() < 2 and len(inputs) < 2:
        return None
    width = sum(each[0].numel() for each in inputs) if count >= 2 else 0
    if not 4 <= width <= _LARGEST_ROW:
        return None
    parts = [each.detach().reshape(count, -1).cpu().numpy() for each in inputs]
    found = [hash(b"".join(each.tobytes() for each in row)) for row in zip(*parts, strict=True)]
    if len(set(found)) < _DIFFERENT * count:
        return None
    narrow = width <= _NARROW and all(each.dtype.kind in "biuf" for each in parts)
    return _Batch(found, np.concatenate(parts, axis=1).astype(np.float32) if narrow else None)
