"""Agents with networks in tasks of known values: plain PyTorch and Stable-Baselines3."""

from collections.abc import Callable
from typing import Any

import pytest
from agents import DQN, PPO, TD3, Reinforce, factory
from examined import kinds_of
from frame_agents import StackedDQN

from modelwright.doctor.probes.examination import examine
from modelwright.doctor.probes.reading import read_factory
from modelwright.lab.checkup.courses import side_by_side

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SECONDS = 110.0


def _baselines(name: str, **more: Any) -> Callable[..., Any]:
    def make(environment: Any) -> Any:
        import stable_baselines3

        return getattr(stable_baselines3, name)("MlpPolicy", environment, **more)

    return make


def _stacked(environment: Any) -> Any:
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

    return PPO("MlpPolicy", VecFrameStack(DummyVecEnv([lambda: environment]), 3), n_steps=256)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(factory(DQN), id="dqn"),
        pytest.param(factory(DQN, n=3), id="dqn-n-step"),
        pytest.param(factory(PPO), id="ppo"),
        pytest.param(factory(Reinforce), id="reinforce"),
        pytest.param(factory(TD3), id="td3"),
        pytest.param(factory(StackedDQN), id="dqn-stacked"),
        pytest.param(_stacked, id="sb3-ppo-stacked"),
        pytest.param(_baselines("PPO"), id="sb3-ppo"),
        pytest.param(_baselines("A2C"), id="sb3-a2c"),
        pytest.param(_baselines("DQN"), id="sb3-dqn"),
        pytest.param(_baselines("SAC"), id="sb3-sac"),
    ],
)
def test_a_sound_agent_raises_no_alarm(make: Callable[..., Any]) -> None:
    found = examine(read_factory(make), (), SECONDS, courses=side_by_side)
    assert kinds_of(found) == []


@pytest.mark.parametrize(
    ("kind", "mistake"),
    [
        (DQN, "terminal-mask-missing"),
        (DQN, "truncation-as-terminal"),
        (DQN, "reward-sign-flipped"),
        (DQN, "gathered-wrong-action"),
        (PPO, "policy-loss-sign"),
        (PPO, "truncation-as-terminal"),
        (PPO, "gae-done-off-by-one"),
        (TD3, "terminal-mask-missing"),
    ],
)
def test_a_planted_mistake_is_the_first_cause(kind: type, mistake: str) -> None:
    found = examine(read_factory(factory(kind, mistake)), (), SECONDS, courses=side_by_side)
    assert found.findings[0].causes[0].name == mistake


@pytest.mark.parametrize(
    "mistake", ["frame-order-lost", "frames-in-another-order", "memory-not-used", "observations-merged"]
)
def test_what_becomes_of_frames_and_of_observations_that_are_alike_is_named(mistake: str) -> None:
    found = examine(read_factory(factory(StackedDQN, mistake)), (), SECONDS, courses=side_by_side)
    assert kinds_of(found) == ["known-value-missed"]
    assert found.findings[0].causes[0].name == mistake
