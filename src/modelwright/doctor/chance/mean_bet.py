"""A bet against a declared mean of numbers between 0 and 1."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue
from modelwright.doctor.chance.wealth import Wealth

__all__ = ["MeanBet"]

_PARTS = (0.05, 0.15, 0.4, 0.8)
"""Shares of what a bettor may lose at most that it puts on each step."""


class MeanBet(Wealth):
    """An e-process against "step t is a number in [0, 1] of mean m_t, whatever came before".

    A bettor on more pays 1 + c (x - m) / m, one on less 1 - c (x - m) / (1 - m), with c in (0, 1): neither
    can fall below 0, and either is 1 in the mean, whatever the law of x. m_t may depend on all before step t.

    Args:
        side: `both`; `above`, which also holds against "of mean at most m_t"; `below`, against "at least".
        parts: The shares c. Bettors begin alike.

    Source: the hedged capital process of Waudby-Smith and Ramdas, JRSS B 86 (2024), section 4, with a mixture
    over fixed bets in place of one predicted.
    """

    def __init__(self, side: Literal["both", "above", "below"] = "both", parts: ArrayLike = _PARTS) -> None:
        if side not in ("both", "above", "below"):
            raise BadValue("A side is both, above or below", got=str(side))
        self._parts: NDArray[np.float64] = np.asarray(parts, np.float64).reshape(-1)
        if not (self._parts.min() > 0 and self._parts.max() < 1):
            raise BadValue("Parts that are bet are in (0, 1)", got=str(self._parts.tolist()))
        self._side = side
        super().__init__(np.ones(len(self._parts) * (2 if side == "both" else 1)))

    def see(self, numbers: ArrayLike, means: ArrayLike) -> None:
        """Bet on numbers.

        Args:
            numbers: What was seen (step,), in [0, 1].
            means: What was declared for each before (step,), or one for all, in (0, 1).

        Raises:
            BadValue: for a number outside of [0, 1] or a mean outside of (0, 1).
        """
        x = np.asarray(numbers, np.float64).reshape(-1)
        m = np.broadcast_to(np.asarray(means, np.float64), x.shape)
        if len(x) and not (x.min() >= 0 and x.max() <= 1 and m.min() > 0 and m.max() < 1):
            raise BadValue("Numbers are in [0, 1], means in (0, 1)", got=f"{x.min()} to {x.max()}")
        c = self._parts[None, :]
        up = np.log1p(c * ((x - m) / m)[:, None])
        down = np.log1p(-c * ((x - m) / (1 - m))[:, None])
        self.pay({"above": up, "below": down, "both": np.concatenate([up, down], axis=1)}[self._side])
