"""Which observations of the environment the rows are that a network is given."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.experience import Experience, key_of

__all__ = ["Seen", "View"]

Numbers = NDArray[np.float64]
_Rows = NDArray[np.float32]
_Reading = Callable[[_Rows], _Rows]

_MOST_ACTED = 2048
_MOST_ASKED = 20_000

_KNOWN = 0.9
"""Share of rows that must be observations for a way of reading rows to be the right one."""


class Seen:
    """What a network was given and what it gave, as copies.

    Attributes:
        module: The network.
        keys: Of the observations that its rows are (row,).
        rest: What else stood in its rows, the action as a rule (row, number); None where nothing did.
        outputs: What it gave (row, number), one or more.
        wide: What it gave for each row in two axes (row, number, number).
        tables: Shares that were computed of what it gave, the same.
        grad: Whether gradients were recorded.
        result: The tensors that it gave; empty where gradients were not recorded.
        given: The tensors that it was given.
    """

    __slots__ = ("given", "grad", "keys", "module", "outputs", "rest", "result", "tables", "wide")

    def __init__(
        self, module: Any, keys: list[bytes], rest: Numbers | None, outputs: list[Numbers], grad: bool
    ) -> None:
        self.module = module
        self.keys = keys
        self.rest = rest
        self.outputs = outputs
        self.grad = grad
        self.result: tuple[Any, ...] = ()
        self.given: tuple[Any, ...] = ()
        self.wide: list[Numbers] = []
        self.tables: list[Numbers] = []

    @property
    def rows(self) -> int:
        """How many rows it was given."""
        return len(self.keys)


class View:
    """Reads rows as observations: whole, scaled, beside an action, the last of stacked frames.

    Args:
        experience: What the environments gave.
    """

    def __init__(self, experience: Experience) -> None:
        self._experience = experience
        self._asked = 0
        self._ways: dict[tuple[Any, ...], tuple[str, int, int]] = {}
        self._last: tuple[int, list[tuple[_Rows, bytes, bytes]]] = (0, [])

    def read(self, args: tuple[Any, ...]) -> tuple[list[bytes], Numbers | None] | None:
        """Return keys of the observations that a call was given, and what else it was; None where unknown."""
        tensors = list(_tensors(args))
        if not tensors or tensors[0].dim() < 1:
            return None
        rows = int(tensors[0].shape[0])
        tensors = [each for each in tensors if each.dim() >= 1 and each.shape[0] == rows]
        parts = [each.detach().cpu().numpy().reshape(rows, -1) for each in tensors]
        shapes = tuple(part.shape[1] for part in parts)
        known = self._ways.get(shapes)
        for way in [known] if known else self._candidates(parts):
            found = self._try(parts, way)
            if found is not None:
                self._ways[shapes] = way
                return found
        return None

    def acted(self, given: Any) -> None:
        """Take note of what a model was given while the program acts."""
        scaled = self._experience.scaled
        self._asked += 1
        if scaled.settled or self._asked > _MOST_ASKED or not hasattr(given, "detach"):
            return
        if given.numel() > _MOST_ACTED:
            return
        count, rows = self._last
        if count != self._experience.count:  # the last call before a step is the one that acts
            self._last = self._experience.count, []
            for row, key, before in rows:
                scaled.saw(row, key, before)
        shown = self._experience.newest_shown()
        if shown and 4 * given.numel() == sum(map(len, shown)):
            made = self._experience.transitions
            before = made[-1].observation if len(shown) == 1 and made else b""
            numbers = given.detach().cpu().float().numpy().reshape(len(shown), -1).copy()
            rows = [(row, key, before) for row, key in zip(numbers, shown, strict=True)]
            self._last = self._experience.count, rows

    def _candidates(self, parts: list[Any]) -> Iterator[tuple[str, int, int]]:
        """Yield ways to read: name, how many of the parts are the observation, its size."""
        for many in range(1, len(parts) + 1):
            length = sum(part.shape[1] for part in parts[:many])
            for size in sorted(self._experience.sizes, reverse=True):
                if size == length:
                    yield "whole", many, size
                    yield "of 255", many, size
                    if self._experience.scaled.size == size:
                        yield "whole, scaled", many, size
                if size == 1 and length > 1:
                    yield "one of many", many, size
                if length == size + self._action_size() > size:
                    for words in ("", ", scaled") if self._experience.scaled.size == size else ("",):
                        yield "first" + words, many, size
                        yield "last" + words, many, size
                if 1 < size < length:
                    yield "last frame", many, size
                    yield "last frame of 255", many, size
        if len(parts) > 1 and parts[-1].shape[1] in self._experience.sizes:
            yield "second part", len(parts), parts[-1].shape[1]

    def _action_size(self) -> int:
        made = self._experience.transitions
        return int(made[-1].action.size) if made else 0

    def _try(self, parts: list[Any], way: tuple[str, int, int]) -> tuple[list[bytes], Numbers | None] | None:
        name, many, size = way
        rows = np.concatenate([np.asarray(part, np.float32) for part in parts[:many]], axis=1)
        others = parts[many:]
        if name == "one of many":
            if not (np.all(rows.sum(axis=1) == 1.0) and np.all((rows == 0.0) | (rows == 1.0))):
                return None
            rows = rows.argmax(axis=1).astype(np.float32)[:, None]
        elif name.startswith("first"):
            others = [rows[:, size:], *others]
            rows = rows[:, :size]
        elif name in ("last", "last, scaled"):
            others = [rows[:, :-size], *others]
            rows = rows[:, -size:]
        elif name == "second part":
            others = parts[:-1]
            rows = np.asarray(parts[-1], np.float32)
        elif name.startswith("last frame"):
            if rows.shape[1] % size:
                return None
            rows = rows.reshape(len(rows), size, -1)[:, :, -1]
        if name.endswith("of 255"):
            if rows.min() < 0.0 or rows.max() > 1.0:
                return None
            rows = np.rint(rows * 255.0)
        if name.endswith("scaled"):
            keys = self._experience.scaled.keys(rows, self._experience.shown, self._experience.count)
        else:
            keys = [key_of(row) for row in rows]
        matched = sum(self._experience.knows(key) for key in keys)
        if matched < _KNOWN * len(keys):
            return None
        rest = np.concatenate([np.asarray(each, np.float64) for each in others], axis=1) if others else None
        return keys, rest


def _tensors(given: Any) -> Iterator[Any]:
    if isinstance(given, Mapping):
        given = tuple(given.values())
    if isinstance(given, tuple | list):
        for each in given:
            yield from _tensors(each)
    elif hasattr(given, "detach") and hasattr(given, "dim"):
        yield given
