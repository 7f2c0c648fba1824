"""A task as an environment of Gymnasium."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from modelwright.doctor.probes.agents.task import TERMINATES, TRUNCATES, Task
from modelwright.doctor.probes.agents.tasks import SIGHTS, TASKS

__all__ = ["DIRECTIONS", "TaskEnvironment", "make_environment", "sight"]

DIRECTIONS = 2
"""Numbers in a force."""

_PLACE = "modelwright.doctor.probes.agents.task_environment:make_task"


def sight(task: Task, number: int) -> NDArray[np.float32]:
    """Return an observation by its number: (SIGHTS,), one of them 1."""
    return np.array(task.shown[number] if task.shown else np.eye(SIGHTS)[number], np.float32)


class TaskEnvironment(gymnasium.Env[NDArray[np.float32], Any]):
    """Steps through a task's table.

    Args:
        task: What happens.
        forces: Whether actions are two numbers from -1 to 1; else they are 0 and 1.
    """

    metadata: Mapping[str, Any] = {"render_modes": []}  # pyright: ignore[reportIncompatibleVariableOverride]
    render_mode = None

    def __init__(self, task: Task, *, forces: bool = False) -> None:
        self.task, self.forces = task, forces
        self.observation_space = spaces.Box(0.0, 1.0, (SIGHTS,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (DIRECTIONS,), np.float32) if forces else spaces.Discrete(2)
        self._state = 0
        self._played: list[NDArray[np.float32]] = []

    def play(self, observations: Sequence[NDArray[np.float32]]) -> None:
        """Show these from the next reset on, whatever is done and without an end; none: the task itself."""
        self._played = [*observations]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin in one of the states in which episodes begin."""
        super().reset(seed=seed, options=options)
        if self._played:
            return self._played.pop(0), {}
        self._state = self.task.starts[int(self.np_random.integers(len(self.task.starts)))]
        return self._seen(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take one of the moves that may follow."""
        if self._played:
            return self._played.pop(0), 0.0, False, False, {}
        moves = self.task.moves_of(self._state, 0 if self.forces else int(np.asarray(action).item()))
        move = moves[int(self.np_random.integers(len(moves)))]
        reward = move.reward
        if self.forces and self.task.peaks:
            force = np.asarray(action, np.float64).reshape(DIRECTIONS)
            reward = 1.0 - float(np.square(force - np.array(self.task.peaks[self._state])).sum())
        self._state = move.after
        return self._seen(), reward, move.end == TERMINATES, move.end == TRUNCATES, {}

    def _seen(self) -> NDArray[np.float32]:
        return sight(self.task, self.task.observation_of(self._state))


def make_task(*, task: str, forces: bool) -> TaskEnvironment:
    """Return an environment by the name of its task."""
    return TaskEnvironment(next(each for each in TASKS if each.name == task), forces=forces)


def make_environment(task: str, *, forces: bool = False) -> "gymnasium.Env[Any, Any]":
    """Return a task's environment as `gymnasium.make` does, under a name that makes more of them.

    Args:
        task: The task's name.
        forces: Whether actions are forces.
    """
    name = f"modelwright/probe-{task}{'-forces' if forces else ''}-v0"
    if name not in gymnasium.registry:
        gymnasium.register(
            id=name, entry_point=_PLACE, kwargs={"task": task, "forces": forces}, disable_env_checker=True
        )
    return gymnasium.make(name)
