"""Rows of rollouts that minibatches never come to, and programs that leave rows out rightly."""

from pathlib import Path

import pytest
from watched import plant, run_watched

GLIDER = """
import gymnasium
import numpy as np
import torch
from torch import nn


class Glider(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-99, 99, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.time = self.np_random.normal(0, 1, 3), 0
        return self.at.astype(np.float32), {}

    def step(self, action):
        self.at = 0.9 * self.at + self.np_random.normal(0, 0.2, 3) + (0.1 if action else -0.1)
        self.time += 1
        return self.at.astype(np.float32), -float(abs(self.at[0])), False, self.time == 40, {}


def measured():
    total, (obs, _) = 0.0, env.reset()
    for _ in range(40):
        with torch.no_grad():
            obs, reward, *_ = env.step(int(policy(torch.from_numpy(obs)[None]).argmax()))
        total += reward
    return total


torch.manual_seed(0)
env = Glider()
policy, critic = nn.Linear(3, 2), nn.Linear(3, 1)
adam = torch.optim.Adam([*policy.parameters(), *critic.parameters()], lr=3e-3)
obs, _ = env.reset(seed=0)
for update in range(6):
    seen, actions, olds, rewards, ends = [], [], [], [], []
    for step in range(128):
        with torch.no_grad():
            said = torch.distributions.Categorical(logits=policy(torch.from_numpy(obs)[None]))
            action = said.sample()
        seen.append(obs)
        actions.append(action)
        olds.append(said.log_prob(action))
        obs, reward, ended, cut, _ = env.step(int(action))
        with torch.no_grad():
            reward += 0.9 * critic(torch.from_numpy(obs)).item() if cut else 0.0
        rewards.append(reward)
        ends.append(ended or cut)
        if ended or cut:
            obs, _ = env.reset()
    states, acts, olds = torch.from_numpy(np.array(seen)), torch.cat(actions), torch.cat(olds)
    returns, value = torch.zeros(128), critic(torch.from_numpy(obs)).item()
    for at in reversed(range(128)):
        value = rewards[at] + 0.9 * value * (not ends[at])
        returns[at] = value
    for again in range(2):
        order = torch.randperm(128)
        for start in range(0, 128, 32):
            rows = order[start : start + 32]
            worth = critic(states[rows]).squeeze(1)
            gain = (returns[rows] - worth).detach()
            new = torch.distributions.Categorical(logits=policy(states[rows])).log_prob(acts[rows])
            ratio = (new - olds[rows]).exp()
            loss = -torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
            loss = loss + (worth - returns[rows]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
"""

_LOOP = "for start in range(0, 128, 32):"
_ROWS = "rows = order[start : start + 32]"
FAULTS = {
    "the end of a minibatch for that of all": [
        (_LOOP, "for start in range(0, 32, 8):"),
        ("randperm", "arange"),
    ],
    "the same minibatch each time": [(_ROWS, "rows = torch.arange(128)[:32]")],
    "an order of a minibatch": [("torch.randperm(128)", "torch.randperm(32).repeat(4)")],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_that_are_always_left_out_are_named(fault: str, tmp_path: Path) -> None:
    told = run_watched(plant(GLIDER, *FAULTS[fault]), tmp_path)
    assert [each for each in told.kinds if each == "rows-never-learnt"]


VARIANTS = {
    "as it is": [],
    "one random minibatch": [(_LOOP, "for start in [0]:")],
    "rows drawn anew": [(_ROWS, "rows = torch.randint(128, (16,))"), ("range(2)", "range(1)")],
    "the last rows left out": [("torch.randperm(128)", "torch.randperm(124)")],
    "measured in the same world": [
        ("obs, _ = env.reset(seed=0)\n", "obs, _ = env.reset(seed=0)\nscores = []\n"),
        (
            "    for again in range(2):\n",
            "    scores += [measured() for _ in range(8)]\n    obs, _ = env.reset()\n"
            "    for again in range(2):\n",
        ),
    ],
    "actions repeated": [
        (
            "        obs, reward, ended, cut, _ = env.step(int(action))\n",
            "        for again in range(4):\n"
            "            obs, reward, ended, cut, _ = env.step(int(action))\n"
            "            if cut:\n"
            "                break\n",
        )
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_that_are_left_out_rightly_are_not(variant: str, tmp_path: Path) -> None:
    assert "rows-never-learnt" not in run_watched(plant(GLIDER, *VARIANTS[variant]), tmp_path).kinds
