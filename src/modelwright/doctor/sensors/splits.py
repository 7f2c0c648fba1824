"""Rows that a model learns from beside rows that it is measured on."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
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


class Splits(Sensor):
    """Keeps a hash of rows that enter models, with gradients and without."""

    closely = frozenset({"on_step_end"})
    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._learnt: set[int] = set()
        self._waiting: list[set[int]] = []
        self._measured: list[set[int]] = []
        self._known_before = 0
        self._place: Place | None = None

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or self.scene.environments or not call.args or not hasattr(call.args[0], "shape"):
            return
        rows = _rows(call.args[0])
        if rows is None:
            return
        if call.grad:
            self._waiting.append(rows)
        elif len(rows) >= 2:
            self._measured.append(rows)
            self._known_before += len(rows & self._learnt)
            self._place = call.place

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        for rows in self._waiting:
            self._learnt |= rows
        self._waiting = []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._waiting = []

    def findings(self) -> Iterable[Finding]:
        """Return a warning where rows that are measured were learnt from."""
        measured = set[int]().union(*self._measured)
        if len(self._learnt) < _ENOUGH_ROWS or len(measured) < _ENOUGH_ROWS // 2:
            return
        both = self._learnt & measured
        share_learnt, share_measured = len(both) / len(self._learnt), len(both) / len(measured)
        shares = [len(rows & self._learnt) / len(rows) for rows in self._measured]
        # What is first met without gradients and learnt from later is acted on, not measured.
        if self._known_before < _BEFORE * sum(len(rows & self._learnt) for rows in self._measured):
            return
        everywhere = min(shares) > 0.3 * float(np.mean(shares)) > 0
        evidence = {
            "rows_learnt_from": len(self._learnt),
            "rows_measured": len(measured),
            "rows_in_both": len(both),
            "share_of_each_measured_batch": shares[:40],
        }
        if share_learnt >= _ALL and everywhere:
            yield Finding(
                kind="measured-on-training-rows",
                # Where models are asked before each step, that may be a part of learning: of bootstrapping.
                severity=Severity.INFO if self.scene.asks_often else Severity.WARNING,
                title=f"{share_learnt:.0%} of the rows that the model learnt from are those that it is "
                "measured on, and no others are.",
                evidence=evidence,
                causes=(cause("evaluated-on-training-rows", self._place),),
                next_check="measure on rows that were held out",
            )
        elif share_measured >= _MANY and everywhere:
            yield Finding(
                kind="rows-learnt-and-measured",
                severity=Severity.WARNING,
                title=f"{share_measured:.0%} of the rows that the model is measured on were learnt from.",
                evidence=evidence,
                causes=(
                    cause("duplicates-across-split", self._place),
                    cause("oversampled-before-split", self._place),
                    cause("evaluated-on-training-rows", self._place),
                ),
                next_check="remove copies of rows before the split, and resample training rows only after it",
            )


def _rows(given: Any) -> set[int] | None:
    """Return a hash of each row; None where rows are too small to be told apart, or too large."""
    if given.dim() < 2 or given.shape[0] < 2 or not 4 <= given[0].numel() <= _LARGEST_ROW:
        return None
    values = given.detach().reshape(given.shape[0], -1).cpu().numpy()
    found = {hash(row.tobytes()) for row in values}
    return found if len(found) >= _DIFFERENT * len(values) else None
