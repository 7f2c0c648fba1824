"""Which of the user's lines made a tensor."""

import weakref
from collections import OrderedDict
from typing import Any

from modelwright.doctor.watch.place import Place

__all__ = ["Origins"]

_MOST = 2000
_DEPTH = 12
_SAME_NUMBERS = frozenset(
    {
        "contiguous",
        "data",
        "detach",
        "double",
        "expand",
        "expand_as",
        "flatten",
        "float",
        "reshape",
        "squeeze",
        "to",
        "type",
        "unsqueeze",
        "view",
        "view_as",
    }
)
"""Operations that give the numbers that they were given in another form."""


class Origins:
    """Lines at which operations were heard lately, by what they gave."""

    def __init__(self) -> None:
        self._made: OrderedDict[int, tuple[Any, Place | None, Any]] = OrderedDict()

    def note(self, name: str, args: tuple[Any, ...], result: Any, place: Place | None) -> None:
        """Take note of an operation."""
        if not hasattr(result, "detach"):
            return
        source = weakref.ref(args[0]) if name in _SAME_NUMBERS and args and args[0] is not result else None
        self._made[id(result)] = weakref.ref(result), place, source
        self._made.move_to_end(id(result))
        if len(self._made) > _MOST:
            self._made.popitem(last=False)

    def of(self, tensor: Any) -> Place | None:
        """Return the line that computed a tensor's numbers; None where that was not heard."""
        place = None
        for _ in range(_DEPTH):
            reference, here, source = self._made.get(id(tensor), (None, None, None))
            if reference is None or reference() is not tensor:
                return place
            place = here or place
            tensor = source() if source is not None else None
        return place
