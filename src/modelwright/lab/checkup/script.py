"""Run somebody's own script under watch, in a process of its own, and take what was found."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelwright.base.errors import BadValue, SourceMissing, WorkerLost
from modelwright.base.finding import Cause, Finding, Severity
from modelwright.base.fingerprint import jsonable

__all__ = ["Checkup", "check_script"]

_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What the doctor says of a script.

    Attributes:
        script: Its words.
        findings: What is wrong, the likeliest root of it first.
        likeliest: Fault that fits all findings together best, and those that cannot be told from it -> its
            probability; empty where none fits.
        steps: Optimizer steps that were watched.
        seconds: Time that the script took.
        sensor_seconds: Time of it that sensors took.
        checked: What was looked at, in words.
        unchecked: What could not be, and why.
        exit_status: The script's own.
    """

    script: tuple[str, ...]
    findings: tuple[Finding, ...]
    steps: int
    seconds: float
    sensor_seconds: float
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    exit_status: int
    likeliest: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def heading(self) -> str:
        """First line of the page."""
        return f"doctor: {' '.join(self.script)} ({self.steps} steps, {self.seconds:.1f} s)"

    @property
    def is_well(self) -> bool:
        """Whether nothing was found that needs action."""
        return all(finding.severity is Severity.INFO for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return jsonable(self)


def check_script(words: Sequence[str], *, quiet: bool = False) -> Checkup:
    """Run a script to its end under watch.

    Args:
        words: The script's path, or `-m` and a module's name, then its own arguments.
        quiet: Whether what it prints goes to standard error.

    Raises:
        SourceMissing: where there is no such script.
        BadValue: where `-m` has no name.
        WorkerLost: where the watch itself cannot start.
    """
    _check_words(words)
    with tempfile.TemporaryDirectory(prefix="modelwright-") as folder:
        record = Path(folder) / "record.json"
        child = subprocess.Popen(
            [sys.executable, "-m", "modelwright.lab.checkup.child", str(record), *words],
            stdout=2 if quiet else None,
        )
        status = _wait(child)
        if not record.exists():
            raise WorkerLost("The watch starts before the script does", got=f"exit status {status}")
        told: dict[str, Any] = json.loads(record.read_text() or "{}")
    findings = [Finding.from_record(each) for each in told.get("findings", ())]
    failure = _failure(told.get("ended", {}), status, told=bool(told))
    return Checkup(
        script=tuple(words),
        findings=(*findings, *failure),
        steps=told.get("steps", 0),
        seconds=told.get("seconds", 0.0),
        sensor_seconds=told.get("sensor_seconds", 0.0),
        checked=tuple(told.get("checked", ())),
        unchecked=tuple(told.get("unchecked", ())),
        exit_status=status,
        likeliest=told.get("likeliest", {}),
    )


def _check_words(words: Sequence[str]) -> None:
    if words[0] == "-m":
        if len(words) < 2 or words[1].startswith("-"):
            raise BadValue("-m names a module", got="nothing after -m", nearest="-m package.train")
    elif not os.path.isfile(words[0]):
        raise SourceMissing("The script to be watched is a file", got=words[0], next_step="give its path")


def _wait(child: "subprocess.Popen[Any]") -> int:
    """Wait for the end; an interrupt goes to the script too, which may still say what was found."""
    try:
        return child.wait()
    except KeyboardInterrupt:
        try:
            return child.wait(_PATIENCE_SECONDS)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            child.kill()
            child.wait()
            raise KeyboardInterrupt from None


def _failure(ended: dict[str, Any], status: int, *, told: bool) -> list[Finding]:
    """Return a finding where the script did not come to its end."""
    error = ended.get("error")
    if error is not None and error["kind"] == "KeyboardInterrupt":
        return []
    if error is not None:
        what = f"{error['kind']}: {error['message']}"
        return [
            Finding(
                kind="program-raised",
                severity=Severity.SEVERE,
                title=f"The program ended with an error: {what[:200]}",
                evidence={"error": error["kind"], "message": error["message"]},
                causes=(Cause(what=what[:200], file=error["file"], line=error["line"]),),
                next_check=f"look at {error['file']}:{error['line']}",
            )
        ]
    if told:
        return []
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return [
        Finding(
            kind="program-killed",
            severity=Severity.SEVERE,
            title=f"The program ended by {how} before the doctor could write down what it had found.",
            evidence={"status": status},
            causes=(Cause(what="it was killed, for memory perhaps, or native code of it crashed"),),
            next_check="run it for fewer steps",
        )
    ]
