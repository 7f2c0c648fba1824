"""The exact sign-flip interval at one or several looks, for differences that are symmetric.

If the differences are independent and symmetric about m, then, given the sizes |d_i - m|, their signs are
fair coins, whatever the sizes. So the boundary at a look is counted, not approximated: of all sign paths
(or of a fixed sample of them that holds the observed one), those with the largest sums cross, as many as
keep the share of paths that have crossed at any look so far within the level spent so far. The interval
holds every m that was not crossed out at this or an earlier look, so it can only narrow.

Ties are counted against rejection. Every difference first gets a fixed symmetric noise of at most a
billionth of the largest one, which leaves symmetry as it was and makes the set of surviving m an interval
(a count then changes only where the sum of a subset of d_i - m passes zero, and only one way), and the
limits are widened by as much.

Sources: Fisher (1935), *The Design of Experiments*, section 21; Hartigan (1969), typical values; the
group-sequential form with levels spent by counting follows the idea of AdaStop (Mathieu et al. 2023), for
paired differences instead of two independent groups. Sampled paths count the observed one: Phipson and
Smyth (2010); all sign patterns of the first seeds are kept and only later signs are drawn, and given the
set of paths the observed one is still equally likely to be any of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import sha256_hex
from modelwright.base.seed import Seed
from modelwright.experiment.difference import differences_at
from modelwright.experiment.interval import Interval
from modelwright.experiment.spending import Spending, cumulative_levels

__all__ = ["SignFlipRule", "require_reachable"]

Array = NDArray[np.float64]
_ALL_SIGNS = 14
_SAMPLED_ALL_SIGNS = 12
_NOISE = 1e-9
_HALVINGS = 44
_STREAM = Seed(sha256_hex(b"modelwright.experiment.sign_flip"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignFlipRule:
    """Interval by inversion of the sequential sign-flip test of the mean.

    Attributes:
        looks: Number of seeds at each look.
        spent: One-sided level spent by each look, growing to alpha / 2.
        alpha: Probability that any look's interval misses.
        spending: How the level is spent; None for one look.
    """

    looks: tuple[int, ...]
    spent: tuple[float, ...]
    alpha: float
    spending: Spending | None = None

    @property
    def name(self) -> str:
        """A few words."""
        if self.spending is None:
            return f"sign-flip interval at {self.looks[-1]} seeds"
        return (
            f"group-sequential sign-flip, {self.spending}, looks at {', '.join(map(str, self.looks))} seeds"
        )

    @property
    def description(self) -> str:
        """What the rule does."""
        count = _signs(self.looks[-1]).shape[1]
        exact = self.looks[-1] <= _ALL_SIGNS
        paths = f"all {count:,} sign patterns" if exact else f"{count:,} sign patterns drawn beforehand"
        text = f"Effects that {paths} of the paired differences do not rule out"
        if self.spending is not None:
            text += f"; all {len(self.looks)} looks together err at most {self.alpha:g}"
            text += ", and what one look rules out stays out"
        return text + "."

    @property
    def assumption(self) -> str:
        """What must be true for the error rate to hold."""
        return "the paired differences are independent and symmetric about their mean"

    def interval(self, differences: ArrayLike, look: int) -> Interval:
        """Return the interval at a look; see `StoppingRule`."""
        values = differences_at(self.looks, look, differences)
        noise = _NOISE * float(np.abs(values[: self.looks[0]]).max())
        shaken = values + noise * _shake(values.size)
        low = self._lower_limit(shaken, look) - noise
        high = -self._lower_limit(-shaken, look) + noise
        # Limits that have passed each other leave nothing; any wider set is as valid.
        low, high = min(low, high), max(low, high)
        return Interval(low=low, high=high, level=1 - self.alpha, estimate=float(values.mean()))

    def rejects(self, differences: ArrayLike, look: int, effect: float) -> bool:
        """Tell whether `effect` is ruled out, at this look or before, because differences are larger."""
        values = differences_at(self.looks, look, differences)
        noise = _NOISE * float(np.abs(values[: self.looks[0]]).max())
        return self._crosses(*self._sums(values + noise * _shake(values.size), look), effect)

    def _lower_limit(self, values: Array, look: int) -> float:
        sums, counts = self._sums(values, look)
        # Below all of the first look's differences the observed path is the most extreme there is.
        out = float(values[: self.looks[0]].min())
        kept = float(values.max())
        for _ in range(_HALVINGS):
            middle = (out + kept) / 2
            if self._crosses(sums, counts, middle):
                out = middle
            else:
                kept = middle
        return out

    def _sums(self, values: Array, look: int) -> tuple[list[Array], list[Array]]:
        """Return for each look the (path,) sums of sign * d and of sign."""
        signs = _signs(self.looks[-1])
        total, count = np.zeros(signs.shape[1]), np.zeros(signs.shape[1])
        sums, counts, start = list[Array](), list[Array](), 0
        for seeds in self.looks[: look + 1]:
            # One seed after the other, so that paths with the same signs have sums with the same bits.
            for index in range(start, seeds):
                total = total + signs[index] * values[index]
                count = count + signs[index]
            sums.append(total)
            counts.append(count)
            start = seeds
        return sums, counts

    def _crosses(self, sums: list[Array], counts: list[Array], effect: float) -> bool:
        """Tell whether the observed path (the first) has crossed at one of the looks."""
        crossed = np.zeros(sums[0].shape, dtype=np.bool_)
        for total, count, spent in zip(sums, counts, self.spent, strict=False):
            room = math.floor(spent * total.size * (1 + 1e-12)) - int(crossed.sum())
            if room < 1:
                continue
            statistic = total - effect * count
            statistic[crossed] = -np.inf
            # The first that has no room: whoever ties with it does not cross either.
            last = np.partition(statistic, total.size - 1 - room)[total.size - 1 - room]
            crossed |= statistic > last
            if crossed[0]:
                return True
        return False


def require_reachable(
    looks: tuple[int, ...], spent: Sequence[float], spending: Spending | None = None
) -> None:
    """Refuse looks at which no result, however clear, could cross.

    Args:
        looks: (look,) number of seeds at each look.
        spent: (look,) one-sided level spent by each look.
        spending: How it is spent, to find the number of seeds that the look needs; None for one look.

    Raises:
        BadValue: naming the look, the level that it must reach and the number of seeds that it needs.
    """
    for look, (seeds, level) in enumerate(zip(looks, spent, strict=True)):
        if level >= _smallest_share(seeds):
            continue
        needed = _needed(looks, look, spent[-1], spending)
        raise BadValue(
            f"A sign-flip test of {seeds} seeds cannot reach a level below {_smallest_share(seeds):.3g}, "
            "its smallest share of sign patterns",
            got=f"look {look + 1} at {seeds} seeds, which must reach one-sided level {level:.3g}",
            nearest=f"look {look + 1} at {needed} seeds" if needed else None,
            next_step=f"plan look {look + 1} at {needed} seeds or more, or use rule.test=t"
            if needed
            else "use rule.test=t, a spending that leaves more to this look, or more seeds",
        )


def _smallest_share(seeds: int) -> float:
    return 0.5 ** min(seeds, _ALL_SIGNS)


def _needed(looks: tuple[int, ...], look: int, alpha: float, spending: Spending | None) -> int | None:
    if spending is None:
        seeds = math.ceil(-math.log2(alpha))
        return seeds if seeds <= _ALL_SIGNS else None
    for seeds in range(looks[look] + 1, looks[-1] + 1):
        moved = (*looks[:look], seeds, *(late for late in looks[look + 1 :] if late > seeds))
        if cumulative_levels(moved, alpha, spending)[look] >= _smallest_share(seeds):
            return seeds
    return None


@lru_cache(maxsize=8)
def _signs(seeds: int) -> Array:
    """Return (seed, path) signs; the first path is all +1, and early seeds' signs vary slowest."""
    whole = seeds if seeds <= _ALL_SIGNS else _SAMPLED_ALL_SIGNS
    patterns = np.arange(2**whole)
    signs = (1 - 2 * ((patterns >> np.arange(whole)[::-1, None]) & 1)).astype(np.float64)
    if whole < seeds:
        signs = np.repeat(signs, 2 ** (_ALL_SIGNS - whole), axis=1)
        drawn = _STREAM.generator("paths").integers(0, 2, size=(seeds - whole, signs.shape[1]))
        drawn[:, 0] = 0
        signs = np.concatenate([signs, (1 - 2 * drawn).astype(np.float64)])
    signs.setflags(write=False)
    return signs


def _shake(seeds: int) -> Array:
    """Return (seed,) fixed numbers in (-1, 1), the same for each seed at every look."""
    return _STREAM.generator("noise").uniform(-1.0, 1.0, size=seeds)
