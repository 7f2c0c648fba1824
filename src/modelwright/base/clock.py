"""Time, passed in so that tests can move it."""

import time
from datetime import UTC, datetime
from typing import Protocol

from modelwright.base.errors import BadValue

__all__ = ["Clock", "SystemClock", "timestamp"]


class Clock(Protocol):
    """Tells the date (which may jump) and measures durations (which may not)."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary origin; never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary origin; never goes back."""
        return time.monotonic()


def timestamp(instant: datetime) -> str:
    """Return `instant` as ISO 8601 in UTC with microseconds, e.g. `2026-01-31T09:05:00.000000Z`.

    Texts sort as their instants do.

    Raises:
        BadValue: for an instant without a time zone, which could mean any hour.
    """
    if instant.utcoffset() is None:
        raise BadValue(
            "An instant has a time zone", got=instant.isoformat(), nearest=f"{instant.isoformat()}+00:00"
        )
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
