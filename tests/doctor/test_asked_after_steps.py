"""What a step is, and how it ended: log-probabilities asked for after it, and worlds that say `done`."""

from pathlib import Path

import pytest
from watched import every_second_slow, plant, run_watched

_LISTED = """
import gymnasium
import numpy as np
import torch
from torch import nn


class Ferry(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.steps = self.np_random.uniform(-1, 1, 3), 0
        return self.state.astype(np.float32), {}

    def step(self, action):
        self.state = 0.9 * self.state + self.np_random.normal(0, 0.1, 3)
        self.state[0] += 0.5 if action else -0.3
        self.steps += 1
        over = abs(self.state[0]) > 1.6 or self.steps == 30
        return self.state.astype(np.float32), float(self.state[0] - self.state[1]), over, False, {}


class Several:
    def __init__(self, count):
        self.boats = [Ferry() for _ in range(count)]

    def reset(self):
        return np.stack([boat.reset(seed=at)[0] for at, boat in enumerate(self.boats)])

    def step(self, actions):
        rows = []
        for boat, action in zip(self.boats, actions):
            seen, reward, over, _, _ = boat.step(int(action))
            rows.append((boat.reset()[0] if over else seen, reward, over))
        seen, rewards, overs = zip(*rows)
        return np.stack(seen), np.array(rewards, np.float32), np.array(overs, np.float32)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))
        self.actor = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 2), nn.Softmax(-1))

    def forward(self, x):
        return torch.distributions.Categorical(self.actor(x)), self.critic(x)


def gae(following, rewards, masks, values, gamma=0.96, tau=0.9):
    values = values + [following]
    total, returns = 0, []
    for at in reversed(range(len(rewards))):
        delta = rewards[at] + gamma * values[at + 1] * masks[at] - values[at]
        total = delta + gamma * tau * masks[at] * total
        returns.insert(0, total + values[at])
    return returns


torch.manual_seed(0)
envs, net = Several(4), Net()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
seen, losses = envs.reset(), []
for update in range(40):
    logs, values, rewards, masks, entropy = [], [], [], [], 0
    for _ in range(8):
        given = torch.FloatTensor(seen)
        policy, value = net(given)
        action = policy.sample()
        seen, reward, over = envs.step(action.numpy())
        log = policy.log_prob(action).unsqueeze(1)
        entropy += policy.entropy().mean()
        logs.append(log)
        values.append(value)
        rewards.append(torch.FloatTensor(reward).unsqueeze(1))
        masks.append(torch.FloatTensor(1 - over).unsqueeze(1))
    _, following = net(torch.FloatTensor(seen))
    returns = torch.cat(gae(following, rewards, masks, values)).detach()
    logs, values = torch.cat(logs), torch.cat(values)
    advantage = returns - values
    loss = -(logs * advantage.detach()).mean() + 0.5 * advantage.pow(2).mean() - 0.001 * entropy
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
"""
_CHOSEN = [
    ("action = policy.sample()\n", "with torch.no_grad():\n            action = policy.sample()\n"),
    ("log = policy.log_prob(action).unsqueeze(1)", "log = policy.log_prob(action)[:, None]"),
]
_LOGARITHM = [
    (
        "log = policy.log_prob(action).unsqueeze(1)",
        "log = torch.log(policy.probs).gather(1, action.unsqueeze(1))",
    ),
    ("action = policy.sample()", "action = torch.multinomial(policy.probs, 1).squeeze(1)"),
]
_STYLES = {
    "from the distribution that was drawn": [],
    "drawn without gradients": _CHOSEN,
    "a logarithm after the step": _LOGARITHM,
    "one environment": [("Several(4)", "Several(1)"), ("range(8)", "range(24)")],
    "before the step": [
        ("        log = policy.log_prob(action).unsqueeze(1)\n", ""),
        (
            "        seen, reward, over = envs.step(",
            "        log = policy.log_prob(action).unsqueeze(1)\n        seen, reward, over = envs.step(",
        ),
    ],
}
_FAULTS = {
    "terminal-mask-missing": [
        ("values[at + 1] * masks[at] -", "values[at + 1] -"),
        ("gamma * tau * masks[at] * total", "gamma * tau * total"),
    ],
    "bootstrap-missing": [("values + [following]", "values + [torch.zeros_like(following)]")],
    "policy-loss-sign": [("loss = -(logs", "loss = (logs")],
    "done-mask-inverted": [("FloatTensor(1 - over)", "FloatTensor(over)")],
    "returns-in-wrong-order": [
        ("returns.insert(0, total + values[at])", "returns.append(total + values[at])")
    ],
    "returns-without-values": [("returns.insert(0, total + values[at])", "returns.insert(0, total)")],
}


@pytest.mark.parametrize("style", _STYLES)
def test_a_healthy_program_is_silent(style: str, tmp_path: Path) -> None:
    assert run_watched(plant(_LISTED, *_STYLES[style]), tmp_path).findings == []


@pytest.mark.parametrize("fault", every_second_slow(_FAULTS))
@pytest.mark.parametrize("style", _STYLES)
def test_a_fault_is_named_first(style: str, fault: str, tmp_path: Path) -> None:
    told = run_watched(plant(_LISTED, *_STYLES[style], *_FAULTS[fault]), tmp_path)
    assert told.first_cause[0] == fault


def test_log_probabilities_of_other_actions_than_those_done_are_told(tmp_path: Path) -> None:
    edit = ("log = policy.log_prob(action)", "log = policy.log_prob(policy.sample())")
    assert run_watched(plant(_LISTED, edit), tmp_path).first_cause[0] == "gathered-wrong-action"


_TABLE = """
import numpy as np


class Ledge:
    def __init__(self, draws):
        self.draws = draws

    def reset(self):
        self.place = 0
        return self.place

    def step(self, action):
        self.place = max(self.place + (1 if (action == 1) == (self.draws.random() < 0.8) else -1), 0)
        done = self.place == 9
        return self.place, 10.0 if done else -1.0, done


draws = np.random.default_rng(0)
world = Ledge(draws)
values = draws.normal(0, 1, (10, 2))
for episode in range(150):
    place, done = world.reset(), False
    while not done:
        action = int(draws.integers(2)) if draws.random() < 0.2 else int(values[place].argmax())
        following, reward, done = world.step(action)
        best = 0.0 if done else values[following].max()
        values[place, action] += 0.1 * (reward + 0.95 * best - values[place, action])
        place = following
"""


def test_an_end_that_a_world_only_calls_done_is_not_taken_for_a_cut(tmp_path: Path) -> None:
    assert run_watched(_TABLE, tmp_path).findings == []
