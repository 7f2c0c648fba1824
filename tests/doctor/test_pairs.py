"""Faults of learners with a critic of observations and actions, planted: soft and deterministic policies."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_POINT = """
import copy
import gymnasium
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F


class Point(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (3,))
    action_space = gymnasium.spaces.Box(-1, 1, (2,))

    def _seen(self):
        return np.array([*self.place, 0.1 * self.steps], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-1, 1, 2), 0
        return self._seen(), {}

    def step(self, action):
        self.place = self.place + 0.5 * np.asarray(action, float) + self.np_random.normal(0, 0.1, 2)
        self.steps += 1
        far = float(np.abs(self.place).max())
        return self._seen(), 1.0 - far, far > 1.8, self.steps == 9, {}


torch.manual_seed(0)
rng = np.random.default_rng(0)
env = Point()
"""

SOFT = (
    _POINT
    + """
class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    def forward(self, x, a):
        return self.net(torch.cat([x, a], 1))
class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.mean, self.log_std = nn.Linear(3, 32), nn.Linear(32, 2), nn.Linear(32, 2)
    def forward(self, x):
        h = torch.relu(self.net(x))
        return self.mean(h), torch.tanh(self.log_std(h)) - 1.0
    def get_action(self, x):
        mean, log_std = self(x)
        normal = torch.distributions.Normal(mean, log_std.exp())
        x_t = normal.rsample()
        y_t = torch.tanh(x_t)
        log_prob = normal.log_prob(x_t)
        log_prob -= torch.log(1 - y_t.pow(2) + 1e-6)
        return y_t, log_prob.sum(1, keepdim=True)
actor, qf1, qf2 = Actor(), Critic(), Critic()
qf1_target, qf2_target = copy.deepcopy(qf1), copy.deepcopy(qf2)
q_optimizer = torch.optim.Adam([*qf1.parameters(), *qf2.parameters()], lr=1e-3)
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
target_entropy = -2.0
log_alpha = torch.full((1,), -1.5, requires_grad=True)
a_optimizer = torch.optim.Adam([log_alpha], lr=1e-3)
store = []
obs, _ = env.reset(seed=0)
for step in range(260):
    if step < 120:
        action = env.np_random.uniform(-1, 1, 2).astype(np.float32)
    else:
        action = actor.get_action(torch.tensor(obs[None]))[0].detach().numpy()[0]
    nxt, reward, term, trunc, _ = env.step(action)
    store.append((obs, nxt, action, [reward], [float(term)]))
    obs = env.reset()[0] if term or trunc else nxt
    if step < 120:
        continue
    rows = rng.integers(0, len(store), 32)
    o, n, a, r, d = (torch.tensor(np.array([store[i][k] for i in rows])).float() for k in range(5))
    alpha = log_alpha.exp().item()
    with torch.no_grad():
        na, nlp = actor.get_action(n)
        q_next = torch.min(qf1_target(n, na), qf2_target(n, na)) - alpha * nlp
        next_q = r.flatten() + (1 - d.flatten()) * 0.95 * q_next.view(-1)
    q1, q2 = qf1(o, a).view(-1), qf2(o, a).view(-1)
    q_loss = F.mse_loss(q1, next_q) + F.mse_loss(q2, next_q)
    q_optimizer.zero_grad()
    q_loss.backward()
    q_optimizer.step()
    pi, lp = actor.get_action(o)
    q_pi = torch.min(qf1(o, pi), qf2(o, pi))
    actor_loss = ((alpha * lp) - q_pi).mean()
    actor_optimizer.zero_grad()
    actor_loss.backward()
    actor_optimizer.step()
    with torch.no_grad():
        _, lp = actor.get_action(o)
    alpha_loss = (-log_alpha.exp() * (lp + target_entropy)).mean()
    a_optimizer.zero_grad()
    alpha_loss.backward()
    a_optimizer.step()
    for q, slow in ((qf1, qf1_target), (qf2, qf2_target)):
        for param, target_param in zip(q.parameters(), slow.parameters()):
            target_param.data.copy_(0.02 * param.data + 0.98 * target_param.data)
"""
)

STEADY = (
    _POINT
    + """
def net(i, o, *last):
    return nn.Sequential(nn.Linear(i, 32), nn.ReLU(), nn.Linear(32, o), *last)
actor, critics = net(3, 2, nn.Tanh()), nn.ModuleList([net(5, 1), net(5, 1)])
slow_actor, slow_critics = copy.deepcopy(actor), copy.deepcopy(critics)
actor_adam = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_adam = torch.optim.Adam(critics.parameters(), lr=1e-3)
store = []
obs, _ = env.reset(seed=0)
for step in range(260):
    with torch.no_grad():
        action = actor(torch.tensor(obs)).numpy() + rng.normal(0, 0.3, 2)
    action = np.clip(action, -1, 1).astype(np.float32)
    nxt, reward, term, trunc, _ = env.step(action)
    store.append((obs, action, reward, nxt, term))
    obs = env.reset()[0] if term or trunc else nxt
    if step < 120:
        continue
    rows = rng.integers(0, len(store), 32)
    o, a, r, n, d = (torch.tensor(np.array([store[i][k] for i in rows])).float() for k in range(5))
    with torch.no_grad():
        noise = (0.2 * torch.randn_like(a)).clamp(-0.5, 0.5)
        na = (slow_actor(n) + noise).clamp(-1, 1)
        both = torch.cat([n, na], dim=1)
        smaller = torch.min(slow_critics[0](both), slow_critics[1](both)).squeeze(1)
        y = r + 0.95 * (1 - d) * smaller
    pair = torch.cat([o, a], dim=1)
    loss = sum(F.mse_loss(critic(pair).squeeze(1), y) for critic in critics)
    critic_adam.zero_grad()
    loss.backward()
    critic_adam.step()
    if step % 2 == 0:
        policy_loss = -critics[0](torch.cat([o, actor(o)], dim=1)).mean()
        actor_adam.zero_grad()
        policy_loss.backward()
        actor_adam.step()
        for fast, slow in ((actor, slow_actor), (critics, slow_critics)):
            for one, other in zip(fast.parameters(), slow.parameters()):
                other.data.lerp_(one.data, 0.01)
"""
)

_IN_PLACE = [
    (
        "        return np.array([*self.place, 0.1 * self.steps], np.float32)",
        "        self.kept[:] = [*self.place, 0.1 * self.steps]\n        return self.kept",
    ),
    ("self.place, self.steps =", "self.kept = np.zeros(3, np.float32)\n        self.place, self.steps ="),
]
_WHAT_GOES_ON = [
    ("    with torch.no_grad():\n        noise", "    on = d == 0\n    with torch.no_grad():\n        noise"),
    ("(0.2 * torch.randn_like(a)).", "(0.2 * torch.randn_like(a[on]))."),
    ("slow_actor(n) + noise", "slow_actor(n[on]) + noise"),
    ("torch.cat([n, na], dim=1)", "torch.cat([n[on], na], dim=1)"),
    ("y = r + 0.95 * (1 - d) * smaller", "y = r.masked_scatter(on, r[on] + 0.95 * smaller)"),
]

FAULTS = {
    "soft: the larger critic": (
        SOFT,
        [("q_next = torch.min(", "q_next = torch.max(")],
        "twin-minimum-missing",
    ),
    "soft: no entropy in targets": (SOFT, [(" - alpha * nlp", "")], "entropy-term-missing"),
    "soft: no mask of ends": (SOFT, [("(1 - d.flatten()) * 0.95", "0.95")], "terminal-mask-missing"),
    "soft: cut taken for ended": (
        SOFT,
        [("[float(term)]", "[float(term or trunc)]"), ("0.1 * self.steps", "0.1")],  # the time is not seen
        "truncation-as-terminal",
    ),
    "soft: the actions of before": (
        SOFT,
        [("qf1_target(n, na), qf2_target(n, na)", "qf1_target(n, a), qf2_target(n, a)")],
        "critic-sees-wrong-action",
    ),
    "soft: the policy's actions for before": (
        SOFT,
        [("na, nlp = actor.get_action(n)", "na, nlp = actor.get_action(o)")],
        "critic-sees-wrong-action",
    ),
    "soft: the critics that learn": (
        SOFT,
        [("qf1_target(n, na), qf2_target(n, na)", "qf1(n, na), qf2(n, na)")],
        "target-uses-online",
    ),
    "soft: no gradient through the action": (
        SOFT,
        [("normal.rsample()", "normal.sample()")],
        "reparameterisation-lost",
    ),
    "soft: the temperature the wrong way": (
        SOFT,
        [("(-log_alpha.exp()", "(log_alpha.exp()")],
        "temperature-loss-sign",
    ),
    "soft: a positive target entropy": (
        SOFT,
        [("target_entropy = -2.0", "target_entropy = 2.0")],
        "target-entropy-sign",
    ),
    "soft: the policy's step changes critics": (
        SOFT,
        [
            (
                "Adam(actor.parameters(), lr",
                "Adam([*actor.parameters(), *qf1.parameters(), *qf2.parameters()], lr",
            )
        ],
        "actor-loss-updates-critic",
    ),
    "soft: squashing not counted": (
        SOFT,
        [("        log_prob -= torch.log(1 - y_t.pow(2) + 1e-6)\n", "")],
        "log-det-missing",
    ),
    "soft: squashing not counted, a temperature of one": (
        SOFT,
        [
            ("        log_prob -= torch.log(1 - y_t.pow(2) + 1e-6)\n", ""),
            ("torch.full((1,), -1.5, requires_grad=True)", "torch.zeros(1, requires_grad=True)"),
        ],
        "log-det-missing",
    ),
    "steady: the policy seeks low values": (
        STEADY,
        [("policy_loss = -critics", "policy_loss = critics")],
        "policy-loss-sign",
    ),
    "steady: the larger critic": (
        STEADY,
        [("smaller = torch.min(", "smaller = torch.max(")],
        "twin-minimum-missing",
    ),
    "steady: one critic, which is the smaller one everywhere at first": (
        STEADY,
        [
            ("slow_actor, slow_critics =", "critics[1][2].bias.data += 0.6\nslow_actor, slow_critics ="),
            ("torch.min(slow_critics[0](both), slow_critics[1](both))", "slow_critics[0](both)"),
            (
                "slow_critics[0](both).squeeze",
                "torch.stack([slow(both) for slow in slow_critics])[0].squeeze",
            ),
            ("range(260)", "range(900)"),
            ("lerp_(one.data, 0.01)", "lerp_(one.data, 0.1)"),
        ],
        "twin-minimum-missing",
    ),
    "steady: written in place, where only what goes on has a value": (
        STEADY,
        [*_IN_PLACE, *_WHAT_GOES_ON],
        "observation-aliased",
    ),
    "steady: no gradient through the action": (
        STEADY,
        [("torch.cat([o, actor(o)]", "torch.cat([o, actor(o).detach()]")],
        "graph-detached",
    ),
    "steady: no noise while acting": (
        STEADY,
        [(".numpy() + rng.normal(0, 0.3, 2)", ".numpy()")],
        "exploration-missing",
    ),
    "steady: the policy's actions for before": (
        STEADY,
        [("na = (slow_actor(n) + noise)", "na = (slow_actor(o) + noise)")],
        "critic-sees-wrong-action",
    ),
    "soft: what follows is stored as both": (
        SOFT,
        [("store.append((obs, nxt, action,", "store.append((nxt, nxt, action,")],
        "next-observation-wrong",
    ),
    "steady: what the policy gives is stored, after random actions": (
        STEADY,
        [
            (
                "rng.normal(0, 0.3, 2)\n",
                "rng.normal(0, 0.3, 2)\n    if step < 100:\n        action = rng.uniform(-1, 1, 2)\n",
            ),
            ("store.append((obs, action,", "store.append((obs, actor(torch.tensor(obs)).detach().numpy(),"),
        ],
        "critic-sees-wrong-action",
    ),
    "steady: what follows is stored as both": (
        STEADY,
        [
            (
                "store.append((obs, action, reward, nxt, term))",
                "store.append((nxt, action, reward, nxt, term))",
            )
        ],
        "next-observation-wrong",
    ),
    "steady: what came before is stored as both": (
        STEADY,
        [
            (
                "store.append((obs, action, reward, nxt, term))",
                "store.append((obs, action, reward, obs, term))",
            )
        ],
        "next-observation-wrong",
    ),
    "steady: no mask of ends, which are rare": (
        STEADY,
        [
            ("0.95 * (1 - d) * smaller", "0.95 * smaller"),
            ("self.place + 0.5 *", "0.9 * self.place + 0.2 *"),
            ("for step in range(260)", "for step in range(700)"),
            ("self.steps == 9", "self.steps == 40"),
        ],
        "terminal-mask-missing",
    ),
    "steady: actions of other rows": (
        STEADY,
        [("pair = torch.cat([o, a], dim=1)", "pair = torch.cat([o, a.flip(0)], dim=1)")],
        "critic-sees-wrong-action",
    ),
}

VARIANTS = {
    "soft": (SOFT, []),
    "soft: one critic": (
        SOFT,
        [
            ("torch.min(qf1_target(n, na), qf2_target(n, na))", "qf1_target(n, na)"),
            ("torch.min(qf1(o, pi), qf2(o, pi))", "qf1(o, pi)"),
        ],
    ),
    "soft: a temperature of one": (
        SOFT,
        [("torch.full((1,), -1.5, requires_grad=True)", "torch.zeros(1, requires_grad=True)")],
    ),
    "soft: half the reward": (SOFT, [("[reward], [", "[0.5 * reward], [")]),
    "soft: actions scaled for the environment": (SOFT, [("env.step(action)", "env.step(0.7 * action)")]),
    "soft: no squashing": (
        SOFT,
        [
            ("y_t = torch.tanh(x_t)", "y_t = x_t"),
            ("        log_prob -= torch.log(1 - y_t.pow(2) + 1e-6)\n", ""),
        ],
    ),
    "steady": (STEADY, []),
    "steady: no noise, no delay": (
        STEADY,
        [("(slow_actor(n) + noise).clamp(-1, 1)", "slow_actor(n)"), ("if step % 2 == 0", "if True")],
    ),
    "steady: only what goes on has a value": (STEADY, _WHAT_GOES_ON),
    "steady: written in place, and copied": (
        STEADY,
        [
            *_IN_PLACE,
            ("store.append((obs, ", "store.append((obs_kept, "),
            (", nxt, term))", ", nxt.copy(), term))"),
            ("    nxt, reward, term", "    obs_kept = obs.copy()\n    nxt, reward, term"),
        ],
    ),
    "steady: the policy is asked about both at once": (
        STEADY,
        [("slow_actor(n) + noise", "slow_actor(torch.cat([o, n]))[32:] + noise")],
    ),
    "steady: the policy is asked about both": (
        STEADY,
        [("noise = (0.2", "before = slow_actor(o)\n        noise = 0.0 * before + (0.2")],
    ),
    "steady: one loss for both": (
        STEADY,
        [("    critic_adam.step()\n", "    critic_adam.step()\n    critics.zero_grad()\n")],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_pairs_is_named_first(fault: str, tmp_path: Path) -> None:
    program, edits, expected = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_only_looks_odd_in_pairs_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).findings == []
