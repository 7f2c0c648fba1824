"""Evidence that something changed at a time that nobody knows."""

from math import inf, log

import numpy as np

from modelwright.base.errors import BadValue

__all__ = ["ChangeDetector"]


class ChangeDetector:
    """A sum of e-processes, one started at every step.

    Give it at each step what one bettor's bet on that step pays, a non-negative number of mean at most 1
    while nothing has changed.

    *Average run length* (the default): the sum grows as M_t = e_t (M_(t-1) + 1), the e-detector of Shiryaev
    and Roberts. Where nothing changes, it takes at least `limit` steps in the mean until M reaches `limit`.
    *Error over the whole run*: with `forever` the start at step t has the share 1 / (t (t + 1)) of a wealth
    of 1; M, with what has not been shared out yet, is then an e-process, and reaches 1/a with probability
    at most a, ever.

    Args:
        forever: See above.

    Attributes:
        steps: Steps so far.
        log_peak: Logarithm of the most that M ever was.

    Source: Shin, Ramdas and Rinaldo, E-detectors, New England Journal of Statistics in Data Science 2 (2024),
    definition 2.2 and theorem 2.4.
    """

    def __init__(self, *, forever: bool = False) -> None:
        self._forever = forever
        self._log_sum = -inf
        self.steps = 0
        self.log_peak = 0.0 if forever else -inf

    @property
    def log_evidence(self) -> float:
        """Logarithm of M now."""
        waiting = -log(self.steps + 1) if self._forever else -inf
        return float(np.logaddexp(self._log_sum, waiting))

    def see(self, paid: float) -> None:
        """Take what a bet on the next step paid.

        Raises:
            BadValue: for a negative payment.
        """
        if not paid >= 0:
            raise BadValue("What a bet pays is not negative", got=str(paid))
        self.steps += 1
        start = -log(self.steps * (self.steps + 1)) if self._forever else 0.0
        grown = log(paid) if paid > 0 else -inf
        self._log_sum = float(np.logaddexp(self._log_sum, start)) + grown
        self.log_peak = max(self.log_peak, self.log_evidence)

    def ever_reached(self, limit: float) -> bool:
        """Return whether M ever was as much as `limit`."""
        return self.log_peak >= log(limit)
