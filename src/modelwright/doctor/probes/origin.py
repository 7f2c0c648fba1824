"""Where in the user's code something was defined."""

import functools
import traceback
from typing import Any

from modelwright.doctor.watch.place import Place, is_users

__all__ = ["origin_of", "raised_at"]


def origin_of(*things: Any) -> Place | None:
    """Return the line at which the first of these begins that the user wrote: a function, or a forward."""
    for thing in things:
        each = thing
        while isinstance(each, functools.partial):
            each = each.func
        for made in (each, getattr(type(each), "forward", None), vars(type(each)).get("__call__")):
            code = getattr(getattr(made, "__wrapped__", made), "__code__", None)
            if code is not None and is_users(code.co_filename):
                return Place(code.co_filename, code.co_firstlineno, code.co_name)
    return None


def raised_at(error: BaseException) -> Place | None:
    """Return the innermost line of the user's that an error came through."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if is_users(each.filename)]
    last = frames[-1] if frames else None
    return Place(last.filename, last.lineno or 1, last.name) if last else None
