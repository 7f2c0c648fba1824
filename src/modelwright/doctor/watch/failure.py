"""What is said where the doctor itself fails: it goes on without what raised."""

import traceback

from modelwright.base.finding import Finding, Severity

__all__ = ["SENSOR_FAILED", "failure"]

SENSOR_FAILED = "sensor-failed"
"""Kind of the finding about a part of the doctor that raised."""

_LONGEST = 500


def failure(title: str, error: Exception, *, subject: str = "") -> Finding:
    """Return the finding about a part that raised, for information.

    Args:
        title: What failed, and what goes on without it.
        error: What was raised.
        subject: The part.
    """
    raised = traceback.extract_tb(error.__traceback__)[-1]
    return Finding(
        kind=SENSOR_FAILED,
        severity=Severity.INFO,
        title=title,
        evidence={
            "error": f"{type(error).__name__}: {error}"[:_LONGEST],
            "at": f"{raised.filename}:{raised.lineno}",
        },
        next_check="what it looks at was not checked; report the error",
        subject=subject,
    )
