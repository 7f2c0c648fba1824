"""Ways of writing policy gradients: rows that only begin anew, layers that remember, models that hold."""

from pathlib import Path

import pytest
from memories import LAYER
from policies import VECTOR
from watched import plant, run_watched

_NEXT_STEP = [("SAME_STEP", "NEXT_STEP"), ('info["final_obs"][i]', "after[i]")]
_MASK = "going = 1.0 - ends[t]"
_CHOICES = [
    ("Normal(self.actor(x), self.log_std.exp())", "Categorical(probs=self.actor(x).softmax(-1))"),
    (
        "policy.log_prob(action).sum(-1), policy.entropy().sum(-1)",
        "policy.log_prob(action), policy.entropy()",
    ),
    ("action.numpy()", "np.stack([2.0 * action.numpy() - 1, 0.0 * action.numpy()], 1)"),
]
_KEPT_NEAR = [
    (
        "            value_loss = (value - returns[rows]).pow(2).mean()\n",
        "            was = torch.cat(values)[rows]\n"
        "            near = was + (value - was).clamp(-0.2, 0.2)\n"
        "            errors = (value - returns[rows]) ** 2, (near - returns[rows]) ** 2\n"
        "            value_loss = torch.max(*errors).mean()\n",
    )
]

HOLDING = """
import gymnasium
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Ferry(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-1, 1), 0
        return np.array([self.place, 1.0], np.float32), {}

    def step(self, action):
        self.place += 0.2 * (2 * action - 1) + self.np_random.normal(0, 0.1)
        self.steps += 1
        over = self.steps >= 20 + 10 * (self.place > 0)
        return np.array([self.place, 1.0], np.float32), float(self.place), bool(over), False, {}


class Helm(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(2, 16)
        self.actor, self.critic = nn.Linear(16, 2), nn.Linear(16, 1)
        self.saved, self.rewards = [], []

    def forward(self, seen):
        seen = torch.tanh(self.body(seen))
        return F.softmax(self.actor(seen), dim=-1), self.critic(seen)


torch.manual_seed(0)
env, helm = Ferry(), Helm()
optimizer = torch.optim.Adam(helm.parameters(), lr=1e-2)
for episode in range(12):
    seen, over = env.reset(seed=episode)[0], False
    while not over:
        probabilities, value = helm(torch.from_numpy(seen))
        policy = torch.distributions.Categorical(probabilities)
        action = policy.sample()
        helm.saved.append((policy.log_prob(action), value))
        seen, reward, over, _, _ = env.step(action.item())
        helm.rewards.append(reward)
    total, returns = 0.0, []
    for reward in helm.rewards[::-1]:
        total = reward + 0.9 * total
        returns.insert(0, total)
    returns = torch.tensor(returns)
    policy_losses, value_losses = [], []
    for (log_prob, value), goal in zip(helm.saved, returns):
        policy_losses.append(-log_prob * (goal - value.item()))
        value_losses.append(F.smooth_l1_loss(value, goal[None]))
    optimizer.zero_grad()
    (torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()).backward()
    optimizer.step()
    del helm.saved[:], helm.rewards[:]
"""
"""An actor-critic whose model holds what happened in its episode, graph and all."""

_WRAPPED = [
    (
        "envs = gymnasium.vector.SyncVectorEnv([Corridor] * 4, autoreset_mode=MODE)\n",
        "def make():\n    return gymnasium.wrappers.NormalizeObservation(Corridor())\n\n\n"
        "envs = gymnasium.vector.SyncVectorEnv([make] * 4, autoreset_mode=MODE)\n",
    ),
    ("return np.array([self.place, 1.0]", "return np.array([3 + self.place, 5 * self.place]"),
    ("observation = np.array([self.place, 1.0]", "observation = np.array([3 + self.place, 5 * self.place]"),
    ("torch.as_tensor(envs.reset(seed=0)[0])", "torch.as_tensor(envs.reset(seed=0)[0]).float()"),
    ("torch.as_tensor(after)", "torch.as_tensor(after).float()"),
    ('torch.as_tensor(info["final_obs"][i])', 'torch.as_tensor(info["final_obs"][i]).float()'),
]
_MEASURED = """
env = TEST
for episode in range(40):
    seen, over = env.reset(seed=100 + episode)[0], False
    env.unwrapped.place = 1.2
    while not over:
        with torch.no_grad():
            action = agent.actor(torch.as_tensor(SCALED).float()[None])[0]
        seen, _, ended, cut, _ = env.step(action.numpy())
        over = ended or cut
"""


def _measured(test: str, scaled: str = "seen") -> str:
    return plant(VECTOR, *_WRAPPED) + _MEASURED.replace("TEST", test).replace("SCALED", scaled)


_RULE = "((seen - rms.mean) / np.sqrt(rms.var + 1e-8))"
_RMS = 'rms = envs.envs[0].get_wrapper_attr("obs_rms")\n'
_SHARED = "make()\nenv.obs_rms = envs.envs[0].obs_rms\nenv.update_running_mean = False"

FAULTS = {
    "no mask beside rows that only begin anew": (
        plant(VECTOR, *_NEXT_STEP, (_MASK, "going = 1.0")),
        "terminal-mask-missing",
    ),
    "the mask of the step before, beside such rows": (
        plant(
            VECTOR,
            *_NEXT_STEP,
            ("LIMIT = 9", "LIMIT = 10**6"),
            (_MASK, "going = 1.0 - (ends[t - 1] if t else torch.zeros(4))"),
        ),
        "gae-done-off-by-one",
    ),
    "rewards with their mean taken off, beside such rows": (
        plant(
            VECTOR,
            *_NEXT_STEP,
            ("reward[i] += GAMMA *", "reward[i] += 0.0 *"),
            ("LIMIT = 9", "LIMIT = 10**6"),
            (
                "    with torch.no_grad():\n        following =",
                "    rewards = torch.stack(rewards)\n"
                "    rewards = (rewards - rewards.mean()) / rewards.std()\n"
                "    with torch.no_grad():\n        following =",
            ),
        ),
        "reward-centred",
    ),
    "a layer's values go past ends": (
        plant(LAYER, ("0.95 * (1 - over) * following", "0.95 * following")),
        "terminal-mask-missing",
    ),
    "a layer's targets are advantages": (
        plant(LAYER, ("target = advantage + torch.cat([each[3] for each in kept])", "target = advantage")),
        "returns-without-values",
    ),
    "an episode's returns in the order of their sums": (
        plant(HOLDING, ("returns.insert(0, total)", "returns.append(total)")),
        "returns-in-wrong-order",
    ),
    "an episode's returns without their own reward": (
        plant(
            HOLDING,
            (
                "        total = reward + 0.9 * total\n        returns.insert(0, total)",
                "        returns.insert(0, total)\n        total = reward + 0.9 * total",
            ),
        ),
        "reward-off-by-one",
    ),
    "a softmax over rows": (
        plant(VECTOR, *_CHOICES, ("softmax(-1)", "softmax(0)")),
        "softmax-over-wrong-axis",
    ),
    "the smaller error of values": (
        plant(VECTOR, *_KEPT_NEAR, ("torch.max(*errors)", "torch.min(*errors)")),
        "clip-wrong-side",
    ),
    "measured without the wrapper": (_measured("Corridor()"), "observation-statistics-not-saved"),
    "measured with a wrapper that knows nothing": (_measured("make()"), "observation-statistics-not-saved"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_first(fault: str, tmp_path: Path) -> None:
    program, name = FAULTS[fault]
    told = run_watched(program, tmp_path)
    assert told.kinds
    assert told.first_cause[0] == name


VARIANTS = {
    "rows that only begin anew": plant(VECTOR, *_NEXT_STEP),
    "rows that only begin anew, and no baseline scale": plant(
        VECTOR, *_NEXT_STEP, ("a = (a - a.mean()) / (a.std() + 1e-8)", "pass")
    ),
    "a layer that remembers": LAYER,
    "a model that holds its episode": HOLDING,
    "returns that are turned round": plant(
        HOLDING,
        ("returns.insert(0, total)", "returns.append(total)"),
        ("torch.tensor(returns)", "torch.tensor(returns[::-1])"),
    ),
    "a softmax over actions": plant(VECTOR, *_CHOICES),
    "a softmax of logits that are written out": plant(
        VECTOR, *_CHOICES, ("probs=self.actor(x).softmax(-1)", "logits=self.actor(x).log_softmax(1) * 1.0")
    ),
    "values that are kept near": plant(VECTOR, *_KEPT_NEAR),
    "measured by what was learnt": _measured("Corridor()\n" + _RMS, _RULE),
    "measured with the wrapper's own statistics": _measured(_SHARED),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_healthy_program_is_silent(variant: str, tmp_path: Path) -> None:
    assert run_watched(VARIANTS[variant], tmp_path).findings == []
