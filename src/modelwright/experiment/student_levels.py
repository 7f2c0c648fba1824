"""Levels for repeated t tests on few seeds, from the exact joint distribution of the t statistics.

Reading a normal boundary as a level and testing each look's t statistic at that level (the
significance-level approach) spends more than planned when the first looks have few seeds. Here the levels
are found for the t statistics themselves.

Let x_1, x_2, ... be independent normal with mean 0 (the null hypothesis) and any spread. Then
R_n = sum(x) / sqrt(sum(x^2)) determines T_n = sqrt(n - 1) R_n / sqrt(n - R_n^2), its law is free of the
spread, and it is a Markov chain, because sum(x^2) is independent of the direction of (x_1 ... x_n), which
is uniform on the sphere. Backwards in time the chain is as plain: given R_{n+1},

    x_{n+1} / sqrt(sum x^2) = R_{n+1} / (n + 1) + sqrt((1 - R_{n+1}^2 / (n + 1)) * n / (n + 1)) * w

where w is one coordinate of a uniform unit vector in n dimensions, of density ~ (1 - w^2)^((n - 3) / 2).
With g_n(r) the probability of no crossing at the looks up to n given R_n = r, the chain gives g_{n+1} from
g_n by an average over w, and the probability of crossing first at a look is the integral of g beyond its
boundary. Statistics are laid out on the scale of normal scores, z with P(Z > z) = P(T_n > t), on which
one grid serves every n; beyond `_NORMAL_FROM` seeds the step to the next look is taken as normal. On this
grid totals are right to a thousandth of themselves (compared with one four times as fine).

Sources: Jennison and Turnbull (1991), *Exact calculations for sequential t, chi-squared and F tests*,
Biometrika 78: the invariance; the backward form is derived above.
"""

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from modelwright.experiment.spending import Spending, cumulative_levels

__all__ = ["nominal_levels", "total_level"]

Array = NDArray[np.float64]
_STEP = 0.04
_CENTRES: Array = np.arange(-6.5, 8.0, _STEP) + _STEP / 2
_EDGES: Array = np.append(_CENTRES - _STEP / 2, _CENTRES[-1] + _STEP / 2)
_ANGLES = 200
_NORMAL_FROM = 60


@lru_cache(maxsize=64)
def nominal_levels(looks: tuple[int, ...], alpha: float, spending: Spending | None) -> tuple[float, ...]:
    """Return the one-sided level at which to test each look's t statistic.

    Args:
        looks: (look,) number of seeds at each look, at least 3 at the first.
        alpha: One-sided level over all looks: the probability, for normal differences, that the t
            statistic is beyond its quantile at any look.
        spending: How the level is spent; None for a single look.

    Returns:
        (look,) levels p_k; look k's quantile is t(1 - p_k; n_k - 1).
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    if spending is None or len(looks) == 1:
        return cumulative_levels(looks, alpha, spending)
    chain = _chain(looks)
    if spending in ("lan_demets_pocock", "lan_demets_obrien_fleming"):
        spent = np.diff([0.0, *cumulative_levels(looks, alpha, spending)])
        return chain.levels_that_spend(spent)
    form = np.ones(len(looks)) if spending == "pocock" else np.sqrt(looks[-1] / np.asarray(looks))

    def levels(constant: float) -> tuple[float, ...]:
        return tuple(float(level) for level in ndtr(-constant * form))

    lowest, highest = -float(ndtri(alpha)), -float(ndtri(alpha / len(looks))) + 1e-6
    constant = brentq(lambda value: sum(chain.crossings(levels(value))) - alpha, lowest, highest, xtol=1e-9)
    return levels(cast("float", constant))


def total_level(looks: tuple[int, ...], levels: Sequence[float]) -> float:
    """Return the probability that a t statistic crosses its quantile at any look, for normal differences.

    Args:
        looks: (look,) number of seeds at each look.
        levels: (look,) one-sided level at each look.
    """
    return float(sum(_chain(looks).crossings(levels)))


class _Chain:
    """The backward steps from look to look, as matrices on the grid of normal scores."""

    def __init__(self, looks: tuple[int, ...]) -> None:
        from scipy.special import ndtr

        tails = np.asarray(ndtr(-_EDGES), dtype=np.float64)
        tails[0], tails[-1] = 1.0, 0.0
        self.tails: Array = tails[1:]
        self.cells: Array = -np.diff(tails)
        self.steps = [_between(early, late) for early, late in itertools.pairwise(looks)]

    def crossings(self, levels: Sequence[float]) -> list[float]:
        """Return the probability of crossing first at each look."""
        kept, found = np.ones_like(self.cells), list[float]()
        for look, level in enumerate(levels):
            if look:
                kept = self.steps[look - 1] @ kept
            shares = self._shares_beyond(level)
            found.append(float(np.dot(kept * shares, self.cells)))
            kept = kept * (1 - shares)
        return found

    def levels_that_spend(self, spent: Array) -> tuple[float, ...]:
        """Return the levels at which the probability of crossing first at each look is as given."""
        from scipy.optimize import brentq

        kept, levels = np.ones_like(self.cells), list[float]()
        for look, goal in enumerate(spent):
            if look:
                kept = self.steps[look - 1] @ kept
            # At least `goal`, because paths that crossed before are missing from the tail.
            low, high = (
                float(goal) * (1 - 1e-3),
                min(1.0, float(spent[: look + 1].sum()) * (1 + 1e-3) + 1e-12),
            )
            level = float(goal)
            if look:
                level = cast("float", brentq(self._excess, low, high, args=(kept, level), xtol=1e-14))
            levels.append(level)
            kept = kept * (1 - self._shares_beyond(level))
        return tuple(levels)

    def _excess(self, level: float, kept: Array, goal: float) -> float:
        return float(np.dot(kept * self._shares_beyond(level), self.cells)) - goal

    def _shares_beyond(self, level: float) -> Array:
        """Return which share of each cell's mass lies above the (1 - level) quantile."""
        return np.clip((level - self.tails) / self.cells, 0.0, 1.0)


@lru_cache(maxsize=4)
def _chain(looks: tuple[int, ...]) -> _Chain:
    return _Chain(looks)


def _between(early: int, late: int) -> Array:
    """Return the matrix (cell at `late`, cell at `early`) of one backward step from look to look."""
    total = None
    while early < late:
        if early >= _NORMAL_FROM:
            step, early = _normal_step(early, late), late
        else:
            step, early = _one_seed(early), early + 1
        total = step if total is None else step @ total
    return cast("Array", total)


def _scores_to_ratio(scores: Array, seeds: int) -> Array:
    """Return R_n = sqrt(n) T / sqrt(n - 1 + T^2) for normal scores."""
    from scipy.special import ndtr, stdtrit

    # Both tails through the lower one, where probabilities keep their digits.
    statistic = -np.sign(scores) * stdtrit(seeds - 1, ndtr(-np.abs(scores)))
    return np.sqrt(seeds) * statistic / np.sqrt(seeds - 1 + statistic**2)


def _one_seed(seeds: int) -> Array:
    """Return the backward step from `seeds` + 1 to `seeds`, averaged over w = cos(angle)."""
    angles = (np.arange(_ANGLES) + 0.5) * np.pi / _ANGLES
    weights = np.sin(angles) ** (seeds - 2)
    weights /= weights.sum()
    late = _scores_to_ratio(_CENTRES, seeds + 1)[:, None]
    rest = np.sqrt(np.maximum(0.0, (1 - late**2 / (seeds + 1)) * seeds / (seeds + 1)))
    last = late / (seeds + 1) + rest * np.cos(angles)
    early = (late - last) / np.sqrt(np.maximum(1 - last**2, 1e-300))
    return _spread(np.interp(early, _scores_to_ratio(_CENTRES, seeds), np.arange(_CENTRES.size)), weights)


def _normal_step(early: int, late: int) -> Array:
    from scipy.special import ndtri

    draws = ndtri((np.arange(_ANGLES) + 0.5) / _ANGLES)
    scores = np.sqrt(early / late) * _CENTRES[:, None] + np.sqrt(1 - early / late) * draws
    position = np.clip((scores - _CENTRES[0]) / _STEP, 0, _CENTRES.size - 1)
    return _spread(position, np.full(_ANGLES, 1 / _ANGLES))


def _spread(position: Array, weights: Array) -> Array:
    """Return the matrix that averages a function, linear between cells, at positions (row, draw)."""
    size = _CENTRES.size
    below = np.minimum(position.astype(np.int64), size - 2)
    part = position - below
    rows = np.arange(position.shape[0])[:, None] * size
    matrix = np.zeros(size * position.shape[0])
    matrix += np.bincount((rows + below).ravel(), (weights * (1 - part)).ravel(), matrix.size)
    matrix += np.bincount((rows + below + 1).ravel(), (weights * part).ravel(), matrix.size)
    return matrix.reshape(position.shape[0], size)
