"""Where the time of the reinforcement learners goes, and how far that is from what the arithmetic needs."""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from modelwright.algorithms import REINFORCEMENT
from modelwright.base.configure import configure
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import Environment

__all__ = ["profile_learners"]

SEEDS = 8
PLACES = {
    "environment": ["data.environments.batched:BatchedSimulation.step"],
    "choosing actions": [
        "algorithms.control.actor_critic:ActorCritic.explore",
        "algorithms.control.greedy:GreedyLearner.choose",
        "algorithms.control.deterministic:DeterministicAgent.choose",
        "algorithms.sac:_Agent.choose",
    ],
    "replay": ["data.replay:Replay.add", "data.replay:Replay.sample"],
    "gradients": [
        "algorithms.networks.weights:Weights.differentiate",
        "algorithms.networks.dense:Pass.backward",
        "algorithms.networks.dense:Pass.slope_of_inputs",
    ],
    "optimiser": ["algorithms.networks.adam:Adam.step", "torch.optim:RMSprop.step"],
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "reinforce": ("CartPole-v1", {"total_steps": 20_000}),
    "a2c": ("CartPole-v1", {"total_steps": 20_000}),
    "ppo": ("CartPole-v1", {"total_steps": 20_480}),
    "dqn": ("CartPole-v1", {"total_steps": 12_000, "learning_starts": 1_000}),
    "c51": ("CartPole-v1", {"total_steps": 6_000, "learning_starts": 1_000}),
    "qr_dqn": ("CartPole-v1", {"total_steps": 6_000, "learning_starts": 1_000}),
    "ddpg": ("Pendulum-v1", {"total_steps": 400, "learning_starts": 100}),
    "td3": ("Pendulum-v1", {"total_steps": 400, "learning_starts": 100}),
    "sac": ("Pendulum-v1", {"total_steps": 300, "learning_starts": 100}),
}


def profile_learners() -> dict[str, Any]:
    """Return for each learner steps a second, shares of time by part, operations a step, and the limit."""
    torch.set_num_threads(1)
    peak = _peak()
    found: dict[str, Any] = {"operations a second": peak, "seeds": SEEDS}
    for name, (environment, settings) in CASES.items():
        module = import_module(REINFORCEMENT[name])
        train = partial(
            module.train,
            Environment(name=environment),
            derive_seeds("benchmarks/profile", SEEDS),
            configure(module.Config, settings, where=name),
        )
        spent: defaultdict[str, float] = defaultdict(float)
        begun = time.perf_counter()
        *_, last = train()
        seconds = time.perf_counter() - begun
        with ExitStack() as stack:
            _watch(stack, spent)
            begun = time.perf_counter()
            *_, last = train()
            watched = time.perf_counter() - begun
        with FlopCounterMode(display=False) as counter:
            for _ in train():
                pass
        steps = float(last.metrics["environment_steps"].sum())
        per_step = counter.get_total_flops() / steps
        shares = {part: spent[part] / watched for part in PLACES}
        found[name] = {
            "environment": environment,
            "steps a second": steps / seconds,
            "shares": {**shares, "forward, losses, signs": 1.0 - sum(shares.values())},
            "operations a step": per_step,
            "limit": peak / per_step,
        }
        print(f"profile {name}: {steps / seconds:,.0f} steps a second", flush=True)
    return found


def _peak() -> float:
    """Return floating-point operations a second of the product that most learners spend their time in."""
    left, right = torch.randn(SEEDS, 128, 128), torch.randn(SEEDS, 128, 128)
    best = float("inf")
    for _ in range(50):
        begun = time.perf_counter()
        for _ in range(20):
            torch.bmm(left, right)
        best = min(best, (time.perf_counter() - begun) / 20)
    return 2.0 * SEEDS * 128**3 / best


def _watch(stack: ExitStack, spent: defaultdict[str, float]) -> None:
    depth = [0]

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **more: Any) -> Any:
            if depth[0]:  # inside another part: counted there
                return function(*args, **more)
            depth[0] += 1
            begun = time.perf_counter()
            try:
                return function(*args, **more)
            finally:
                spent[part] += time.perf_counter() - begun
                depth[0] -= 1

        return wrapper

    for part, places in PLACES.items():
        for place in places:
            module, _, path = place.partition(":")
            owner_name, _, attribute = path.partition(".")
            root = module if module.startswith("torch") else f"modelwright.{module}"
            owner = getattr(import_module(root), owner_name)
            stack.enter_context(patch.object(owner, attribute, timed(part, getattr(owner, attribute))))
