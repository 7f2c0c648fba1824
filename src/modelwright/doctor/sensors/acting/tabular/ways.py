"""Ways in which a table's value can have been changed after a step: right ones, and wrong ones.

A change is alpha * (target - value), with a step size that nobody tells. Of two changes that follow one
another with the same alpha, each target tells the other: change_i * (target_j - value_j) is
change_j * (target_i - value_i). That is linear in the discount, which least squares find; the way is right
where it then holds of all of them.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Changes", "Explained", "explain"]

Numbers = NDArray[np.float64]

_TOLERANCE = 2e-3
_NOTHING = 1e-12
_FEWEST_PAIRS = 30
_FEWEST_REFUTED = 3
_ROUNDS = 4


@dataclass(slots=True)
class Changes:
    """What steps did to a table; every attribute is (step,).

    Attributes:
        value: Of the state and action, before.
        change: What was added to it.
        reward, earlier: Of the step, and of the one before it (0 at first).
        terminated, truncated: How the step ended its episode.
        largest, mean, taken: Of the state that followed: over actions, and of the one taken next (nan where
            none was).
        own: The largest of the state itself.
        other: What another table says of the action that this one holds for best; nan without one.
        episode: Number of the episode.
    """

    value: Numbers
    change: Numbers
    reward: Numbers
    earlier: Numbers
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    largest: Numbers
    mean: Numbers
    taken: Numbers
    own: Numbers
    other: Numbers
    episode: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Explained:
    """The way that explains changes best.

    Attributes:
        fault: Name of what is wrong with it; empty where it is right.
        follows: What it takes for the value of what follows: `largest`, `taken`, `mixture`, `other`, or none.
        discount: That it has; nan where nothing follows.
        pairs: Changes that were held to one another.
        refuting: Those of them that no right way explains.
        target: What the way moves each value to (step,).
    """

    fault: str
    follows: str
    discount: float
    pairs: int
    refuting: int
    target: Numbers

    def step_sizes(self, changes: Changes) -> Numbers:
        """Return the step sizes of changes that tell one."""
        distance = self.target - changes.value
        told = np.abs(distance) > 1e-6 * (1.0 + np.abs(changes.value))
        return changes.change[told] / distance[told]


@dataclass(frozen=True, slots=True)
class _Way:
    fault: str
    name: str
    reward: Numbers
    follows: tuple[Numbers, ...]


def explain(changes: Changes) -> Explained | None:
    """Return the right way that explains changes, or the wrong one that does where no right way does.

    None where too few are known, or nothing explains them.
    """
    first, second = _pairs(changes)
    if len(first) < _FEWEST_PAIRS:
        return None
    right = _best(_right(changes), changes, first, second)
    if right is not None and right[0] < _FEWEST_REFUTED:
        return _explained(right, 0, len(first))
    wrong = _best(_wrong(changes), changes, first, second)
    refuting = len(first) if right is None else right[0]
    if wrong is None or wrong[0] > min(refuting // 4, len(first) // 100):
        return None
    return _explained(wrong, refuting, len(first))


def _explained(found: "tuple[int, _Way, Numbers]", refuting: int, pairs: int) -> Explained:
    _, way, factors = found
    target = way.reward + sum((f * c for f, c in zip(factors, way.follows, strict=True)), np.zeros(1))
    discount = float(factors.sum()) if len(factors) else float("nan")
    return Explained(way.fault, way.name, discount, pairs, refuting, target)


def _pairs(changes: Changes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return steps of the same episode that follow one another, where something changed in one of them."""
    moved = np.abs(changes.change) > _NOTHING
    known = np.flatnonzero(moved)
    follows = changes.episode[known[1:]] == changes.episode[known[:-1]]
    first, second = known[:-1][follows], known[1:][follows]
    still = np.flatnonzero(~moved)
    # What was not changed is held to the change before it in the episode.
    before = np.searchsorted(known, still) - 1
    held = (before >= 0) & (changes.episode[known[np.maximum(before, 0)]] == changes.episode[still])
    return np.r_[first, known[before[held]]], np.r_[second, still[held]]


def _ways(
    changes: Changes, fault: str, reward: Numbers, mask: NDArray[np.bool_], names: Collection[str] = ()
) -> Iterator[_Way]:
    """Yield ways of a fault, one for each value that can be taken for that of what follows."""
    values = {
        "largest": (changes.largest,),
        "taken": (changes.taken,),
        "mixture": (changes.largest, changes.mean),
        "other": (changes.other,),
    }
    for name, follows in values.items():
        if not names or name in names:
            yield _Way(fault, name, reward, tuple(np.where(mask, each, 0.0) for each in follows))


def _right(changes: Changes) -> Iterator[_Way]:
    for reward in (changes.reward, np.clip(changes.reward, -1.0, 1.0)):
        yield from _ways(changes, "", reward, ~changes.terminated)


def _wrong(changes: Changes) -> Iterator[_Way]:
    alive, ended = ~changes.terminated, changes.terminated | changes.truncated
    yield from _ways(changes, "terminal-mask-missing", changes.reward, np.ones_like(ended))
    yield from _ways(changes, "truncation-as-terminal", changes.reward, ~ended)
    yield from _ways(changes, "done-mask-inverted", changes.reward, changes.terminated)
    yield _Way("bootstrap-missing", "", changes.reward, ())
    yield _Way("next-observation-wrong", "", changes.reward, (np.where(alive, changes.own, 0.0),))
    for names in ("largest", "taken"):
        yield from _ways(changes, "reward-sign-flipped", -changes.reward, alive, (names,))
        yield from _ways(changes, "reward-off-by-one", changes.earlier, alive, (names,))


def _best(
    ways: Iterator[_Way], changes: Changes, first: NDArray[np.intp], second: NDArray[np.intp]
) -> "tuple[int, _Way, Numbers] | None":
    found: tuple[int, _Way, Numbers] | None = None
    for way in ways:
        tried = _try(way, changes, first, second)
        if tried is not None and (found is None or tried[0] < found[0]):
            found = (tried[0], way, tried[1])
    return found


def _try(
    way: _Way, changes: Changes, first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[int, Numbers] | None:
    """Return how many pairs a way does not explain, and its factors of what follows."""
    d, k = changes.change, way.reward - changes.value
    follows = np.stack([*way.follows, np.zeros_like(d)], axis=1)[:, : len(way.follows)]
    if np.isnan(follows).all(axis=0).any():
        return None
    left = d[first, None] * follows[second] - d[second, None] * follows[first]
    right = d[second] * k[first] - d[first] * k[second]
    size = np.abs(d[first]) * (np.abs(k[second]) + np.abs(follows[second]).sum(axis=1))
    size += np.abs(d[second]) * (np.abs(k[first]) + np.abs(follows[first]).sum(axis=1))
    known = np.isfinite(left).all(axis=1) & (size > 1e-20)
    unknown = int((~np.isfinite(left).all(axis=1)).sum())
    if known.sum() < _FEWEST_PAIRS or unknown > 0.3 * len(known):
        return None
    first, second = first[known], second[known]
    left, right, size = left[known], right[known], size[known]
    factors = _factors(left / size[:, None], right / size)
    best: tuple[int, Numbers] | None = None
    for tried in (factors, np.round(factors, 3)) if len(factors) == 1 else (factors,):
        if len(tried) and not (0.05 < tried.sum() <= 1.0 + 1e-4 and tried.min() > -1e-6):
            continue
        distance = k + follows @ tried if len(tried) else k
        one, other = d[first] * distance[second], d[second] * distance[first]
        far = np.abs(one - other) - 1e-9 * size
        many = int((far > _TOLERANCE * (np.abs(one) + np.abs(other))).sum())
        if best is None or many < best[0]:
            best = (many, tried)
    return best


def _factors(left: Numbers, right: Numbers) -> Numbers:
    """Return least squares' answer without the rows that are farthest from it."""
    factors = np.zeros(left.shape[1])
    kept = np.ones(len(right), np.bool_)
    for _ in range(_ROUNDS if len(factors) else 0):
        factors = np.asarray(np.linalg.lstsq(left[kept], right[kept], rcond=None)[0], np.float64)
        far = np.abs(left @ factors - right)
        kept = far <= max(float(np.quantile(far, 0.9)), 1e-12)
    return factors
