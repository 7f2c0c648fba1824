"""What batches of value distributions at one place have in common."""

from collections.abc import Iterator, Sequence

from modelwright.doctor.sensors.acting.distributions.projection import (
    LOST,
    Shares,
    ShareWorth,
    fit_shares,
    is_lost,
)
from modelwright.doctor.sensors.acting.value.batch import Batch, Worth
from modelwright.doctor.sensors.acting.value.record import Record
from modelwright.doctor.sensors.acting.value.way import Fit
from modelwright.doctor.sensors.acting.value.ways import Way, wrong_ways

__all__ = ["SharesRecord"]

_MOST_SEARCHES = 4
_MOST_DISCOUNTS = 16


class SharesRecord(Record):
    """Batches of shares of atoms; see `Record`.

    Attributes:
        discounts: What the program multiplied by, and discounts that were found.
    """

    discounts: Sequence[float] = ()
    _searches = 0

    def take(self, batch: Batch) -> Fit | None:
        """See `Record`."""
        assert isinstance(batch, Shares)
        batch.searches = not self.right and self._searches < _MOST_SEARCHES
        found = super().take(batch)
        self._searches += batch.searches
        batch.searches = False
        if found is not None and found.discount not in self.discounts and found.discount == found.discount:
            self.discounts = (found.discount, *self.discounts)[:_MOST_DISCOUNTS]
        return found

    def heard(self, discount: float) -> None:
        """Take note of a number that the program multiplied by."""
        if discount not in self.discounts and len(self.discounts) < _MOST_DISCOUNTS:
            self.discounts = (*self.discounts, discount)

    def _fit(self, batch: Batch, worth: Worth, way: Way) -> Fit | None:
        assert isinstance(batch, Shares)
        assert isinstance(worth, ShareWorth)
        batch.discounts = self.discounts
        found = fit_shares(batch, worth, way)
        if found is None and not way.faults and not worth.fault and not batch.searches:
            found = fit_shares(batch, worth, way, -1.0)
        return found

    def _wrong_ways(self, batch: Batch, steps: Sequence[int]) -> Iterator[Way]:
        assert isinstance(batch, Shares)
        if is_lost(batch):
            for many in steps:
                yield Way(steps=many, whole=LOST)
        yield from wrong_ways(steps)
