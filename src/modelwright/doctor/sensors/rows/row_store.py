"""Different rows, each kept once, with how often it came."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowStore"]

_MOST_ROWS = 20_000
_MOST_CELLS = 4_000_000


class RowStore:
    """Rows of numbers, by content, within bounds of memory.

    Attributes:
        full: Whether rows came for which there was no room.
    """

    def __init__(self) -> None:
        self.full = False
        self._places: dict[int, int] = {}
        self._parts: list[NDArray[np.float32]] = []
        self._counts = np.zeros(64, np.int64)
        self._salts: NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def values(self) -> NDArray[np.float32]:
        """Rows (row, column), in the order in which they first came."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0] if self._parts else np.zeros((0, 0), np.float32)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each came (row,)."""
        return self._counts[: len(self)]

    def fits(self, columns: int) -> bool:
        """Return whether rows of so many columns can be added."""
        return self._salts is None or len(self._salts) == columns

    def has(self, table: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which of (row, column) are here (row,)."""
        return self.places(table) >= 0

    def places(self, table: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the number of each of (row, column); -1 where it is not here."""
        return np.array([self._places.get(key, -1) for key in self._keys(table)], np.int64)

    def _keys(self, table: NDArray[np.float32]) -> list[int]:
        salts = self._salts
        if salts is None:
            draw = np.random.default_rng(0).integers(0, 2**63, table.shape[1], dtype=np.uint64)
            salts = self._salts = draw * np.uint64(2) + np.uint64(1)
        bits = np.ascontiguousarray(table + np.float32(0)).view(np.uint32)
        return (bits.astype(np.uint64) @ salts).tolist()

    def add(self, table: NDArray[np.float32], count: bool = True) -> NDArray[np.int64]:
        """Add (row, column), and return the number of each row; -1 where there was no room for it.

        Args:
            table: Rows, all of as many columns.
            count: Whether to count how often they came.
        """
        known = self._places
        room = min(_MOST_ROWS, _MOST_CELLS // max(1, table.shape[1]))
        keys = self._keys(table)
        places = [known.get(key, -1) for key in keys]
        fresh: list[int] = []
        for at, key in enumerate(keys):
            if places[at] >= 0:
                continue
            if key in known:  # the same row twice in one table
                places[at] = known[key]
            elif len(known) >= room:
                self.full = True
            else:
                places[at] = known[key] = len(known)
                fresh.append(at)
        if fresh:
            self._parts.append(table[fresh])
        while len(known) > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        found = np.array(places, np.int64)
        if count:
            np.add.at(self._counts, found[found >= 0], 1)
        return found

    def find(self, other: "RowStore") -> NDArray[np.int64]:
        """Return for each row of another store its number here; -1 where it is not here."""
        return np.array([self._places.get(key, -1) for key in other._places], np.int64)
