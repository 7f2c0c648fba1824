"""What a table of outcomes must be before values are computed from it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["check_table"]

_ROUNDING = 1e-6


def check_table(environment: Any, table: Any, initial: Any) -> None:
    """Refuse a table that does not say what follows every action in every state.

    Args:
        environment: Has the spaces that the table is to fill.
        table: State -> action -> sequence of (probability, next state, reward, ended).
        initial: Probability of each first state.

    Raises:
        BadValue: for states or actions that are missing or beyond the spaces, probabilities that are negative
            or do not sum to 1, next states that do not exist, and rewards that are no finite numbers.
    """
    spaces = (environment.observation_space, environment.action_space)
    if not all(hasattr(space, "n") for space in spaces):
        raise BadValue(
            "A table numbers states and actions, and so do the spaces of its environment",
            got=f"{spaces[0]} and {spaces[1]}",
        )
    states, actions = (int(space.n) for space in spaces)
    _check_keys("The table P", table, states, "state")
    for state in range(states):
        _check_keys(f"State {state} of the table P", table[state], actions, "action")
        for action in range(actions):
            _check_outcomes(f"P[{state}][{action}]", table[state][action], states)
    first = _numbers(initial)
    if first is None or first.shape != (states,) or not _is_distribution(first):
        raise BadValue(
            f"initial_state_distrib holds a probability for each of {states} states, 1 together",
            got=repr(initial)[:120] if first is None else f"shape {first.shape}, sum {first.sum():g}",
        )


def _check_keys(what: str, row: Any, count: int, each: str) -> None:
    if not isinstance(row, Mapping):
        raise BadValue(f"{what} maps numbers of {each}s", got=f"a {type(row).__name__}")
    keys = set(cast("Mapping[Any, Any]", row))
    if keys != set(range(count)):
        odd = sorted(map(str, keys ^ set(range(count))))[:3]
        raise BadValue(
            f"{what} has every {each} from 0 to {count - 1}, as its space says",
            got=f"{len(keys)} {each}s; missing or beyond: {', '.join(odd)}",
        )


def _check_outcomes(what: str, outcomes: Any, states: int) -> None:
    four = isinstance(outcomes, Sequence) and all(
        isinstance(each, Sequence) and len(cast("Sequence[Any]", each)) == 4
        for each in cast("Sequence[Any]", outcomes)
    )
    if not four or not outcomes:
        raise BadValue(f"{what} lists (probability, next state, reward, ended)", got=repr(outcomes)[:120])
    probability = _numbers([each[0] for each in outcomes])
    if probability is None or not _is_distribution(probability):
        raise BadValue(
            f"Probabilities of {what} are from 0 to 1, and 1 together",
            got=[each[0] for each in outcomes],
        )
    for _, after, reward, _ in outcomes:
        if after not in range(states):
            raise BadValue(f"{what} leads to states from 0 to {states - 1}", got=repr(after))
        if (number := _numbers(reward)) is None or number.shape or not np.isfinite(number):
            raise BadValue(f"Rewards of {what} are finite numbers", got=repr(reward))


def _numbers(values: Any) -> NDArray[np.float64] | None:
    """Return values as an array; None where they are no numbers."""
    try:
        found = np.asarray(values)
    except ValueError:  # rows of different lengths
        return None
    return found.astype(np.float64) if found.dtype.kind in "fiub" else None


def _is_distribution(values: Any) -> bool:
    return bool((values >= 0).all()) and abs(float(values.sum()) - 1.0) <= _ROUNDING
