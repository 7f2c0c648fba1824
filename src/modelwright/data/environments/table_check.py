"""What a table of outcomes must be before values are computed from it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

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
    states, actions = int(environment.observation_space.n), int(environment.action_space.n)
    _check_keys("The table P", table, states, "state")
    for state in range(states):
        _check_keys(f"State {state} of the table P", table[state], actions, "action")
        for action in range(actions):
            _check_outcomes(f"P[{state}][{action}]", table[state][action], states)
    first = np.asarray(initial, np.float64)
    if first.shape != (states,) or not _is_distribution(first):
        raise BadValue(
            f"initial_state_distrib holds a probability for each of {states} states, 1 together",
            got=f"shape {first.shape}, sum {first.sum():g}",
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
    if not _is_distribution(np.array([each[0] for each in outcomes], np.float64)):
        raise BadValue(
            f"Probabilities of {what} are from 0 to 1, and 1 together",
            got=[float(each[0]) for each in outcomes],
        )
    for _, after, reward, _ in outcomes:
        if int(after) != after or not 0 <= after < states:
            raise BadValue(f"{what} leads to states from 0 to {states - 1}", got=str(after))
        if not np.isfinite(reward):
            raise BadValue(f"Rewards of {what} are finite numbers", got=repr(reward))


def _is_distribution(values: Any) -> bool:
    return bool((values >= 0).all()) and abs(float(values.sum()) - 1.0) <= _ROUNDING
