"""An agent learns in a task, ever longer, and is asked what it has learnt."""

import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwright.base.errors import ModelwrightError
from modelwright.base.finding import Finding
from modelwright.doctor.probes.agents.agent import Agent, read_agent
from modelwright.doctor.probes.agents.form import Path
from modelwright.doctor.probes.agents.task import Task
from modelwright.doctor.probes.agents.task_environment import make_environment, sight
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import raised_at
from modelwright.doctor.watch.place import Place

__all__ = ["MOST_STEPS", "Course", "Look", "fix_random_numbers", "take_course"]

_FIRST_STEPS = 500
MOST_STEPS = 1_000_000
"""After which an agent has learnt what it will."""

_HARDLY_ANY = 4
_ASKED = 16
"""Times that an agent is asked what it does in a state; it may act at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an agent has learnt at one time.

    Attributes:
        steps: Steps of the environment until then.
        values: (observation) values; None where the agent says none.
        action_values: (observation, action) values; those of the opposite of the best force and of that force
            where actions are forces; None where it says none.
        actions: (observation, action) share of each action, or (observation, direction) mean force.
    """

    steps: int
    values: tuple[float, ...] | None
    action_values: tuple[tuple[float, float], ...] | None
    actions: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What came of one agent in one task.

    Attributes:
        task: Name of the task.
        forces: Whether actions were forces.
        looks: In order, each after more steps than the one before; the first after none, where that can be.
        gamma: What the agent says that it discounts by.
        timeouts_end: Whether it is meant to take cuts for ends.
        gives_action_values: Whether values are those of actions.
        fits: Whether the task is one for such an agent; one of memory is none for who remembers nothing.
        has_network: Whether modules of torch say what its values are.
        error: What it raised; empty where it did not.
        place: The user's line that raised.
        findings: What was found without regard to what it learnt.
        checked: What else was looked at, in words.
        unchecked: What else could not be, and why.
    """

    task: str
    forces: bool
    looks: tuple[Look, ...] = ()
    gamma: float | None = None
    timeouts_end: bool = False
    gives_action_values: bool = False
    fits: bool = True
    has_network: bool = False
    error: str = ""
    place: Place | None = None
    findings: tuple[Finding, ...] = ()
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def has_learnt(self) -> bool:
        """Whether it got as far as a look after some steps."""
        return any(look.steps for look in self.looks)


def take_course(
    factory: Callable[..., Any],
    task: Task,
    limit: Limit,
    is_settled: Callable[[Course], bool],
    *,
    forces: bool = False,
) -> Course:
    """Let an agent learn, doubling the steps until it settled or time is over.

    Global random numbers are set; whoever needs them as they were keeps them.

    Args:
        factory: Makes the agent.
        task: In what.
        limit: Seconds; they are kept to as well as lengths can be foreseen.
        is_settled: Whether what is known is enough.
        forces: Whether actions are forces.

    Raises:
        BadValue: where the factory makes no agent.
    """
    fix_random_numbers()
    looks: list[Look] = []
    agent: Agent | None = None
    has_network = False

    def so_far(error: BaseException | None = None) -> Course:
        return Course(
            task=task.name,
            forces=forces,
            looks=tuple(looks),
            gamma=agent.gamma if agent else None,
            timeouts_end=agent.timeouts_end if agent else False,
            gives_action_values=bool(agent and agent.gives_action_values),
            fits=agent is None or not task.needs_memory or agent.remembers,
            has_network=has_network,
            error=f"{type(error).__name__}: {error}"[:300] if error else "",
            place=raised_at(error) if error else None,
        )

    try:
        agent = read_agent(factory, make_environment(task.name, forces=forces))
        if not so_far().fits and not agent.begins_anew:
            return so_far()
        total, more = 0, _FIRST_STEPS
        looks.extend(_look_before(agent, task, forces=forces))
        while True:
            begun = time.monotonic()
            agent.learn(more, total + more)
            total += more
            with _hears_modules() as called:
                looks.append(_look(agent, task, total, forces=forces))
            has_network = bool(called)
            if not so_far().fits:
                break
            pace = (time.monotonic() - begun) / (total if agent.begins_anew else more)
            if is_settled(so_far()):
                break
            room = int(0.9 * limit.left / max(pace, 1e-7))
            more = min(total, room - total if agent.begins_anew else room)
            if more < total / 2 or total >= MOST_STEPS:
                break
    except ModelwrightError:
        raise
    except Exception as error:
        return so_far(error)
    return so_far()


def fix_random_numbers() -> None:
    """Let random numbers be the same each time, and torch use one thread."""
    import torch

    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    torch.set_num_threads(1)


@contextmanager
def _hears_modules() -> Generator[list[str]]:
    """Yield names of the modules of torch that are called inside."""
    from torch.nn.modules.module import register_module_forward_hook

    called: list[str] = []

    def hear(module: Any, given: Any, output: Any) -> None:
        if len(called) < _HARDLY_ANY:
            called.append(type(module).__name__)

    handle = register_module_forward_hook(hear)
    try:
        yield called
    finally:
        handle.remove()


def _look_before(agent: Agent, task: Task, *, forces: bool) -> list[Look]:
    """Return what it says before it learnt anything to speak of, where it says something then."""
    try:
        if agent.begins_anew:
            agent.learn(_HARDLY_ANY, _HARDLY_ANY)
        return [_look(agent, task, 0, forces=forces)]
    except Exception:
        return []


def _look(agent: Agent, task: Task, steps: int, *, forces: bool) -> Look:
    paths = [[sight(task, each) for each in path] for path in task.paths]
    found = [agent.value(each) for each in paths]
    values: tuple[float, ...] | None = None
    rows: tuple[tuple[float, float], ...] | None = None
    if all(each is not None and each.size for each in found):
        known = [each for each in found if each is not None]
        values = tuple(float(each.max()) for each in known)
        if not forces and all(each.size == 2 for each in known):
            rows = tuple((float(each[0]), float(each[1])) for each in known)
        elif forces and task.best and agent.takes_action:
            rows = tuple(_opposite(agent, task, at, path) for at, path in enumerate(paths))
    return Look(
        steps=steps,
        values=values,
        action_values=rows,
        actions=tuple(_acts(agent, each, forces=forces) for each in paths) if task.best else (),
    )


def _opposite(agent: Agent, task: Task, number: int, path: Path) -> tuple[float, float]:
    """Return values of the worse and the better force, in the order of the task's actions by number."""
    peak = np.array(task.peaks[number], np.float32)
    both = [agent.value_of(path, each) for each in (-peak, peak)]
    return (both[0], both[1]) if task.best[number] == 1 else (both[1], both[0])


def _acts(agent: Agent, path: Path, *, forces: bool) -> tuple[float, ...]:
    done = [agent.act(path) for _ in range(_ASKED)]
    if forces:
        return tuple(float(each) for each in np.mean(done, axis=0))
    if any(each.size != 1 for each in done):
        raise TypeError(f"act(observation) returned {done[0].size} numbers; an action is one, 0 or 1")
    return tuple(float(np.mean([round(float(each[0])) == action for each in done])) for action in (0, 1))
