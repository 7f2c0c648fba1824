"""Agents in tasks of known values: sound ones raise nothing, a planted mistake is named."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from examined import kinds_of
from gymnasium.utils.env_checker import check_env
from tabular_agents import ActorCritic, Frames, QLearning, tabular

from modelwright.base.errors import BadValue
from modelwright.base.finding import Finding
from modelwright.doctor.probes.agents import course as course_module
from modelwright.doctor.probes.agents.agent import DISCOUNT
from modelwright.doctor.probes.agents.agent_examination import in_turn
from modelwright.doctor.probes.agents.course import Course, Look
from modelwright.doctor.probes.agents.grade import Standing, grade
from modelwright.doctor.probes.agents.judgement import judge
from modelwright.doctor.probes.agents.task_environment import make_environment, sight
from modelwright.doctor.probes.agents.tasks import TASKS
from modelwright.doctor.probes.agents.way import RIGHT, WAYS, predict, stream_of
from modelwright.doctor.probes.examination import examine
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.reading import read_factory

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lengths be those of steps, not of a machine's seconds."""
    monkeypatch.setattr(course_module, "MOST_STEPS", 24_000)


VALUES = ("value", "backpropagation", "discount", "ends")
ACTIONS = ("value", "policy")


def found_in(
    factory: Callable[..., Any], names: tuple[str, ...], seconds: float = 60.0
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    tasks = [task for task in TASKS if task.name in names]
    return judge(list(in_turn(factory, tasks, Limit(seconds), forces=False)))


@pytest.mark.parametrize("kind", [QLearning, ActorCritic])
@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_a_sound_agent_raises_nothing_in_whatever_unit_it_learns_rewards(kind: type, scale: float) -> None:
    found, _ = found_in(tabular(kind, scale=scale), tuple(task.name for task in TASKS))
    assert not found


@pytest.mark.parametrize("kind", [QLearning, ActorCritic])
@pytest.mark.parametrize(
    "mistake",
    [
        "terminal-mask-missing",
        "truncation-as-terminal",
        "done-mask-inverted",
        "next-observation-after-reset",
        "terminated-truncated-swapped",
    ],
)
def test_a_mistake_about_what_follows_is_the_first_cause(kind: type, mistake: str) -> None:
    found, _ = found_in(tabular(kind, mistake), VALUES)
    assert [each.kind for each in found] == ["known-value-missed"]
    assert found[0].severity.value == "warning"
    assert found[0].causes[0].name == mistake


@pytest.mark.parametrize("kind", [QLearning, ActorCritic])
def test_a_discount_that_is_taken_twice_is_its_power(kind: type) -> None:
    found, _ = found_in(tabular(kind, "gamma-off"), VALUES)
    assert [cause.name for cause in found[0].causes] == ["discount-power-wrong"]


@pytest.mark.parametrize("kind", [QLearning, ActorCritic])
def test_a_reward_of_the_other_sign_is_named_in_the_easiest_task(kind: type) -> None:
    found, _ = found_in(tabular(kind, "reward-sign-flipped"), VALUES)
    assert found[0].causes[0].name == "reward-sign-flipped"
    assert found[0].subject == "value"


@pytest.mark.parametrize(
    ("kind", "mistake"),
    [
        (QLearning, "gathered-wrong-action"),
        (QLearning, "greedy-inverted"),
        (ActorCritic, "policy-loss-sign"),
    ],
)
def test_a_mistake_about_actions_is_the_first_cause(kind: type, mistake: str) -> None:
    found, _ = found_in(tabular(kind, mistake), ACTIONS)
    assert [each.kind for each in found] == ["known-action-missed"]
    assert found[0].causes[0].name == mistake


def test_values_that_do_not_count_what_follows_are_not_yet_wrong_after_few_steps() -> None:
    found, undecided = found_in(tabular(QLearning, "bootstrap-missing"), VALUES[:3])
    assert [(each.kind, each.severity.value) for each in found] == [("nothing-follows-yet", "info")]
    assert any("target-never-updated" in each for each in undecided)


def test_they_are_wrong_after_many() -> None:
    courses = [
        course_of("value", [1.0]),
        course_of("backpropagation", [-1.0, 1.0]),
        course_of("discount", [0.0, 1.0, 0.0, 0.0], steps=100_000),
        course_of("ends", [0.0, 0.0, 1.0, 0.0], steps=100_000),
    ]
    found, _ = judge(courses)
    assert found[0].causes[0].name == "bootstrap-missing"


def course_of(
    task: str, values: list[float], *, steps: int = 4000, start: float = 0.3, **more: Any
) -> Course:
    """Return a course that came to rest at values."""
    rows = [(0, [start] * len(values)), (steps // 2, values), (steps, values)]
    looks = tuple(Look(steps=at, values=tuple(each), action_values=None, actions=()) for at, each in rows)
    return Course(task=task, forces=False, looks=looks, gamma=0.8, **more)


def test_a_harder_task_says_nothing_where_an_easier_one_was_not_learnt() -> None:
    missed = course_of("ends", [0.2, 0.0, 1.0, 0.0])
    easy = [course_of("value", [1.0]), course_of("backpropagation", [-1.0, 1.0])]
    assert judge([*easy, missed])[0][0].causes[0].name == "truncation-as-terminal"
    assert not judge([easy[0], Course(task="backpropagation", forces=False), missed])[0]


def test_what_is_still_moving_or_never_moved_is_not_decided() -> None:
    task = next(task for task in TASKS if task.name == "ends")
    wrong = [0.2, 0.0, 1.0, 0.0]
    resting = course_of("ends", wrong)
    assert grade(resting, task).standing is Standing.MISSED
    moving = Course(task="ends", forces=False, gamma=0.8, looks=(resting.looks[0], resting.looks[2]))
    assert grade(moving, task).standing is Standing.UNDECIDED
    never = Course(task="ends", forces=False, gamma=0.8, looks=resting.looks[1:])
    assert grade(never, task).standing is Standing.UNDECIDED


def test_agents_that_are_paid_for_entropy_are_right() -> None:
    """A bonus of 0.5 for each step that is followed by another."""
    task = next(task for task in TASKS if task.name == "ends")
    values = predict(RIGHT, stream_of(task), 0.8)
    assert values is not None
    paid = [float(each) for each in values.values + 0.5 * values.bonus]
    assert grade(course_of("ends", paid, gives_action_values=True), task).standing is Standing.PASSED
    assert grade(course_of("ends", paid), task, 1.0).standing is Standing.MISSED


def test_taking_time_limits_for_ends_is_right_where_it_is_said() -> None:
    task = next(task for task in TASKS if task.name == "ends")
    values = [0.2, 0.0, 1.0, 0.0]
    assert grade(course_of("ends", values, timeouts_end=True), task).standing is Standing.PASSED


def test_values_that_no_known_mistake_explains_are_info() -> None:
    easy = [course_of("value", [1.0]), course_of("backpropagation", [-1.0, 1.0])]
    found, _ = judge([*easy, course_of("discount", [1.6, 1.0, 0.9, 0.9])])
    assert [(each.severity.value, each.causes) for each in found] == [("info", ())]


@pytest.mark.parametrize("task", [task for task in TASKS if task.is_about_values], ids=lambda task: task.name)
def test_right_values_are_those_of_returns_as_stepped(task: Any) -> None:
    predicted = predict(RIGHT, stream_of(task), DISCOUNT)
    assert predicted is not None
    environment = make_environment(task.name)
    environment.reset(seed=3)
    right, missed = predicted.values, np.zeros((len(predicted.values), 2))

    def number(observation: Any) -> int:
        return next(each for each in range(5) if (sight(task, each) == observation).all())

    path = (number(environment.reset()[0]),)
    known = {path if task.needs_memory else path[-1:]: at for at, path in enumerate(task.paths)}
    for _ in range(3000):
        after, reward, terminated, truncated, _ = environment.step(environment.action_space.sample())
        longer = (*path, number(after)) if task.needs_memory else (number(after),)
        target = float(reward) + (0.0 if terminated else DISCOUNT * right[known[longer]])
        missed[known[path]] += (target - right[known[path]], 1)
        path = (number(environment.reset()[0]),) if terminated or truncated else longer
    assert np.abs(missed[:, 0] / np.maximum(missed[:, 1], 1)).max() < 0.02


def test_each_mistake_leads_to_other_values_than_what_is_right_in_some_task() -> None:
    streams = [stream_of(task) for task in TASKS if task.is_about_values and not task.is_about_sight]
    for way in WAYS:
        both = [(predict(way, each, 0.8), predict(RIGHT, each, 0.8)) for each in streams]
        apart = [np.abs(one.values - other.values).max() for one, other in both if one and other]
        assert max(apart) > 0.15, way.causes


@pytest.mark.parametrize("forces", [False, True])
@pytest.mark.parametrize("name", [task.name for task in TASKS])
def test_tasks_are_sound_environments(name: str, forces: bool) -> None:
    environment = make_environment(name, forces=forces)
    if name != "ends":  # the checker takes a first step that is cut off for a mistake
        check_env(environment.unwrapped, skip_render_check=True)
    assert environment.spec is not None
    several = gymnasium.make_vec(environment.spec.id, num_envs=2)
    assert several.reset(seed=1)[0].shape == (2, 5)


def test_the_best_force_is_paid_most() -> None:
    environment = make_environment("policy", forces=True)
    environment.reset(seed=1)
    assert environment.step(np.array([0.5, -0.5]))[1] == 1.0
    environment.reset()
    assert environment.step(np.array([0.0, 0.0]))[1] == 0.5


SIGHTS = ("value", "backpropagation", "discount", "frames", "alike")


@pytest.mark.parametrize("length", [2, 3, 4])
def test_an_agent_that_stacks_frames_in_order_raises_nothing(length: int) -> None:
    found, undecided = found_in(tabular(Frames, length=length), SIGHTS)
    assert not found
    assert not undecided


@pytest.mark.parametrize(
    "mistake", ["frame-order-lost", "frames-in-another-order", "memory-not-used", "observations-merged"]
)
def test_a_mistake_about_what_is_seen_is_named(mistake: str) -> None:
    found, _ = found_in(tabular(Frames, mistake), SIGHTS)
    assert [(each.kind, [one.name for one in each.causes]) for each in found] == [
        ("known-value-missed", [mistake])
    ]
    # A table may have been written for observations of which all numbers but one are 0.
    assert (found[0].severity.value == "info") == (mistake == "observations-merged")


def test_values_of_the_other_sign_are_not_those_of_another_order() -> None:
    easy = [course_of("value", [1.0]), course_of("backpropagation", [-1.0, 1.0])]
    found, _ = judge([*easy, course_of("frames", [0.0, -0.8, 0.8, -1.0, 1.0])])
    assert [(each.severity.value, each.causes) for each in found] == [("info", ())]
    found, _ = judge([*easy, course_of("frames", [0.0, 0.8, -0.8, -1.0, 1.0])])
    assert found[0].causes[0].name == "frames-in-another-order"


def test_who_remembers_nothing_is_not_asked_about_the_order_of_frames() -> None:
    found, undecided = found_in(tabular(QLearning), SIGHTS)
    assert not found
    assert [each for each in undecided if "begin()" in each] == list(undecided)


def test_a_network_whose_codes_merge_what_differs_is_told() -> None:
    def courses(values: list[float], *, has_network: bool = True) -> list[Course]:
        easy = [course_of("value", [1.0]), course_of("backpropagation", [-1.0, 1.0])]
        return [*easy, course_of("alike", values, has_network=has_network)]

    found, _ = judge(courses([0.01, 0.01, 1.0]))
    assert [(each.severity.value, each.causes[0].name) for each in found] == [
        ("warning", "observations-merged")
    ]
    # What is learnt slowly is not one, and a network that says one number for everything merges nothing.
    assert all(each.severity.value == "info" for each in judge(courses([0.02, 0.01, 1.0]))[0])
    assert all(each.severity.value == "info" for each in judge(courses([0.4, 0.4, 0.4]))[0])
    assert not judge(courses([0.95, -0.95, 1.0]))[0]


class Acting:
    def act(self, observation: Any) -> int:
        return 1


class Learning(Acting):
    def learn(self, steps: int) -> None: ...


@pytest.mark.parametrize("made", [3, Acting(), object()])
def test_what_is_no_agent_is_refused_with_what_is_expected(made: Any) -> None:
    with pytest.raises(BadValue, match="learn"):
        examine(read_factory(lambda environment: made), (), 5)


def test_an_agent_that_learns_nothing_is_not_decided_and_not_wrong() -> None:
    found = examine(read_factory(lambda environment: Learning()), (), 3)
    assert not kinds_of(found)
    assert any("says no values" in each for each in found.unchecked)


def test_a_function_of_environment_and_steps_is_an_agent_that_has_learnt() -> None:
    def train(environment: Any, steps: int, gamma: float = 0.99) -> Any:
        agent = ActorCritic(environment, gamma, "terminal-mask-missing")
        agent.learn(steps)
        return agent

    found, _ = found_in(train, VALUES)
    assert found[0].causes[0].name == "terminal-mask-missing"


def test_an_agent_that_raises_is_a_finding_with_its_line() -> None:
    def make(environment: Any) -> Any:
        raise ZeroDivisionError("planted")

    found = examine(read_factory(make), (), 3)
    assert kinds_of(found) == ["program-raised"]
    assert found.findings[0].causes[0].line is not None


def test_an_agent_of_forces_is_given_forces() -> None:
    class Forceful(Learning):
        def __init__(self, environment: Any) -> None:
            self.size = environment.action_space.shape[0]

        def act(self, observation: Any) -> Any:
            return np.where(observation[0] > 0, [0.5, -0.5], [0.5, 0.0])

    found = examine(read_factory(lambda environment: Forceful(environment)), (), 3)
    assert "the agent: the better one of two actions" in found.checked
    assert not kinds_of(found)
