"""What the doctor says of a script, as text for a terminal."""

import linecache
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import CAUSES

__all__ = ["page_of"]

_BARS = " ▁▂▃▄▅▆▇█"


class Told(Protocol):
    """What a page tells of."""

    @property
    def heading(self) -> str:
        """First line."""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What is wrong."""
        ...

    @property
    def checked(self) -> Sequence[str]:
        """What was looked at."""
        ...

    @property
    def unchecked(self) -> Sequence[str]:
        """What could not be, and why."""
        ...


def page_of(checkup: Told) -> str:
    """Return the page."""
    return "\n".join(_lines(checkup))


def _lines(checkup: Told) -> Iterator[str]:
    yield ""
    yield f"== {checkup.heading}"
    action = [finding for finding in checkup.findings if finding.severity is not Severity.INFO]
    if not action:
        yield "Nothing wrong was found."
    for number, finding in enumerate(action, start=1):
        yield ""
        yield from _finding(number, finding)
    info = [finding for finding in checkup.findings if finding.severity is Severity.INFO]
    if info:
        yield ""
        yield "For information:"
        yield from (f"  {finding.title} ({finding.kind})" for finding in info)
    if checkup.checked:
        yield ""
        yield "checked:     " + "; ".join(checkup.checked)
    if checkup.unchecked:
        yield "not checked: " + "; ".join(checkup.unchecked)


def _finding(number: int, finding: Finding) -> Iterator[str]:
    yield f"{number}. {finding.severity.value}: {finding.title} ({finding.kind})"
    for name, value in finding.evidence.items():
        yield f"   {name.replace('_', ' ')}: {_shown(value)}"
    if finding.causes:
        yield "   likely causes, the likeliest first:"
    for at, each in enumerate(finding.causes):
        yield f"     {'abcdefghi'[at]}) {each.what}"
        yield from _code(each)
        if each.name:
            yield f"        mend: {CAUSES[each.name].mend}"
    yield f"   next check: {finding.next_check}"


def _code(cause: Cause) -> Iterator[str]:
    if cause.file is None or cause.line is None:
        return
    code = linecache.getline(cause.file, cause.line).rstrip()
    file = os.path.relpath(cause.file) if not os.path.relpath(cause.file).startswith("..") else cause.file
    yield f"        {file}:{cause.line}: {code.strip()}"


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) >= 8 and all(isinstance(each, int | float) for each in value):
        return f"{_curve(value)}  from {min(value):.4g} to {max(value):.4g}"
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _curve(values: list[float]) -> str:
    """Return numbers as a line of bars, at most 60."""
    stride = max(1, len(values) // 60)
    shown = values[::stride]
    low, high = min(shown), max(shown)
    spread = (high - low) or 1.0
    return "".join(_BARS[1 + int((value - low) / spread * 7)] for value in shown)
