"""Replace attributes of libraries while a watch lasts, and put them back."""

from collections.abc import Callable
from typing import Any

__all__ = ["Patches"]

_ABSENT = object()


class Patches:
    """What was replaced, in order.

    An attribute that an owner inherits is set on the owner itself and deleted again at the end.
    """

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        """Set `owner.name` to what `wrap` makes of it; nothing where the owner has no such attribute."""
        if not hasattr(owner, name):
            return
        before = vars(owner).get(name, _ABSENT)
        new = wrap(getattr(owner, name))
        setattr(owner, name, new)
        self._done.append((owner, name, before, new))

    def undo(self) -> None:
        """Put everything back, the last first; what somebody else replaced since is left to them."""
        done, self._done = self._done, []
        for owner, name, before, new in reversed(done):
            if vars(owner).get(name) is not new:
                continue
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
