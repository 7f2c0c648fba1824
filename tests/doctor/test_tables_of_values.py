"""Tables of action values in several styles: what is wrong is named, what is right is not."""

import runpy
from collections.abc import Sequence
from pathlib import Path

import pytest
from watched import every_second_slow, plant, run_watched

LAKE = """
import gymnasium
import numpy as np

GAMMA = 0.95
rng = np.random.default_rng(0)
environment = gymnasium.make("FrozenLake-v1", is_slippery=True)
Q = np.full((16, 4), 0.3)
for episode in range(500):
    epsilon = max(0.05, 1.0 - episode / 300)
    state, _ = environment.reset(seed=episode)
    done = False
    while not done:
        if rng.random() < epsilon:
            action = int(rng.integers(4))
        else:
            action = int(np.argmax(Q[state]))
        following, reward, terminated, truncated, _ = environment.step(action)
        best = 0.0 if terminated else np.max(Q[following])
        Q[state, action] += 0.2 * (reward + GAMMA * best - Q[state, action])
        state = following
        done = terminated or truncated
reached = 0.0
for episode in range(60):
    state, _ = environment.reset(seed=1000 + episode)
    done = False
    while not done:
        action = int(np.argmax(Q[state]))
        state, reward, terminated, truncated, _ = environment.step(action)
        done = terminated or truncated
        reached += reward
"""

CLIFF = """
from collections import defaultdict

import gymnasium
import numpy as np


class Agent:
    def __init__(self, actions, gamma=0.99, step_size=0.5):
        self.values = defaultdict(lambda: np.ones(actions))
        self.gamma = gamma
        self.step_size = step_size
        self.rng = np.random.default_rng(1)

    def act(self, state):
        if self.rng.random() < 0.2:
            return int(self.rng.integers(len(self.values[state])))
        return int(self.values[state].argmax())

    def learn(self, state, action, reward, following, next_action, terminated):
        target = reward
        if not terminated:
            target += self.gamma * self.values[following][next_action]
        error = target - self.values[state][action]
        self.values[state][action] += self.step_size * error


def main():
    environment = gymnasium.make("CliffWalking-v1", max_episode_steps=300)
    agent = Agent(4)
    for episode in range(80):
        state, _ = environment.reset(seed=episode)
        action = agent.act(state)
        while True:
            following, reward, terminated, truncated, _ = environment.step(action)
            next_action = agent.act(following)
            agent.learn(state, action, reward, following, next_action, terminated)
            state, action = following, next_action
            if terminated or truncated:
                break


main()
"""

CARDS = """
import random
from types import SimpleNamespace

import gymnasium

options = SimpleNamespace(gamma=0.9, alpha=0.05)
random.seed(0)
environment = gymnasium.make("Blackjack-v1")
values = {}


def value(state, action):
    return values.get((state, action), 0.0)


for episode in range(1500):
    state, _ = environment.reset(seed=episode)
    done = False
    while not done:
        greedy = max((0, 1), key=lambda each: value(state, each))
        action = random.randrange(2) if random.random() < 0.3 else greedy
        following, reward, terminated, truncated, _ = environment.step(action)
        ahead = 0.0 if terminated else max(value(following, 0), value(following, 1))
        target = reward + options.gamma * ahead
        values[(state, action)] = (1 - options.alpha) * value(state, action) + options.alpha * target
        state, done = following, terminated or truncated
"""

OWN = """
import numpy as np


class Lake:
    def reset(self, seed):
        self.rng = np.random.default_rng(seed)
        self.place = 0
        return self.place

    def step(self, action):
        if self.rng.random() < 0.3:
            action = int(self.rng.integers(4))
        row, column = divmod(self.place, 4)
        row = min(3, max(0, row + (action == 1) - (action == 3)))
        column = min(3, max(0, column + (action == 2) - (action == 0)))
        self.place = 4 * row + column
        terminated = self.place in (5, 7, 11, 12, 15)
        return self.place, float(self.place == 15), terminated
"""

_RANDOM = "if rng.random() < epsilon:"
_LAST = "environment.step(action)\n        done = "
_UPDATE = "Q[state, action] += 0.2 * (reward + GAMMA * best - Q[state, action])"
_ADDED = "self.values[state][action] += self.step_size * error"
_SET = "values[(state, action)] = (1 - options.alpha)"

FAULTS = {
    "lake: no mask": (LAKE, [("0.0 if terminated else np.max", "np.max")], "terminal-mask-missing", _UPDATE),
    "lake: no discount": (LAKE, [("GAMMA * best", "best")], "discount-missing", "(reward + best"),
    "lake: its own largest": (
        LAKE,
        [("np.max(Q[following])", "np.max(Q[state])")],
        "next-observation-wrong",
        _UPDATE,
    ),
    "lake: never moves on": (
        LAKE,
        [("        state = following\n", "")],
        "observation-not-advanced",
        _UPDATE,
    ),
    "lake: the last sample": (LAKE, [("0.2 * (", "1.0 * (")], "learning-rate-too-high", "1.0 * ("),
    "lake: the wrong way round": (
        LAKE,
        [(_RANDOM, "if rng.random() > epsilon:")],
        "greedy-inverted",
        "following, reward",
    ),
    "lake: the worst action": (
        LAKE,
        [
            (
                "action = int(np.argmax(Q[state]))\n        following",
                "action = int(np.argmin(Q[state]))\n        following",
            )
        ],
        "greedy-inverted",
        None,
    ),
    "lake: measured at random": (
        LAKE,
        [
            (
                "        action = int(np.argmax(Q[state]))\n        state, reward",
                "        action = 1 if rng.random() < 0.3 else int(np.argmax(Q[state]))\n"
                "        state, reward",
            )
        ],
        "evaluation-explores",
        "state, reward, terminated",
    ),
    "cliff: no mask": (CLIFF, [("if not terminated:", "if True:")], "terminal-mask-missing", _ADDED),
    "cliff: the action beside it": (
        CLIFF,
        [(_ADDED, "self.values[state][(action + 1) % 4] += self.step_size * error")],
        "gathered-wrong-action",
        "self.values[state][(action",
    ),
    "cliff: the reward's sign": (
        CLIFF,
        [("target = reward\n", "target = -reward\n")],
        "reward-sign-flipped",
        _ADDED,
    ),
    "cards: an ending inverted": (
        CARDS,
        [("0.0 if terminated else max", "0.0 if not terminated else max")],
        "done-mask-inverted",
        None,
    ),
    "cards: no discount": (CARDS, [("options.gamma * ahead", "ahead")], "discount-missing", _SET),
}


@pytest.mark.parametrize("fault", every_second_slow(FAULTS))
def test_a_planted_fault_of_a_table_is_named_first(fault: str, tmp_path: Path) -> None:
    program, edits, name, line = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == name
    assert line is None or line in told.first_cause[1]


VARIANTS: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "lake": (LAKE, []),
    "lake: of zeros": (LAKE, [("np.full((16, 4), 0.3)", "np.zeros((16, 4))")]),
    "lake: no discount by choice": (LAKE, [("GAMMA = 0.95", "GAMMA = 1.0")]),
    "lake: a step size that falls": (LAKE, [("0.2 * (", "(0.5 / (1 + episode / 50)) * (")]),
    "lake: one over the visits": (
        LAKE,
        [
            ("Q = np", "visits = np.zeros((16, 4))\nQ = np"),
            (
                _UPDATE,
                "visits[state, action] += 1\n        " + _UPDATE.replace("0.2", "1 / visits[state, action]"),
            ),
        ],
    ),
    "lake: expected": (
        LAKE,
        [("np.max(Q[following])", "(1 - 0.1) * np.max(Q[following]) + 0.1 * np.mean(Q[following])")],
    ),
    "lake: certain, with a step size of 1": (
        LAKE,
        [("is_slippery=True", "is_slippery=False"), ("0.2 * (", "1.0 * (")],
    ),
    "lake: two tables": (
        LAKE,
        [
            ("Q = np.full((16, 4), 0.3)", "Q1, Q2 = np.full((16, 4), 0.3), np.full((16, 4), 0.3)\nQ = Q1"),
            (
                "best = 0.0 if terminated else np.max(Q[following])",
                "one, two = (Q1, Q2) if rng.random() < 0.5 else (Q2, Q1)\n"
                "        best = 0.0 if terminated else two[following, one[following].argmax()]",
            ),
            (_UPDATE, _UPDATE.replace("Q[", "one[")),
        ],
    ),
    "cliff": (CLIFF, []),
    "cliff: costs": (
        CLIFF,
        [
            ("target = reward\n", "target = -reward\n"),
            ("].argmax())", "].argmin())"),
            ("np.ones", "np.zeros"),
        ],
    ),
    "cards": (CARDS, []),
}


@pytest.mark.parametrize("variant", every_second_slow(VARIANTS))
def test_a_table_that_is_learnt_well_has_nothing_wrong(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).kinds == []


def test_reading_a_mapping_makes_no_default(tmp_path: Path) -> None:
    ends = "    return len(agent.values), agent.rng.random()\n\n\nknown = main()"
    program = plant(CLIFF, ("\n\nmain()", ends))
    path = tmp_path / "unwatched.py"
    path.write_text(program)
    assert run_watched(program, tmp_path).variables["known"] == runpy.run_path(str(path))["known"]


def test_a_world_of_ones_own_is_heard_where_nothing_is_of_torch(tmp_path: Path) -> None:
    program = (
        plant(
            LAKE,
            ("import gymnasium\nimport numpy as np\n", OWN),
            ('gymnasium.make("FrozenLake-v1", is_slippery=True)', "Lake()"),
        )
        .replace("state, _ = environment.reset(seed=", "state = environment.reset(")
        .replace("reward, terminated, truncated, _ = ", "reward, terminated = ")
        .replace("terminated or truncated", "terminated")
    )
    assert run_watched(program, tmp_path).kinds == []
    told = run_watched(plant(program, ("0.0 if terminated else np.max", "np.max")), tmp_path)
    assert told.first_cause[0] == "terminal-mask-missing"
