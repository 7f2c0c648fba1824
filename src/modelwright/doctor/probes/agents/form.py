"""What the ways of writing an agent have in common."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Form", "Path", "numbers_of"]

Path = Sequence[NDArray[np.float32]]
"""Observations of an episode from its first one on; the last is the one that is asked about."""


class Form(Protocol):
    """An agent that is asked about observations.

    Attributes:
        takes_action: Whether it says what a given action is worth.
        remembers: Whether it tells observations apart by those before them.
    """

    takes_action: bool
    remembers: bool

    def learn(self, steps: int) -> Any:
        """Go on learning for so many steps."""
        ...

    def act(self, path: Path) -> Any:
        """Return what it does."""
        ...

    def value(self, path: Path) -> tuple[bool, Any] | None:
        """Return whether they are values of actions, and the values; None where it says none."""
        ...

    def value_of(self, path: Path, action: Any) -> Any:
        """Return the value of an action."""
        ...


def numbers_of(found: Any) -> NDArray[np.float64]:
    """Return numbers of tensors, arrays, lists and numbers in one row."""
    if hasattr(found, "detach"):
        found = found.detach().cpu().numpy()
    return np.asarray(found, np.float64).reshape(-1)
