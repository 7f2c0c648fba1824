"""Boundaries for repeated looks at normal statistics, by recursive numerical integration.

At look k a standard normal statistic Z_k is compared with a boundary. Under the null hypothesis
B_k = sqrt(t_k) Z_k is a random walk with independent normal increments of variance t_k - t_{k-1}, where
t_k is the share of the information (here of the seeds) that look k has: the canonical joint distribution.
Armitage, McPherson and Rowe (1969) integrate it look by look; so does this file, on Gauss-Legendre nodes
between the boundaries.

Sources: Pocock (1977); O'Brien and Fleming (1979); Lan and DeMets (1983); Jennison and Turnbull,
*Group Sequential Methods* (2000), chapters 2, 7 and 19. All statistics here are normal; `student_levels`
carries the levels over to t statistics of few seeds and `sign_flip` to exact tests.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = [
    "SPENDINGS",
    "Spending",
    "boundary_constant",
    "crossing_levels",
    "cumulative_levels",
    "spending_boundaries",
    "spent_share",
]

Spending = Literal["pocock", "obrien_fleming", "lan_demets_pocock", "lan_demets_obrien_fleming"]
SPENDINGS: tuple[Spending, ...] = (
    "pocock",
    "obrien_fleming",
    "lan_demets_pocock",
    "lan_demets_obrien_fleming",
)

Array = NDArray[np.float64]
_NODES = 48
_REACH = 10.0  # standard deviations beyond which a normal density counts for nothing


def crossing_levels(boundaries: Sequence[float], information: Sequence[float], *, sides: int = 2) -> Array:
    """Return the probability, under the null hypothesis, of having crossed by each look.

    With equal boundaries of 1.96 this is the true error of naive peeking.

    Args:
        boundaries: (look,) boundary of Z at each look; may be infinite.
        information: (look,) growing amounts of information, in any unit, e.g. numbers of seeds.
        sides: 2 for |Z| beyond the boundary, 1 for Z above it.

    Returns:
        (look,) cumulative probabilities.
    """
    walk = _Walk(_shares(information), sides)
    return np.cumsum([walk.pass_look(boundary) for boundary in boundaries])


@lru_cache(maxsize=64)
def boundary_constant(
    shape: Literal["pocock", "obrien_fleming"], information: tuple[float, ...], alpha: float, sides: int = 2
) -> float:
    """Return the constant C of a classical boundary: C (Pocock) or C sqrt(t_K / t_k) (O'Brien-Fleming).

    Args:
        shape: Which boundary.
        information: (look,) growing amounts of information.
        alpha: Probability of crossing at any look.
        sides: 2 for |Z| beyond the boundary, 1 for Z above it.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    shares = _shares(information)
    form = np.ones_like(shares) if shape == "pocock" else np.sqrt(1 / shares)

    def excess(constant: float) -> float:
        return float(crossing_levels(list(constant * form), information, sides=sides)[-1]) - alpha

    lowest, highest = -float(ndtri(alpha / sides)), -float(ndtri(alpha / sides / len(shares))) + 1e-6
    return lowest if len(shares) == 1 else cast("float", brentq(excess, lowest, highest, xtol=1e-10))


def spent_share(spending: Spending, share: float, alpha: float) -> float:
    """Return the Lan-DeMets spending function: how much of alpha may be spent at a share of the information.

    Args:
        spending: One of the two Lan-DeMets forms.
        share: Share of the information, in [0, 1].
        alpha: One-sided level in all.
    """
    from scipy.special import ndtr, ndtri

    if share <= 0:
        return 0.0
    if spending == "lan_demets_pocock":
        return float(alpha * np.log1p((np.e - 1) * min(share, 1.0)))
    if spending == "lan_demets_obrien_fleming":
        return float(2 * ndtr(ndtri(alpha / 2) / np.sqrt(min(share, 1.0))))
    raise BadValue("Only the Lan-DeMets forms are functions of the share of information alone", got=spending)


def cumulative_levels(looks: Sequence[int], alpha: float, spending: Spending | None) -> tuple[float, ...]:
    """Return how much of a one-sided level has been spent by each look.

    Args:
        looks: (look,) number of seeds at each look.
        alpha: One-sided level in all.
        spending: How it is spent; None for a single look.

    Returns:
        (look,) growing levels; the last is `alpha`.
    """
    if spending is None:
        if len(looks) != 1:
            raise BadValue(
                "More than one look needs a way to spend the level", got=f"looks at {list(looks)} seeds"
            )
        return (alpha,)
    shares = _shares(looks)
    if spending in ("lan_demets_pocock", "lan_demets_obrien_fleming"):
        return tuple(spent_share(spending, float(share), alpha) for share in shares)
    constant = boundary_constant(spending, tuple(float(look) for look in looks), alpha, sides=1)
    form = np.ones_like(shares) if spending == "pocock" else np.sqrt(1 / shares)
    levels = crossing_levels(list(constant * form), list(looks), sides=1)
    return (*(float(level) for level in levels[:-1]), alpha)


def spending_boundaries(looks: Sequence[int], alpha: float, spending: Spending, *, sides: int = 1) -> Array:
    """Return the boundary of Z at each look that spends the level as `spending` says.

    Args:
        looks: (look,) number of seeds, or any growing information, at each look; may be unequally spaced.
        alpha: Probability of crossing at any look (in all, over the sides).
        spending: How it is spent.
        sides: 2 for |Z| beyond the boundary, 1 for Z above it.
    """
    if spending in ("pocock", "obrien_fleming"):
        constant = boundary_constant(spending, tuple(float(look) for look in looks), alpha, sides)
        return constant * (
            np.ones(len(looks)) if spending == "pocock" else np.sqrt(looks[-1] / np.asarray(looks))
        )
    walk = _Walk(_shares(looks), sides)
    spent = sides * np.diff(
        [0.0, *(spent_share(spending, float(share), alpha / sides) for share in walk.shares)]
    )
    return np.array([walk.pass_look_spending(float(level)) for level in spent])


class _Walk:
    """The part of the random walk that has not crossed yet, as a density on nodes."""

    def __init__(self, shares: Array, sides: int) -> None:
        self.shares, self.sides, self.look = shares, sides, 0
        self.nodes, self.mass = np.zeros(1), np.ones(1)
        self.scale = 0.0

    def _crossing(self, boundary: float) -> float:
        from scipy.special import ndtr

        step = np.sqrt(self.shares[self.look] - self.scale)
        edge = boundary * np.sqrt(self.shares[self.look])
        beyond = ndtr((self.nodes - edge) / step)
        if self.sides == 2:
            beyond = beyond + ndtr((-edge - self.nodes) / step)
        return float(np.dot(self.mass, beyond))

    def pass_look(self, boundary: float) -> float:
        """Move past the next look; return the probability of crossing there first."""
        crossed = self._crossing(boundary)
        share = float(self.shares[self.look])
        step = np.sqrt(share - self.scale)
        high = min(boundary, _REACH) * np.sqrt(share)
        low = -high if self.sides == 2 else -_REACH * np.sqrt(share)
        # Panels no wider than one step keep the quadrature exact when looks lie close together.
        panels = max(1, int(np.ceil((high - low) / (12 * step))))
        points, weights = _legendre(_NODES)
        edges = np.linspace(low, high, panels + 1)
        half = np.diff(edges)[:, None] / 2
        nodes = (edges[:-1, None] + half + half * points).ravel()
        area = (half * weights).ravel()
        kernel = np.exp(-0.5 * ((nodes[:, None] - self.nodes) / step) ** 2) / (step * np.sqrt(2 * np.pi))
        self.mass = area * (kernel @ self.mass)
        self.nodes, self.scale, self.look = nodes, share, self.look + 1
        return crossed

    def pass_look_spending(self, level: float) -> float:
        """Move past the next look with the boundary that is crossed there first with probability `level`."""
        from scipy.optimize import brentq

        excess: Callable[[float], float] = lambda boundary: self._crossing(boundary) - level  # noqa: E731
        boundary = cast("float", brentq(excess, -_REACH if self.sides == 1 else 0.0, 40.0, xtol=1e-11))
        self.pass_look(boundary)
        return boundary


@lru_cache(maxsize=4)
def _legendre(count: int) -> tuple[Array, Array]:
    points, weights = np.polynomial.legendre.leggauss(count)
    return points, weights


def _shares(information: Sequence[float]) -> Array:
    amounts = np.asarray(information, dtype=np.float64)
    if amounts.ndim != 1 or amounts.size == 0 or amounts[0] <= 0 or np.any(np.diff(amounts) <= 0):
        raise BadValue("Information is above 0 and grows from look to look", got=list(information))
    return amounts / amounts[-1]
