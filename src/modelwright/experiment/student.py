"""The t interval at one or several looks."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.experiment.difference import differences_at, experiments_at
from modelwright.experiment.interval import Interval
from modelwright.experiment.spending import Spending
from modelwright.experiment.student_levels import nominal_levels

__all__ = ["MINIMUM_SEEDS", "StudentRule"]

MINIMUM_SEEDS = 3
"""Fewest seeds at which a t interval is offered; with two, one degree of freedom says next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentRule:
    """Mean plus or minus t quantile times standard error, wide enough to hold at all looks at once.

    interval_k = mean +- t(1 - p_k; n_k - 1) * sd * sqrt(1 / n_k + inflation)

    The one-sided levels p_k are computed for the t statistics' own joint distribution, not taken over
    from normal boundaries (see `student_levels`). With one look p = alpha / 2 and this is the usual
    interval. Each look's interval stands by itself: earlier looks do not narrow it. Differences that are
    all equal give an interval of no width: right for learners without randomness, but three coarse results
    (a success rate over few rows) can be equal by chance, so plan a later first look for those.

    Sources: repeated confidence intervals, Jennison and Turnbull (1989); variance for overlapping
    training sets, Nadeau and Bengio (2003), corrected resampled t test.

    Attributes:
        looks: Number of seeds at each look.
        levels: One-sided level p_k at each look.
        alpha: Probability that any look's interval misses.
        spending: How the level is spent; None for one look.
        inflation: n_test / n_train for conclusions about new data, else 0.
    """

    looks: tuple[int, ...]
    levels: tuple[float, ...]
    alpha: float
    spending: Spending | None = None
    inflation: float = 0.0

    @staticmethod
    def plan(
        *, looks: tuple[int, ...], alpha: float, spending: Spending | None, inflation: float
    ) -> "StudentRule":
        """Return the rule with its levels computed."""
        levels = nominal_levels(looks, alpha / 2, spending)
        return StudentRule(looks=looks, levels=levels, alpha=alpha, spending=spending, inflation=inflation)

    @property
    def name(self) -> str:
        """A few words."""
        if self.spending is None:
            return f"t interval at {self.looks[-1]} seeds"
        return f"group-sequential t, {self.spending}, looks at {', '.join(map(str, self.looks))} seeds"

    @property
    def description(self) -> str:
        """What the rule does."""
        text = "Mean of the paired differences with a t interval"
        if self.spending is not None:
            text += f", widened so that all {len(self.looks)} looks together err at most {self.alpha:g}"
        if self.inflation > 0:
            text += "; training sets overlap, so the variance is raised by n_test / n_train"
            text += f" = {self.inflation:.3g} of itself"
        return text + "."

    @property
    def assumption(self) -> str:
        """What must be true for the error rate to hold."""
        text = "the paired differences are close to normal, or so many that their mean is"
        if self.inflation > 0:
            text += ", and any two seeds' results are correlated by the share of rows that they test on"
        return text

    def half_width_factor(self, look: int) -> float:
        """Return half the interval's width in standard deviations of the differences."""
        from scipy.special import stdtrit

        seeds = self.looks[look]
        quantile = -float(stdtrit(seeds - 1, self.levels[look]))
        return quantile * math.sqrt(1 / seeds + self.inflation)

    def interval(self, differences: ArrayLike, look: int) -> Interval:
        """Return the interval at a look; see `StoppingRule`."""
        values = differences_at(self.looks, look, differences)
        estimate = float(values.mean())
        half = self.half_width_factor(look) * float(values.std(ddof=1))
        if np.ptp(values) == 0:  # equal numbers have no spread, whatever rounding says
            estimate, half = float(values[0]), 0.0
        return Interval(low=estimate - half, high=estimate + half, level=1 - self.alpha, estimate=estimate)

    def beyond(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the lower limit is above `effect`; see `StoppingRule`."""
        mean, half = self._limits(differences)
        return mean - half > effect

    def short_of(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the upper limit is below `effect`; see `StoppingRule`."""
        mean, half = self._limits(differences)
        return mean + half < effect

    def _limits(self, differences: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and half-width, each (experiment, look)."""
        values = experiments_at(self.looks, differences)
        mean = np.stack([values[:, :seeds].mean(axis=1) for seeds in self.looks], axis=1)
        half = np.stack(
            [
                self.half_width_factor(look) * values[:, :seeds].std(axis=1, ddof=1)
                for look, seeds in enumerate(self.looks)
            ],
            axis=1,
        )
        return mean, half
