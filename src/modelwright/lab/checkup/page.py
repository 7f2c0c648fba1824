"""What the doctor says of a script, as text for a terminal."""

from modelwright.doctor.report import report_of
from modelwright.lab.checkup.script import Checkup

__all__ = ["page_of"]


def page_of(checkup: Checkup) -> str:
    """Return the page."""
    heading = f"doctor: {' '.join(checkup.script)} ({checkup.steps} steps, {checkup.seconds:.1f} s)"
    return "\n" + report_of(heading, checkup.findings, checkup.checked, checkup.unchecked)
