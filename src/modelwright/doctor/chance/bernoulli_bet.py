"""A bet against a declared rate of yes and no, which may change from step to step."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue
from modelwright.doctor.chance.wealth import Wealth

__all__ = ["BernoulliBet"]

_ODDS = (1.25, 1.6, 2.5, 5.0, 20.0)
"""Factors by which the true odds may differ from the declared ones; and their inverses."""


class BernoulliBet(Wealth):
    """An e-process against "step t says yes with probability p_t, whatever came before".

    Each bettor believes that the odds are r times those declared, p'_t = r p_t / (1 - p_t + r p_t), and
    bets the likelihood ratio. p_t may depend on everything before step t. A rate of 0 or 1 that is
    contradicted once makes the evidence infinite.

    Args:
        side: `both`; or `above`, which also holds against "at most p_t"; or `below`, against "at least p_t".
        odds: The factors r above 1; `below` uses their inverses, `both` all. Shares are equal.

    Source: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86
    (2024); a likelihood ratio is the bet of Shafer (2021) that is best where its alternative is true.
    """

    def __init__(self, side: Literal["both", "above", "below"] = "both", odds: ArrayLike = _ODDS) -> None:
        up = np.log(np.asarray(odds, np.float64).reshape(-1))
        tilts = {"above": up, "below": -up, "both": np.concatenate([up, -up])}
        if side not in tilts:
            raise BadValue("A side is both, above or below", got=str(side))
        self._tilts: NDArray[np.float64] = tilts[side]
        super().__init__(np.ones(len(self._tilts)))

    def see(self, outcomes: ArrayLike, rates: ArrayLike) -> None:
        """Bet on outcomes.

        Args:
            outcomes: Whether each step said yes (step,).
            rates: What was declared for each before (step,), or one rate for all, in [0, 1].

        Raises:
            BadValue: for a rate outside of [0, 1].
        """
        yes = np.asarray(outcomes, np.bool_).reshape(-1)
        p = np.broadcast_to(np.asarray(rates, np.float64), yes.shape)
        if len(p) and not (p.min() >= 0 and p.max() <= 1):
            raise BadValue("A rate is in [0, 1]", got=f"{p.min()} to {p.max()}")
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = np.exp(self._tilts)[None, :]
            among = 1 - p[:, None] + grown * p[:, None]
            factors = np.where(yes[:, None], self._tilts[None, :], 0.0) - np.log(among)
        impossible = np.where(yes, p == 0.0, p == 1.0)
        self.pay(np.where(impossible[:, None], np.inf, factors))
