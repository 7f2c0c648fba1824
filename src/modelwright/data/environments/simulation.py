"""Copies of one environment, stepped side by side for all seeds of a cohort.

Two things end an episode, and they are kept apart everywhere. *Terminated*: the task itself has ended and
nothing is worth anything afterwards. *Truncated*: somebody stopped watching, usually a time limit; the state
it stopped in is still worth something. And two observations follow an ended episode: `successor`, the true
last observation of the episode that ended, and `observation`, the first of the next one. Learning from the
second in place of the first is a classic silent mistake.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.space import Space

__all__ = ["Simulation", "Transition"]


@dataclass(slots=True, kw_only=True)
class Transition:
    """What one step of all copies led to; arrays are new at every step and nobody changes them afterwards.

    Attributes:
        observation: (seed, copy, *observation) to act on next; the first of a new episode where one ended.
        successor: (seed, copy, *observation) the true next observation; where an episode ended, its last one.
            It is the same array as `observation` where no episode ended.
        reward: (seed, copy) float64.
        terminated: (seed, copy) whether the task ended.
        truncated: (seed, copy) whether the episode was cut off; may hold together with `terminated`.
        valid: (seed, copy) False where the environment ignored the action and only began a new episode, as
            Gymnasium's vector environments do in their mode NEXT_STEP: there is nothing to learn from it.
            None where all are valid. In that mode `observation` after an end is still the last one, and what
            follows the step that is not valid is the first of the new episode.
        ended: (seed, copy) whether the episode ended, for either reason.
    """

    observation: NDArray[Any]
    successor: NDArray[Any]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    valid: NDArray[np.bool_] | None = None
    ended: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.ended = self.terminated | self.truncated


class Simulation(Protocol):
    """Running copies of an environment: `copies` for each seed of a cohort.

    Every copy draws from streams of its own, so what happens in it does not depend on the others.
    """

    @property
    def observation_space(self) -> Space:
        """What one copy shows."""
        ...

    @property
    def action_space(self) -> Space:
        """What can be done in one copy."""
        ...

    @property
    def observation(self) -> NDArray[Any]:
        """(seed, copy, *observation) to act on now."""
        ...

    def step(self, action: NDArray[Any]) -> Transition:
        """Act once in every copy.

        Args:
            action: (seed, copy) numbers of actions, or (seed, copy, *action) float values.

        Raises:
            BadValue: for actions of the wrong shape, and where the environment breaks its own interface: NaN
                rewards, observations of another shape or type than its space.
        """
        ...

    def close(self) -> None:
        """Let go of windows, files and processes; a second time does nothing."""
        ...
