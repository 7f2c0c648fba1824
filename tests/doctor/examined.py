"""Factories under examination, in this process."""

from collections.abc import Callable, Sequence
from typing import Any

from modelwright.base.finding import Severity
from modelwright.doctor.probes.examination import Examination, examine
from modelwright.doctor.probes.probe import Probe
from modelwright.doctor.probes.reading import read_factory

__all__ = ["kinds_of", "look"]


def look(factory: Callable[..., Any], *probes: Probe, seconds: float = 60.0) -> Examination:
    """Examine what a factory makes with these probes."""
    return examine(read_factory(factory, "make"), probes, seconds)


def kinds_of(found: Examination) -> Sequence[str]:
    """Return the kinds of what needs action, severe things first."""
    return [each.kind for each in found.findings if each.severity is not Severity.INFO]
