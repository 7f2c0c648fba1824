"""Programs with a world of their own, in NumPy: it is heard, faults are named, and what is right is not."""

from pathlib import Path

import pytest
from watched import plant, run_watched

MANY = """
import numpy as np
import torch
from torch import nn


class Rooms:
    def __init__(self, many, seed):
        self.many, self.rngs = many, [np.random.default_rng([seed, at]) for at in range(many)]
        self.place, self.age = np.zeros((many, 2)), np.zeros(many, int)

    def _begin(self, at):
        self.place[at], self.age[at] = self.rngs[at].normal(0, 1, 2), 0

    def reset(self):
        for at in range(self.many):
            self._begin(at)
        return self.place.astype(np.float32)

    def step(self, actions):
        moved = np.array([[1, 0], [-1, 0], [0, 1]])[actions]
        noise = np.array([rng.normal(0, 0.2, 2) for rng in self.rngs])
        self.place = 0.9 * self.place + 0.3 * moved + noise
        rewards = 1.0 - np.abs(self.place).sum(1)
        self.age += 1
        last = self.place.astype(np.float32)
        truncated = self.age >= 12
        for at in np.flatnonzero(truncated):
            self._begin(at)
        return self.place.astype(np.float32), rewards.astype(np.float32), truncated, last


torch.manual_seed(0)
rng = np.random.default_rng(0)
net = nn.Sequential(nn.Linear(2, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 3))
adam = torch.optim.Adam(net.parameters(), lr=1e-3)
rooms = Rooms(8, 0)
obs = rooms.reset()
for rollout in range(60):
    kept = []
    for _ in range(4):
        with torch.no_grad():
            greedy = net(torch.from_numpy(obs)).argmax(1).numpy()
        actions = np.where(rng.random(8) < 0.3, rng.integers(3, size=8), greedy)
        nxt, rewards, truncated, last = rooms.step(actions)
        kept.append((obs, actions, rewards, last, truncated))
        obs = nxt
    o, a, r, n, d = (torch.from_numpy(np.concatenate(each)) for each in zip(*kept))
    with torch.no_grad():
        y = r + 0.9 * net(n).max(dim=1).values
    q = net(o).gather(1, a[:, None])[:, 0]
    loss = (q - y).square().mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
"""

ONE = """
import random
from collections import deque
import numpy as np
import torch
from torch import nn


class Cart:
    def reset(self):
        self.x, self.v, self.t = random.uniform(-1, 1), random.uniform(-1, 1), 0
        return np.array([self.x, self.v])

    def step(self, action):
        self.v += (0.3 if action else -0.3) + random.gauss(0, 0.05)
        self.x += 0.3 * self.v
        self.t += 1
        done = abs(self.x) > 2 or self.t == 20
        return np.array([self.x, self.v]), 1.0 - abs(self.x), done, {}


class Agent:
    def __init__(self):
        self.q = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
        self.slow = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
        self.slow.load_state_dict(self.q.state_dict())
        self.adam = torch.optim.Adam(self.q.parameters(), lr=1e-3)
        self.memory, self.steps = deque(maxlen=500), 0

    def reset(self):
        self.last = None

    def step(self, state, action, reward, after, done):
        self.memory.append((state, action, reward, after, done))
        self.steps += 1
        if len(self.memory) >= 64:
            self.learn()
        if self.steps % 50 == 0:
            self.slow.load_state_dict(self.q.state_dict())

    def learn(self):
        s, a, r, n, d = zip(*random.sample(self.memory, 32))
        s, n = torch.tensor(np.array(s)).float(), torch.tensor(np.array(n)).float()
        a, r, d = torch.tensor(a), torch.tensor(r).float(), torch.tensor(d).float()
        with torch.no_grad():
            best = self.slow(n).max(1)[0]
            y = r + 0.95 * best * (1 - d)
        loss = nn.functional.mse_loss(self.q(s)[range(32), a], y)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()


random.seed(0)
torch.manual_seed(0)
cart, agent = Cart(), Agent()
state = cart.reset()
for t in range(400):
    agent.reset()
    if random.random() < 0.3:
        action = random.randrange(2)
    else:
        with torch.no_grad():
            action = int(agent.q(torch.tensor(state).float()).argmax())
    after, reward, done, _ = cart.step(action)
    agent.step(state, action, reward, after, done)
    state = cart.reset() if done else after
"""

_TARGET = "    with torch.no_grad():\n        y = r + 0.9 * net(n).max(dim=1).values\n"

_IN_A_MAPPING = [
    (", truncated, last\n\n", ', truncated, {"final_obs": last}\n\n'),
    (
        "nxt, rewards, truncated, last = rooms.step(actions)",
        "nxt, rewards, truncated, told = rooms.step(actions)",
    ),
    ("kept.append((obs", 'last = told["final_obs"]\n        kept.append((obs'),
]
_OF_ENDED = ('{"final_obs": last}', '{"final_observation": last[truncated]}')
_FILLED = (
    'last = told["final_obs"]\n',
    'last = nxt.copy()\n        last[truncated] = told["final_observation"]\n',
)

FAULTS = {
    "many: after the reset, what came last in a mapping": (
        MANY,
        [*_IN_A_MAPPING, ("rewards, last, truncated))", "rewards, nxt, truncated))")],
        "next-observation-after-reset",
    ),
    "many: after the reset, what came last in a mapping, of those that ended": (
        MANY,
        [*_IN_A_MAPPING, _OF_ENDED, ('last = told["final_obs"]', "last = nxt")],
        "next-observation-after-reset",
    ),
    "many: the largest of all": (MANY, [("net(n).max(dim=1).values", "net(n).max()")], "max-over-wrong-axis"),
    "many: targets with gradients": (
        MANY,
        [(_TARGET, "    y = r + 0.9 * net(n).max(dim=1).values\n")],
        "target-not-detached",
    ),
    "many: a cut taken for an end": (
        MANY,
        [("0.9 * net(n)", "0.9 * ~d * net(n)")],
        "truncation-as-terminal",
    ),
    "many: after the reset": (
        MANY,
        [("rewards, last, truncated))", "rewards, nxt, truncated))")],
        "next-observation-after-reset",
    ),
    "many: one seed": (
        MANY,
        [("default_rng([seed, at])", "default_rng(seed)")],
        "environments-with-one-seed",
    ),
    "one: the sign of the reward": (ONE, [("y = r + ", "y = -r + ")], "reward-sign-flipped"),
    "one: the mask the wrong way": (ONE, [("best * (1 - d)", "best * d")], "done-mask-inverted"),
    "one: the observation before": (
        ONE,
        [("best = self.slow(n)", "best = self.slow(s)")],
        "next-observation-wrong",
    ),
}

VARIANTS = {
    "many": (MANY, []),
    "many: what came last in a mapping": (MANY, _IN_A_MAPPING),
    "many: what came last in a mapping, of those that ended": (MANY, [*_IN_A_MAPPING, _OF_ENDED, _FILLED]),
    "many: no more is said than that it is done": (
        MANY,
        [
            ("truncated = self.age", "done = self.age"),
            ("np.flatnonzero(truncated)", "np.flatnonzero(done)"),
            ("rewards.astype(np.float32), truncated, last", "rewards.astype(np.float32), done, last"),
            ("0.9 * net(n)", "0.9 * ~d * net(n)"),
        ],
    ),
    "many: what came last is not said": (
        MANY,
        [
            (", truncated, last\n\n", ", truncated\n\n"),
            ("nxt, rewards, truncated, last = rooms", "nxt, rewards, truncated = rooms"),
            ("rewards, last, truncated))", "rewards, nxt, truncated))"),
            ("0.9 * net(n)", "0.9 * ~d * net(n)"),
        ],
    ),
    "one": (ONE, []),
    "one: through its cuts": (ONE, [("best * (1 - d)", "best")]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_world_of_ones_own_is_named_first(fault: str, tmp_path: Path) -> None:
    program, edits, expected = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected
    assert "sensor-failed" not in told.kinds


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_right_in_a_world_of_ones_own_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).findings == []
