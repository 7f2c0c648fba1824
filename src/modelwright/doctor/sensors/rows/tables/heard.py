"""What pandas and splits did with tables before rows reached a model, and what of that was wrong."""

from collections.abc import Iterator, Sequence

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.rows.isolated import isolated, once
from modelwright.doctor.sensors.rows.row_book import RowBook
from modelwright.doctor.sensors.rows.sheet import labels_of, values_of
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.sensors.rows.tables.brought_over import check_brought_over
from modelwright.doctor.sensors.rows.tables.chosen_columns import check_chosen_columns
from modelwright.doctor.sensors.rows.tables.declared_groups import DeclaredGroups
from modelwright.doctor.sensors.rows.tables.frames import Frames
from modelwright.doctor.sensors.rows.tables.group_statistics import check_group_statistics
from modelwright.doctor.sensors.rows.tables.joined_rows import check_joins
from modelwright.doctor.sensors.rows.tables.label_spelling import check_spelling
from modelwright.doctor.sensors.rows.tables.ledger import Ledger
from modelwright.doctor.sensors.rows.tables.row_order import RowOrders
from modelwright.doctor.sensors.rows.tables.thinned_rows import SplitTargets
from modelwright.doctor.sensors.rows.tables.time_columns import check_split_of_series, check_time_columns
from modelwright.doctor.sensors.rows.tables.units_by_group import check_units_by_group
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["Tables"]

_CHECKS = (
    check_group_statistics,
    check_spelling,
    check_time_columns,
    check_split_of_series,
    check_joins,
    check_chosen_columns,
    check_units_by_group,
)
_IN_LEDGER = frozenset({"group", "compare", "shift", "window", "correlate", "join", "table", "within"})
_IN_FRAMES = frozenset({"fill", "code"})


class Tables:
    """Joins, fills, windows and groups of pandas, splits of rows, and groups that were told of."""

    def __init__(self) -> None:
        self._frames = Frames()
        self._ledger = Ledger()
        self._orders = RowOrders()
        self._split_targets = SplitTargets()
        self.groups = DeclaredGroups()

    def hear(self, estimation: Estimation) -> None:
        """Take note of what pandas did; all else is passed by."""
        if estimation.what in _IN_FRAMES:
            self._frames.hear(estimation)
        elif estimation.what in _IN_LEDGER:
            self._ledger.hear(estimation)

    def split(self, estimation: Estimation, book: RowBook) -> None:
        """Hear that a splitter was made, or rows were split."""
        self.groups.split(estimation, book)
        target = values_of(estimation.target)
        labels = labels_of(estimation.target)
        given = estimation.given
        self._split_targets.split(target, labels if labels is not None else labels_of(given))
        self._orders.split(given, target, labels, estimation.place)

    def check_frames(self, measured: Sequence[Study], codes: bool) -> Iterator[Finding]:
        """Yield what is wrong with how gaps were filled; with `codes`, what stands for gaps, too."""
        if codes:
            yield from isolated(self._frames.check_codes)
        yield from once(isolated(self._frames.check, measured))

    def check_orders(self, measured: Sequence[Study], learnt: Sequence[Study]) -> Iterator[Finding]:
        """Yield where targets stand in another order than the rows of a table."""
        yield from once(isolated(self._orders.check, learnt, self._ledger))
        yield from isolated(check_brought_over, measured, self._ledger)

    def check(self, measured: Sequence[Study]) -> Iterator[Finding]:
        """Yield what is wrong with groups, joins, windows and columns."""
        yield from isolated(self.groups.check, measured, self._ledger)
        yield from isolated(self._split_targets.check, measured, self._ledger)
        for check in _CHECKS:
            yield from once(isolated(check, measured, self._ledger))
