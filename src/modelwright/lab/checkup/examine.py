"""Examine what a factory makes, in a process of its own that may be stopped."""

import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright.base.errors import BadValue, ModelwrightError, WorkerLost
from modelwright.base.finding import Cause, Finding, Severity
from modelwright.base.fingerprint import jsonable

__all__ = ["SECONDS", "Examined", "examine_factory"]

SECONDS = 90.0
"""For all probes, where nothing else is said."""

_PATIENCE = 1.1
"""Share of the seconds after which the process is stopped, the start of it left out."""

_START_SECONDS = 120.0
"""For the imports of the factory's module and for the factory itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of an examination.

    Attributes:
        factory: Its name.
        about: What it made, in words.
        findings: What is wrong, severe things first.
        checked: What was looked at, in words.
        unchecked: What could not be, and why.
        seconds: Time that all of it took.
        probe_seconds: Time of each probe, by its words.
    """

    factory: str
    about: str
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    seconds: float
    probe_seconds: dict[str, float]

    @property
    def heading(self) -> str:
        """First line of the page."""
        about = f"{self.about}; " if self.about else ""
        return f"examine: {self.factory} ({about}{self.seconds:.1f} s)"

    @property
    def is_well(self) -> bool:
        """Whether nothing was found that needs action."""
        return all(finding.severity is Severity.INFO for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return jsonable(self)


def examine_factory(
    name: str,
    *,
    seconds: float = SECONDS,
    quiet: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Examined:
    """Import a factory, call it and probe what it makes.

    Args:
        name: `package.module:make`, `package.module.make` or `path/to/file.py:make`.
        seconds: For all probes.
        quiet: Whether what it prints goes to standard error.
        tell: Is called with what is being looked at.

    Raises:
        Misuse: where the name is wrong, or the factory makes what cannot be examined.
        SourceMissing: where there is no such file or module.
        WorkerLost: where the process cannot start.
    """
    named = _colon(name)
    begun = time.monotonic()
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory(prefix="modelwright-") as folder:
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "modelwright.lab.checkup.examine_child",
                folder,
                str(writer),
                named,
                str(seconds),
            ],
            stdout=2 if quiet else None,
            pass_fds=(writer,),
        )
        os.close(writer)
        try:
            told = _follow(reader, seconds * _PATIENCE, tell)
        finally:
            os.close(reader)
            status = _end(child, patience=5.0)
        error = Path(folder) / "error.pkl"
        if error.exists():
            raise _raised(error)
    if not told:
        raise WorkerLost("The examination starts before it looks at anything", got=f"exit status {status}")
    return _examined(name, told, status, time.monotonic() - begun)


def _colon(name: str) -> str:
    """Return a name with a colon before the factory."""
    where, mark, part = name.rpartition(":")
    if mark and where and part.isidentifier():
        return name
    if name.endswith(".py") or "/" in name:
        raise BadValue(
            "A factory in a file is named file.py:make", got=name, nearest=f"{name.rstrip(':')}:make"
        )
    where, _, part = name.rpartition(".")
    if not where or not all(each.isidentifier() for each in (*where.split("."), part)):
        raise BadValue(
            "A factory is named package.module:make, package.module.make or path/to/file.py:make",
            got=name,
            nearest=f"{name}:make" if name.isidentifier() else None,
        )
    return f"{where}:{part}"


def _follow(reader: int, seconds: float, tell: Callable[[str], None] | None) -> dict[str, Any]:
    """Return the last that the process told, whole or not, at its end or when its time is over."""
    told: dict[str, Any] = {}
    rest = b""
    until = time.monotonic() + _START_SECONDS
    while (left := until - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            break
        piece = os.read(reader, 1 << 16)
        if not piece:
            return told
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            before, told = told, json.loads(line)
            if told["about"] and not before.get("about"):
                until = time.monotonic() + seconds
            if tell is not None and told.get("looks_at"):
                tell(told["looks_at"])
    return {**told, "is_late": True} if told else {}


def _end(child: "subprocess.Popen[Any]", *, patience: float) -> int:
    """Return the exit status; kill what does not end."""
    try:
        return child.wait(patience)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        return child.wait()


def _raised(file: Path) -> ModelwrightError:
    # Written by our own process into a folder that nobody else can write to.
    error: ModelwrightError = pickle.loads(file.read_bytes())
    return error


def _examined(name: str, told: dict[str, Any], status: int, seconds: float) -> Examined:
    findings = [Finding.from_record(each) for each in told["findings"]]
    unchecked = [*told["unchecked"]]
    if not told.get("is_whole"):
        at = told.get("looks_at", "")
        if told.get("is_late"):
            unchecked.append(f"{at}, and what comes after it: it took longer than its time")
        else:
            findings.append(_killed(at, status))
            unchecked.append(f"{at}, and what comes after it: the process ended")
    return Examined(
        factory=name,
        about=told.get("about", ""),
        findings=tuple(findings),
        checked=tuple(told["checked"]),
        unchecked=tuple(unchecked),
        seconds=seconds,
        probe_seconds=told["seconds"],
    )


def _killed(at: str, status: int) -> Finding:
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return Finding(
        kind="program-killed",
        severity=Severity.SEVERE,
        title=f"The process ended by {how} while it looked at this: {at}.",
        evidence={"status": status},
        causes=(Cause(what="it was killed, for memory perhaps, or native code of it crashed"),),
        next_check="examine it with fewer rows or a smaller model",
    )
