"""A confidence sequence for differences with known bounds, by betting: valid at every number of seeds.

Rescale the differences to x in [0, 1]. A gambler who doubts that their mean is as low as m stakes a share
c of the capital on each seed, in a game that is fair if it is:

    K_t(m) = prod_{i <= t} (1 + c (x_i / m - 1))

Under mean m this is a nonnegative martingale that starts at 1, and so is its average over shares c; by
Ville's inequality it ever reaches 2 / alpha with probability at most alpha / 2, however the results are
distributed between the bounds and however often one looks. The interval holds the m at which neither this
gambler nor the opposite one has ever reached 2 / alpha. The average over a grid of shares needs no guess
of the spread, falls as m grows (so that limits are found by bisection), and does not depend on the order
of the seeds within a look.

Source: Waudby-Smith and Ramdas (2024), *Estimating means of bounded random variables by betting*, JRSS B
86: hedged capital, with the mixture over a grid of bets of its appendix in place of plug-in bets, which
are slow to grow over 3 to 30 seeds.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue
from modelwright.experiment.difference import differences_at, experiments_at
from modelwright.experiment.interval import Interval

__all__ = ["BettingRule"]

Array = NDArray[np.float64]
_SHARES: Array = np.arange(1, 21) / 20
_HALVINGS = 50
_CELLS_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class BettingRule:
    """Hedged-capital interval for the mean of bounded differences.

    Attributes:
        looks: Number of seeds at each look.
        alpha: Probability that any look's interval misses.
        low: Smallest possible difference.
        high: Largest possible difference.
    """

    looks: tuple[int, ...]
    alpha: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """A few words."""
        return f"betting confidence sequence on [{self.low:g}, {self.high:g}]"

    @property
    def description(self) -> str:
        """What the rule does."""
        return (
            f"Means of differences in [{self.low:g}, {self.high:g}] against which no gambler has won "
            f"{2 / self.alpha:g} times the stake; all looks together err at most {self.alpha:g}, and what "
            f"one look rules out stays out. With {self.looks[-1]} seeds no interval is narrower than about "
            f"{self.narrowest:.2g}."
        )

    @property
    def assumption(self) -> str:
        """What must be true for the error rate to hold."""
        return f"the paired differences are independent and never leave [{self.low:g}, {self.high:g}]"

    @property
    def narrowest(self) -> float:
        """Width at the last look if all differences were equal and midway between the bounds."""
        middle = (self.low + self.high) / 2
        return self.interval(np.full(self.looks[-1], middle), len(self.looks) - 1).width

    def tells(self, differences: ArrayLike) -> bool:
        """Return True: the rule's interval is wide where differences are alike; see `StoppingRule`."""
        return True

    def interval(self, differences: ArrayLike, look: int) -> Interval:
        """Return the interval at a look; see `StoppingRule`.

        Raises:
            BadValue: also for a difference outside the bounds.
        """
        values = differences_at(self.looks, look, differences)
        scaled, span = self._scaled(values), self.high - self.low
        low = self.low + span * _lower_limit(scaled, 2 / self.alpha)
        high = self.high - span * _lower_limit(1 - scaled, 2 / self.alpha)
        # Limits that have passed each other leave nothing; any wider set is as valid.
        low, high = min(low, high), max(low, high)
        return Interval(low=low, high=high, level=1 - self.alpha, estimate=float(values.mean()))

    def beyond(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the lower limit is above `effect`; see `StoppingRule`."""
        scaled = self._scaled(experiments_at(self.looks, differences))
        return self._ruled_out(scaled, (effect - self.low) / (self.high - self.low))

    def short_of(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the upper limit is below `effect`; see `StoppingRule`."""
        scaled = self._scaled(experiments_at(self.looks, differences))
        return self._ruled_out(1 - scaled, (self.high - effect) / (self.high - self.low))

    def _scaled(self, values: Array) -> Array:
        """Return the differences rescaled to [0, 1]; refuse those outside the bounds."""
        span = self.high - self.low
        outside = (values < self.low - 1e-9 * span) | (values > self.high + 1e-9 * span)
        if outside.any():
            raise BadValue(
                f"No difference leaves the planned bounds, [{self.low:g}, {self.high:g}]",
                got=f"{values[outside][0]:g} at seed index {np.argwhere(outside)[0][-1]}",
                next_step="the bounds were wrong: plan the experiment again with bounds that hold",
            )
        return np.clip((values - self.low) / span, 0.0, 1.0)

    def _ruled_out(self, scaled: Array, mean: float) -> NDArray[np.bool_]:
        at = np.asarray(self.looks) - 1
        if not 0 <= mean < 1:
            return np.full((len(scaled), at.size), mean < 0)
        at_once = max(1, _CELLS_AT_ONCE // (scaled.shape[1] * _SHARES.size))
        capital = np.concatenate(
            [
                _log_capital(scaled[start : start + at_once], max(mean, 1e-12))
                for start in range(0, len(scaled), at_once)
            ]
        )
        return np.maximum.accumulate(capital, axis=-1)[:, at] >= math.log(2 / self.alpha)


def _log_capital(scaled: Array, mean: float) -> Array:
    """Return the logarithm of the capital after each seed, against a mean as low as `mean`.

    Args:
        scaled: (..., seed) differences rescaled to [0, 1].
        mean: The doubted mean, above 0.
    """
    with np.errstate(divide="ignore"):  # a gambler who staked everything and lost has capital 0
        growth = np.cumsum(np.log1p(_SHARES * (scaled[..., None] / mean - 1)), axis=-2)
    return np.logaddexp.reduce(growth, axis=-1) - math.log(_SHARES.size)


def _lower_limit(scaled: Array, goal: float) -> float:
    """Return the largest mean in [0, 1] that is known to be ruled out, 0 if none is."""
    out, kept = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (out + kept) / 2
        if _log_capital(scaled, middle).max() >= math.log(goal):
            out = middle
        else:
            kept = middle
    return out
