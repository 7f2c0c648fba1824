"""What the doctor says, for a notebook."""

from collections.abc import Iterator, Sequence
from html import escape

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import known_causes
from modelwright.doctor.report import evidence_of, line_of

__all__ = ["html_of", "markdown_of"]

_COLOURS = {Severity.SEVERE: "#b3261e", Severity.WARNING: "#9a6700", Severity.INFO: "#57606a"}


def markdown_of(heading: str, findings: Sequence[Finding]) -> str:
    """Return findings as Markdown."""
    return "\n".join(_markdown(heading, findings))


def _markdown(heading: str, findings: Sequence[Finding]) -> Iterator[str]:
    yield f"**Doctor:** {heading}"
    if not findings:
        yield "\nNothing wrong was found."
    for finding in findings:
        yield f"\n- **{finding.severity.value}**: {_plain(finding.title)} (`{finding.kind}`)"
        for name, value in finding.evidence.items():
            yield f"    - {name.replace('_', ' ')}: {_plain(evidence_of(value))}"
        for cause in finding.causes:
            yield f"    - cause: {_plain(cause.what)}"
            line = line_of(cause).replace("`", "'")
            yield from (
                f"        - {each}" for each in (f"`{line}`" if line else "", _mend(cause.name)) if each
            )
        yield f"    - next check: {_plain(finding.next_check)}"
        yield f"    - more: `{finding.page}`"


def _plain(text: str) -> str:
    """Return text of which Markdown makes nothing."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|" else sign for sign in text)


def _mend(name: str) -> str:
    return f"mend: {_plain(known_causes()[name].mend)}" if name in known_causes() else ""


def html_of(heading: str, findings: Sequence[Finding]) -> str:
    """Return findings as HTML, without anything from elsewhere."""
    return "".join(_html(heading, findings))


def _html(heading: str, findings: Sequence[Finding]) -> Iterator[str]:
    yield f"<div><b>Doctor:</b> {escape(heading)}"
    if not findings:
        yield "<p>Nothing wrong was found.</p>"
    for finding in findings:
        action = finding.severity is not Severity.INFO
        yield f'<details{" open" if action else ""} style="margin:.5em 0"><summary>'
        yield f'<b style="color:{_COLOURS[finding.severity]}">{finding.severity.value}</b>: '
        yield f"{escape(finding.title)} <code>{finding.kind}</code></summary><ul>"
        for name, value in finding.evidence.items():
            yield f"<li>{escape(name.replace('_', ' '))}: {escape(evidence_of(value))}</li>"
        for cause in finding.causes:
            yield f"<li>cause: {escape(cause.what)}"
            if line := line_of(cause):
                yield f"<br><code>{escape(line)}</code>"
            if cause.name in known_causes():
                yield f"<br>mend: {escape(known_causes()[cause.name].mend)}"
            yield "</li>"
        yield f"<li>next check: {escape(finding.next_check)}</li>"
        yield f"<li>more: <code>{escape(finding.page)}</code></li></ul></details>"
    yield "</div>"
