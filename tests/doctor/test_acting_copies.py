"""Copies of a policy that act for it: no targets are taken from them, so they may follow at every step."""

from pathlib import Path

import pytest
from watched import plant, run_watched

COPIES = """
import copy

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Buoy(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.steps = self.np_random.uniform(-1, 1, 2), 0
        return self.at.astype(np.float32), {}

    def step(self, action):
        self.at = np.clip(self.at + [0.3 * (action - 1), self.np_random.normal(0, 0.1)], -3, 3)
        self.steps += 1
        return self.at.astype(np.float32), -abs(self.at[0]), bool(abs(self.at[0]) > 2), self.steps == 20, {}


def net():
    return nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 4))


torch.manual_seed(0)
boats = [Buoy() for _ in range(3)]
seen = [boat.reset(seed=at)[0] for at, boat in enumerate(boats)]
learner = net()
actors = [copy.deepcopy(learner) for _ in boats]
optimizer = torch.optim.RMSprop(learner.parameters(), lr=1e-3)
for update in range(60):
    for actor in actors:
        actor.load_state_dict(learner.state_dict())
    rows = []
    for at, (boat, actor) in enumerate(zip(boats, actors)):
        for step in range(12):
            with torch.no_grad():
                logits = actor(torch.from_numpy(seen[at])[None])[:, :3]
                action = int(torch.multinomial(F.softmax(logits, dim=1), 1))
            after, reward, ended, cut, _ = boat.step(action)
            rows.append((seen[at], action, reward, after, float(ended)))
            seen[at] = boat.reset()[0] if ended or cut else after
    states, actions, rewards, nexts, ends = (torch.tensor(np.array(part)) for part in zip(*rows))
    said = learner(states)
    with torch.no_grad():
        goal = rewards.float() + 0.9 * (1 - ends.float()) * learner(nexts)[:, 3]
    chosen = F.log_softmax(said[:, :3], dim=1).gather(1, actions[:, None]).squeeze(1)
    loss = -(chosen * (goal - said[:, 3].detach())).mean() + F.mse_loss(said[:, 3], goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_copy_that_acts_may_follow_at_every_step(tmp_path: Path) -> None:
    assert not run_watched(COPIES, tmp_path).kinds


@pytest.mark.parametrize("rows", ["nexts", "nexts[:30]"])
def test_one_that_gives_targets_may_not(rows: str, tmp_path: Path) -> None:
    asked = "torch.cat([actors[0](nexts[:30]), actors[0](nexts[30:])])" if ":" in rows else "actors[0](nexts)"
    told = run_watched(plant(COPIES, ("learner(nexts)[:, 3]", f"{asked}[:, 3]")), tmp_path)
    assert "target-network-follows-at-every-step" in told.kinds


# A model of (step, boat, number), which flattens the first two itself.
_STEPS = (
    (
        "def net():\n    return nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 4))\n",
        "class Steps(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.body = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 4))\n\n"
        "    def forward(self, frames):\n"
        "        steps, boats = frames.shape[:2]\n"
        "        said = self.body(torch.flatten(frames, 0, 1)).view(steps, boats, 4)\n"
        "        return said[..., :3], said[..., 3]\n\n\n"
        "def net():\n"
        "    return Steps()\n\n\n"
        "def by_step(rows):\n"
        "    return rows.view(3, 12, 2).transpose(0, 1)\n\n\n"
        "def by_boat(rows):\n"
        "    return rows.transpose(0, 1).flatten(0, 1)\n",
    ),
    ("actor(torch.from_numpy(seen[at])[None])[:, :3]", "actor(torch.from_numpy(seen[at])[None, None])[0][0]"),
    ("said = learner(states)", "logits, worth = (by_boat(part) for part in learner(by_step(states)))"),
    ("learner(nexts)[:, 3]", "by_boat(learner(by_step(nexts))[1])"),
    ("log_softmax(said[:, :3], dim=1)", "log_softmax(logits, dim=1)"),
    (
        "(goal - said[:, 3].detach())).mean() + F.mse_loss(said[:, 3], goal)",
        "(goal - worth.detach())).mean() + F.mse_loss(worth, goal)",
    ),
)


def test_values_of_steps_of_several_environments_are_read(tmp_path: Path) -> None:
    assert not run_watched(plant(COPIES, *_STEPS), tmp_path).kinds
    told = run_watched(plant(COPIES, *_STEPS, ("0.9 * (1 - ends.float()) * ", "0.9 * ")), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == "terminal-mask-missing"
