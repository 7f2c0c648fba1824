"""What is left when an experiment has run."""

from dataclasses import dataclass
from pathlib import Path

from modelwright.base.finding import Finding
from modelwright.experiment.look import Look
from modelwright.experiment.verdict import Verdict

__all__ = ["Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What `run_design` leaves behind.

    Attributes:
        name: Name of the experiment.
        design: Hash of the design.
        verdict: The verdict.
        looks: Every look, in turn.
        findings: What the checks found.
        report: The report's file.
        trained: Trials that this call ran; the others were on record.
    """

    name: str
    design: str
    verdict: Verdict
    looks: tuple[Look, ...]
    findings: tuple[Finding, ...]
    report: Path
    trained: int
