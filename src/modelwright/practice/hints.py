"""Hints in four grades: the area, what is seen, likely causes with their lines, the line itself."""

import ast
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright.base.errors import SourceMissing
from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import known_causes
from modelwright.faults.plant import Fault, programs
from modelwright.journal.journal import Journal
from modelwright.practice.drill import GIVEN_UP, HINTED, Drill

__all__ = ["GRADES", "Hint", "give_up", "take_hint"]

GRADES = 4
AREAS = {
    "data": "the data: how rows are made, split, cleaned, scaled or labelled, and which are measured",
    "supervised": "the loop that learns: the network, its loss, the optimizer and the order of their calls",
    "value-based": "the learning of values: targets, replay, the target network or exploration",
    "policy-gradient": "the learning of a policy: returns, advantages, probabilities of actions, their loss",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One hint.

    Attributes:
        level: 1 to 4.
        lines: What it says.
        source: `doctor` or `bank`: who says it.
    """

    level: int
    lines: tuple[str, ...]
    source: str


def take_hint(
    journal: Journal,
    drill: Drill,
    *,
    examine: Callable[[Path], Sequence[Finding]],
    tell: Callable[[str], None],
) -> Hint:
    """Return the next hint of a drill and enter that it was taken; after the last one, that one again.

    Args:
        journal: Where the drill is on record.
        drill: An open one.
        examine: The doctor, who is asked once, about the program as it was at the start.
        tell: Called with a line before something takes a while.

    Raises:
        SourceMissing: where the bank does not hold the fault any more.
    """
    fault = _fault(drill)
    level = min(GRADES, max(drill.hints, default=0) + 1)
    text = journal.artefacts.get(drill.planted).decode()
    found = _consulted(journal, drill, examine, tell) if level in (2, 3) else []
    fits = [
        finding for finding in found if {cause.name for cause in finding.causes} & {fault.name, *fault.also}
    ]
    lines, source = _HINTS[level](fault, text, drill, found, fits)
    body: dict[str, Any] = {"drill": drill.name, "level": level, "source": source}
    if level in (2, 3) and _known_findings(journal, drill) is None:
        body["findings"] = [finding.record() for finding in found]
    journal.append(HINTED, body)
    return Hint(level=level, lines=tuple(lines), source=source)


def give_up(journal: Journal, drill: Drill) -> list[str]:
    """Enter that a drill is given up, and return what the fault was.

    Raises:
        SourceMissing: where the bank does not hold the fault any more.
    """
    fault = _fault(drill)
    text = journal.artefacts.get(drill.planted).decode()
    body = {"fault": fault.name, "family": fault.family, "difficulty": fault.difficulty}
    journal.append(GIVEN_UP, {"drill": drill.name, **body})
    return [*answer_lines(fault, text, journal.artefacts.get(drill.sound).decode())]


def answer_lines(fault: Fault, planted: str, sound: str) -> Iterator[str]:
    """Yield what the fault is called, what it does, and how the two programs differ."""
    import difflib

    yield f"It was {fault.name} ({fault.family}, difficulty {fault.difficulty})."
    known = known_causes().get(fault.name)
    if known is not None:
        yield f"{known.what[0].upper()}{known.what[1:]}. To mend it: {known.mend}."
    yield ""
    rows = difflib.unified_diff(planted.splitlines(), sound.splitlines(), "broken", "sound", n=2, lineterm="")
    yield from rows


def _fault(drill: Drill) -> Fault:
    fault = drill.seal.find(drill.program, programs())
    if fault is None:
        raise SourceMissing(
            "The bank holds the faults of open drills",
            got=f"{drill.name}: its fault is in the bank no more",
            next_step="modelwright practice check can still tell whether it is mended",
        )
    return fault


def _known_findings(journal: Journal, drill: Drill) -> list[Finding] | None:
    for entry in journal.entries(kind=HINTED):
        if entry.body.get("drill") == drill.name and "findings" in entry.body:
            return [Finding.from_record(each) for each in entry.body["findings"]]
    return None


def _consulted(
    journal: Journal, drill: Drill, examine: Callable[[Path], Sequence[Finding]], tell: Callable[[str], None]
) -> list[Finding]:
    known = _known_findings(journal, drill)
    if known is not None:
        return known
    tell(f"The doctor watches a run of the program as it was at the start: {drill.seconds:.0f} s or more.")
    with tempfile.TemporaryDirectory(prefix="modelwright-drill-", ignore_cleanup_errors=True) as name:
        file = Path(name) / drill.file.name
        file.write_bytes(journal.artefacts.get(drill.planted))
        return [finding for finding in examine(file) if finding.severity is not Severity.INFO]


# ---- what each grade says ----

_Said = tuple[list[str], str]


def _area(fault: Fault, text: str, drill: Drill, found: list[Finding], fits: list[Finding]) -> _Said:
    return [f"Look at {AREAS.get(fault.family, fault.family)}."], "bank"


def _seen(fault: Fault, text: str, drill: Drill, found: list[Finding], fits: list[Finding]) -> _Said:
    shown = fits or found
    if not shown:
        where = _function(text, _line(fault, text))
        return [f"The doctor finds nothing in a run of it. From the bank's own record: look {where}."], "bank"
    lines: list[str] = []
    for finding in shown[:2]:
        lines.append(f"The doctor sees: {finding.title} ({finding.kind})")
        lines += [f"  {name.replace('_', ' ')}: {_short(value)}" for name, value in finding.evidence.items()]
    if not fits:
        lines.append("None of the causes that it thinks of is the one; what it saw may lead there.")
    return lines, "doctor"


def _causes(fault: Fault, text: str, drill: Drill, found: list[Finding], fits: list[Finding]) -> _Said:
    if not fits:
        first, last = _span(text, _line(fault, text))
        who = "The doctor does not name the cause." if found else "The doctor finds nothing."
        return [f"{who} From the bank's own record: it is between lines {first} and {last}."], "bank"
    lines = ["Likely causes, the likeliest first:"]
    for finding in fits[:1]:
        for cause in finding.causes:
            at = "" if cause.line is None else f" ({drill.file.name}:{cause.line})"
            lines.append(f"  {cause.what}{at}")
        lines.append(f"Next check: {finding.next_check}")
    return lines, "doctor"


def _place(fault: Fault, text: str, drill: Drill, found: list[Finding], fits: list[Finding]) -> _Said:
    line = _line(fault, text)
    shown = text.splitlines()[line - 1].strip()
    return [f"Line {line} of the program as it was at the start is where to look:", f"  {shown}"], "bank"


_HINTS = {1: _area, 2: _seen, 3: _causes, 4: _place}


def _line(fault: Fault, text: str) -> int:
    return next((at for at, line in enumerate(text.splitlines(), 1) if fault.line in line), 1)


def _function(text: str, line: int) -> str:
    holders = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if not holders:
        return "outside of all functions"
    inner = max(holders, key=lambda node: node.lineno)
    return f"in {inner.name}"


def _span(text: str, line: int) -> tuple[int, int]:
    """Return a stretch of about eleven lines that holds the line, not in its middle."""
    first = max(1, line - 3 - line % 5)
    return first, min(len(text.splitlines()), first + 10)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and len(value) > 8:
        return ", ".join(_short(each) for each in value[:4]) + f" ... {_short(value[-1])}"
    return ", ".join(map(_short, value)) if isinstance(value, list) else str(value)
