"""What a factory of agents makes, in one form: something that learns, acts, and may say values."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import gymnasium
import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["DISCOUNT", "DISCOUNTS", "WANTED", "Actor", "Agent", "read_agent"]

DISCOUNT = 0.8
"""What agents discount by in the tasks, where that can be set: wrong powers of it show within a few steps."""

WANTED = (
    "make(environment) gives an agent with learn(steps) and act(observation), or a model of "
    "Stable-Baselines3; make(environment, steps) gives one that has learnt for so many steps"
)

DISCOUNTS = ("gamma", "discount", "discount_factor")
"""What a factory's argument, or an agent's attribute, may be called that says the discount."""

_TIMEOUTS = "timeouts_end"


@runtime_checkable
class Actor(Protocol):
    """What an agent of somebody's own has at least.

    It may have `learn(steps)`, which goes on from where it was; `value(observation)`, of one number or of
    one an action, or `value(observation, action)`; `gamma`; and `timeouts_end`, which is true where it
    is meant to take the end of a time limit for an end of the task.
    """

    def act(self, observation: Any) -> Any:
        """Return what it does, best without trying anything at random."""
        ...


class Agent:
    """An agent in one form.

    Attributes:
        gamma: What it discounts by; None where it does not say.
        timeouts_end: Whether it is meant to take cuts for ends.
        begins_anew: Whether it learns from the beginning each time.
        gives_action_values: Whether its values are those of actions; None before any was asked for.
    """

    def __init__(self, factory: Callable[..., Any], environment: "gymnasium.Env[Any, Any]") -> None:
        self._factory, self._environment = factory, environment
        self._more = {name: DISCOUNT for name in DISCOUNTS if name in inspect.signature(factory).parameters}
        self.begins_anew = len(_needed(factory)) == 2
        self.gives_action_values: bool | None = None
        self._made: Any = None
        self._form: _Form | None = None
        if not self.begins_anew:
            self._take(factory(environment, **self._more))

    @property
    def gamma(self) -> float | None:
        """See the class."""
        if self._more:
            return DISCOUNT
        found = next((getattr(self._made, each) for each in DISCOUNTS if hasattr(self._made, each)), None)
        return float(found) if isinstance(found, int | float) else None

    @property
    def timeouts_end(self) -> bool:
        """See the class."""
        return bool(getattr(self._made, _TIMEOUTS, False) or getattr(self._factory, _TIMEOUTS, False))

    def learn(self, steps: int, total: int) -> None:
        """Learn for some steps more, or anew for all of them where the factory itself trains.

        Args:
            steps: More than until now.
            total: All of them.
        """
        if self.begins_anew:
            self._take(self._factory(self._environment, total, **self._more))
        else:
            assert self._form is not None
            self._form.learn(steps)

    def act(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return an action: (1,) its number, or (direction,) a force."""
        assert self._form is not None
        return _numbers(self._form.act(observation))

    def value(self, observation: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Return (1,) the value, or (action,) those of actions; None where it says none."""
        assert self._form is not None
        found = self._form.value(observation)
        if found is None:
            return None
        self.gives_action_values = found[0]
        return _numbers(found[1])

    @property
    def takes_action(self) -> bool:
        """Whether it says what a given action is worth."""
        return self._form is not None and self._form.takes_action

    def value_of(self, observation: NDArray[np.float32], action: NDArray[np.float32]) -> float:
        """Return the value of an action, where it says one."""
        assert self._form is not None
        return float(_numbers(self._form.value_of(observation, action))[0])

    def _take(self, made: Any) -> None:
        self._made = made
        self._form = _form(made, self._environment, needs_learn=not self.begins_anew)


def read_agent(factory: Callable[..., Any], environment: "gymnasium.Env[Any, Any]") -> Agent:
    """Make an agent for an environment.

    Raises:
        BadValue: where the factory makes no agent.
    """
    return Agent(factory, environment)


class _Form(Protocol):
    takes_action: bool

    def learn(self, steps: int) -> Any: ...
    def act(self, observation: Any) -> Any: ...
    def value(self, observation: Any) -> tuple[bool, Any] | None: ...
    def value_of(self, observation: Any, action: Any) -> Any: ...


def _form(made: Any, environment: "gymnasium.Env[Any, Any]", *, needs_learn: bool) -> "_Form":
    learns, acts = callable(getattr(made, "learn", None)), _acts(made)
    if learns and hasattr(made, "policy") and callable(getattr(made, "predict", None)):
        return _StableBaselines(made)
    if acts is not None and (learns or not needs_learn):
        return _Own(made, acts, environment)
    lacks = [
        name for name, has in (("act", acts is not None), ("learn", learns or not needs_learn)) if not has
    ]
    raise BadValue(
        WANTED,
        got=f"a {type(made).__name__} without {' and '.join(lacks)}",
        nearest="class Agent: learn(self, steps), act(self, observation), value(self, observation)",
        next_step="docs/examine.md says what a factory of agents may return",
    )


def _acts(made: Any) -> Callable[[Any], Any] | None:
    return next(
        (each for name in ("act", "predict") if callable(each := getattr(made, name, None))),
        made if callable(made) else None,
    )


class _Own:
    """An agent of somebody's own."""

    def __init__(self, made: Any, acts: Callable[[Any], Any], environment: "gymnasium.Env[Any, Any]") -> None:
        self._made, self._acts = made, acts
        self._count = int(getattr(environment.action_space, "n", 0))
        value = getattr(made, "value", None)
        self._value = value if callable(value) else None
        self.takes_action = self._value is not None and len(_needed(self._value)) == 2

    def learn(self, steps: int) -> Any:
        return self._made.learn(steps)

    def act(self, observation: Any) -> Any:
        found = self._acts(observation)
        return cast("tuple[Any, ...]", found)[0] if isinstance(found, tuple) else found

    def value(self, observation: Any) -> tuple[bool, Any] | None:
        if self._value is None:
            return None
        if not self.takes_action:
            found = _numbers(self._value(observation))
            return (self._count > 1 and found.size == self._count), found
        if self._count:
            return True, [_numbers(self._value(observation, each))[0] for each in range(self._count)]
        return True, self._value(observation, self.act(observation))

    def value_of(self, observation: Any, action: Any) -> Any:
        assert self._value is not None
        return self._value(observation, action)


class _StableBaselines:
    """A model of Stable-Baselines3, or what has its interface."""

    def __init__(self, made: Any) -> None:
        self._made, self._has_begun = made, False
        self.takes_action = hasattr(made.policy, "critic") and hasattr(made.policy, "actor")
        for owner in (made, getattr(made, "rollout_buffer", None), getattr(made, "replay_buffer", None)):
            if hasattr(owner, "gamma"):
                cast("Any", owner).gamma = DISCOUNT

    def learn(self, steps: int) -> Any:
        self._made.learn(total_timesteps=steps, reset_num_timesteps=not self._has_begun)
        self._has_begun = True

    def act(self, observation: Any) -> Any:
        return self._made.predict(self._scaled(observation), deterministic=True)[0]

    def value(self, observation: Any) -> tuple[bool, Any] | None:
        import torch

        policy = self._made.policy
        if self.takes_action:
            return True, self.value_of(observation, self.act(observation))
        policy.set_training_mode(False)
        with torch.no_grad():
            seen = policy.obs_to_tensor(self._scaled(observation))[0]
            if hasattr(policy, "predict_values"):
                return False, policy.predict_values(seen)
            if hasattr(policy, "q_net"):
                return True, policy.q_net(seen)
            if hasattr(policy, "quantile_net"):
                return True, policy.quantile_net(seen).mean(dim=1)
        return None

    def value_of(self, observation: Any, action: Any) -> Any:
        import torch

        policy = self._made.policy
        policy.set_training_mode(False)
        with torch.no_grad():
            seen = policy.obs_to_tensor(self._scaled(observation))[0]
            # Critics are given actions from -1 to 1, as those of the tasks are.
            found: Any = policy.critic(seen, torch.as_tensor(action, device=seen.device).reshape(1, -1))
        if isinstance(found, tuple):
            return min(_numbers(each)[0] for each in cast("tuple[Any, ...]", found))
        return found.mean()

    def _scaled(self, observation: Any) -> Any:
        normal = self._made.get_vec_normalize_env()
        return observation if normal is None else normal.normalize_obs(observation)


def _needed(function: Callable[..., Any]) -> list[str]:
    """Return names of the arguments that must be given by place."""
    try:
        parameters: Mapping[str, inspect.Parameter] = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return []
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        name
        for name, each in parameters.items()
        if each.default is each.empty and each.kind in places and name not in DISCOUNTS
    ]


def _numbers(found: Any) -> NDArray[np.float64]:
    """Return numbers of tensors, arrays, lists and numbers in one row."""
    if hasattr(found, "detach"):
        found = found.detach().cpu().numpy()
    return np.asarray(found, np.float64).reshape(-1)
