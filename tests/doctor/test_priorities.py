"""Memories with priorities, in a vector, a list, a sum tree: brought up to date or not, weighted or not."""

from pathlib import Path

import pytest
from watched import every_second_slow, plant, run_watched

_AGENT = """
import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MEMORY


class Line(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1)
        return np.array([self.place, 1.0], np.float32), {}

    def step(self, action):
        self.place += 0.4 * (2 * action - 1) + self.np_random.normal(0, 0.1)
        seen = np.array([self.place, 1.0], np.float32)
        return seen, 1.0 - abs(self.place), abs(self.place) > 1.8, False, {}


torch.manual_seed(0)
rng = np.random.default_rng(0)
env = Line()
net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
slow = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
slow.load_state_dict(net.state_dict())
adam = torch.optim.Adam(net.parameters(), lr=2e-3)
memory = Memory(400)
obs, _ = env.reset(seed=0)
for step in range(520):
    if rng.random() < 0.4:
        action = int(rng.integers(2))
    else:
        with torch.no_grad():
            action = int(net(torch.tensor(obs)).argmax())
    nxt, reward, term, trunc, _ = env.step(action)
    memory.add((obs, action, reward, nxt, float(term)))
    obs = env.reset()[0] if term or trunc else nxt
    if step < 100:
        continue
    rows, chance = memory.draw(32)
    o, a, r, n, d = (torch.tensor(np.array([memory.stored[i][k] for i in rows])) for k in range(5))
    with torch.no_grad():
        y = r.float() + 0.9 * (1 - d.float()) * slow(n).max(1).values
    q = net(o).gather(1, a[:, None])[:, 0]
    weights = torch.tensor((len(memory.stored) * chance) ** -0.5, dtype=torch.float32)
    loss = (weights / weights.max() * (q - y).pow(2)).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    memory.update(rows, (q - y).detach().abs().numpy() + 1e-3)
    if step % 50 == 0:
        slow.load_state_dict(net.state_dict())
"""

_VECTOR = """
class Memory:
    def __init__(self, size):
        self.size, self.count, self.stored = size, 0, []
        self.priorities = np.zeros(size, np.float32)

    def add(self, row):
        if len(self.stored) < self.size:
            self.stored.append(row)
        else:
            self.stored[self.count % self.size] = row
        self.priorities[self.count % self.size] = self.priorities.max() or 1.0
        self.count += 1

    def draw(self, n):
        p = self.priorities[: len(self.stored)] ** 0.6
        p = p / p.sum()
        rows = rng.choice(len(p), n, p=p)
        return rows, p[rows]

    def update(self, rows, errors):
        self.priorities[rows] = errors
"""

_LIST = """
class Memory:
    def __init__(self, size):
        self.stored, self._prios = [], []

    def add(self, row):
        self.stored.append(row)
        self._prios.append(max(self._prios, default=1.0))

    def draw(self, n):
        p = np.array(self._prios) / sum(self._prios)
        rows = rng.choice(len(p), n, p=p)
        return rows, p[rows]

    def update(self, rows, errors):
        for row, error in zip(rows, errors):
            self._prios[row] = float(error)
"""

_TREE = """
class SumTree:
    def __init__(self, size):
        self.size, self.tree = size, np.zeros(2 * size - 1)

    def put(self, leaf, value):
        at = leaf + self.size - 1
        change = value - self.tree[at]
        self.tree[at] = value
        while at:
            at = (at - 1) // 2
            self.tree[at] += change

    def find(self, mass):
        at = 0
        while at < self.size - 1:
            left = 2 * at + 1
            if mass <= self.tree[left]:
                at = left
            else:
                mass, at = mass - self.tree[left], left + 1
        return at - self.size + 1


class Memory:
    def __init__(self, size):
        self.size, self.count, self.stored, self.sums = size, 0, [], SumTree(size)
        self.largest = 1.0

    def add(self, row):
        if len(self.stored) < self.size:
            self.stored.append(row)
        else:
            self.stored[self.count % self.size] = row
        self.sums.put(self.count % self.size, self.largest)
        self.count += 1

    def draw(self, n):
        total = self.sums.tree[0]
        rows = np.array([self.sums.find(rng.uniform(0, total)) for _ in range(n)])
        rows = np.minimum(rows, len(self.stored) - 1)
        return rows, self.sums.tree[rows + self.size - 1] / total

    def update(self, rows, errors):
        for row, error in zip(rows, errors):
            self.sums.put(row, float(error) ** 0.6)
            self.largest = max(self.largest, float(error) ** 0.6)
"""

_PROGRAMS = {
    name: _AGENT.replace("MEMORY", memory)
    for name, memory in {"vector": _VECTOR, "list": _LIST, "tree": _TREE}.items()
}
_LOSS = "(weights / weights.max() * (q - y).pow(2)).mean()"
_NOT_UPDATED = [("    memory.update(rows, (q - y).detach().abs().numpy() + 1e-3)\n", "")]


@pytest.mark.parametrize("name", every_second_slow(_PROGRAMS))
def test_a_healthy_memory_is_silent(name: str, tmp_path: Path) -> None:
    assert run_watched(_PROGRAMS[name], tmp_path).findings == []


@pytest.mark.parametrize("name", every_second_slow(_PROGRAMS))
def test_priorities_that_never_change_are_found(name: str, tmp_path: Path) -> None:
    told = run_watched(plant(_PROGRAMS[name], *_NOT_UPDATED), tmp_path)
    assert told.kinds == ["priorities-never-change"]
    assert told.first_cause[0] == "priorities-not-updated"


@pytest.mark.parametrize(
    "loss", ["F.mse_loss(q, y)", "(q - y).pow(2).mean()", "0.5 * F.smooth_l1_loss(q, y)"]
)
def test_a_plain_mean_over_rows_drawn_by_priority_is_found(loss: str, tmp_path: Path) -> None:
    told = run_watched(plant(_PROGRAMS["vector"], (_LOSS, loss)), tmp_path)
    assert told.kinds == ["draws-by-priority-not-weighted"]
    assert told.first_cause == ("importance-weights-missing", f"loss = {loss}")


@pytest.mark.parametrize(
    "loss",
    [
        'F.mse_loss(q, y, reduction="none").mul(weights).mean()',
        "F.mse_loss(q * weights.sqrt(), y * weights.sqrt())",
        "((q - y) * weights.sqrt()).pow(2).mean()",
        '(F.smooth_l1_loss(q, y, reduction="none") @ weights) / 32',
    ],
)
def test_weights_are_known_wherever_they_are_multiplied(loss: str, tmp_path: Path) -> None:
    assert run_watched(plant(_PROGRAMS["vector"], (_LOSS, loss)), tmp_path).findings == []


def test_rows_of_equal_priority_need_no_weights(tmp_path: Path) -> None:
    uniform = [("[: len(self.stored)] ** 0.6", "[: len(self.stored)] ** 0.0"), (_LOSS, "F.mse_loss(q, y)")]
    flat = [("self.priorities[rows] = errors", "self.priorities[rows] = 1.0 + 1e-3 * errors")]
    assert run_watched(plant(_PROGRAMS["vector"], *uniform, *flat), tmp_path).findings == []
