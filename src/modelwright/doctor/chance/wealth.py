"""The wealth of several bettors who play against the same hypothesis."""

from collections.abc import Sequence
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["Wealth"]


class Wealth:
    """What bettors own who began with shares of 1 and were offered fair odds by a hypothesis.

    While the hypothesis holds, the sum is a non-negative martingale that starts at 1, so that it ever reaches
    1/a with probability at most a (Ville 1939). Sums of such bets over bettors whose shares were fixed before
    are again such bets (the method of mixtures).

    Args:
        shares: What each bettor begins with (bettor,); brought to a sum of 1.

    Attributes:
        steps: Outcomes that were bet on.
        log_peak: Logarithm of the most that all together ever owned, 0 at first.

    Raises:
        BadValue: for shares that are negative or all zero.

    Source: Shafer, Testing by betting, JRSS A 184 (2021); Ville, Étude critique de la notion de collectif
    (1939).
    """

    def __init__(self, shares: Sequence[float] | NDArray[np.float64]) -> None:
        given = np.asarray(shares, np.float64)
        if not len(given) or given.min() < 0 or not given.sum() > 0:
            raise BadValue("Shares of bettors are not negative and not all zero", got=str(given.tolist()[:8]))
        with np.errstate(divide="ignore"):
            self._log_wealth = np.log(given / given.sum())
        self.steps = 0
        self.log_peak = 0.0

    @property
    def log_evidence(self) -> float:
        """Logarithm of what all together own now: the e-value so far."""
        return float(np.logaddexp.reduce(self._log_wealth))

    def pay(self, log_factors: NDArray[np.float64]) -> None:
        """Multiply what bettors own by what their bets gave.

        Args:
            log_factors: Logarithms (step, bettor), steps in order.
        """
        if not len(log_factors):
            return
        paths = self._log_wealth + np.cumsum(log_factors, axis=0)
        self._log_wealth = paths[-1]
        self.steps += len(log_factors)
        self.log_peak = max(self.log_peak, float(np.max(np.logaddexp.reduce(paths, axis=1))))

    def ever_reached(self, limit: float) -> bool:
        """Return whether they ever owned as much as `limit`: if all is as declared, in 1 of `limit` runs."""
        return self.log_peak >= (log(limit) if limit > 0 else -inf)
