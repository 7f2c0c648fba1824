"""What a factory of agents makes, in one form: something that learns, acts, and may say values."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import gymnasium
import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.doctor.probes.agents.form import Form, Path, numbers_of
from modelwright.doctor.probes.agents.stable_baselines import StableBaselines

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
    one an action, or `value(observation, action)`; `begin()`, where it remembers observations, which is
    called before it is shown those of an episode in order; `gamma`; and `timeouts_end`, which is true where
    it is meant to take the end of a time limit for an end of the task.
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
        self._form: Form | None = None
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
    def made(self) -> Any:
        """What the factory made last."""
        return self._made

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

    def act(self, path: Path) -> NDArray[np.float64]:
        """Return an action after some observations: (1,) its number, or (direction,) a force."""
        assert self._form is not None
        return numbers_of(self._form.act(path))

    def value(self, path: Path) -> NDArray[np.float64] | None:
        """Return (1,) the value, or (action,) those of actions; None where it says none."""
        assert self._form is not None
        found = self._form.value(path)
        if found is None:
            return None
        self.gives_action_values = found[0]
        return numbers_of(found[1])

    @property
    def takes_action(self) -> bool:
        """Whether it says what a given action is worth."""
        return self._form is not None and self._form.takes_action

    @property
    def remembers(self) -> bool:
        """Whether it tells observations apart by those before them."""
        return self._form is not None and self._form.remembers

    def value_of(self, path: Path, action: NDArray[np.float32]) -> float:
        """Return the value of an action, where it says one."""
        assert self._form is not None
        return float(numbers_of(self._form.value_of(path, action))[0])

    def _take(self, made: Any) -> None:
        self._made = made
        self._form = _form(made, self._environment, needs_learn=not self.begins_anew)


def read_agent(factory: Callable[..., Any], environment: "gymnasium.Env[Any, Any]") -> Agent:
    """Make an agent for an environment.

    Raises:
        BadValue: where the factory makes no agent.
    """
    return Agent(factory, environment)


def _form(made: Any, environment: "gymnasium.Env[Any, Any]", *, needs_learn: bool) -> Form:
    learns, acts = callable(getattr(made, "learn", None)), _acts(made)
    if learns and hasattr(made, "policy") and callable(getattr(made, "predict", None)):
        return StableBaselines(made, DISCOUNT, environment.observation_space.shape or ())
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
        begin = getattr(made, "begin", None)
        self._begin = begin if callable(begin) else None
        self.remembers = self._begin is not None

    def learn(self, steps: int) -> Any:
        return self._made.learn(steps)

    def act(self, path: Path) -> Any:
        found = self._after(path, self._acts)
        return cast("tuple[Any, ...]", found)[0] if isinstance(found, tuple) else found

    def value(self, path: Path) -> tuple[bool, Any] | None:
        if self._value is None:
            return None
        if not self.takes_action:
            found = numbers_of(self._after(path, self._value))
            return (self._count > 1 and found.size == self._count), found
        if self._count:
            return True, [numbers_of(self.value_of(path, each))[0] for each in range(self._count)]
        return True, self.value_of(path, self.act(path))

    def value_of(self, path: Path, action: Any) -> Any:
        assert self._value is not None
        value = self._value
        return self._after(path, lambda observation: value(observation, action))

    def _after(self, path: Path, asks: Callable[[Any], Any]) -> Any:
        """Return an answer; who remembers is shown the whole episode until then."""
        if self._begin is None:
            return asks(path[-1])
        self._begin()
        return [asks(each) for each in path][-1]


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
