"""What somebody who watches an experiment is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from modelwright.base.finding import Finding
from modelwright.experiment.look import Look
from modelwright.experiment.verdict import Verdict
from modelwright.lab.prepare import Prepared

__all__ = ["QuietView", "View"]


class View(Protocol):
    """Told of every event of an experiment, in order; returns at once and changes nothing."""

    def opened(self, prepared: Prepared, *, resumed: bool) -> None:
        """The design is registered and about to run, or to go on."""
        ...

    def found(self, finding: Finding, *, accepted: bool) -> None:
        """A check found something."""
        ...

    def reused(self, variant: str, count: int) -> None:
        """So many trials of a variant are on record already and are not run again."""
        ...

    def trained(self, progress: Mapping[str, tuple[int, int]], *, updates: Mapping[str, int]) -> None:
        """Variant -> (finished trials, trials wanted by the next look), and updates in this session."""
        ...

    def lost(self, variant: str, why: str) -> None:
        """A worker went away; its trials start again."""
        ...

    def looked(self, look: Look) -> None:
        """The rule was evaluated."""
        ...

    def judged(self, verdict: Verdict, report: Path | None) -> None:
        """The verdict is on record."""
        ...


class QuietView:
    """Watches and says nothing."""

    def opened(self, prepared: Prepared, *, resumed: bool) -> None:
        """Say nothing."""

    def found(self, finding: Finding, *, accepted: bool) -> None:
        """Say nothing."""

    def reused(self, variant: str, count: int) -> None:
        """Say nothing."""

    def trained(self, progress: Mapping[str, tuple[int, int]], *, updates: Mapping[str, int]) -> None:
        """Say nothing."""

    def lost(self, variant: str, why: str) -> None:
        """Say nothing."""

    def looked(self, look: Look) -> None:
        """Say nothing."""

    def judged(self, verdict: Verdict, report: Path | None) -> None:
        """Say nothing."""
