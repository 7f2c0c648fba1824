"""An agent learns from coded observations under watch, and what it stored is stepped again."""

import time
from collections.abc import Callable
from typing import Any

from modelwright.base.errors import ModelwrightError
from modelwright.base.finding import Finding, Severity
from modelwright.doctor.probes.agents.agent import Agent, read_agent
from modelwright.doctor.probes.agents.coded.coded_world import make_coded
from modelwright.doctor.probes.agents.coded.stored import stored_in
from modelwright.doctor.probes.agents.coded.stored_steps import judge_stored
from modelwright.doctor.probes.agents.course import Course, fix_random_numbers
from modelwright.doctor.probes.agents.task import Task
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.sensors.all import make_sensors
from modelwright.doctor.watch.listening import Listening
from modelwright.doctor.watch.watch import Watch

__all__ = ["CODES", "take_coded_course"]

CODES = Task(
    name="codes",
    words="what it stores and learns from, known again by observations that carry environment and time",
    moves=(),
    starts=(),
)

_FIRST_STEPS, _STEPS = 150, 4000
_SHARE = 0.7
"""Of the seconds; the rest is for what is judged at the end."""

_ABOUT_AGENTS = frozenset(
    {
        "advantages-differ-from-experience",
        "clipped-after-step",
        "deviation-exponentiated-twice",
        "discount-not-used",
        "draws-by-priority-not-weighted",
        "ends-and-cuts-exchanged",
        "entropy-is-punished",
        "environments-all-alike",
        "gradients-kept-across-steps",
        "hopeful-bound",
        "inputs-overwritten-before-gradients",
        "log-probabilities-averaged",
        "log-probability-of-clipped-actions",
        "log-probability-of-squashed-actions",
        "loss-moves-targets",
        "memory-of-last-episode",
        "newest-experience-never-replayed",
        "observation-never-newest",
        "only-newest-experience-replayed",
        "optimizer-of-other-parameters",
        "parameters-in-no-optimizer",
        "policy-loss-moves-values",
        "policy-loss-sign",
        "policy-lowers-value",
        "policy-step-changes-critic",
        "policy-without-slope-of-value",
        "priorities-never-change",
        "ratio-always-one",
        "ratio-for-each-number",
        "ratio-not-one-at-first",
        "ratio-of-old-to-new",
        "reward-sign-flipped",
        "rows-never-learnt",
        "softmax-over-rows",
        "squashing-counted-the-wrong-way",
        "squashing-not-counted",
        "step-without-gradients",
        "stored-observations-overwritten",
        "target-entropy-positive",
        "target-network-follows-another",
        "target-network-is-the-learning-one",
        "targets-differ-from-experience",
        "unfilled-rows-drawn",
        "value-of-another-action",
        "values-differ-from-experience",
        "values-of-the-last-sample",
        "worst-action-is-taken",
    }
)
"""Kinds that hold whatever is to be learnt, since here nothing is, and however early learning is stopped."""


def take_coded_course(factory: Callable[..., Any], limit: Limit, *, forces: bool = False) -> Course:
    """Let an agent learn a few thousand steps, and return what sensors and its memory say.

    Global random numbers are set; whoever needs them as they were keeps them.

    Args:
        factory: Makes the agent.
        limit: Seconds.
        forces: Whether actions are forces.

    Raises:
        BadValue: where the factory makes no agent.
    """
    fix_random_numbers()
    watch = Watch(make_sensors)
    listening = Listening(watch)
    listening.start()
    try:
        agent = read_agent(factory, make_coded(forces=forces))
        steps = _learn(agent, limit)
        watch.end()
        found = [each for each in watch.findings() if each.kind in _ABOUT_AGENTS]
    except ModelwrightError:
        raise
    except Exception as error:  # it may need observations that are ones and zeros
        said = f"{type(error).__name__}: {error}"[:200]
        return Course(task=CODES.name, forces=forces, unchecked=(f"{CODES.words}: {said}",))
    finally:
        listening.stop()
    stored, count = judge_stored(stored_in(agent.made), origin_of(factory))
    words = f"{CODES.words}: {steps:,} steps"
    lacks = () if count else ("stored transitions: none were found in the agent",)
    return Course(
        task=CODES.name,
        forces=forces,
        findings=(*_apart(stored, found), *found),
        checked=(words, *((f"{count:,} stored transitions, stepped again",) if count else ())),
        unchecked=lacks,
    )


def _learn(agent: Agent, limit: Limit) -> int:
    """Learn for as many steps as there is time for; return how many."""
    began = time.monotonic()
    agent.learn(_FIRST_STEPS, _FIRST_STEPS)
    pace = (time.monotonic() - began) / _FIRST_STEPS
    total = min(_STEPS, int(_SHARE * limit.seconds / max(pace, 1e-7)))
    if total < 2 * _FIRST_STEPS:
        return _FIRST_STEPS
    agent.learn(total - _FIRST_STEPS, total)
    return total


def _apart(stored: list[Finding], found: list[Finding]) -> list[Finding]:
    """Return those of which sensors do not give the cause already, with the line."""
    told = {
        each.name for finding in found if finding.severity is not Severity.INFO for each in finding.causes
    }
    return [each for each in stored if each.causes[0].name not in told]
