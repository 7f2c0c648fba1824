"""One environment of Gymnasium's interface, everything that it answers checked and copied.

Gymnasium's own checker looks at the first step only and lets most of this pass with a warning. A NaN, a
reward of two numbers or an observation of another shape makes every number after it meaningless; and an
environment that hands out the same array at every step changes what was seen before, unless it is copied.
"""

import copy
import traceback
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import gymnasium
import numpy as np

from modelwright.base.errors import BadValue, ModelwrightError, WorkerLost
from modelwright.data.environments.gymnasium_space import give_action, read_observation, read_space
from modelwright.data.environments.space import Box, Discrete

__all__ = ["CheckedEnvironment", "calling"]

Answer = TypeVar("Answer")
Bare = gymnasium.Env[Any, Any]
_HELD: "weakref.WeakValueDictionary[int, CheckedEnvironment]" = weakref.WeakValueDictionary()
_INTERFACE = "bring it to Gymnasium's interface; see https://gymnasium.farama.org/api/env"


def calling(name: str, what: str, action: Callable[[], Answer]) -> Answer:
    """Do something in somebody's environment, and say where it raised if it does.

    Args:
        name: The environment's.
        what: What is done, for the message.
        action: Does it.

    Raises:
        WorkerLost: where it raises; names the innermost file and line.
    """
    try:
        return action()
    except ModelwrightError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}, line {frames[-1].lineno}"
        if frames[-1].filename == __file__:
            place = "called as Gymnasium calls it, reset(seed=..., options=...) and step(action)"
        raise WorkerLost(
            f"{name} raised {type(error).__name__} in {what}",
            got=f"{str(error) or 'no message'} ({place})",
            next_step="mend the environment",
        ) from error


class CheckedEnvironment(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose answers are checked and are copies.

    Args:
        environment: What is checked.
        name: Its name, for messages.

    Raises:
        BadValue: where it is no environment of Gymnasium's, or its spaces are of a kind that no learner here
            can use; later, where an answer is not what the interface or its own space says.
    """

    def __init__(self, environment: Any, name: str) -> None:
        if not isinstance(environment, gymnasium.Env):
            raise BadValue(
                f"{name} makes a gymnasium.Env",
                got=f"a {type(environment).__module__}.{type(environment).__name__}",
                next_step=_INTERFACE,
            )
        missing = [each for each in ("observation_space", "action_space") if not hasattr(environment, each)]
        if missing:
            raise BadValue(f"{name} has an observation_space and an action_space", got=f"no {missing[0]}")
        super().__init__(environment)
        self.name = name
        self.seen = read_space(environment.observation_space, name, "observation")
        self.done = read_space(environment.action_space, name, "action")
        self._spaces = (environment.observation_space, environment.action_space)
        # What is drawn from a space depends on nobody else's: many classes keep one for all environments.
        self.action_space = copy.deepcopy(environment.action_space)
        if isinstance(self.seen, Box):
            self.observation_space = gymnasium.spaces.Box(
                self.seen.low, self.seen.high, dtype=self.seen.dtype.type
            )
        self._hold(environment.unwrapped)

    def _hold(self, bare: Any) -> None:
        """Refuse an environment that another one is made of: they would step the same world."""
        holder = _HELD.get(id(bare))
        if holder is not None and holder.unwrapped is bare:
            raise BadValue(
                f"{self.name} makes a new environment at each call",
                got=f"the same {type(bare).__name__} twice",
                next_step="make it within the function: copies and seeds must not share a world",
            )
        _HELD[id(bare)] = self

    def close(self) -> None:
        """See `gymnasium.Env`."""
        if _HELD.get(id(self.unwrapped)) is self:
            del _HELD[id(self.unwrapped)]
        super().close()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begin an episode; see `gymnasium.Env`."""
        spaces = (self.env.observation_space, self.env.action_space)
        if any(now is not then and now != then for now, then in zip(spaces, self._spaces, strict=True)):
            raise BadValue(
                f"{self.name} keeps its spaces",
                got=f"{spaces} after {self._spaces}"[:300],
                next_step="give all episodes one space that holds what any of them needs",
            )
        found: Any = calling(self.name, "reset()", lambda: self.env.reset(seed=seed, options=options))
        if not isinstance(found, tuple) or len(found) != 2:
            raise BadValue(
                f"reset() of {self.name} returns (observation, info)", got=_kinds(found), next_step=_INTERFACE
            )
        return read_observation(found[0], self.seen, self.name, "reset()"), found[1]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, Any]:
        """Act; see `gymnasium.Env`. Numbers of actions go on as int, values in the space's own type."""
        taken = int(action) if isinstance(self.done, Discrete) else give_action(action, self._spaces[1])
        found: Any = calling(self.name, "step()", lambda: self.env.step(taken))
        if not isinstance(found, tuple) or len(found) != 5:
            raise BadValue(
                f"step() of {self.name} returns (observation, reward, terminated, truncated, info)",
                got=_kinds(found),
                next_step=f"{_INTERFACE}; what was `done` is two answers there",
            )
        observation, reward, terminated, truncated, info = found
        for word, flag in (("terminated", terminated), ("truncated", truncated)):
            if not isinstance(flag, bool | np.bool_):
                raise BadValue(f"{word} of {self.name} is True or False", got=repr(flag))
        made = read_observation(observation, self.seen, self.name, "step()")
        return made, self._reward(reward), bool(terminated), bool(truncated), info

    def _reward(self, reward: Any) -> float:
        try:
            odd = isinstance(reward, str | bytes) or np.iscomplexobj(reward)
            number = float("nan") if odd else float(reward)
        except (TypeError, ValueError, OverflowError):
            raise BadValue(f"A reward of {self.name} is one number", got=repr(reward)[:200]) from None
        if not np.isfinite(number):
            raise BadValue(
                f"A reward of {self.name} is a finite number",
                got=repr(reward)[:200],
                next_step="mend the environment: one such reward makes every value after it meaningless",
            )
        return number


def _kinds(found: Any) -> str:
    if isinstance(found, tuple):
        return f"({', '.join(type(each).__name__ for each in found)})"  # pyright: ignore[reportUnknownArgumentType]
    return f"a {type(found).__name__}"
