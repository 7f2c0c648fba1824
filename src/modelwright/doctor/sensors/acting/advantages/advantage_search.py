"""Ways of computing advantages that are tried on one update: right ones first, wrong ones only after them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.advantage_axes import fits_over_one_axis
from modelwright.doctor.sensors.acting.advantages.advantage_record import AdvantageRecord
from modelwright.doctor.sensors.acting.advantages.advantage_ways import (
    FITS,
    AdvantageFit,
    AdvantageWay,
    advantage_ways,
    fit_way,
)
from modelwright.doctor.sensors.acting.advantages.mixed_rows import ways_of_other_rows
from modelwright.doctor.sensors.acting.advantages.reset_rows import with_reset_rows
from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.advantages.used_rewards import UsedRewards
from modelwright.doctor.sensors.acting.advantages.value_tables import ValueTable

__all__ = ["AdvantageSearch", "fits"]


@dataclass(slots=True)
class AdvantageSearch:
    """What the loss gives in one update, and what it may come from.

    Attributes:
        rollout: What was done.
        tables: Values.
        rows: Transition of each weight (row,).
        places: Place of each weight in the batch (row,).
        weights: What the loss gives (row,).
        record: What was found until now.
        of_values: Whether it is about targets of values.
        used: Finds rewards as the program uses them.
    """

    rollout: Rollout
    tables: Sequence[ValueTable]
    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    weights: NDArray[np.float64]
    record: AdvantageRecord
    of_values: bool
    used: Callable[[], UsedRewards | None]

    def tried(self, values: AdvantageRecord) -> Iterator[tuple[str, AdvantageFit]]:
        """Yield how each way fits: right ones first, and wrong ones only where no right one does.

        Args:
            values: What was found of targets of values.
        """
        right = False
        for fault, fit in self._right(self.rollout):
            yield fault, fit
            right |= fits(fit) and not fault
        if right:
            return
        used = self.used()
        rollout = self.rollout
        if used is not None:
            rollout = replace(self.rollout, reward=used.rewards)
            for fault, fit in self._right(rollout):
                yield ("reward-centred" if used.shifted else fault), fit
                right |= fits(fit)
        if right:
            return
        self.record.searches += 1
        yield from self._wrong(self.rollout)
        yield from self._wrong_with_reset_rows()
        if used is not None:
            yield from self._wrong(rollout)
        if not self.of_values and values.known is not None and values.discount is not None:
            for table in self.tables:
                known = values.known, values.discount, values.scale
                fit = fits_over_one_axis(self.rollout, table, self.rows, self.weights, known)
                if fit is not None:
                    yield "advantage-normalised-over-wrong-axis", fit

    def _right(self, rollout: Rollout) -> Iterator[tuple[str, AdvantageFit]]:
        for way in self._ways(rollout):
            if not way.fault:
                fit = self._fit(way)
                shifted = _shifted(fit)
                yield ("reward-off-by-one" if shifted else ""), fit
                if fits(fit):
                    return

    def _wrong(self, rollout: Rollout) -> Iterator[tuple[str, AdvantageFit]]:
        for way in self._ways(rollout):
            if way.fault:
                yield way.fault, self._fit(way)
        for table in self.tables:
            for way in ways_of_other_rows(rollout, table, self.rows, self.places, self.of_values):
                yield way.fault, self._fit(way)

    def _wrong_with_reset_rows(self) -> Iterator[tuple[str, AdvantageFit]]:
        whole = with_reset_rows(self.rollout)
        if whole is None:
            return
        rows = np.where(self.rows >= 0, whole.places[self.rows], -1)
        for table in self.tables:
            for way in advantage_ways(whole.rollout, whole.table(table)):
                if way.fault:
                    yield way.fault, self._fit(way, rows)

    def _ways(self, rollout: Rollout) -> Iterator[AdvantageWay]:
        for table in self.tables or [None]:
            yield from advantage_ways(rollout, table)

    def _fit(self, way: AdvantageWay, rows: NDArray[np.int64] | None = None) -> AdvantageFit:
        known = self.record.known
        # Sums over nothing more fit rollouts without ends too where a mask is the wrong way.
        surely = known is not None and (known > 1e-6 or not way.fault)
        sure = surely and self.record.right + self.record.refuted > 1
        fit = fit_way(way, self.rows if rows is None else rows, self.weights, known, sure)
        if way.fault == "returns-without-values" and _counts_rewards_twice(fit):
            return replace(fit, plausible=False)
        return fit


def fits(fit: AdvantageFit) -> bool:
    """Return whether a way explains what the loss gives."""
    return fit.residual < FITS and fit.plausible


def _counts_rewards_twice(fit: AdvantageFit) -> bool:
    """Return whether lambda is one and rewards count twice: as right returns less values once do."""
    whole = fit.discount is None or abs(fit.p - fit.discount) < 2e-3
    return whole and fit.value != 0 and abs(fit.reward / fit.value + 2.0) < 0.1


def _shifted(fit: AdvantageFit) -> bool:
    """Return whether rewards count 1/gamma times as much as values: each return lacks its first."""
    if fit.discount is None or fit.value == 0 or fit.discount > 0.9995:
        return False
    more, lacks = -fit.reward / fit.value - 1.0, 1.0 / fit.discount - 1.0
    return abs(more - lacks) < 0.05 * lacks
