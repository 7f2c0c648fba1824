"""A bet against "every place is as likely as another"."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue
from modelwright.doctor.chance.wealth import Wealth

__all__ = ["RankBet"]

_POWERS = (0.25, 0.5, 0.75, 1.5, 2.5, 5.0)


class RankBet(Wealth):
    """An e-process against "rank t is uniform on 0 ... n_t - 1, whatever came before".

    Bettors believe in densities k u^(k - 1) of the place u in (0, 1), or of 1 - u, or in the middle or both
    edges. What a rank pays is the density's mean over [r / n, (r + 1) / n], so that no place has to be drawn
    at random inside of a rank, and payments are 1 in the mean exactly. n_t may depend on all before step t.

    Args:
        powers: The k; above 1 believes in late ranks, below 1 in early ones.

    Source: the power martingales of Vovk, Nouretdinov and Gammerman, Testing exchangeability on-line (2003);
    k p^(k - 1) is the calibrator of Vovk and Wang, E-values, Annals of Statistics 49 (2021).
    """

    def __init__(self, powers: ArrayLike = _POWERS) -> None:
        self._powers: NDArray[np.float64] = np.asarray(powers, np.float64).reshape(-1)
        if not self._powers.min() > 0:
            raise BadValue("Powers are above 0", got=str(self._powers.tolist()))
        super().__init__(np.ones(2 * len(self._powers) + 2))

    def see(self, ranks: ArrayLike, counts: ArrayLike) -> None:
        """Bet on ranks.

        Args:
            ranks: Rank of each step (step,), from 0.
            counts: How many ranks there were (step,), or one number for all.

        Raises:
            BadValue: for a rank that is not among its count.
        """
        r = np.asarray(ranks, np.float64).reshape(-1)
        n = np.broadcast_to(np.asarray(counts, np.float64), r.shape)
        if len(r) and not (r.min() >= 0 and bool(np.all(r < n))):
            raise BadValue("A rank is at least 0 and below its count", got=f"{r.max()} of {n.min()}")
        low, high = (r / n)[:, None], ((r + 1) / n)[:, None]
        k = self._powers[None, :]
        with np.errstate(divide="ignore"):
            late = np.log(n[:, None] * (high**k - low**k))
            early = np.log(n[:, None] * ((1 - low) ** k - (1 - high) ** k))
            # 6u(1 - u) and 3(2u - 1)^2, integrated over the rank
            middle = 3 * (high**2 - low**2) - 2 * (high**3 - low**3)
            edges = ((2 * high - 1) ** 3 - (2 * low - 1) ** 3) / 2
            rest = np.log(n[:, None] * np.concatenate([middle, edges], axis=1))
        self.pay(np.concatenate([late, early, rest], axis=1))
