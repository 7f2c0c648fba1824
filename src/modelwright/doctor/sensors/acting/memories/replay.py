"""Which transitions a replay memory gives: whether new ones ever come in, and old ones at all.

What is held against what is drawn is "uniform over some window that ends now", with room for memories that
prefer some transitions to others: of all that happened in ended episodes, the newest quarter gets a tenth of
the draws at least. A small memory gives it more, a memory larger than the run a quarter. Where the same is
observed again and again, only rows of which it is certain how old they are count, and what is expected is
counted among transitions of which it is certain too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.chance.bernoulli_bet import BernoulliBet
from modelwright.doctor.chance.budget import limit_of
from modelwright.doctor.chance.change_detector import ChangeDetector
from modelwright.doctor.sensors.acting.value.view import View
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Call, Scene, Sensor

__all__ = ["Replay"]

_NEWEST = 0.25
"""Part of what happened that is newest."""

_SLACK = 0.4
"""Share of what draws without preference would give it that it gets at least."""

_ODDS = (20.0,)
_LEAST_SHARE = 0.02
_OLD, _NEW, _LEFT_OUT = range(3)

_LATE = 0.01
"""Part of what happened that is left out: the one place that is written over and over may be drawn often."""

_FEWEST_ROWS = 8
_BATCHES = 12
"""Batches before anything is said."""

_MOST_ROWS = 256

_FIRST, _GROWTH = 200, 1.03
"""Transitions from which on, and growth of their number after which, a batch is read in any case."""

_MOST_LAG = 10
"""Steps of returns, at most."""

_NEARLY_ALL = 0.9

_MOST_TRIES = 6
"""Calls that are taken for one, each time: a model may be called on other things too."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one update.

    Attributes:
        now: Number of transitions so far.
        rows: Number of the last transition that began with each row, -1 where none did (row,).
        place: Of the model's call.
        close: Whether it was read because the watch looked closely.
    """

    now: int
    rows: NDArray[np.int64]
    place: Place | None
    close: bool


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Rows of a batch of which it is certain whether they are new.

    Attributes:
        batch: The batch.
        rows: How many.
        new: How many of them happened in the newest quarter.
        share: Of draws without preference among all that happened, the part that would be new.
    """

    batch: _Batch
    rows: int
    new: int
    share: float

    @property
    def ratio(self) -> float:
        """New rows over those that draws without preference would give in the mean."""
        return self.new / (self.rows * self.share)


class Replay(Sensor):
    """Finds rows of batches among what environments did: at updates that are looked at, and now and then."""

    while_acting = frozenset({"on_call", "on_forward"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._batches: list[_Batch] = []
        self._view = View(scene.experience)
        self._last = -1
        self._next = float(_FIRST)
        self._tries = 0

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if not call.depth and call.grad:
            self._read(call.args, call.place, close=True)

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        now = self.scene.experience.count
        if now < self._next or self.scene.close or not _is_learnt(output):
            return
        self._tries += 1
        if self._read(args, place_of_caller(2), close=False) or self._tries >= _MOST_TRIES:
            self._next, self._tries = _GROWTH * now, 0

    def _read(self, args: tuple[Any, ...], place: Place | None, *, close: bool) -> bool:
        """Keep a batch, where it is one; return whether it is."""
        shape = getattr(args[0], "shape", ()) if args else ()
        if self.scene.steps == self._last or len(shape) < 2 or not _FEWEST_ROWS <= shape[0] <= 100_000:
            return False
        some = [each.detach()[:_MOST_ROWS] for each in args if getattr(each, "shape", ())[:1] == shape[:1]]
        read = self._view.read(tuple(some))
        experience = self.scene.experience
        found = [experience.starts(key) for key in read[0]] if read is not None else []
        if found and 2 * sum(map(bool, found)) >= len(found):
            self._last = self.scene.steps
            rows = [each[-1] + experience.first if each else -1 for each in found]
            self._batches.append(_Batch(experience.count, np.array(rows, np.int64), place, close))
        return bool(found)

    def findings(self) -> Iterable[Finding]:
        """Return memories that take in nothing new, and those that give nothing but the newest."""
        if len(self._batches) < _BATCHES:
            return
        yield from self._nothing_new()
        yield from self._nothing_old()

    def _drawn(self) -> Iterable[_Drawn]:
        """Yield batches with the rows whose observation happened in one part of the past only."""
        experience = self.scene.experience
        transitions = experience.transitions
        numbers: dict[bytes, int] = {}
        seen = np.array([numbers.setdefault(each.observation, len(numbers)) for each in transitions])
        of = np.array([each.environment for each in transitions])
        ends = np.array([each.terminated or each.truncated for each in transitions])
        places = [np.flatnonzero(of == environment) for environment in np.unique(of)]
        for batch in self._batches:
            now, rows = batch.now - experience.first, batch.rows[batch.rows >= experience.first]
            part = np.full(max(0, now), _LEFT_OUT)
            for place in places:
                mine = place[: np.searchsorted(place, now)]
                ended = np.flatnonzero(ends[mine])
                known = int(ended[-1]) + 1 if len(ended) else 0
                if known >= 100:
                    part[mine[: int(known * (1 - _LATE))]] = _NEW
                    part[mine[: int(known * (1 - _NEWEST))]] = _OLD
            within = np.zeros((len(numbers), 3), np.bool_)
            within[seen[: len(part)], part] = True
            certain = within.sum(axis=1) == 1
            drawn = seen[rows - experience.first]
            new, old = (certain & within[:, each] for each in (_NEW, _OLD))
            could = int(new[seen[: len(part)]].sum()), int(old[seen[: len(part)]].sum())
            found = int(new[drawn].sum()), int(old[drawn].sum())
            if sum(found) and min(could) and could[0] >= _LEAST_SHARE * sum(could):
                yield _Drawn(batch, sum(found), found[0], could[0] / sum(could))

    def _nothing_new(self) -> Iterable[Finding]:
        detector = ChangeDetector(forever=True)
        told = list(self._drawn())
        for each in told:
            bet = BernoulliBet("below", _ODDS)
            bet.see(np.arange(each.rows) < each.new, _SLACK * each.share)
            detector.see(exp(bet.log_evidence))
        if not told or not detector.ever_reached(limit_of("newest not replayed")):
            return
        # New ones came in once, while there were more and more; and then no more, to the end.
        known = [each.batch.now for each in told if each.ratio >= _SLACK]
        silent = next((at for at in range(len(told), 0, -1) if told[at - 1].ratio > _SLACK / 2), 0)
        after = {each.batch.now for each in told[silent:]}
        if not known or known[-1] < 1.3 * known[0] or len(after) < 4 or max(after) < 1.2 * known[-1]:
            return
        yield Finding(
            kind="newest-experience-never-replayed",
            severity=Severity.SEVERE,
            title=f"What happens after step {known[-1]} or so is not learnt from, up to step {max(after)}.",
            evidence={
                "steps": [each.batch.now for each in told][-60:],
                "newest_quarter_drawn_over_expected": [each.ratio for each in told][-60:],
                "log_evidence": detector.log_peak,
            },
            causes=(cause("buffer-not-wrapping", told[-1].batch.place),),
            next_check="store more transitions than the memory holds, and print which are left",
        )

    def _nothing_old(self) -> Iterable[Finding]:
        # How often batches are drawn, those say that follow one another.
        used = [each for each in self._batches if each.close and each.now >= 4 * len(each.rows)]
        if len(used) < _BATCHES:
            return
        gaps = [after.now - before.now for before, after in pairwise(used)]
        if not 2 * _FEWEST_ROWS <= len(used[0].rows) < _MOST_ROWS:
            return
        if sum(map(_is_newest, used[1:])) < _NEARLY_ALL * (len(used) - 1):
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


def _is_newest(batch: _Batch) -> bool:
    """Return whether a batch is a stretch of the newest rows; some may have been observed before, too."""
    size, end = len(batch.rows), int(batch.rows.max()) + 1
    # Returns of several steps are stored some steps later.
    among = np.isin(np.arange(end - size, end), batch.rows).mean()
    return end >= batch.now - _MOST_LAG and bool(among >= _NEARLY_ALL)


def _is_learnt(output: Any) -> bool:
    """Return whether gradients of what a model gave are recorded."""
    parts: Any = output if isinstance(output, tuple | list) else (output,)
    return any(getattr(each, "requires_grad", False) for each in parts)
