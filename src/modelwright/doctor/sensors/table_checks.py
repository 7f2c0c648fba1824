"""What is odd about the columns and targets that a model learns from and is measured on."""

from collections.abc import Iterable, Sequence

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.study import Study

__all__ = ["check_table"]


def check_table(studies: Sequence[Study]) -> Iterable[Finding]:
    """Yield what the rows themselves show."""
    return ()
