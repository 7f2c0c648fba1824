"""Seconds that a probe may take."""

import time

__all__ = ["Limit"]


class Limit:
    """Counts down from its beginning.

    Args:
        seconds: How long, at least 0.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._begun = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    @property
    def left(self) -> float:
        """Seconds that remain, at least 0."""
        return max(0.0, self.seconds - self.spent)

    @property
    def is_over(self) -> bool:
        """Whether nothing remains."""
        return self.left <= 0.0

    def part(self, share: float) -> "Limit":
        """Return a limit of a share of what remains."""
        return Limit(self.left * min(1.0, share))
