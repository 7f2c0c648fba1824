"""Tables of action values that a program holds: found among its variables, and read without being changed."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.place import is_users

__all__ = [
    "State",
    "Table",
    "declared_discounts",
    "is_users_own",
    "tables_of",
    "users_frames",
    "users_variables",
]

Numbers = NDArray[np.float64]
State = tuple[int, ...]

_MOST_FRAMES = 8
_MOST_CELLS = 1_000_000
_OWN: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
_DISCOUNTS = ("gamma", "discount", "discount_factor", "discount_rate")


@dataclass(slots=True)
class Table:
    """One table of numbers for each state and action.

    Attributes:
        here: The program's own object: an array (state, ..., action), a list of rows of numbers, or a
            mapping from states to rows of numbers, or from states and actions to one number each.
        names: What the program calls it.
        files: Where it does.
    """

    here: Any
    names: set[str] = field(default_factory=set[str])
    files: dict[str, None] = field(default_factory=dict[str, None])

    def row(self, state: State, actions: int) -> Numbers | None:
        """Return a copy of what it says of each action in a state; None where it knows nothing of it.

        Args:
            state: An observation.
            actions: How many there are; of a mapping from states and actions, those that lack count 0.
        """
        table = self.here
        if isinstance(table, np.ndarray):
            if len(state) != table.ndim - 1:
                return None
            inside = all(0 <= at < size for at, size in zip(state, table.shape, strict=False))
            return np.array(table[state], np.float64) if inside else None
        if isinstance(table, list):
            rows: list[Any] = table
            return _numbers(rows[state[0]]) if len(state) == 1 and 0 <= state[0] < len(rows) else None
        for key in (state[0], state) if len(state) == 1 else (state,):
            if key in table:
                return _numbers(table[key])
            pairs = [table.get((key, action)) for action in range(actions)]
            if any(isinstance(each, int | float) for each in pairs):
                return np.array([each or 0.0 for each in pairs], np.float64)
        return None


def _numbers(row: Any) -> Numbers | None:
    if isinstance(row, Mapping):
        row = [row[key] for key in sorted(row)]
    try:
        found = np.array(row, np.float64)
    except (TypeError, ValueError):
        return None
    return found if found.ndim == 1 else None


def users_frames() -> list[FrameType]:
    """Return frames of the user's code that led here, the innermost first."""
    found: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and len(found) < _MOST_FRAMES:
        if is_users(frame.f_code.co_filename):
            found.append(frame)
        frame = frame.f_back
    return found


def tables_of(frames: Sequence[FrameType], states: Sequence[State], actions: int) -> list[Table]:
    """Return tables among the variables of frames, and those of objects of the user's own.

    Args:
        frames: Whose variables to look at.
        states: Observations that the environment gave; a table knows all of them, a mapping some.
        actions: How many were seen.
    """
    found: dict[int, Table] = {}
    for frame, name, value in users_variables(frames):
        table = found.get(id(value)) or Table(value)
        if id(value) in found or _is_table(table, states, actions):
            found[id(value)] = table
            table.names.add(name)
            table.files[frame.f_code.co_filename] = None
    return list(found.values())


def declared_discounts(frames: Sequence[FrameType]) -> set[float]:
    """Return numbers in (0, 1] of variables that are called a discount."""
    return {
        float(value)
        for _, name, value in users_variables(frames)
        if name.lower().strip("_") in _DISCOUNTS and isinstance(value, float) and 0.0 < value <= 1.0
    }


def users_variables(frames: Sequence[FrameType]) -> Iterator[tuple[FrameType, str, Any]]:
    """Yield variables of functions and modules, and attributes of objects of the user's classes."""
    modules: set[int] = set()
    for frame in frames:
        spaces = [frame.f_locals] if frame.f_code.co_name != "<module>" else []
        if id(frame.f_globals) not in modules:
            modules.add(id(frame.f_globals))
            spaces.append(frame.f_globals)
        for space in spaces:
            for name, value in list(space.items()):
                yield frame, name, value
                if is_users_own(value):
                    for attribute, inner in list(vars(value).items()):
                        yield frame, attribute, inner


def is_users_own(value: Any) -> bool:
    """Return whether an object's class is the user's, or one that holds settings."""
    kind = type(value)
    own = _OWN.get(kind)
    if own is None:
        module = sys.modules.get(kind.__module__)
        file = getattr(module, "__file__", None)
        own = not issubclass(kind, type) and getattr(kind, "__dictoffset__", 0) != 0
        own = own and (
            kind.__qualname__ in ("Namespace", "SimpleNamespace")
            or (isinstance(file, str) and is_users(file))
        )
        _OWN[kind] = own
    return own


def _is_table(table: Table, states: Sequence[State], actions: int) -> bool:
    here = table.here
    if isinstance(here, np.ndarray):
        if here.dtype.kind != "f" or here.ndim < 2 or here.size > _MOST_CELLS:
            return False
        needed = len(states)
    elif isinstance(here, list):
        first = here[0] if 0 < len(here) <= _MOST_CELLS else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if not isinstance(first, list) or not all(isinstance(each, float) for each in first):  # pyright: ignore[reportUnknownVariableType]
            return False
        needed = len(states)
    elif isinstance(here, dict) and here and len(here) <= _MOST_CELLS:  # pyright: ignore[reportUnknownArgumentType]
        needed = 1
    else:
        return False
    rows = [row for row in (table.row(state, actions) for state in states) if row is not None]
    return len(rows) >= needed and all(actions <= len(row) <= 4 * actions for row in rows)
