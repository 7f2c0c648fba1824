"""What a probe is."""

from dataclasses import dataclass
from typing import Protocol

from modelwright.base.finding import Finding
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.subject import Subject

__all__ = ["Outcome", "Probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a probe.

    Attributes:
        findings: What is wrong, the likeliest root first.
        unchecked: What it could not look at, and why; empty where it looked at all.
    """

    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()


class Probe(Protocol):
    """Tries something on copies of what a factory made.

    It never changes its subject: models, losses and optimizers are copied before they are used, and what
    draws the global random numbers puts them back. Where it raises, the examination goes on and says so.

    Attributes:
        words: What it looks at, for the page.
        share: Its part of the seconds, beside the parts of the others.
    """

    words: str
    share: float

    def lacks(self, subject: Subject) -> str | None:
        """Return why it has nothing to look at, None where it has.

        An empty text stands for what nobody would expect to be looked at.
        """
        ...

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """Look, within the seconds of the limit."""
        ...
