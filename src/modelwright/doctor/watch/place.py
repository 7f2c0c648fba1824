"""Where in the user's code something happens."""

import os
import site
import sys
import sysconfig
from dataclasses import dataclass
from types import FrameType

__all__ = ["Place", "is_users", "place_of_caller", "places_of_callers"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file that is the user's.

    Attributes:
        file: Its path as it was given to Python.
        line: From 1.
        function: Name of the function that the line is in; `<module>` outside of any.
    """

    file: str
    line: int
    function: str = "<module>"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], _PACKAGE}
    folders.update(site.getsitepackages())
    folders.add(site.getusersitepackages())
    return tuple(os.path.join(folder, "") for folder in sorted(folders))


_LIBRARIES = _library_folders()
_KNOWN: dict[str, bool] = {}


def is_users(file: str) -> bool:
    """Return whether a file is neither of the standard library, nor of a package, nor Modelwright's own."""
    if file.startswith("<ipython-input"):
        return True
    return not file.startswith("<") and not os.path.abspath(file).startswith(_LIBRARIES)


def place_of_caller(depth: int = 1) -> Place | None:
    """Return the innermost line of the user's code that led here; None where there is none.

    Code of the standard library, of installed packages and of Modelwright is nobody's own: a call inside of
    `trainer.fit()` is placed at the line of the user's that the library calls, or at the line that called it.

    Args:
        depth: Frames to leave out, counted from the caller.
    """
    frame: FrameType | None = sys._getframe(depth)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        code = frame.f_code
        known = _KNOWN.get(code.co_filename)
        if known is None:
            known = _KNOWN[code.co_filename] = is_users(code.co_filename)
        if known:
            return Place(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back
    return None


def places_of_callers(depth: int = 1, most: int = 12) -> tuple[Place, ...]:
    """Return the lines of the user's code that led here, innermost first, at most so many."""
    found: list[Place] = []
    frame: FrameType | None = sys._getframe(depth)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and len(found) < most:
        code = frame.f_code
        known = _KNOWN.get(code.co_filename)
        if known is None:
            known = _KNOWN[code.co_filename] = is_users(code.co_filename)
        if known:
            found.append(Place(code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    return tuple(found)
