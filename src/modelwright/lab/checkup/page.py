"""What the doctor says of a script or of a factory, as text for a terminal."""

from collections.abc import Sequence
from typing import Protocol

from modelwright.base.finding import Finding
from modelwright.doctor.report import report_of

__all__ = ["Told", "page_of"]


class Told(Protocol):
    """What a page tells of."""

    @property
    def heading(self) -> str:
        """First line."""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What is wrong."""
        ...

    @property
    def checked(self) -> Sequence[str]:
        """What was looked at."""
        ...

    @property
    def unchecked(self) -> Sequence[str]:
        """What could not be, and why."""
        ...


def page_of(told: Told) -> str:
    """Return the page."""
    return "\n" + report_of(told.heading, told.findings, told.checked, told.unchecked)
