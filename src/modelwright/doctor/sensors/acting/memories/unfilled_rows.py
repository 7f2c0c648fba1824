"""Rows of zeros among those that a replay memory gives: places that nothing was stored in yet.

Of a memory whose places are drawn before they are filled, the share of such rows is one less what happened
over the memory's size: it falls as the program goes on. That is held against a share that stays the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.experience import key_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Scene, Sensor

__all__ = ["UnfilledRows"]

_FEWEST_ROWS = 16
_MOST_ROWS = 1024
_ENOUGH = 12
_MOST_BATCHES = 400
_SCATTERED = 0.6
"""Stretches of zeros over those that draws in random order give."""

_LIKELIER = 12.0
"""By how much, in logarithm, a falling share explains the batches better than one that stays the same."""

_FALLS = 1.3
_MISFIT = 3.0


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one call.

    Attributes:
        zero: Which of them are zero (row,).
        content: Bytes of the observations.
    """

    zero: NDArray[np.bool_]
    content: bytes


class UnfilledRows(Sensor):
    """Counts rows of zeros that stand in the same places of what came before a step, and after it."""

    closely = frozenset({"on_step_begin"})
    while_acting = frozenset({"on_call", "on_step_begin"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._calls: list[_Rows] = []
        self._batches: list[tuple[int, int, int]] = []
        self._place: Place | None = None
        self._vain = self._updates = 0
        self._every = 1

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._calls.clear()

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or not call.args or self._vain >= _ENOUGH:
            return
        given: Any = call.args[0]
        if getattr(given, "ndim", 0) != 2 or not _FEWEST_ROWS <= given.shape[0] <= _MOST_ROWS:
            return
        size = max((each for each in self.scene.experience.sizes if each <= given.shape[1]), default=0)
        if size < 2:
            return
        rows = np.asarray(given.detach()[:, :size].cpu().numpy(), np.float32)
        zero: NDArray[np.bool_] = np.logical_not(np.any(rows, axis=1))
        self._calls.append(_Rows(zero, rows.tobytes()))
        if self._place is None and self._calls[-1].zero.any():
            self._place = call.place

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        calls, self._calls = self._calls, []
        if len({each.content for each in calls}) < 2:
            self._vain += any(not each.zero.all() for each in calls) and not self._batches
            return
        zero = calls[0].zero
        if any(not np.array_equal(each.zero, zero) for each in calls):
            self._vain += not self._batches
            return
        if not zero.any():
            self._vain += not self._batches
        elif not self._are_stored(calls[0]):
            self._vain += 1
            return
        self._updates += 1
        if self._updates % self._every == 0:
            self._batches.append((self.scene.experience.count, len(zero), int(zero.sum())))
        if len(self._batches) >= _MOST_BATCHES:
            self._batches, self._every = self._batches[1::2], 2 * self._every

    def _are_stored(self, rows: _Rows) -> bool:
        """Return whether no observation is zero, and zeros are scattered as in draws."""
        one = np.zeros(len(rows.content) // 4 // len(rows.zero), np.float32)
        if self.scene.experience.knows(key_of(one)):
            return False
        stretches = int((rows.zero & ~np.r_[False, rows.zero[:-1]]).sum())
        return stretches >= _SCATTERED * float(rows.zero.sum()) * float((~rows.zero).mean())

    def findings(self) -> Iterable[Finding]:
        """Return that zeros are drawn as from a memory that is not full yet."""
        drawn = [each for each in self._batches if each[2]]
        if len(drawn) < _ENOUGH:
            return
        then, rows, zeros = (np.array(each, np.float64) for each in zip(*self._batches, strict=True))
        half = len(then) // 2
        first, last = zeros[:half].sum() / rows[:half].sum(), zeros[half:].sum() / rows[half:].sum()
        filled = rows - zeros
        even = float(zeros.sum() / rows.sum())
        size = _size_of(then, rows, zeros)
        share = _shares(then, size)
        better = _likelihood(zeros, rows, share) - _likelihood(zeros, rows, np.full_like(share, even))
        whole = share**rows
        mean = rows * (share - whole) / (1.0 - whole)
        misfit = float(np.mean((zeros - mean) ** 2 / (rows * share * (1.0 - share) + 0.5)))
        falls = first >= _FALLS * last or filled[half:].sum() >= _FALLS * filled[:half].sum()
        if better < _LIKELIER or misfit > _MISFIT or not falls:
            return
        yield Finding(
            kind="unfilled-rows-drawn",
            severity=Severity.SEVERE,
            title=f"{even:.0%} of the rows that are learnt from are zeros that nobody stored.",
            evidence={
                "batches": len(self._batches),
                "share_of_zeros_at_first": float(first),
                "share_of_zeros_later": float(last),
                "places_of_the_memory": round(size),
                "log_evidence": better,
            },
            causes=(cause("sampled-unfilled-rows", self._place),),
            next_check="draw places below the number that were stored, not below the capacity",
        )


def _size_of(then: NDArray[np.float64], rows: NDArray[np.float64], zeros: NDArray[np.float64]) -> float:
    """Return the size of a memory that makes such shares of zeros likeliest."""
    sizes = np.geomspace(0.2 * float(then.max()), 300.0 * float(then.max()), 600)
    likely = [_likelihood(zeros, rows, _shares(then, size)) for size in sizes]
    return float(sizes[int(np.argmax(likely))])


def _shares(then: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    return np.clip(1.0 - then / size, 1e-3, 1.0 - 1e-4)


def _likelihood(zeros: NDArray[np.float64], rows: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """Return it for batches of which none was all zeros: those are not told from other things."""
    drawn = zeros * np.log(share) + (rows - zeros) * np.log(1.0 - share)
    return float((drawn - np.log(1.0 - share**rows)).sum())
