"""Returns and lengths of the episodes that a cohort lives through while it learns."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.simulation import Transition

__all__ = ["Episodes"]

_RECENT = 100
_ONE = np.array(1)  # NumPy takes up arrays in half the time of Python's numbers


class Episodes:
    """Counts rewards and steps of every copy, and keeps what has ended.

    Args:
        seeds: How many seeds.
        copies: Copies per seed.
    """

    def __init__(self, seeds: int, copies: int) -> None:
        self._return = np.zeros((seeds, copies))
        self._length = np.zeros((seeds, copies), np.int64)
        self._recent: list[deque[float]] = [deque(maxlen=_RECENT) for _ in range(seeds)]
        self._new: list[list[tuple[float, int]]] = [[] for _ in range(seeds)]
        self._steps, self._copies = np.zeros(seeds), np.array(float(copies))

    def add(self, transition: Transition) -> None:
        """Count one step of all copies."""
        if transition.valid is None:
            self._return += transition.reward
            self._length += _ONE
            self._steps += self._copies
        else:
            self._return += np.where(transition.valid, transition.reward, 0.0)
            self._length += transition.valid
            self._steps += transition.valid.sum(axis=1)
        ended = transition.ended
        if np.count_nonzero(ended):
            for seed, copy in zip(*np.nonzero(ended), strict=True):
                gained = float(self._return[seed, copy])
                self._recent[seed].append(gained)
                self._new[seed].append((gained, int(self._length[seed, copy])))
            self._return[ended] = 0.0
            self._length[ended] = 0

    def metrics(self) -> dict[str, NDArray[np.float64]]:
        """Return numbers per seed and forget which episodes are new.

        `episode_return` and `episode_length` are means over episodes that ended since the last call, NaN
        where none did; `return_100` is the mean of the seed's last 100, NaN before the first has ended;
        `environment_steps` counts all steps so far.
        """
        found = {
            "environment_steps": self._steps.copy(),
            "episode_return": np.array([_mean([gained for gained, _ in new]) for new in self._new]),
            "episode_length": np.array([_mean([length for _, length in new]) for new in self._new]),
            "return_100": np.array([_mean(list(recent)) for recent in self._recent]),
        }
        self._new = [[] for _ in self._new]
        return found


def _mean(values: list[float] | list[int]) -> float:
    return float(np.mean(values)) if values else float("nan")
