"""Ways in which a table's value can have been changed after a step: right ones, and wrong ones.

A change is alpha * (target - value), with a step size that nobody tells. Of two changes that follow one
another with the same alpha, each target tells the other: change_i * (target_j - value_j) is
change_j * (target_i - value_i). That is linear in the discount, which least squares find; the way is right
where it then holds of all of them. With traces of eligibility, a change is larger where a state and an action
were met before in the episode: then only the others are held to one another. Where the weight of random
actions in an expected value falls, each episode has its own.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Changes", "Explained", "explain"]

Numbers = NDArray[np.float64]

_TOLERANCE = 2e-3
_NOTHING = 1e-12
_FEWEST_PAIRS = 30
_FEWEST_REFUTED = 3
_FEWEST_DIFFERENT = 10
_ROUNDS = 4
_FEWEST_IN_EPISODE, _FEWEST_EPISODES, _MOST_EPISODES = 6, 8, 400
_SAME_DISCOUNT = 1e-3
_UNCLEAR = "truncation-as-terminal"
"""Right where nobody says which of ends and cuts it was."""


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
        again: Whether state and action were met before in it, or may have been.
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
    again: NDArray[np.bool_]


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
        traces: Whether only what was not met before in its episode is explained.
        largest_counts: Whether what follows counts by the largest value, at least by half.
    """

    fault: str
    follows: str
    discount: float
    pairs: int
    refuting: int
    target: Numbers
    traces: bool
    largest_counts: bool

    def step_sizes(self, changes: Changes) -> Numbers:
        """Return the step sizes of changes that tell one."""
        distance = self.target - changes.value
        told = np.abs(distance) > 1e-6 * (1.0 + np.abs(changes.value))
        told &= ~changes.again | (not self.traces)
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
    found = _explain(changes, first, second)
    if found is None and changes.again.any():
        fresh = ~changes.again[first] & ~changes.again[second]
        found = _explain(changes, first[fresh], second[fresh], traces=True)
    return found


def _explain(
    changes: Changes, first: NDArray[np.intp], second: NDArray[np.intp], *, traces: bool = False
) -> Explained | None:
    if len(first) < _FEWEST_PAIRS or len(np.unique(np.round(changes.change[first], 9))) < _FEWEST_DIFFERENT:
        return None  # counts and traces, for example, change always by as much
    for trial in (_try, _try_by_episode):
        right = _best(_right(changes), changes, first, second, trial)
        if right is not None and right[0] < _FEWEST_REFUTED:
            return _explained(right, 0, len(first), traces)
        wrong = _best(_wrong(changes), changes, first, second, trial)
        refuting = len(first) if right is None else right[0]
        if right is None and trial is _try_by_episode and wrong and wrong[1].fault != _UNCLEAR:
            continue  # what cannot be held to the right ways refutes none of them
        if wrong is not None and wrong[0] <= min(refuting // 4, len(first) // 100):
            return _explained(wrong, refuting, len(first), traces)
    return None


def _explained(found: "tuple[int, _Way, Numbers]", refuting: int, pairs: int, traces: bool) -> Explained:
    """Return what was found; factors are those of all steps (column,), or of each one (step, column)."""
    _, way, factors = found
    columns = np.moveaxis(np.atleast_2d(factors), -1, 0)
    target = way.reward + sum((f * c for f, c in zip(columns, way.follows, strict=True)), np.zeros(1))
    discount = float(np.nanmedian(columns.sum(axis=0))) if factors.size else float("nan")
    by_half = way.name == "mixture" and float(np.nanmedian(columns[0])) >= discount / 2
    largest_counts = way.name == "largest" or by_half
    return Explained(way.fault, way.name, discount, pairs, refuting, target, traces, largest_counts)


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
    yield from _ways(changes, _UNCLEAR, changes.reward, ~ended)
    yield from _ways(changes, "done-mask-inverted", changes.reward, changes.terminated)
    yield _Way("bootstrap-missing", "", changes.reward, ())
    yield _Way("next-observation-wrong", "", changes.reward, (np.where(alive, changes.own, 0.0),))
    for names in ("largest", "taken"):
        yield from _ways(changes, "reward-sign-flipped", -changes.reward, alive, (names,))
        yield from _ways(changes, "reward-off-by-one", changes.earlier, alive, (names,))


def _best(
    ways: Iterator[_Way],
    changes: Changes,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    trial: "Callable[[_Way, Changes, NDArray[np.intp], NDArray[np.intp]], tuple[int, Numbers] | None]",
) -> "tuple[int, _Way, Numbers] | None":
    found: tuple[int, _Way, Numbers] | None = None
    for way in ways:
        tried = trial(way, changes, first, second)
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
    known = np.isfinite(left).all(axis=1) & np.isfinite(right) & (size > 1e-20)
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


def _try_by_episode(
    way: _Way, changes: Changes, first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[int, Numbers] | None:
    """Return how many pairs a mixture with weights of its own in each episode does not explain, and these.

    Episodes whose few changes do not tell the weights are left out; the discount has to be the same in all.
    """
    if way.name != "mixture":
        return None
    d, k, follows = changes.change, way.reward - changes.value, np.stack(way.follows, axis=1)
    left = d[first, None] * follows[second] - d[second, None] * follows[first]
    right = d[second] * k[first] - d[first] * k[second]
    size = np.abs(d[first]) * (np.abs(k[second]) + np.abs(follows[second]).sum(axis=1))
    size += np.abs(d[second]) * (np.abs(k[first]) + np.abs(follows[first]).sum(axis=1))
    known = np.isfinite(left).all(axis=1) & np.isfinite(right) & (size > 1e-20)
    first, left, right, size = first[known], left[known], right[known], size[known]
    left, right = left / size[:, None], right / size
    episodes, counts = np.unique(changes.episode[first], return_counts=True)
    factors = np.full((len(d), 2), np.nan)
    many, told, discounts = 0, 0, list[float]()
    for episode in episodes[counts >= _FEWEST_IN_EPISODE][-_MOST_EPISODES:]:
        mine = np.flatnonzero(changes.episode[first] == episode)
        tried, _, rank, _ = np.linalg.lstsq(left[mine], right[mine], rcond=1e-3)
        if rank < len(tried):
            continue
        if tried.min() > -1e-6 and tried.sum() <= 1.0 + 1e-4:
            factors[changes.episode == episode] = tried
        far = np.abs(left[mine] @ tried - right[mine])
        many += int((far > _TOLERANCE * np.abs(right[mine]) + 1e-9).sum())
        told += len(mine)
        discounts.append(float(tried.sum()))
    enough = told >= _FEWEST_PAIRS and len(discounts) >= _FEWEST_EPISODES
    if not enough or np.ptp(np.quantile(discounts, [0.05, 0.95])) > _SAME_DISCOUNT:
        return None
    return many, factors


def _factors(left: Numbers, right: Numbers) -> Numbers:
    """Return least squares' answer without the rows that are farthest from it."""
    factors = np.zeros(left.shape[1])
    kept = np.ones(len(right), np.bool_)
    for _ in range(_ROUNDS if len(factors) else 0):
        factors = np.asarray(np.linalg.lstsq(left[kept], right[kept], rcond=None)[0], np.float64)
        far = np.abs(left @ factors - right)
        kept = far <= max(float(np.quantile(far, 0.9)), 1e-12)
    return factors
