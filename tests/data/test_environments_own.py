"""Anybody's own environment by its place; what an environment is, as files and as one hash."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, SourceMissing, UnknownName, WorkerLost
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.atari import Atari
from modelwright.data.environments.environment import Environment

SEEDS = derive_seeds("own", 2)
MINE = """
import gymnasium
import numpy as np
from sizes import WIDTH

class Walk(gymnasium.Env):
    def __init__(self, length=5):
        self.length = length
        self.observation_space = gymnasium.spaces.Box(-100, 100, (WIDTH,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = int(self.np_random.integers(-2, 3))
        return np.full(WIDTH, self.at, np.float32), {}

    def step(self, action):
        self.at += 2 * action - 1
        return np.full(WIDTH, self.at, np.float32), 1.0, abs(self.at) >= self.length, False, {}

def make(length=5):
    return Walk(length)

def broken(length=5):
    return Walk(length).nothing

def no_environment():
    return {"observation_space": 3}

class Bare(gymnasium.Env):
    pass

NUMBER = 3
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mine.py").write_text(MINE)
        (tmp_path / place / "sizes.py").write_text("WIDTH = 3\n")
    monkeypatch.delitem(sys.modules, "sizes", raising=False)
    monkeypatch.chdir(tmp_path / "a")
    return tmp_path / "a"


def test_a_function_and_a_class_of_a_file_give_an_environment(project):
    for part in ("make", "Walk"):
        simulation = Environment(name=f"mine.py:{part}").simulate(SEEDS, 2)
        assert simulation.observation.shape == (2, 2, 3)
        assert simulation.step(np.ones((2, 2), np.int64)).reward.sum() == 4


def test_settings_and_time_limits_reach_it(project):
    simulation = Environment(name="mine.py:make", settings={"length": 50}, time_limit=4).simulate(SEEDS)
    found = [simulation.step(np.ones((2, 1), np.int64)) for _ in range(8)]
    assert [step.truncated.all() for step in found] == [False, False, False, True] * 2
    assert not any(step.terminated.any() for step in found)


@pytest.mark.parametrize("vector", ["sync", "async"])
def test_it_steps_in_vector_environments_with_the_same_numbers(project, vector):
    plain = Environment(name="mine.py:make").simulate(SEEDS, 2)
    other = Environment(name="mine.py:make", vector=vector).simulate(SEEDS, 2)
    for _ in range(20):
        one, two = (each.step(np.ones((2, 2), np.int64)) for each in (plain, other))
        assert np.array_equal(one.successor, two.successor)
        assert np.array_equal(one.observation, two.observation)
    other.close()


def test_a_module_that_can_be_imported_serves_too(project, monkeypatch):
    monkeypatch.syspath_prepend(str(project))
    assert Environment(name="mine:make").simulate(SEEDS).observation.shape == (2, 1, 3)


def test_a_root_makes_its_file_absolute_and_leaves_all_else(project, monkeypatch):
    environment = Environment(name="mine.py:make", time_limit=7)
    monkeypatch.chdir("/")
    with pytest.raises(SourceMissing, match="The environment's file must exist"):
        environment.simulate(SEEDS)
    placed = environment.at(project)
    assert placed.simulate(SEEDS).observation.shape == (2, 1, 3)
    assert dataclasses.replace(placed, name="mine.py:make") == environment
    for name in ("CartPole-v1", "package.module:make", "gymnasium:CartPole-v1"):
        assert Environment(name=name).at(project).name == name


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nine.py:make", SourceMissing, "environment's file must exist.*Nearest: mine.py"),
        ("mine.py:mak", UnknownName, "Nearest: make"),
        ("mine.py:NUMBER", BadValue, "must be a function"),
        ("mine.py:broken", WorkerLost, "raised AttributeError in making it.*mine.py, line"),
        ("mine.py:no_environment", BadValue, "makes a gymnasium.Env.*dict"),
        ("mine.py:Bare", BadValue, "has an observation_space and an action_space"),
        ("nowhere.at_all:make", SourceMissing, "environment's module|must be importable"),
    ],
)
def test_what_is_wrong_with_it_is_said(project, name, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        Environment(name=name).simulate(SEEDS)


def test_settings_that_it_does_not_take_are_named(project):
    with pytest.raises(
        BadValue, match=r"environment.settings are arguments of mine.py:make\(length=5\).*width"
    ):
        Environment(name="mine.py:make", settings={"width": 4}).simulate(SEEDS)


def test_a_syntax_error_is_told_with_its_file(project):
    (project / "bent.py").write_text("def make(:\n")
    with pytest.raises(BadValue, match=r"The environment's module .*bent.py must import without an error"):
        Environment(name="bent.py:make").simulate(SEEDS)


def test_its_own_files_and_their_imports_are_its_sources(project):
    names = {file.name for file in Environment(name="mine.py:make").sources(project)}
    assert {"mine.py", "sizes.py", "gymnasium_simulation.py", "checked_environment.py"} <= names
    assert not {"batched.py", "cart_pole.py"} & names


@pytest.mark.parametrize(
    ("environment", "has", "lacks"),
    [
        ({"name": "CartPole-v1"}, {"cart_pole.py", "batched.py"}, {"acrobot.py", "maker.py"}),
        ({"name": "FrozenLake-v1"}, {"tabular.py", "tabular_model.py"}, {"cart_pole.py"}),
        ({"name": "CartPole-v1", "batched": False}, {"maker.py"}, {"cart_pole.py"}),
        ({"name": "CartPole-v1", "vector": "sync"}, {"vector_simulation.py"}, {"cart_pole.py"}),
        ({"name": "probe-value"}, {"probes.py", "batched.py"}, {"cart_pole.py"}),
    ],
)
def test_sources_are_the_files_that_decide_what_it_does(environment, has, lacks):
    files = Environment(**environment).sources(Path())
    assert all(file.is_absolute() and file.is_file() for file in files)
    names = {file.name for file in files}
    assert has <= names
    assert not lacks & names


def test_equal_environments_have_one_identity_and_every_difference_another(project):
    described = [
        {"name": "CartPole-v1"},
        {"name": "Acrobot-v1"},
        {"name": "CartPole-v1", "time_limit": 500},
        {"name": "CartPole-v1", "batched": False},
        {"name": "CartPole-v1", "settings": {"sutton_barto_reward": True}},
        {"name": "CartPole-v1", "vector": "sync"},
        {"name": "ALE/Pong-v5", "atari": True},
        {"name": "ALE/Pong-v5", "atari": Atari(sticky=0.25)},
        {"name": "ALE/Pong-v5"},
        {"name": "probe-value"},
        {"name": "mine.py:make"},
    ]
    found = [Environment(**values).identity(project) for values in described]
    assert len(set(found)) == len(found)
    assert found == [Environment(**values).identity(project) for values in described]
    assert Environment(name="ALE/Pong-v5", atari=Atari()).identity(project) == found[6]


def test_identity_follows_the_content_of_own_files_and_not_their_place(project):
    environment = Environment(name="mine.py:make")
    here, there = environment.identity(project), environment.identity(project.parent / "b")
    assert here == there
    (project / "sizes.py").write_text("WIDTH = 4\n")
    assert environment.identity(project) != here


def test_identity_names_versions_of_gymnasium_and_of_who_provides_it(monkeypatch):
    from modelwright.data.environments import provider

    before = Environment(name="CartPole-v1").identity(Path())
    lander = Environment(name="LunarLander-v3").identity(Path())
    monkeypatch.setattr(provider.metadata, "version", lambda name: "9.9")
    assert Environment(name="CartPole-v1").identity(Path()) != before
    assert set(provider.provider_versions("CartPole-v1", own=False)) == {"gymnasium"}
    assert set(provider.provider_versions("LunarLander-v3", own=False)) == {"gymnasium", "Box2D"}
    assert set(provider.provider_versions("HalfCheetah-v5", own=False)) == {"gymnasium", "mujoco"}
    assert set(provider.provider_versions("nobody/Knows-v0", own=False)) == {"gymnasium"}
    assert Environment(name="LunarLander-v3").identity(Path()) != lander


def test_a_file_can_say_all_of_it():
    values = {"name": "ALE/Pong-v5", "atari": {"sticky": 0.25, "stack": 2}, "vector": "async", "workers": 4}
    made = configure(Environment, values)
    assert made == Environment(
        name="ALE/Pong-v5", atari=Atari(sticky=0.25, stack=2), vector="async", workers=4
    )
    assert configure(Environment, {"name": "ALE/Pong-v5", "atari": True}).atari == Atari()
    assert configure(Environment, {"name": "ALE/Pong-v5", "atari": False}).atari is None
    for wrong in ({"vector": "sink"}, {"atari": {"sticki": 1}}, {"atari": {"sticky": 2}}, {"atari": 3}):
        with pytest.raises((BadValue, UnknownName)):
            configure(Environment, {"name": "ALE/Pong-v5", **wrong})


def test_importing_environments_stays_light():
    import subprocess

    script = (
        "import sys; import modelwright.data.environments.environment, modelwright.data.environments.probes;"
        "print([m for m in ('gymnasium', 'torch', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
