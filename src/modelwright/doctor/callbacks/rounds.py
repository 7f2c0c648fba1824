"""What callbacks of the doctor have in common: they look in, log what is new, and say when to stop."""

import logging

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.doctor import Doctor
from modelwright.doctor.report import line_of

__all__ = ["Rounds"]

_LOG = logging.getLogger("modelwright.doctor")
_LEVELS = {Severity.INFO: logging.INFO, Severity.WARNING: logging.WARNING, Severity.SEVERE: logging.ERROR}


class Rounds:
    """A doctor that is asked again and again.

    Args:
        stop_on_severe: Whether a severe finding ends training.

    Attributes:
        doctor: It.
    """

    def __init__(self, *, stop_on_severe: bool) -> None:
        self.doctor = Doctor()
        self._stop_on_severe = stop_on_severe

    def begin(self) -> None:
        """Start the doctor; one that watches already, for an outer call, goes on."""
        if not self.doctor.watches:
            self.doctor.start()

    def look(self) -> bool:
        """Log what is new, and return whether training shall end."""
        return self._tell(self.doctor.round())

    def end(self) -> None:
        """Stop the doctor and log what was not told yet."""
        if self.doctor.watches:
            self.doctor.stop()
            self._tell(self.doctor.round())

    def _tell(self, found: list[Finding]) -> bool:
        for each in found:
            places = [place for place in map(line_of, each.causes) if place]
            where = f" [{places[0]}]" if places else ""
            _LOG.log(_LEVELS[each.severity], "%s: %s (%s)%s", each.severity, each.title, each.kind, where)
        return self._stop_on_severe and any(each.severity is Severity.SEVERE for each in found)
