"""An environment whose observations carry which copy of it they come from, which episode and which step.

No two observations are the same numbers, and each says all of the state that it was seen in: so any row that
an agent keeps is known again, and its step can be taken again from there.
"""

from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from modelwright.doctor.probes.agents.task_environment import DIRECTIONS
from modelwright.doctor.probes.agents.tasks import SIGHTS

__all__ = ["CodedWorld", "Steps", "make_coded", "moments_of", "sights_of", "steps_again"]

_COPIES, _EPISODES, _TIMES = 64, 4096, 16
_SHORTEST, _LENGTHS = 4, 8
"""Steps of the shortest episode, and how many lengths there are."""

_PLACE = "modelwright.doctor.probes.agents.coded.coded_world:CodedWorld"
_made = count()


class Steps(NamedTuple):
    """What follows some states, each after an action.

    Attributes:
        after: (row, 3) the moments that are seen next, of the same episode at its end too.
        rewards: (row,).
        terminated: (row,).
        truncated: (row,).
    """

    after: NDArray[np.int64]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


def sights_of(moments: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the observations of moments.

    Args:
        moments: (row, 3) number of the copy, of its episode and of the step in that, all from 0.

    Returns:
        (row, SIGHTS) from 0 to 1, exact in 32-bit floats.
    """
    mixed = _mixed(moments)
    parts = [
        (moments + 1) / np.array([_COPIES, _EPISODES, _TIMES]),
        (mixed & np.uint64(4095))[:, None] / 4096,
    ]
    parts.append(((mixed >> np.uint64(12)) & np.uint64(4095))[:, None] / 4096)
    found = np.concatenate(parts, axis=1).astype(np.float32)
    assert found.shape[1] == SIGHTS
    return found


def moments_of(sights: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the moment that each of (row, SIGHTS) was seen at (row, 3); -1 where it is no observation."""
    scale = np.array([_COPIES, _EPISODES, _TIMES], np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        raised = np.nan_to_num(np.rint(sights[:, :3].astype(np.float64) * scale), nan=0.0, posinf=0, neginf=0)
        moments = np.clip(raised, 0, scale).astype(np.int64) - 1
        seen = (sights_of(np.maximum(moments, 0)) == sights).all(axis=1) & (moments >= 0).all(axis=1)
    return np.where(seen[:, None], moments, -1)


def steps_again(moments: NDArray[np.int64], actions: NDArray[Any], *, at_end: bool = False) -> Steps:
    """Take steps from saved states.

    Args:
        moments: (row, 3) states, by what is seen in them.
        actions: (row,) numbers of actions, or (row, DIRECTIONS) forces.
        at_end: Whether to take the last step of each episode instead.
    """
    episode = moments.copy()
    episode[:, 2] = _TIMES
    about = _mixed(episode)
    lengths = _SHORTEST + (about % np.uint64(_LENGTHS)).astype(np.int64)
    ends = (moments[:, 2] + 1 >= lengths) | at_end
    cut = (about >> np.uint64(20)) % np.uint64(2) == 1
    after = moments.copy()
    after[:, 2] += 1
    if actions.ndim == 1:
        drawn = moments.copy()
        drawn[:, 2] += _TIMES * (2 + actions.astype(np.int64))
        rewards = _unit(_mixed(drawn))
    else:
        rewards = _unit(_mixed(moments) >> np.uint64(7)) + 0.25 * (actions[:, 0] - actions[:, 1])
    return Steps(after, rewards, ends & ~cut, ends & cut)


class CodedWorld(gymnasium.Env[NDArray[np.float32], Any]):
    """Goes from moment to moment; what is done changes the reward alone.

    Args:
        forces: Whether actions are two numbers from -1 to 1; else they are 0 and 1.
    """

    metadata: Mapping[str, Any] = {"render_modes": []}  # pyright: ignore[reportIncompatibleVariableOverride]
    render_mode = None

    def __init__(self, *, forces: bool = False) -> None:
        self.forces = forces
        self.observation_space = spaces.Box(0.0, 1.0, (SIGHTS,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (DIRECTIONS,), np.float32) if forces else spaces.Discrete(2)
        self._moment = np.array([[next(_made) % (_COPIES - 1), -1, 0]])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin the next episode, or the one that a seed says."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._moment[0, 1] = seed % _EPISODES - 1
        self._moment[0, 1:] = (self._moment[0, 1] + 1) % (_EPISODES - 1), 0
        return sights_of(self._moment)[0], {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Go on by one step."""
        done = (
            np.asarray(action, np.float64).reshape(1, DIRECTIONS)
            if self.forces
            else np.asarray(action).reshape(1)
        )
        found = steps_again(self._moment, done)
        self._moment = found.after
        sight = sights_of(self._moment)[0]
        return sight, float(found.rewards[0]), bool(found.terminated[0]), bool(found.truncated[0]), {}


def make_coded(*, forces: bool) -> "gymnasium.Env[Any, Any]":
    """Return one as `gymnasium.make` does, under a name that makes more of them.

    Args:
        forces: Whether actions are forces.
    """
    name = f"modelwright/probe-codes{'-forces' if forces else ''}-v0"
    if name not in gymnasium.registry:
        gymnasium.register(id=name, entry_point=_PLACE, kwargs={"forces": forces}, disable_env_checker=True)
    return gymnasium.make(name)


def _mixed(rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a number for each of (row, 3) that looks drawn at random."""
    with np.errstate(over="ignore"):
        found = (rows[:, 0] << 40 | rows[:, 1] << 16 | rows[:, 2]).astype(np.uint64)
        found += np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
        return found ^ (found >> np.uint64(31))


def _unit(mixed: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return numbers from -1 to 1."""
    return (mixed % np.uint64(2001)).astype(np.float64) / 1000 - 1
