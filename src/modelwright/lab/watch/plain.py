"""An experiment as it happens, one line per event: for pipes, logs, CI and notebooks."""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from modelwright.base.finding import Finding
from modelwright.experiment.look import Look
from modelwright.experiment.verdict import Verdict
from modelwright.lab.prepare import Prepared
from modelwright.lab.wording import (
    clean,
    describe_decision,
    describe_finding,
    describe_lost,
    describe_means,
    describe_question,
    describe_reading,
    describe_reused,
    invalidates,
    next_commands,
)

__all__ = ["PlainView"]


class PlainView:
    """Writes plain lines without control characters. A reader that goes away does not stop the experiment.

    Args:
        file: Where to; standard output if left out.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file: IO[str] | None = file or sys.stdout
        self._prepared: Prepared | None = None
        self._progress: Mapping[str, tuple[int, int]] = {}
        self._findings: dict[str, bool] = {}

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: every line is out already."""

    def opened(self, prepared: Prepared, *, resumed: bool) -> None:
        """Write what is asked and how it is decided."""
        self._prepared = prepared
        design = prepared.design
        self._say(f"experiment: {design.name}{', going on where it stopped' if resumed else ''}")
        self._say(f"hypothesis: {design.question.hypothesis}")
        self._say(f"metric: {describe_question(design.question)}")
        self._say(f"rule: {prepared.rule.name}")

    def found(self, finding: Finding, *, accepted: bool) -> None:
        """Write a finding."""
        self._findings[finding.kind] = invalidates(finding, accepted=accepted)
        self._say(f"{finding.severity.value}: {describe_finding(finding, accepted=accepted)}")

    def reused(self, variant: str, count: int) -> None:
        """Write that trials are on record."""
        self._say(f"reused: {describe_reused(variant, count)}")

    def trained(self, progress: Mapping[str, tuple[int, int]], *, updates: Mapping[str, int]) -> None:
        """Write how many trials are finished, where the number changed."""
        if dict(progress) == self._progress:
            return
        self._progress = dict(progress)
        shown = [f"{name} {done} of {wanted}" for name, (done, wanted) in progress.items()]
        self._say(f"trials: {', '.join(shown)}")

    def lost(self, variant: str, why: str) -> None:
        """Write that a worker went away."""
        self._say(f"lost: {describe_lost(variant, why)}")

    def looked(self, look: Look) -> None:
        """Write what a look shows."""
        total = "" if self._prepared is None else f" of {len(self._prepared.rule.looks)}"
        head = f"look {look.index + 1}{total}"
        self._say(f"{head}: {look.seeds} seeds, means: {describe_means(look)}")
        for reading in look.readings:
            if reading.look == look.index:
                self._say(f"{head}: {describe_reading(reading)}")
        self._say(f"{head}: {describe_decision(look)}")

    def judged(self, verdict: Verdict, report: Path | None) -> None:
        """Write the verdict, the report's path and what to try next."""
        self._say(f"verdict: {verdict.sentence}")
        self._say(f"scope: {verdict.speaks_of}")
        for deviation in verdict.deviations:
            self._say(f"exploratory: {deviation}")
        if report is not None:
            self._say(f"report: {report}")
        if self._prepared is not None:
            design, project = self._prepared.design, self._prepared.project
            for command, what in next_commands(design, project, self._findings):
                self._say(f"next: {command}  ({what})")

    def _say(self, text: str) -> None:
        if self._file is None:
            return
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        line = clean(text).encode(encoding, "backslashreplace").decode(encoding)
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except (OSError, ValueError):
            # `modelwright run digits | head` closes our output; what trains goes on training.
            self._give_up()

    def _give_up(self) -> None:
        if self._file is sys.stdout:
            # Otherwise Python complains once more when it flushes on exit.
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)
        self._file = None
