"""Rows that a split set aside, and that no model was asked about."""

from collections.abc import Sequence

import numpy as np

from modelwright.doctor.sensors.rows.row_book import RowBook
from modelwright.doctor.sensors.rows.sheet import Sheet, sheet_of
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["SetAside"]

_ENOUGH = 20
_MOST_CELLS = 2_000_000


class SetAside:
    """The second part of the last split of rows."""

    def __init__(self) -> None:
        self._last: Sheet | None = None

    def split(self, estimation: Estimation) -> None:
        """Hear that rows were split."""
        parts = estimation.output
        if estimation.name != "train_test_split" or not isinstance(parts, list | tuple) or len(parts) < 4:
            return
        sheet = sheet_of(parts[1])
        self._last = sheet if sheet is not None and sheet.values.size <= _MOST_CELLS else None

    def is_idle(self, studies: Sequence[Study], book: RowBook) -> bool:
        """Return whether no model learnt from these rows, or was asked about them or as many others."""
        if self._last is None or len(self._last) < _ENOUGH:
            return False
        if any(len(each.rows) == len(self._last) for study in studies for each in study.measured):
            return False
        known = [study.rows for study in studies]
        known += [each.rows for study in studies for each in study.measured]
        origins = book.look_up(self._last).origins
        return not known or not np.isin(origins[origins >= 0], np.concatenate(known)).any()
