"""The exact sign-flip interval at one or several looks, for differences that are symmetric.

If the differences are independent and symmetric about m, then, given the sizes |d_i - m|, their signs are
fair coins, whatever the sizes. So the boundary at a look is counted, not approximated: of all sign paths
those with the largest sums cross, as many as keep the share of paths that have crossed at any look so far
within the level spent so far. The interval holds every m that was not crossed out at this or an earlier
look, so it can only narrow.

Beyond 14 seeds not all paths are counted: all signs of the first 14 seeds are, each with one continuation
that was drawn beforehand, the observed path among them. Given that set of paths the observed one is still
equally likely to be any of them, so the level stays exact (Phipson and Smyth 2010).

Ties are counted against rejection. Every difference first gets a fixed symmetric noise of at most a
billionth of the largest one of the first look, which leaves symmetry as it was and makes the set of
surviving m an interval (a count then changes only where a sum over some seeds of d_i - m passes zero, and
only one way); the limits are widened by as much.

Sources: Fisher (1935), *The Design of Experiments*, section 21; Hartigan (1969), typical values; levels
spent by counting over looks follow the idea of AdaStop (Mathieu et al. 2023), here for paired differences
in place of two independent groups.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import sha256_hex
from modelwright.base.seed import Seed
from modelwright.experiment.difference import differences_at, experiments_at
from modelwright.experiment.interval import Interval
from modelwright.experiment.spending import Spending, cumulative_levels

__all__ = ["SignFlipRule", "require_reachable"]

Array = NDArray[np.float64]
_ALL_SIGNS = 14
_NOISE = 1e-9
_MOST_SEEDS = 1_000
_HALVINGS = 44
_CELLS_AT_ONCE = 2**16  # what fits a core's own cache
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
        text = "Effects that the sign patterns of the paired differences do not rule out"
        if self.looks[-1] > _ALL_SIGNS:
            text += f" (all patterns up to {_ALL_SIGNS} seeds, {2**_ALL_SIGNS:,} drawn beforehand from there)"
        if self.spending is not None:
            text += f"; all {len(self.looks)} looks together err at most {self.alpha:g}"
            text += ", and what one look rules out stays out"
        return text + "."

    @property
    def assumption(self) -> str:
        """What must be true for the error rate to hold."""
        return "the paired differences are independent and symmetric about their mean"

    def tells(self, differences: ArrayLike) -> bool:
        """Return True: the rule's interval is wide where differences are alike; see `StoppingRule`."""
        return True

    def interval(self, differences: ArrayLike, look: int) -> Interval:
        """Return the interval at a look; see `StoppingRule`."""
        values = differences_at(self.looks, look, differences)
        noise = _NOISE * float(np.abs(values[: self.looks[0]]).max())
        shaken = values + noise * _shake(values.size)
        low = self._lower_limit(shaken) - noise
        high = -self._lower_limit(-shaken) + noise
        # Limits that have passed each other leave nothing; any wider set is as valid.
        low, high = min(low, high), max(low, high)
        return Interval(low=low, high=high, level=1 - self.alpha, estimate=float(values.mean()))

    def beyond(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the lower limit is above `effect`; see `StoppingRule`."""
        values = experiments_at(self.looks, differences)
        noise = _NOISE * np.abs(values[:, : self.looks[0]]).max(axis=1, keepdims=True)
        centred = values + noise * (_shake(values.shape[1]) - 1) - effect
        at_once = max(1, _CELLS_AT_ONCE // 2 ** min(self.looks[-1], _ALL_SIGNS))
        chunks = [centred[start : start + at_once] for start in range(0, len(centred), at_once)]
        return np.concatenate([self._crossings(chunk) for chunk in chunks])

    def short_of(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the upper limit is below `effect`; see `StoppingRule`."""
        return self.beyond(-np.asarray(differences, dtype=np.float64), -effect)

    def _lower_limit(self, values: Array) -> float:
        # Below all of the first look's differences the observed path is the most extreme there is.
        out = float(values[: self.looks[0]].min())
        kept = float(values.max())
        for _ in range(_HALVINGS):
            middle = (out + kept) / 2
            if self._crossings((values - middle)[None])[0, -1]:
                out = middle
            else:
                kept = middle
        return out

    def _crossings(self, centred: Array) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the observed path has crossed by each look that is reached.

        Args:
            centred: (experiment, seed) differences minus the doubted effect.
        """
        sums = np.zeros((len(centred), 1))
        crossed = np.zeros((len(centred), 1), dtype=np.bool_)
        found: list[NDArray[np.bool_]] = []
        for seeds, spent, repeats, signs in self._blocks(centred.shape[1]):
            sums, crossed = np.repeat(sums, repeats, axis=1), np.repeat(crossed, repeats, axis=1)
            # One seed after the other, so that paths with the same signs have sums with the same bits.
            for index, row in enumerate(signs, start=seeds - len(signs)):
                sums = sums + row * centred[:, index, None]
            room = math.floor(spent * sums.shape[1] * (1 + 1e-12)) - crossed.sum(axis=1)
            statistic = np.where(crossed, -np.inf, sums)
            if seeds == self.looks[-1]:
                beats = (statistic >= sums[:, :1]).sum(axis=1) <= room
                found.append((crossed[:, 0] | beats)[:, None])
                break
            for count in np.unique(room[room > 0]):
                rows = np.flatnonzero(room == count)
                place = sums.shape[1] - 1 - int(count)
                # The first path that has no room: whoever ties with it does not cross either.
                last = np.partition(statistic[rows], place, axis=1)[:, place, None]
                crossed[rows] |= statistic[rows] > last
            found.append(crossed[:, :1].copy())
        return np.concatenate(found, axis=1)

    def _blocks(self, seeds: int) -> Iterator[tuple[int, float, int, NDArray[np.int8]]]:
        """Yield for each look: seeds, spent level, repeats of each path, (new seed, path) signs."""
        signs, before, paths = _signs(self.looks[-1]), 0, 1
        for look, spent in zip(self.looks, self.spent, strict=True):
            if look > seeds:
                return
            now = 2 ** min(look, _ALL_SIGNS)
            yield look, spent, now // paths, signs[before:look, :: signs.shape[1] // now]
            before, paths = look, now


def require_reachable(
    looks: tuple[int, ...], spent: Sequence[float], spending: Spending | None = None
) -> None:
    """Refuse looks at which no result, however clear, could cross.

    Args:
        looks: (look,) number of seeds at each look.
        spent: (look,) one-sided level spent by each look.
        spending: How it is spent, to find the number of seeds that the look needs; None for one look.

    Raises:
        BadValue: naming the look, the level that it must reach and the number of seeds that it needs; or
            for more seeds than sign patterns are kept for.
    """
    if looks[-1] > _MOST_SEEDS:
        raise BadValue(
            f"A sign-flip test is made for at most {_MOST_SEEDS:,} seeds",
            got=f"{looks[-1]:,} seeds",
            next_step="use rule.test=t, whose mean is close to normal with so many",
        )
    for look, (seeds, level) in enumerate(zip(looks, spent, strict=True)):
        if level >= _smallest_share(seeds):
            continue
        if level < _smallest_share(_ALL_SIGNS):
            raise BadValue(
                f"A sign-flip test here counts {2**_ALL_SIGNS:,} sign patterns and reaches no level below "
                f"{_smallest_share(_ALL_SIGNS):.3g}, however many seeds there are",
                got=f"look {look + 1}, which must reach one-sided level {level:.3g}",
                next_step="choose a spending that leaves more to this look, a larger alpha, or rule.test=t",
            )
        needed = _needed(looks, look, spent[-1], spending)
        advice = f"plan look {look + 1} at {needed} seeds or more" if needed else "plan more seeds"
        raise BadValue(
            f"A sign-flip test of {seeds} seeds cannot reach a level below {_smallest_share(seeds):.3g}, "
            "its smallest share of sign patterns",
            got=f"look {look + 1} at {seeds} seeds, which must reach one-sided level {level:.3g}",
            nearest=f"look {look + 1} at {needed} seeds" if needed else None,
            next_step=f"{advice}, choose a spending that leaves more to this look, or use rule.test=t",
        )


def _smallest_share(seeds: int) -> float:
    return 0.5 ** min(seeds, _ALL_SIGNS)


def _needed(looks: tuple[int, ...], look: int, alpha: float, spending: Spending | None) -> int | None:
    if spending is None:
        seeds = math.ceil(-math.log2(alpha))
        return seeds if seeds <= _ALL_SIGNS else None
    # Later looks that would come before it fall away, and it may have to be the last.
    for seeds in range(looks[look] + 1, max(looks[-1], _ALL_SIGNS) + 1):
        moved = (*looks[:look], seeds, *(late for late in looks[look + 1 :] if late > seeds))
        if cumulative_levels(moved, alpha, spending)[look] >= _smallest_share(seeds):
            return seeds
    return None


@lru_cache(maxsize=8)
def _signs(seeds: int) -> NDArray[np.int8]:
    """Return (seed, path) signs; the first path is all +1, and early seeds' signs vary slowest."""
    whole = min(seeds, _ALL_SIGNS)
    bits: NDArray[Any] = (np.arange(2**whole) >> np.arange(whole)[::-1, None]) & 1
    drawn = _STREAM.generator("paths").integers(0, 2, size=(seeds - whole, 2**whole))
    drawn[:, 0] = 0
    signs = (1 - 2 * np.concatenate([bits, drawn])).astype(np.int8)
    signs.setflags(write=False)
    return signs


def _shake(seeds: int) -> Array:
    """Return (seed,) fixed numbers in (-1, 1), the same for each seed at every look."""
    return _STREAM.generator("noise").uniform(-1.0, 1.0, size=seeds)
