"""Environments that break their own interface, and requests that nobody can meet: each a clear error."""

import re
import sys

import gymnasium
import numpy as np
import pytest

from modelwright.base.errors import BadValue, SourceMissing, UnknownName, WorkerLost
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.atari import Atari
from modelwright.data.environments.checked_environment import CheckedEnvironment
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.gymnasium_simulation import GymnasiumSimulation

SEEDS = derive_seeds("broken", 2)
GOES_ON = (np.zeros(2, np.float32), 0.0, False, False, {})


class Fake(gymnasium.Env):
    """Answers what it is told to."""

    def __init__(self, *, first=(GOES_ON[0], {}), after=GOES_ON, observation=None, action=None, closing=None):
        self.observation_space = observation or gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = action or gymnasium.spaces.Discrete(2)
        self.first, self.after, self.closing, self.closed, self.taken = first, after, closing, 0, []

    def reset(self, *, seed=None, options=None):
        return self.first() if callable(self.first) else self.first

    def step(self, action):
        self.taken.append(action)
        return self.after() if callable(self.after) else self.after

    def close(self):
        self.closed += 1
        if self.closing:
            raise self.closing


def fail(error):
    def raising():
        raise error

    return raising


def simulate(**answers):
    return GymnasiumSimulation(lambda: CheckedEnvironment(Fake(**answers), "mine"), SEEDS, 1)


def step(simulation, action=None):
    return simulation.step(np.zeros((2, 1), np.int64) if action is None else action)


def after(**changes):
    names = ("observation", "reward", "terminated", "truncated", "info")
    return tuple(changes.get(name, value) for name, value in zip(names, GOES_ON, strict=True))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (after(observation=np.zeros(3)), r"step\(\) of mine gives observations of numbers in shape \(2,\)"),
        (after(observation=[[0.0], [0.0, 1.0]]), r"shape \(2,\).*a list of shape \(\)"),
        (after(observation=None), r"a NoneType of shape \(\)"),
        (after(observation=np.array(["a", "b"])), "of numbers"),
        (after(observation={"a": 1}), "a dict"),
        (after(observation=np.array([0.0, np.nan])), "finite numbers.*nan"),
        (after(observation=np.array([0.0, -np.inf])), "finite numbers.*-inf"),
        (after(observation=np.array([0.0, 1e39])), "within float32.*1e\\+39"),
        (after(reward=float("nan")), "reward of mine is a finite number.*nan"),
        (after(reward=np.float32("inf")), "reward of mine is a finite number.*inf"),
        (after(reward=None), "reward of mine is one number.*None"),
        (after(reward=np.zeros(2)), "reward of mine is one number"),
        (after(reward="1"), "finite number.*'1'"),
        (after(terminated=None), "terminated of mine is True or False.*None"),
        (after(truncated=1), "truncated of mine is True or False.*1"),
        (GOES_ON[:4], r"step\(\) of mine returns \(observation, reward, terminated, truncated, info\)"),
        (list(GOES_ON), "a list"),
        (None, "a NoneType"),
    ],
)
def test_a_wrong_answer_to_a_step_is_refused(answer, message):
    simulation = simulate(after=answer)
    with pytest.raises(BadValue, match=f"(?s){message}"):
        step(simulation)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (GOES_ON[0], r"reset\(\) of mine returns \(observation, info\). Got a ndarray"),
        ((GOES_ON[0],), "returns"),
        ((np.zeros(3), {}), r"reset\(\) of mine gives observations"),
        ((np.full(2, np.nan), {}), r"nan from reset\(\)"),
    ],
)
def test_a_wrong_answer_to_a_reset_is_refused_at_the_start_and_in_the_middle(answer, message):
    with pytest.raises(BadValue, match=message):
        simulate(first=answer)
    answers = iter([(GOES_ON[0], {})] * 2 + [answer])
    simulation = simulate(first=lambda: next(answers), after=after(terminated=True))
    with pytest.raises(BadValue, match=message):
        step(simulation)


def test_observations_of_symbols_and_of_images_are_held_to_their_spaces():
    symbols, image = gymnasium.spaces.Discrete(3), gymnasium.spaces.Box(0, 255, (1, 2, 2), np.uint8)
    for seen, message in ((3, "from 0 to 2.*Got 3"), (-1, "Got -1"), (1.0, "whole numbers"), ([1], "shape")):
        with pytest.raises(BadValue, match=message):
            simulate(observation=symbols, first=(seen, {}))
    for seen in (np.zeros((1, 2, 2)), np.zeros((1, 2, 2), np.int64), np.zeros((2, 2, 1), np.uint8)):
        with pytest.raises(BadValue, match=r"uint8 in shape \(1, 2, 2\)"):
            simulate(observation=image, first=(seen, {}))
    assert simulate(observation=symbols, first=(np.int32(2), {})).observation.dtype == np.int64
    assert simulate(observation=image, first=(np.ones((1, 2, 2), np.uint8), {})).observation.dtype == np.uint8


@pytest.mark.parametrize("what", ["observation", "action"])
@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Discrete(3, start=1),
        gymnasium.spaces.MultiDiscrete([2, 3]),
        gymnasium.spaces.MultiBinary(3),
        gymnasium.spaces.Tuple([gymnasium.spaces.Discrete(2)]),
        gymnasium.spaces.Dict({"a": gymnasium.spaces.Discrete(2)}),
        gymnasium.spaces.Text(4),
    ],
)
def test_other_spaces_are_refused_with_what_to_do(space, what):
    with pytest.raises(BadValue, match=f"The {what} space of mine is a Box .*Next: wrap the environment"):
        simulate(**{what: space})


def test_a_box_of_float64_becomes_float32_and_actions_come_in_the_spaces_own_type():
    wide = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    fake = Fake(observation=wide, action=wide, first=(np.array([0.1, 1e30]), {}))
    simulation = GymnasiumSimulation(lambda: CheckedEnvironment(fake, "mine"), SEEDS[:1], 1)
    assert simulation.observation.dtype == np.float32
    assert not simulation.action_space.bounded
    simulation.step(np.full((1, 1, 2), 7.5, np.float32))
    assert fake.taken[0].dtype == np.float64


@pytest.mark.parametrize("reward", [1e300, -1e300, 5e-324, 10**20, np.float32(0.1), True])
def test_rewards_of_any_finite_scale_pass_unchanged(reward):
    found = step(simulate(after=after(reward=reward)))
    assert found.reward.dtype == np.float64
    assert (found.reward == float(reward)).all()


def test_what_raises_is_named_with_its_line_and_everything_is_closed():
    fakes = []

    def make():
        fakes.append(Fake(first=(GOES_ON[0], {}) if not fakes else fail(OSError("no display"))))
        return CheckedEnvironment(fakes[-1], "mine")

    with pytest.raises(
        WorkerLost, match=r"mine raised OSError in reset\(\).*no display.*broken.py, line \d+"
    ):
        GymnasiumSimulation(make, SEEDS, 1)
    assert [fake.closed for fake in fakes] == [1, 1]
    simulation = simulate(after=fail(IndexError("list index out of range")))
    with pytest.raises(WorkerLost, match=r"mine raised IndexError in step\(\).*out of range"):
        step(simulation)


def test_an_environment_that_raises_when_it_closes_does_not_matter():
    simulation = simulate(closing=RuntimeError("gone"))
    simulation.close()
    simulation.close()


def test_an_episode_that_ends_at_its_first_step_is_an_episode():
    found = step(simulate(after=after(terminated=True, reward=2)))
    assert found.terminated.all()
    assert (found.reward == 2).all()
    again = step(simulate(after=after(terminated=True, truncated=True)))
    assert (again.terminated & again.truncated).all()


@pytest.mark.parametrize(
    ("name", "action", "message"),
    [
        ("CartPole-v1", np.zeros((2, 2), np.int64), r"shape \(2, 1\)"),
        ("CartPole-v1", np.full((2, 1), 2), "whole numbers from 0 to 1"),
        ("CartPole-v1", np.full((2, 1), -1), "whole numbers from 0 to 1"),
        ("CartPole-v1", np.full((2, 1), 0.5), "float64"),
        ("CartPole-v1", np.full((2, 1), True), "bool"),
        ("Pendulum-v1", np.zeros((2, 1)), r"shape \(2, 1, 1\)"),
        ("Pendulum-v1", np.full((2, 1, 1), np.nan), "finite numbers.*nan"),
        ("Pendulum-v1", np.full((2, 1, 1), np.inf), "finite numbers.*inf"),
        ("Pendulum-v1", np.full((2, 1, 1), "a"), "finite numbers"),
    ],
)
@pytest.mark.parametrize("how", [{}, {"batched": False}, {"vector": "sync"}])
def test_what_is_no_action_is_refused_by_every_adapter(name, action, message, how):
    simulation = Environment(name=name, **how).simulate(SEEDS)
    with pytest.raises(BadValue, match=f"(?s){message}"):
        simulation.step(action)


@pytest.mark.parametrize("how", [{}, {"batched": False}, {"vector": "sync"}])
def test_actions_beyond_a_box_are_the_environments_matter(how):
    strongest = Environment(name="Pendulum-v1", **how).simulate(SEEDS).step(np.full((2, 1, 1), 2.0))
    beyond = Environment(name="Pendulum-v1", **how).simulate(SEEDS).step(np.full((2, 1, 1), 1e6))
    assert np.array_equal(strongest.observation, beyond.observation)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("CartPol-v1", "CartPole-v1"),
        ("cartpole-v1", "CartPole-v1"),
        ("CartPole-v99", "CartPole-v"),
        ("probe-valeu", "probe-value"),
        ("frozenlake", "FrozenLake-v1"),
        ("nobody/Knows-v0", ""),
        ("ä", ""),
    ],
)
def test_unknown_names_are_told_with_the_nearest(name, nearest):
    with pytest.raises(
        UnknownName, match=f"No environment has this name.*{re.escape(nearest)}.*mine.py:make"
    ):
        Environment(name=name).simulate(SEEDS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": ""}, "names an environment"),
        ({"name": "  "}, "names an environment"),
        ({"name": "CartPole-v1", "time_limit": 0}, "time_limit"),
        ({"name": "CartPole-v1", "workers": 2}, "workers is for environment.vector=async"),
        ({"name": "CartPole-v1", "workers": 2, "vector": "sync"}, "workers is for environment.vector=async"),
        ({"name": "CartPole-v1", "workers": 0, "vector": "async"}, "workers"),
        ({"name": "probe-value", "vector": "sync"}, "probe-value is always the same"),
        ({"name": "probe-value", "settings": {"size": 3}}, "probe-value is always the same"),
        ({"name": "probe-value", "time_limit": 3}, "probe-value is always the same"),
        ({"name": "mine.py:make", "vector": "own"}, "vector=own"),
        ({"name": "mine.py:make", "atari": True}, "atari"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values, message):
    with pytest.raises(BadValue, match=message):
        Environment(**values)


def test_settings_are_refused_where_the_environment_does_not_know_them():
    with pytest.raises(BadValue, match=r"CartPole-v1 can be made with its settings.*gravitas"):
        Environment(name="CartPole-v1", settings={"gravitas": 3}).simulate(SEEDS)
    with pytest.raises(BadValue, match=r"map_name|5x5"):
        Environment(name="FrozenLake-v1", settings={"map_name": "5x5"}).simulate(SEEDS)
    with pytest.raises(BadValue, match="is for games of Atari's"):
        Environment(name="CartPole-v1", atari=Atari()).simulate(SEEDS)
    for seeds, copies in ((SEEDS, 0), ((), 1)):
        with pytest.raises(BadValue, match="at least one seed and one copy"):
            Environment(name="CartPole-v1").simulate(seeds, copies)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("LunarLander-v3", "Box2D", "box2d"),
        ("HalfCheetah-v5", "mujoco", "mujoco"),
        ("ALE/Pong-v5", "ale_py", "atari"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(name, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    for module in [each for each in sys.modules if each.startswith("gymnasium.envs.") and extra in each]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(SourceMissing, match=rf"(?i){name} needs .*not installed.*modelwright\[{extra}\]"):
        Environment(name=name).simulate(SEEDS)
    with pytest.raises(SourceMissing, match="package nowhere_at_all"):
        Environment(name="nowhere_at_all:Nothing-v0").simulate(SEEDS)
