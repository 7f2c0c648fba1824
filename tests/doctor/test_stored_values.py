"""Values learnt from what was stored before, by two critics that choose and judge together, cautiously."""

from pathlib import Path

import pytest
from watched import plant, run_watched

LOGS = """
import copy

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Lift(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = self.np_random.uniform(-1, 1, 2)
        return self.at.astype(np.float32), {}

    def step(self, action):
        self.at = self.at + [0.2 * (action - 1), 0] + self.np_random.normal(0, 0.05, 2)
        up = bool(self.at[0] > 1.5)
        return self.at.astype(np.float32), 2.0 if up else -0.1, up or bool(self.at[0] < -2), False, {}


torch.manual_seed(0)
rng = np.random.default_rng(0)
env = gymnasium.wrappers.TimeLimit(Lift(), 40)
rows = []
for episode in range(120):
    obs, _ = env.reset(seed=episode)
    over = False
    while not over:
        action = int(rng.choice([0, 1, 2, 2]))
        after, reward, ended, cut, _ = env.step(action)
        rows.append((obs, action, reward, after, float(ended)))
        obs, over = after, ended or cut
stored = [torch.tensor(np.array(part)) for part in zip(*rows)]
first, second = (nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 3)) for _ in range(2))
old_first, old_second = copy.deepcopy(first), copy.deepcopy(second)
adam = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=2e-3)
for update in range(90):
    picked = torch.from_numpy(rng.integers(0, len(rows), 96))
    s, a, r, n, d = (part[picked] for part in stored)
    with torch.no_grad():
        best = torch.min(first(n), second(n)).argmax(1, keepdim=True)
        y = r.float() + 0.95 * (1 - d.float()) * torch.min(old_first(n), old_second(n)).gather(1, best)[:, 0]
    loss = 0.0
    for critic in (first, second):
        worth = critic(s)
        done = worth.gather(1, a[:, None])[:, 0]
        loss = loss + F.huber_loss(done, y) + 0.1 * (torch.logsumexp(worth, dim=1) - done).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    with torch.no_grad():
        for new, old in ((first, old_first), (second, old_second)):
            for one, other in zip(new.parameters(), old.parameters()):
                other.lerp_(one, 0.02)
"""

FAULTS = {
    "no mask of ends": ([(" * (1 - d.float())", "")], "terminal-mask-missing"),
    "the sign of rewards": ([("y = r.float()", "y = -r.float()")], "reward-sign-flipped"),
    "cuts for ends": ([("after, float(ended))", "after, float(ended or cut))")], "truncation-as-terminal"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_values_of_what_was_stored_is_named(fault: str, tmp_path: Path) -> None:
    edits, expected = FAULTS[fault]
    told = run_watched(plant(LOGS, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


VARIANTS = {
    "as it is": [],
    "each chooses for itself": [("torch.min(first(n), second(n)).argmax", "first(n).argmax")],
    "half the reward": [("y = r.float()", "y = 0.5 * r.float()")],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_values_of_what_was_stored_are_not_called_wrong(variant: str, tmp_path: Path) -> None:
    assert not run_watched(plant(LOGS, *VARIANTS[variant]), tmp_path).kinds
