"""What the doctor says, as text for a terminal."""

import linecache
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import known_causes

__all__ = ["evidence_of", "line_of", "report_of"]

_BARS = " ▁▂▃▄▅▆▇█"


def report_of(
    heading: str, findings: Sequence[Finding], checked: Sequence[str], unchecked: Sequence[str]
) -> str:
    """Return a page.

    Args:
        heading: First line.
        findings: What is wrong, the likeliest root of it first.
        checked: What was looked at, in words.
        unchecked: What could not be, and why.
    """
    return "\n".join(_lines(heading, findings, checked, unchecked))


def _lines(
    heading: str, findings: Sequence[Finding], checked: Sequence[str], unchecked: Sequence[str]
) -> Iterator[str]:
    yield f"== {heading}"
    action = [finding for finding in findings if finding.severity is not Severity.INFO]
    if not action:
        yield "Nothing wrong was found."
    for number, finding in enumerate(action, start=1):
        yield ""
        yield from _finding(number, finding)
    info = [finding for finding in findings if finding.severity is Severity.INFO]
    if info:
        yield ""
        yield "For information:"
        yield from (f"  {finding.title} ({finding.kind})" for finding in info)
    if checked:
        yield ""
        yield "checked:     " + "; ".join(checked)
    if unchecked:
        yield "not checked: " + "; ".join(unchecked)


def _finding(number: int, finding: Finding) -> Iterator[str]:
    yield f"{number}. {finding.severity.value}: {finding.title} ({finding.kind})"
    for name, value in finding.evidence.items():
        yield f"   {name.replace('_', ' ')}: {evidence_of(value)}"
    if finding.causes:
        yield "   likely causes, the likeliest first:"
    for at, each in enumerate(finding.causes):
        yield f"     {'abcdefghi'[at]}) {each.what}"
        line = line_of(each)
        if line:
            yield f"        {line}"
        if each.name:
            yield f"        mend: {known_causes()[each.name].mend}"
    yield f"   next check: {finding.next_check}"
    yield f"   more: {finding.page}"


def line_of(cause: Cause) -> str:
    """Return file, line and code that a cause concerns; nothing where none is known."""
    if cause.file is None or cause.line is None:
        return ""
    code = linecache.getline(cause.file, cause.line).rstrip()
    file = os.path.relpath(cause.file) if not os.path.relpath(cause.file).startswith("..") else cause.file
    return f"{file}:{cause.line}: {code.strip()}"


def evidence_of(value: Any) -> str:
    """Return a piece of evidence in words; eight numbers and more are drawn."""
    if isinstance(value, list) and len(value) >= 8 and all(isinstance(each, int | float) for each in value):
        return f"{_curve(value)}  from {min(value):.4g} to {max(value):.4g}"
    if isinstance(value, list):
        return ", ".join(evidence_of(each) for each in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {evidence_of(each)}" for key, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _curve(values: list[float]) -> str:
    """Return numbers as a line of bars, at most 60."""
    stride = max(1, len(values) // 60)
    shown = values[::stride]
    low, high = min(shown), max(shown)
    spread = (high - low) or 1.0
    return "".join(_BARS[1 + int((value - low) / spread * 7)] for value in shown)
