"""The lines of code that a cause concerns, with a few around them."""

import os
from dataclasses import dataclass
from pathlib import Path

from modelwright.base.finding import Cause

__all__ = ["Excerpt", "excerpt_of"]

_AROUND = 3
_LONGEST = 400
_MOST_BYTES = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Some lines of a file.

    Attributes:
        file: Its path, from here where it lies below.
        line: The line that is meant, from 1.
        lines: (number, text, whether it is the one that is meant); empty where the file cannot be read.
    """

    file: str
    line: int
    lines: tuple[tuple[int, str, bool], ...]


def excerpt_of(cause: Cause) -> Excerpt | None:
    """Return the lines around that of a cause; None where it has no place."""
    if cause.file is None or cause.line is None:
        return None
    below = os.path.relpath(cause.file)
    file = cause.file if below.startswith("..") else below
    return Excerpt(file=file, line=cause.line, lines=tuple(_lines(cause.file, cause.line)))


def _lines(file: str, line: int) -> list[tuple[int, str, bool]]:
    try:
        path = Path(file)
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return []
        text = path.read_text("utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []
    if not 1 <= line <= len(text):
        return []
    first, last = max(1, line - _AROUND), min(len(text), line + _AROUND)
    shown = [text[at - 1].expandtabs(4)[:_LONGEST] for at in range(first, last + 1)]
    # Indentation that all lines share says nothing.
    indents = [len(each) - len(each.lstrip()) for each in shown if each.strip()]
    margin = min(indents, default=0)
    return [(first + at, each[margin:], first + at == line) for at, each in enumerate(shown)]
