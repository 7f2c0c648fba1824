"""What others published, and how each learner is set to be compared with it; read by `returns.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["training", "greedy"]

CLEANRL = "CleanRL's documentation, 3 seeds, training returns"
ZOO = "RL Baselines3 Zoo's benchmark.md, 1 seed, greedy"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A learner in an environment, and what others published for it.

    Attributes:
        learner: Name of the learner.
        environment: Name of the environment.
        config: Its settings where they are not the defaults.
        reference: The published mean return; None where there is none at this budget.
        spread: Published standard deviation over seeds (CleanRL) or episodes (the zoo).
        source: Who published it, and how it was measured.
        protocol: Which of our two numbers is of the same kind.
        note: What differs.
        long: Whether it is left out unless named.
    """

    learner: str
    environment: str
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    reference: float | None
    spread: float | None = None
    source: str
    protocol: Protocol
    note: str = ""
    long: bool = False


ZOO_OFF_POLICY = {"total_steps": 20_000, "capacity": 200_000, "learning_starts": 10_000, "gamma": 0.98}
CASES: dict[str, Case] = {
    "ppo-cartpole": Case(
        learner="ppo",
        environment="CartPole-v1",
        config={"total_steps": 500_000},
        reference=490.04,
        spread=6.12,
        source=CLEANRL,
        protocol="training",
    ),
    "dqn-cartpole": Case(
        learner="dqn",
        environment="CartPole-v1",
        config={"total_steps": 500_000},
        reference=488.69,
        spread=16.11,
        source=CLEANRL,
        protocol="training",
    ),
    "c51-cartpole": Case(
        learner="c51",
        environment="CartPole-v1",
        config={"total_steps": 500_000},
        reference=481.20,
        spread=20.53,
        source=CLEANRL,
        protocol="training",
    ),
    "a2c-cartpole": Case(
        learner="a2c",
        environment="CartPole-v1",
        config={"total_steps": 500_000},
        reference=500.0,
        spread=0.0,
        source=ZOO,
        protocol="greedy",
    ),
    "reinforce-cartpole": Case(
        learner="reinforce",
        environment="CartPole-v1",
        config={"total_steps": 500_000, "anneal": True, "learning_rate": 1e-2},
        reference=500.0,
        source="the environment's largest return; nobody publishes a figure at a budget",
        protocol="greedy",
    ),
    "qr-dqn-cartpole": Case(
        learner="qr_dqn",
        environment="CartPole-v1",
        config={"total_steps": 50_000},
        reference=500.0,
        spread=0.0,
        source=ZOO,
        protocol="greedy",
    ),
    "ppo-acrobot": Case(
        learner="ppo",
        environment="Acrobot-v1",
        config={"total_steps": 500_000},
        reference=-86.36,
        spread=1.32,
        source=CLEANRL,
        protocol="training",
    ),
    "dqn-acrobot": Case(
        learner="dqn",
        environment="Acrobot-v1",
        config={"total_steps": 500_000},
        reference=-91.54,
        spread=7.20,
        source=CLEANRL,
        protocol="training",
    ),
    "sac-pendulum": Case(
        learner="sac",
        environment="Pendulum-v1",
        config={"total_steps": 20_000, "actor_rate": 1e-3, "learning_starts": 100},
        reference=-157.0,
        source=ZOO,
        protocol="greedy",
    ),
    "td3-pendulum": Case(
        learner="td3",
        environment="Pendulum-v1",
        config={**ZOO_OFF_POLICY, "hidden": [400, 300]},
        reference=-151.9,
        source=ZOO,
        protocol="greedy",
    ),
    "ddpg-pendulum": Case(
        learner="ddpg",
        environment="Pendulum-v1",
        config={**ZOO_OFF_POLICY, "hidden": [400, 300]},
        reference=-152.1,
        source=ZOO,
        protocol="greedy",
    ),
    "ppo-pendulum": Case(
        learner="ppo",
        environment="Pendulum-v1",
        config={
            "total_steps": 100_000,
            "rollout": 1024,
            "minibatches": 64,
            "epochs": 10,
            "gamma": 0.9,
            "learning_rate": 1e-3,
            "anneal": False,
            "entropy_coefficient": 0.0,
            "clip_value": False,
        },
        reference=-172.2,
        source=ZOO,
        protocol="greedy",
        note="theirs explores with noise that depends on the state (gSDE)",
    ),
    "dqn-mountaincar": Case(
        learner="dqn",
        environment="MountainCar-v0",
        config={"total_steps": 500_000},
        reference=-194.95,
        source=CLEANRL,
        protocol="training",
        note="the documented hard case: -200 is a failure of every episode",
    ),
    "ppo-mountaincar": Case(
        learner="ppo",
        environment="MountainCar-v0",
        config={"total_steps": 500_000},
        reference=-200.0,
        source=CLEANRL,
        protocol="training",
        note="the documented hard case: -200 is a failure of every episode",
    ),
    "dqn-lunarlander": Case(
        learner="dqn",
        environment="LunarLander-v3",
        config={
            "total_steps": 100_000,
            "hidden": [256, 256],
            "learning_rate": 6.3e-4,
            "capacity": 50_000,
            "learning_starts": 1_000,
            "train_every": 4,
            "updates_each": 4,
            "target_every": 250,
            "explore_share": 0.12,
            "explore_last": 0.1,
            "huber": True,
            "clip_norm": 10.0,
        },
        reference=154.4,
        spread=79.2,
        source=ZOO,
        protocol="greedy",
        note="LunarLander-v2 then; one seed, its best model",
        long=True,
    ),
    "ppo-lunarlander": Case(
        learner="ppo",
        environment="LunarLander-v3",
        config={
            "total_steps": 1_000_000,
            "copies": 16,
            "rollout": 1024,
            "minibatches": 256,
            "epochs": 4,
            "gamma": 0.999,
            "lam": 0.98,
            "learning_rate": 3e-4,
            "anneal": False,
            "clip_value": False,
        },
        reference=242.1,
        spread=31.8,
        source=ZOO,
        protocol="greedy",
        note="LunarLander-v2 then",
        long=True,
    ),
}
