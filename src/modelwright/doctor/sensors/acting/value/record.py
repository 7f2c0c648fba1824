"""What batches at one place have in common: a right way that gives their targets, or else a wrong one."""

from collections.abc import Iterator, Sequence

import numpy as np

from modelwright.doctor.sensors.acting.value.batch import Batch, Worth
from modelwright.doctor.sensors.acting.value.links import HORIZON
from modelwright.doctor.sensors.acting.value.way import Fit, columns_for, fit, is_covered, steps_of
from modelwright.doctor.sensors.acting.value.ways import Way, right_ways, wrong_ways
from modelwright.doctor.watch.place import Place

__all__ = ["Record"]

_MOST_REFUTING = 8
_MOST_PLAIN = 4
_ENOUGH_ROWS = 10
_ENOUGH_LOOKS = 20
_MOST_UNDECIDED = 200
"""Batches that a right way gives and a wrong one too, after which no more are looked at."""


class Record:
    """Batches whose targets were compared at one place.

    Attributes:
        place: Of the comparison.
        looks: Batches that were compared.
        ends, cuts: Rows that ended, or were cut, among them.
        right: How right ways gave targets, the newest last.
        shapes: Of the network whose predictions are compared.
        pairs: Whether it is given actions beside observations.
        made: Line that computed the targets, where it was heard.
    """

    def __init__(self, place: Place | None, shapes: list[tuple[int, ...]]) -> None:
        self.place = place
        self.shapes = shapes
        self.pairs = False
        self.made: Place | None = None
        self.looks = self.ends = self.cuts = 0
        self.right: list[Fit] = []
        self._decided = self._undecided = 0
        self._refuting: list[Batch] = []
        self._plain: list[Batch] = []
        self._answer: tuple[int, list[Fit]] | None = None
        self._otherwise: Record | None = None

    @property
    def otherwise(self) -> "Record":
        """The same batches, with cuts read as ends: where nobody says which of the two they are."""
        if self._otherwise is None:
            self._otherwise = type(self)(self.place, self.shapes)
            self._otherwise.pairs, self._otherwise.made = self.pairs, self.made
        return self._otherwise

    def take(self, batch: Batch) -> Fit | None:
        """Compare one more batch; returns how a right way gives its targets, None where none does."""
        links = batch.worths[0].links
        self.looks += 1
        self.ends += int(links.terminated.sum())
        self.cuts += int(links.truncated.sum())
        found = self._right(batch)
        if found is not None:
            self.right = [*self.right[-99:], found]
            if _decides(batch, found):
                self._decided += 1
            else:
                self._undecided += 1
        elif not _can_be_explained(batch):
            return None
        kept, most = (self._refuting, _MOST_REFUTING) if found is None else (self._plain, _MOST_PLAIN)
        if len(kept) < most:
            kept.append(batch)
        elif _odd(batch) > min(map(_odd, kept)):
            kept[min(range(len(kept)), key=lambda at: _odd(kept[at]))] = batch
        return found

    def _right(self, batch: Batch) -> Fit | None:
        for worth in batch.worths:
            if worth.fault.split(":")[0]:
                continue
            steps = steps_of(worth.links, len(batch.targets))
            plain = bool(np.abs(worth.links.rewards).max(initial=0.0) <= 1.0)
            for way in right_ways(steps):
                if way.reward == ":clipped" and plain:
                    continue
                found = self._fit(batch, worth, way)
                if found is not None and not found.faults:
                    return found
        return None

    def _fit(self, batch: Batch, worth: Worth, way: Way) -> Fit | None:
        found = fit(batch, worth, way)
        if found is not None or way.reward:
            return found
        if worth.surprise is not None:
            return fit(batch, worth, way, worth.surprise)
        for at in columns_for(batch, worth, way):
            found = fit(batch, worth, way, batch.columns[at])
            if found is not None:
                return found
        return None

    def satisfied(self, cuts: int) -> bool:
        """Return whether enough was seen: all of it right, or much that no right way gives.

        Args:
            cuts: Episodes that were cut until now.
        """
        if len(self._refuting) >= _MOST_REFUTING:
            return True
        seen = self.ends >= _ENOUGH_ROWS and self.cuts >= _ENOUGH_ROWS
        enough = _ENOUGH_LOOKS if seen else 3 * _ENOUGH_LOOKS if not cuts else 5 * _ENOUGH_LOOKS
        return not self._refuting and (self._decided >= enough or self._undecided >= _MOST_UNDECIDED)

    @property
    def refuted(self) -> int:
        """Batches kept whose targets no right way gives."""
        return len(self._refuting)

    def wrong(self) -> list[Fit]:
        """Return wrong ways that give the targets of every batch, those with the fewest faults first."""
        if self._answer is None or self._answer[0] != self.looks:
            self._answer = (self.looks, sorted(self._wrong(), key=lambda each: len(each.faults)))
        return self._answer[1]

    def _wrong(self) -> Iterator[Fit]:
        if not self._refuting:
            return
        first, *others = sorted(self._refuting, key=_odd, reverse=True)
        for worth in first.worths:
            if worth.fault == "twin-minimum-missing:one" and not first.shared:
                continue
            steps = steps_of(worth.links, len(first.targets)) or [1]
            name = worth.fault.split(":")[0]
            ways = [*right_ways(steps), *([] if name else self._wrong_ways(first, steps))]
            for way in ways:
                found = self._fit(first, worth, way)
                if found is None or not found.faults:
                    continue
                if all(self._again(batch, worth, way) for batch in others) and all(
                    self._again(batch, worth, way, if_known=True) for batch in self._plain
                ):
                    yield found

    def _wrong_ways(self, batch: Batch, steps: Sequence[int]) -> Iterator[Way]:
        """Yield wrong ways that are tried on a batch."""
        yield from wrong_ways(steps)

    def _again(self, batch: Batch, worth: Worth, way: Way, if_known: bool = False) -> bool:
        same = [each for each in batch.worths if (each.fault, each.name) == (worth.fault, worth.name)]
        return (if_known and not same) or any(self._fit(batch, each, way) is not None for each in same)


def _can_be_explained(batch: Batch) -> bool:
    """Return whether some way can be computed from the links of all rows, whatever it gives.

    Where none can, the calls are none on what follows: of another batch perhaps, in a small world.
    """
    ways = [*right_ways([1]), *wrong_ways(range(1, HORIZON + 1))]
    rows = len(batch.targets)
    different = {id(worth.links): worth.links for worth in batch.worths}.values()
    return any(is_covered(links, way, rows) for links in different for way in ways)


def _decides(batch: Batch, found: Fit) -> bool:
    """Return whether no wrong value of what follows is the right one in every row.

    At first one of two critics may be the smaller one everywhere.
    """
    right = next(each for each in batch.worths if (each.fault, each.name) == (found.fault, found.worth))
    return not any(
        each.fault.split(":")[0] and np.array_equal(each.values, right.values) for each in batch.worths
    )


def _odd(batch: Batch) -> int:
    """Return how much there is to tell ways apart by."""
    links = batch.worths[0].links
    return int(np.count_nonzero(links.terminated | links.truncated))
