"""How observations were scaled before a model saw them: read off pairs of what was shown and given."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Pairs",
    "Rule",
    "bound_of",
    "is_as_shown",
    "is_scaled_anew",
    "moves_with_what_is_seen",
    "rule_of",
    "scaled_alike",
]

Numbers = NDArray[np.float64]

_NEAR = 0.1
"""Of a number's deviation: a rule that moves slowly is known as well."""

_OTHER = 0.3
_EXACT = 1e-4
_ALIKE = 1e-5
_NOISE = 1e-5
_LESS = 10.0
_FEWEST = 60
_ANEW = 0.02
_FIRST = 8


@dataclass(slots=True)
class Pairs:
    """Observations as a model was given them and as environments showed them, in order of time.

    Attributes:
        given, shown: Them (pair, number).
        rounds: Number of the step of all environments (pair,).
        environments: Which it is of (pair,).
    """

    given: Numbers
    shown: Numbers
    rounds: NDArray[np.int64]
    environments: NDArray[np.int64]

    @property
    def bound(self) -> float:
        """To which numbers are clipped; see `bound_of`."""
        return bound_of(self.given, self.shown)


@dataclass(slots=True)
class Rule:
    """Each number times a factor, plus a shift.

    Attributes:
        factor, shift: Them (number,).
        deviation: Of what was given (number,).
        moves: Whether the number varies (number,).
        bound: To which it is clipped.
    """

    factor: Numbers
    shift: Numbers
    deviation: Numbers
    moves: NDArray[np.bool_]
    bound: float

    def distances(self, pairs: Pairs) -> Numbers:
        """Return how far what was given is from the rule, over the deviation of old (number,)."""
        said = np.clip(self.factor * pairs.shown + self.shift, -self.bound, self.bound)
        return np.sqrt(((pairs.given - said) ** 2).mean(axis=0)) / self.deviation


def rule_of(pairs: Pairs) -> Rule | None:
    """Return the rule of the newest pairs; None where there is none, or where nothing is changed."""
    given, shown = pairs.given, pairs.shown
    factor, shift, left, moves = _fitted(given, shown, pairs.bound)
    if not moves.any():
        return None
    spread = given.std(axis=0)
    deviation = np.where(moves & (spread > 0), spread, 1.0)
    changed = np.sqrt(((given - shown) ** 2).mean(axis=0)) / deviation
    if (left > _NEAR * deviation)[moves].any() or not (changed[moves] > _OTHER).any():
        return None
    return Rule(factor, shift, deviation, moves, pairs.bound)


def scaled_alike(numbers: Numbers, given: Numbers, shown: Numbers, bound: float) -> Numbers | None:
    """Return what an observation would have been given as beside others; None where no rule fits these.

    Args:
        numbers: The observation (number,).
        given, shown: The others, as a model was given them and as they were (row, number).
        bound: To which numbers are clipped.
    """
    factor, shift, left, moves = _fitted(given, shown, bound)
    if (left > _ALIKE * (1.0 + np.abs(given).max())).any():
        return None
    factor = np.where(moves, factor, 0.0)
    shift = np.where(moves, shift, given.mean(axis=0))
    return np.clip(factor * numbers + shift, -bound, bound)


def _fitted(
    given: Numbers, shown: Numbers, bound: float
) -> tuple[Numbers, Numbers, Numbers, NDArray[np.bool_]]:
    """Return factor, shift, root mean square of what is left, and whether a number varies (number,)."""
    inside = np.abs(given) < bound * (1 - 1e-6)
    count = np.maximum(inside.sum(axis=0), 1)
    mean_x = np.where(inside, shown, 0.0).sum(axis=0) / count
    mean_y = np.where(inside, given, 0.0).sum(axis=0) / count
    x, y = np.where(inside, shown - mean_x, 0.0), np.where(inside, given - mean_y, 0.0)
    size = (x * x).sum(axis=0)
    varies = size > 1e-12 * count * (1 + np.abs(shown).max(axis=0)) ** 2
    moves = varies & (inside.sum(axis=0) > 0.5 * len(given))
    factor = np.where(moves, (x * y).sum(axis=0) / np.where(moves, size, 1.0), 1.0)
    left = np.sqrt(np.where(inside, (y - factor * x) ** 2, 0.0).sum(axis=0) / count)
    return factor, mean_y - factor * mean_x, np.where(moves, left, 0.0), moves


def bound_of(given: Numbers, shown: Numbers) -> float:
    """Return the largest size of what was given, where more than one number has it; else infinity."""
    sizes = np.abs(given)
    most = float(sizes.max())
    return most if len(np.unique(shown[sizes >= most * (1 - 1e-6)])) > 1 else np.inf


def is_as_shown(pairs: Pairs) -> bool:
    """Return whether a model is given what was shown, clipped perhaps."""
    said = np.clip(pairs.shown, -pairs.bound, pairs.bound)
    return bool((np.abs(pairs.given - said) <= _EXACT * (1.0 + np.abs(said))).all())


def is_scaled_anew(pairs: Pairs) -> bool:
    """Return whether a model is given standard scores by what was shown since the first of these pairs."""
    rounds = np.unique(pairs.rounds)
    begins = np.searchsorted(pairs.rounds, rounds)
    ends = np.append(begins[1:], len(pairs.shown))
    sums = np.cumsum(pairs.shown, axis=0)[ends - 1]
    squares = np.cumsum(pairs.shown**2, axis=0)[ends - 1]
    mean = sums / ends[:, None]
    deviation = np.sqrt(np.maximum(squares / ends[:, None] - mean**2, 0.0) + 1e-8)
    late = ends[np.searchsorted(rounds, pairs.rounds)] >= max(_FIRST, len(pairs.shown) // 4)
    at = np.searchsorted(rounds, pairs.rounds)
    said = np.clip((pairs.shown - mean[at]) / deviation[at], -pairs.bound, pairs.bound)
    moves = pairs.shown.std(axis=0) > 1e-6 * (1 + np.abs(pairs.shown).max(axis=0))
    far = np.abs(pairs.given - said)[late][:, moves]
    return bool(moves.any() and len(far) and np.quantile(far, 0.9) <= _ANEW)


def moves_with_what_is_seen(pairs: Pairs, moves: NDArray[np.bool_]) -> bool:
    """Return whether one rule does not fit, and one that moves with sums of what was shown does.

    With n observations before, a running mean is m0 + (S - t m0) / n to first order, where S is the sum of
    the t observations since; a variance is the same of squares.

    Args:
        pairs: In order of time, from the first observation after learning on.
        moves: Numbers to look at (number,).
    """
    time = np.arange(1.0, len(pairs.shown) + 1.0)
    sums, squares = np.cumsum(pairs.shown, axis=0), np.cumsum(pairs.shown**2, axis=0)
    last = np.searchsorted(pairs.rounds, pairs.rounds, side="right") - 1  # all rows of a round at once
    seen = 0
    for at in np.flatnonzero(moves).tolist():
        x, y = pairs.shown[:, at], pairs.given[:, at]
        inside = np.abs(y) < pairs.bound * (1 - 1e-6)
        if inside.sum() < _FEWEST or len(np.unique(x[inside])) < _FEWEST // 2:
            continue
        x = x - x[inside].mean()
        along = [time[last], sums[last, at], squares[last, at]]
        plain = [np.ones(len(x)), x]
        first = _left(plain, y, inside)
        if (
            first < _NOISE
            or _left([*plain, *along, *(x * each for each in along)], y, inside) > first / _LESS
        ):
            return False
        seen += 1
    return seen > 0


def _left(columns: list[Numbers], y: Numbers, inside: NDArray[np.bool_]) -> float:
    """Return the root mean square that columns do not explain, over the deviation."""
    matrix = np.stack(columns, axis=1)[inside]
    matrix = matrix / np.maximum(np.sqrt((matrix**2).mean(axis=0)), 1e-12)
    told = y[inside]
    solved = np.linalg.lstsq(matrix, told, rcond=1e-12)[0]
    return float(np.sqrt(((told - matrix @ solved) ** 2).mean()) / max(float(told.std()), 1e-12))
