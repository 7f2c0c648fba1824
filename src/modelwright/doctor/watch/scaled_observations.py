"""Observations that a program scales by itself before models see them: each number by a factor and a shift.

The rule is learnt where it can be seen: a model that is asked while acting is given what the environment
showed last. Rows of a batch are then found again among all that was shown.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScaledObservations"]

Numbers = NDArray[np.float64]
_Row = NDArray[np.float32]

_FEWEST_PAIRS, _MOST_PAIRS = 32, 256
_FEWEST_DIFFERENT = 8
_EXACT = 2e-5
_FAR = 1e-4
_MOST_NUMBERS = 64
_MOST_SHOWN = 100_000
_GROWN = 1.1


class ScaledObservations:
    """Learns how a program scales observations, and finds out which observation a row is."""

    def __init__(self) -> None:
        self._pairs: list[tuple[_Row, _Row, _Row | None]] = []
        self._tried = self._count = 0
        self._rule: tuple[Numbers, Numbers] | None = None
        self._keys: list[bytes] = []
        self._rows = np.zeros((0, 0))
        self._order = np.zeros(0, np.intp)
        self._along = np.zeros(0)

    @property
    def size(self) -> int:
        """How many numbers observations have that are scaled; 0 where none are, as far as is known."""
        return len(self._rule[0]) if self._rule is not None else 0

    @property
    def settled(self) -> bool:
        """Whether it is known how they are scaled, or given up."""
        return self._rule is not None or self._tried >= _MOST_PAIRS

    def saw(self, given: _Row, shown: bytes, before: bytes = b"") -> None:
        """Take note of what a model was given, and of what the environment showed last.

        Args:
            given: (number,)
            shown: Key of what was shown.
            before: Key of what was shown before: a program may ask of that once more, where it stores a step.
        """
        if self.settled or not 0 < given.size <= _MOST_NUMBERS:
            return
        if len(shown) != 4 * given.size:
            return
        self._tried += 1
        earlier = np.frombuffer(before, np.float32) if len(before) == len(shown) else None
        self._pairs.append((given.reshape(-1).astype(np.float32), np.frombuffer(shown, np.float32), earlier))
        if len(self._pairs) >= _FEWEST_PAIRS and len(self._pairs) % 16 == 0:
            self._learn()

    def _learn(self) -> None:
        size = self._pairs[-1][0].size
        same = [pair for pair in self._pairs if pair[0].size == size]
        told = [(pair[0], pair[2]) for pair in same if pair[2] is not None]
        held = False
        for rows in ([(pair[0], pair[1]) for pair in same], told):
            given = np.array([row for row, _ in rows], np.float64).reshape(-1, size)
            shown = np.array([row for _, row in rows], np.float64).reshape(-1, size)
            if len(np.unique(shown, axis=0)) < _FEWEST_DIFFERENT or not np.isfinite(given).all():
                continue
            held = True
            rule = _rule_of(given, shown)
            if rule is not None:
                factor, shift = rule
                if np.any(np.abs(factor - 1.0) > 1e-6) or np.any(np.abs(shift) > 1e-6):
                    self._rule = rule
                return
        if held:
            self._pairs = self._pairs[len(self._pairs) // 2 :]  # it changes, perhaps, until it does not

    def keys(
        self, rows: NDArray[np.float32], shown: Callable[[], Sequence[bytes]], count: int
    ) -> list[bytes]:
        """Return the keys of the observations that rows are; empty ones where nothing like them was shown.

        Args:
            rows: As models are given them (row, number).
            shown: Gives the keys of all that was shown.
            count: Steps until now; where many are new, or rows are not found, all are asked for again.
        """
        found = self._find(rows)
        if count > self._count and (b"" in found or count > _GROWN * self._count):
            self._index(shown())
            self._count = count
            found = self._find(rows)
        return found

    def _index(self, known: Sequence[bytes]) -> None:
        assert self._rule is not None
        factor, shift = self._rule
        self._keys = [key for key in known[-_MOST_SHOWN:] if len(key) == 4 * self.size]
        shown = np.frombuffer(b"".join(self._keys), np.float32).reshape(len(self._keys), -1)
        self._rows = factor * shown.astype(np.float64) + shift
        self._along = self._project(self._rows)
        self._order = np.argsort(self._along, kind="stable")
        self._along = self._along[self._order]

    def _project(self, rows: Numbers) -> Numbers:
        return rows @ np.cos(1.0 + np.arange(rows.shape[1]))

    def _find(self, rows: NDArray[np.float32]) -> list[bytes]:
        if not self._keys:
            return [b""] * len(rows)
        wide = rows.astype(np.float64)
        along = self._project(wide)
        reach = _FAR * (1.0 + np.abs(along))
        first = np.searchsorted(self._along, along - reach)
        last = np.searchsorted(self._along, along + reach)
        found: list[bytes] = []
        for row, begin, end in zip(wide, first.tolist(), last.tolist(), strict=True):
            near = self._order[begin:end]
            far = np.abs(self._rows[near] - row).max(axis=1, initial=0.0)
            at = int(far.argmin()) if len(near) else -1
            is_it = at >= 0 and far[at] <= _FAR * (1.0 + np.abs(row).max())
            found.append(self._keys[int(near[at])] if is_it else b"")
        return found


def _rule_of(given: Numbers, shown: Numbers) -> tuple[Numbers, Numbers] | None:
    """Return factors and shifts that lead from what was shown to what was given; None where none do.

    Args:
        given: (row, number)
        shown: (row, number)
    """
    spread = shown.std(axis=0)
    moves = spread > 1e-9 * (1.0 + np.abs(shown).max(axis=0))
    centred = shown - shown.mean(axis=0)
    factor = np.where(moves, (centred * given).sum(axis=0) / np.maximum((centred**2).sum(axis=0), 1e-30), 1.0)
    shift = given.mean(axis=0) - factor * shown.mean(axis=0)
    far = np.abs(given - (factor * shown + shift)).max(axis=0)
    if np.any(far > _EXACT * (1e-3 + np.ptp(given, axis=0))) or np.any(factor == 0.0):
        return None
    return factor, shift
