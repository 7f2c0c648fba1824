"""What the doctor says as one HTML file: findings, drawn evidence, causes with their lines of code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import known_causes
from modelwright.lab.checkup.evidence import Drawn, draw_evidence
from modelwright.lab.checkup.excerpt import Excerpt, excerpt_of
from modelwright.lab.checkup.page import Told
from modelwright.lab.finding_page import manual_of
from modelwright.lab.page.number import show_count
from modelwright.lab.page.whole_file import write_whole

__all__ = ["render_html", "write_html"]

SYMBOLS = {"severe": "✕", "warning": "!", "info": "i", "well": "✓"}
"""A sign for each severity, so that none is told by colour alone."""

_TEMPLATES = Path(__file__).resolve().parents[1] / "page" / "templates"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCause:
    """A cause with what is known of it.

    Attributes:
        cause: It.
        mend: An instruction; empty where it is none that the doctor knows.
        excerpt: The code that it concerns.
        again: Whether a likelier cause concerns the same line.
    """

    cause: Cause
    mend: str
    excerpt: Excerpt | None
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFinding:
    """A finding as the page has it.

    Attributes:
        finding: It.
        anchor: Name of its place on the page.
        drawn: Its evidence.
        causes: The likeliest first.
        manual: (heading, HTML) of the page of its kind.
    """

    finding: Finding
    anchor: str
    drawn: Drawn
    causes: tuple[ShownCause, ...]
    manual: tuple[tuple[str, Markup], ...]


def write_html(told: Told, target: Path, likeliest: Mapping[str, float] | None = None) -> Path:
    """Write the page and return its file, which appears whole or not at all.

    Args:
        told: What the doctor says of a script or of a factory.
        target: The file.
        likeliest: Fault that fits all findings together best -> its probability.

    Raises:
        StoreFailed: where the disk refuses the file.
    """
    return write_whole(
        render_html(told, likeliest or {}),
        target,
        what="the page",
        next_step="free space or mend the permissions; the findings are above",
    )


def render_html(told: Told, likeliest: Mapping[str, float] | None = None) -> str:
    """Return the page. All text from outside is escaped, no script runs, and nothing is asked of anybody."""
    action = [each for each in told.findings if each.severity is not Severity.INFO]
    info = [each for each in told.findings if each.severity is Severity.INFO]
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("checkup.html.j2").render(
        style=Markup((_TEMPLATES / "style.html.j2").read_text("utf-8")),
        policy=_POLICY,
        symbols=SYMBOLS,
        count=show_count,
        heading=told.heading,
        tone=max((each.severity for each in action), key=list(Severity).index, default=None),
        headline=_headline(action),
        tally=_tally(told.findings),
        likeliest=[
            (name, known_causes()[name], share)
            for name, share in (likeliest or {}).items()
            if name in known_causes()
        ],
        findings=[_shown(each, f"finding-{at}") for at, each in enumerate(action, start=1)],
        info=[_shown(each, f"note-{at}") for at, each in enumerate(info, start=1)],
        checked=list(told.checked),
        unchecked=list(told.unchecked),
    )


def _headline(action: Sequence[Finding]) -> str:
    if not action:
        return "Nothing wrong was found."
    severe = sum(each.severity is Severity.SEVERE for each in action)
    told = [show_count(severe, "severe finding")] if severe else []
    if len(action) > severe:
        told.append(show_count(len(action) - severe, "warning"))
    return " and ".join(told)


def _tally(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    counts = {each: sum(finding.severity is each for finding in findings) for each in reversed(Severity)}
    return [(each.value, str(count)) for each, count in counts.items() if count]


def _shown(finding: Finding, anchor: str) -> ShownFinding:
    return ShownFinding(
        finding=finding,
        anchor=anchor,
        drawn=draw_evidence(finding.evidence),
        causes=tuple(
            ShownCause(
                cause=each,
                mend=known_causes()[each.name].mend if each.name in known_causes() else "",
                excerpt=excerpt_of(each),
                again=any((each.file, each.line) == (o.file, o.line) for o in finding.causes[:at]),
            )
            for at, each in enumerate(finding.causes)
        ),
        manual=manual_of(finding.kind),
    )
