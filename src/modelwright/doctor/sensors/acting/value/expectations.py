"""Values of what follows as means over a policy's actions, and the mean of their log-probabilities."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Expectation", "expectations", "log_probabilities"]

Numbers = NDArray[np.float64]

_MOST_CRITICS = 3
_SAME = 1e-4


class Expectation(NamedTuple):
    """One way to take the mean.

    Attributes:
        fault: Its name; empty where this way is right.
        name: Tells it from others.
        values: The value (row,).
        surprise: Mean log-probability, taken in the same way (row,).
    """

    fault: str
    name: str
    values: Numbers
    surprise: Numbers


def log_probabilities(given: Numbers) -> Numbers:
    """Return the logarithms of the probabilities that a policy gives (row, action).

    Args:
        given: Logits or probabilities (row, action).
    """
    if (given >= 0).all() and np.allclose(given.sum(axis=1), 1.0, atol=_SAME):
        return np.log(np.maximum(given, 1e-12))
    shifted = given - given.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def expectations(policy: Numbers, critics: Sequence[Numbers]) -> Iterator[Expectation]:
    """Yield means of what critics say over a policy's actions, right ones first.

    Args:
        policy: What it gave, logits or probabilities (row, action).
        critics: What each of them gave (row, action).
    """
    critics = [each for each in critics if each.shape == policy.shape]
    if not 1 <= len(critics) <= _MOST_CRITICS:
        return
    log = log_probabilities(np.where(np.isnan(policy), 0.0, policy))
    share = np.exp(log)
    every = np.array(critics)
    surprise = (share * log).sum(axis=1)
    least = every.min(axis=0)
    yield Expectation("", "mean over actions", (share * least).sum(axis=1), surprise)
    if len(critics) == 2:
        each = (share * every).sum(axis=2)
        yield Expectation("", "smaller mean over actions", each.min(axis=0), surprise)
        for name, values in (("largest", every.max(axis=0)), ("mean", every.mean(axis=0))):
            found = (share * values).sum(axis=1)
            yield Expectation("twin-minimum-missing", f"{name}, mean over actions", found, surprise)
        for at in range(2):
            yield Expectation("twin-minimum-missing:one", f"one {at}, mean over actions", each[at], surprise)
    yield Expectation("expectation-missing", "plain mean over actions", least.mean(axis=1), log.mean(axis=1))
    yield Expectation("expectation-missing", "sum over actions", least.sum(axis=1), log.sum(axis=1))
