"""A bet against "this choice was drawn from these probabilities"."""

import numpy as np
from numpy.typing import ArrayLike

from modelwright.base.errors import BadValue
from modelwright.doctor.chance.wealth import Wealth

__all__ = ["DrawBet"]

_SHARPER = (0.0, 0.5, 2.0, 8.0)
"""Powers of the declared probabilities that choices may follow: 0 is uniform, a large one the mode."""

_KEPT = 0.2
"""Share of the declared law in what a bettor believes, so that no single choice takes all that it owns."""


class DrawBet(Wealth):
    """An e-process against "choice t was drawn from p_t, whatever came before".

    Bettors believe that choices follow p_t to a power (sharper, or nearer to uniform), or p_t shifted by one
    place up or down, each mixed with p_t itself. What a choice pays is the ratio of probabilities.

    Source: Shafer, Testing by betting, JRSS A 184 (2021).
    """

    def __init__(self) -> None:
        super().__init__(np.ones(len(_SHARPER) + 2))

    def see(self, choices: ArrayLike, probabilities: ArrayLike) -> None:
        """Bet on choices.

        Args:
            choices: Number of each choice (step,), from 0.
            probabilities: What was declared (step, choice); brought to a sum of 1.

        Raises:
            BadValue: for a choice that has no probability, or probabilities that are none.
        """
        chosen = np.asarray(choices, np.int64).reshape(-1)
        p = np.asarray(probabilities, np.float64).reshape(len(chosen), -1) if len(chosen) else np.ones((0, 1))
        if not len(chosen):
            return
        if chosen.min() < 0 or chosen.max() >= p.shape[1] or not np.isfinite(p).all() or p.min() < 0:
            raise BadValue("A choice is one of those that have a probability", got=str(chosen.max()))
        p = p / p.sum(axis=1, keepdims=True)
        rows = np.arange(len(chosen))
        beliefs = [_power(p, power) for power in _SHARPER] + [np.roll(p, 1, 1), np.roll(p, -1, 1)]
        own = p[rows, chosen]
        with np.errstate(divide="ignore", invalid="ignore"):
            paid = [np.log(_KEPT + (1 - _KEPT) * each[rows, chosen] / own) for each in beliefs]
        self.pay(np.where(own[:, None] == 0, np.inf, np.stack(paid, axis=1)))


def _power(p: np.ndarray, power: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        logs = np.where(p > 0, power * np.log(p), -np.inf)
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
