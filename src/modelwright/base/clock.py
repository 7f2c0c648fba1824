"""Time, passed in so that tests can move it."""

import time
from datetime import UTC, datetime
from typing import Protocol

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
    """Return `instant` as ISO 8601 in UTC with microseconds, e.g. `2026-01-31T09:05:00.000000Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
