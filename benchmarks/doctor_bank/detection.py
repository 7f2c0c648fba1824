"""The doctor on one text: what it found, and whether that is right."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import modelwright
from modelwright.base.fingerprint import sha256_hex

from .execute import execute, score_in
from .mutant import Mutant
from .rows import Row

__all__ = ["Judged", "alarms", "doctor_key", "examine", "judge"]

_NEAR = 3


def doctor_key() -> str:
    """Return twelve hexadecimal digits of the hash of all code that the doctor is made of."""
    package = Path(modelwright.__file__).parent
    parts = [package / room for room in ("base", "data", "doctor", "lab/checkup")]
    files = sorted(file for part in parts for file in part.rglob("*") if file.suffix in (".py", ".yaml"))
    return sha256_hex(b"".join(file.read_bytes() for file in files))[:12]


def examine(mutant: Mutant, seed: int, doctor: str) -> Row:
    """Run the doctor on a text; a row of what it says."""
    done = execute(mutant, seed, ("-m", "modelwright", "doctor", "--json"))
    row: Row = {"program": mutant.program.name, "name": mutant.name, "kind": mutant.kind, "seed": seed}
    row |= {"key": mutant.key, "doctor": doctor, "score": score_in(done.err)}
    row["seconds"] = round(done.seconds, 2)
    try:
        told = json.loads(done.out)
    except ValueError:
        return row | {"findings": [], "broken": done.err.strip()[-200:] or f"status {done.status}"}
    row["sensor_seconds"] = round(float(told["sensor_seconds"]), 2)
    row["steps"] = told["steps"]
    row["findings"] = [_short(finding) for finding in told["findings"]]
    return row


def _short(finding: Mapping[str, Any]) -> list[Any]:
    causes = [[cause["name"], cause.get("line")] for cause in finding["causes"][:4]]
    step = finding["evidence"].get("first_at_step")
    return [finding["kind"], finding["severity"], causes, *([step] if step is not None else [])]


def alarms(row: Row) -> list[list[Any]]:
    """Return the row's findings that need action."""
    return [finding for finding in row["findings"] if finding[1] != "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the doctor says of a text with a fault, beside the truth.

    Attributes:
        detected: Whether anything needs action.
        first: Whether the first cause that it names is the fault.
        three: Whether one of the first three is.
        line: Whether the first cause leads to the fault's line.
        is_near: Whether it leads to that line or at most three lines from it.
        updates: Updates until the finding, where the row says.
    """

    detected: bool
    first: bool
    three: bool
    line: bool
    is_near: bool
    updates: int | None


def judge(row: Row, mutant: Mutant, others: Collection[str] = ()) -> Judged:
    """Hold a row to its fault; `others` are names of faults that behave the same and count as it."""
    fault = mutant.fault
    assert fault is not None
    found = alarms(row)
    wanted = {fault.name, *fault.also, *others}
    named = list(_causes(found))
    leading = found[0][2][0] if found and found[0][2] else (None, None)
    return Judged(
        detected=bool(found),
        first=leading[0] in wanted,
        three=any(name in wanted for name, _ in named[:3]),
        line=leading[1] in mutant.lines,
        is_near=leading[1] is not None and any(abs(leading[1] - each) <= _NEAR for each in mutant.lines),
        updates=next((int(finding[3]) for finding in found if len(finding) > 3), None),
    )


def _causes(found: list[list[Any]]) -> Iterator[tuple[str | None, int | None]]:
    for finding in found:
        yield from finding[2]
