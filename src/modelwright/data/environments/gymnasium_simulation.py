"""Environments of Gymnasium, and of anybody who follows its interface, as a `Simulation`.

Each copy is an environment of its own, reset by this class at the end of an episode: no automatic reset of a
vector environment comes between an action and the observation that followed it.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue, SourceMissing, UnknownName
from modelwright.base.seed import Seed
from modelwright.data.environments.simulation import Transition
from modelwright.data.environments.space import Box, Discrete, Space

__all__ = ["GymnasiumSimulation", "read_space"]


class GymnasiumSimulation:
    """A `Simulation` of environments that Gymnasium makes.

    A copy is reset with a seed once, from the stream `environment/COPY`, and goes on from there.

    Args:
        name: Gymnasium's name of the environment.
        settings: Arguments for it.
        seeds: One per seed of the cohort.
        copies: Copies per seed.
        time_limit: Steps after which an episode is truncated; None for the environment's own limit.
        make: Makes one environment; left out, `gymnasium.make`.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        seeds: Sequence[Seed],
        copies: int,
        time_limit: int | None,
        make: Callable[[], Any] | None = None,
    ) -> None:
        self._name = name
        self._lead = (len(seeds), copies)
        maker = make or (lambda: _make(name, settings, time_limit))
        self._copies = [maker() for _ in range(len(seeds) * copies)]
        self.observation_space = read_space(self._copies[0].observation_space, name, "observation")
        self.action_space = read_space(self._copies[0].action_space, name, "action")
        firsts = [
            self._reset(row, seed.integer(f"environment/{copy}"))
            for row, (seed, copy) in enumerate((seed, copy) for seed in seeds for copy in range(copies))
        ]
        self.observation = self._stacked(firsts)

    def step(self, action: NDArray[Any]) -> Transition:
        """See `Simulation`."""
        space = self.action_space
        if action.shape != (*self._lead, *space.shape):
            raise BadValue(
                f"Actions are one per copy, an array of shape {(*self._lead, *space.shape)}",
                got=f"shape {action.shape}",
            )
        rows = action.reshape(-1, *space.shape)
        count = len(self._copies)
        reward = np.empty(count)
        terminated, truncated = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        successors: list[NDArray[Any]] = []
        for row, (copy, one) in enumerate(zip(self._copies, rows, strict=True)):
            found = copy.step(int(one) if isinstance(space, Discrete) else np.array(one))
            successors.append(self._read(row, found, reward, terminated, truncated))
        successor = observation = self._stacked(successors)
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            observation = successor.copy()
            flat = observation.reshape(count, *observation.shape[2:])
            for row in ended:
                flat[row] = self._reset(int(row))
        self.observation = observation
        return Transition(
            observation=observation,
            successor=successor,
            reward=reward.reshape(self._lead),
            terminated=terminated.reshape(self._lead),
            truncated=truncated.reshape(self._lead),
        )

    def close(self) -> None:
        """Close every copy."""
        copies, self._copies = self._copies, []
        for copy in copies:
            with contextlib.suppress(Exception):
                copy.close()

    def _reset(self, row: int, seed: int | None = None) -> NDArray[Any]:
        # Gymnasium takes seeds of any size that a SeedSequence does.
        found = self._copies[row].reset(seed=seed) if seed is not None else self._copies[row].reset()
        if not isinstance(found, tuple) or len(found) != 2:
            raise BadValue(
                f"reset() of {self._name} returns (observation, info)",
                got=_kinds(found),
                next_step="bring it to Gymnasium's interface; see https://gymnasium.farama.org",
            )
        return self._checked(found[0], "reset()")

    def _read(
        self,
        row: int,
        found: Any,
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> NDArray[Any]:
        if not isinstance(found, tuple) or len(found) != 5:
            raise BadValue(
                f"step() of {self._name} returns (observation, reward, terminated, truncated, info)",
                got=_kinds(found),
                next_step="bring it to Gymnasium's interface: what was `done` is now two answers",
            )
        observation, value, ended, cut, _ = found
        for word, flag in (("terminated", ended), ("truncated", cut)):
            if not isinstance(flag, bool | np.bool_):
                raise BadValue(f"{word} of {self._name} is True or False", got=repr(flag))
        try:
            reward[row] = value
        except (TypeError, ValueError):
            raise BadValue(f"A reward of {self._name} is one number", got=repr(value)) from None
        if not np.isfinite(reward[row]):
            raise BadValue(
                f"A reward of {self._name} is a finite number",
                got=repr(value),
                next_step="mend the environment: one such reward makes every value after it meaningless",
            )
        terminated[row], truncated[row] = ended, cut
        return self._checked(observation, "step()")

    def _checked(self, observation: Any, where: str) -> NDArray[Any]:
        """Return a copy of one observation of the space's shape and type; environments may reuse theirs."""
        space = self.observation_space
        made = np.array(observation)
        if made.shape != space.shape or made.dtype.kind not in "fiub":
            raise BadValue(
                f"{where} of {self._name} gives observations of shape {space.shape}, as its space says",
                got=f"shape {made.shape}, type {made.dtype}",
            )
        if isinstance(space, Discrete):
            if made.dtype.kind == "f" or not 0 <= int(made) < space.n:
                raise BadValue(
                    f"{where} of {self._name} gives numbers from 0 to {space.n - 1}, as its space says",
                    got=repr(observation),
                )
            return made.astype(np.int64)
        if space.dtype == np.uint8 and made.dtype != np.uint8:
            raise BadValue(
                f"{where} of {self._name} gives observations of type uint8, as its space says",
                got=f"type {made.dtype}",
            )
        if made.dtype.kind == "f" and not np.isfinite(made).all():
            raise BadValue(
                f"Observations of {self._name} are finite numbers",
                got=f"{made.tolist()!r} from {where}"[:200],
            )
        return made.astype(space.dtype)

    def _stacked(self, rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(list(rows)).reshape(*self._lead, *self.observation_space.shape)


def _make(name: str, settings: Mapping[str, Any], time_limit: int | None) -> Any:
    import gymnasium

    more = {} if time_limit is None else {"max_episode_steps": time_limit}
    try:
        return gymnasium.make(name, **more, **settings)
    except gymnasium.error.DependencyNotInstalled as error:
        raise SourceMissing(
            f"What {name} needs is installed",
            got=str(error).strip().splitlines()[0],
            next_step="install one of the extras modelwright[box2d], modelwright[mujoco], modelwright[atari]",
        ) from error
    except gymnasium.error.UnregisteredEnv as error:
        raise UnknownName("environment", name, gymnasium.registry) from error
    except (gymnasium.error.Error, TypeError) as error:
        raise BadValue(
            f"{name} can be made with its settings", got=str(error).strip().splitlines()[0]
        ) from error


def read_space(space: Any, name: str, what: str) -> Space:
    """Return a space of Gymnasium's as one of ours.

    Args:
        space: Gymnasium's.
        name: The environment's, for messages.
        what: `observation` or `action`.

    Raises:
        BadValue: for a kind of space that no learner here can use.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return Discrete(n=int(space.n))
    if isinstance(space, spaces.Box) and np.dtype(space.dtype).kind in "fiub":
        if np.dtype(space.dtype) == np.uint8:
            return Box(low=space.low, high=space.high, dtype=np.dtype(np.uint8))
        with np.errstate(over="ignore"):
            return Box(low=space.low.astype(np.float32), high=space.high.astype(np.float32))
    raise BadValue(
        f"The {what} space of {name} is a Box of numbers, or Discrete from 0",
        got=str(space),
        next_step="wrap the environment, for example in gymnasium.wrappers.FlattenObservation",
    )


def _kinds(found: Any) -> str:
    if isinstance(found, tuple):
        return f"({', '.join(type(each).__name__ for each in found)})"  # pyright: ignore[reportUnknownArgumentType]
    return type(found).__name__
