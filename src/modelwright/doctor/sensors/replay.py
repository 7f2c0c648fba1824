"""Which transitions a replay memory gives: whether new ones ever come in, and old ones at all.

What is held against what is drawn is "uniform over some window that ends now", with room for memories that
prefer some transitions to others: of all that happened in ended episodes, the newest quarter gets a tenth of
the draws at least. A small memory gives it more, a memory larger than the run a quarter.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.chance.budget import limit_of
from modelwright.doctor.chance.change_detector import ChangeDetector
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Scene, Sensor

__all__ = ["Replay"]

_NEWEST, _LEAST, _FAULTY = 0.25, 0.1, 0.005
"""Part of what happened that is newest; its least share of draws; its share where new ones are left out."""

_LATE = 0.01
"""Part of what happened that is left out: the one place that is written over and over may be drawn often."""

_FEWEST_ROWS = 8
_BATCHES = 12
"""Batches before anything is said."""

_MOST_ROWS = 256


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one update.

    Attributes:
        now: Number of transitions so far.
        rows: Number of the transition of each row, -1 where it is not the only one (row,).
        place: Of the model's call.
    """

    now: int
    rows: NDArray[np.int64]
    place: Place | None


@dataclass(frozen=True, slots=True)
class _Past:
    """Transitions of one environment whose observation occurred once.

    Attributes:
        numbers: Of transitions (transition,), ascending.
        ends: Numbers of the transitions that ended episodes, ascending.
    """

    numbers: list[int]
    ends: list[int]


class Replay(Sensor):
    """Finds rows of batches among what environments did, at updates that are looked at closely."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._batches: list[_Batch] = []
        self._last = -1

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if (
            call.depth
            or not call.grad
            or not call.args
            or not self.scene.environments
            or call.step == self._last
        ):
            return
        given = call.args[0]
        shape = getattr(given, "shape", ())
        if len(shape) < 2 or not _FEWEST_ROWS <= shape[0] <= 100_000:
            return
        experience = self.scene.experience
        found = experience.from_observations(given.detach()[:_MOST_ROWS].cpu().numpy())
        if sum(map(bool, found)) < len(found) / 2:
            return
        self._last = call.step
        rows = [each[0] + experience.first if len(each) == 1 else -1 for each in found]
        now = experience.first + len(experience.transitions)
        self._batches.append(_Batch(now, np.array(rows, np.int64), call.place))

    def findings(self) -> Iterable[Finding]:
        """Return memories that take in nothing new, and those that give nothing but the newest."""
        if len(self._batches) < _BATCHES:
            return
        yield from self._nothing_new()
        yield from self._nothing_old()

    def _pasts(self) -> dict[int, _Past]:
        experience = self.scene.experience
        times = Counter(each.observation for each in experience.transitions)
        pasts: dict[int, _Past] = {}
        for number, each in enumerate(experience.transitions, start=experience.first):
            past = pasts.setdefault(each.environment, _Past([], []))
            if times[each.observation] == 1:
                past.numbers.append(number)
            if each.terminated or each.truncated:
                past.ends.append(number)
        return pasts

    def _ages(self) -> Iterable[tuple[_Batch, list[float]]]:
        """Yield each batch and its rows' ages among what happened in ended episodes: 0 newest, 1 oldest."""
        pasts, experience = self._pasts(), self.scene.experience
        for batch in self._batches:
            ages: list[float] = []
            for row in batch.rows[batch.rows >= experience.first]:
                past = pasts[experience.transitions[row - experience.first].environment]
                ended = bisect_left(past.ends, batch.now)
                known = bisect_left(past.numbers, past.ends[ended - 1] + 1) if ended else 0
                at = bisect_left(past.numbers, int(row))
                if known >= 100 and at < known * (1 - _LATE) and past.numbers[at] == row:
                    ages.append((known - at) / known)
            yield batch, ages

    def _nothing_new(self) -> Iterable[Finding]:
        detector = ChangeDetector(forever=True)
        told = list(self._ages())
        for _, ages in told:
            new = sum(age <= _NEWEST for age in ages)
            detector.see((_FAULTY / _LEAST) ** new * ((1 - _FAULTY) / (1 - _LEAST)) ** (len(ages) - new))
        shares = [(batch, float(np.mean(np.array(ages) <= _NEWEST))) for batch, ages in told if ages]
        if not detector.ever_reached(limit_of("newest not replayed")) or not shares:
            return
        # New ones came in once, while there were more and more; and then no more, to the end.
        known = [batch.now for batch, share in shares if share >= _LEAST]
        silent = next((at for at in range(len(shares), 0, -1) if shares[at - 1][1] > 2 * _FAULTY), 0)
        after = {batch.now for batch, _ in shares[silent:]}
        if not known or known[-1] < 1.3 * known[0] or len(after) < 4 or max(after) < 1.2 * known[-1]:
            return
        newest = max(int(batch.rows.max()) for batch, _ in shares[:silent])
        yield Finding(
            kind="newest-experience-never-replayed",
            severity=Severity.SEVERE,
            title=f"What happened after step {newest} is hardly ever learnt from, to step {max(after)}.",
            evidence={
                "steps": [batch.now for batch, _ in shares][-60:],
                "share_of_the_newest_quarter_in_a_batch": [share for _, share in shares][-60:],
                "log_evidence": detector.log_peak,
            },
            causes=(cause("buffer-not-wrapping", shares[-1][0].place),),
            next_check="store more transitions than the memory holds, and print which are left",
        )

    def _nothing_old(self) -> Iterable[Finding]:
        used = [batch for batch in self._batches if batch.now >= 4 * len(batch.rows)]
        if len(used) < _BATCHES:
            return
        gaps = [after.now - before.now for before, after in pairwise(used)]
        for batch in used[1:]:
            size = len(batch.rows)
            newest = np.arange(batch.now - size, batch.now)
            if not np.array_equal(np.sort(batch.rows), newest) or size >= _MOST_ROWS:
                return
            if size < 2 * _FEWEST_ROWS:
                return
        # A batch of what came since the last one is what learners on policy take.
        if sum(0 < gap <= len(used[0].rows) // 2 for gap in gaps) < len(gaps) / 2:
            return
        yield Finding(
            kind="only-newest-experience-replayed",
            severity=Severity.WARNING,
            title=f"Every batch is the newest {len(used[0].rows)} transitions, of {used[-1].now}.",
            evidence={"batches": len(used), "rows": len(used[0].rows), "transitions": used[-1].now},
            causes=(cause("newest-only-sampled", used[-1].place),),
            next_check="draw rows at random from all that the memory holds",
        )
