"""Faults of soft policies and their target networks, planted: of numbers and of few actions."""

from pathlib import Path

import pytest
import torch
from test_pairs import SOFT, STEADY
from watched import every_second_slow, plant, run_watched

from modelwright.doctor.sensors.acting.value.temperature import Temperature
from modelwright.doctor.watch.sensor import Scene

_CHOICES = """
import copy
import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Line(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (3,))
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-1, 1), 0
        return np.array([self.place, abs(self.place), 1.0], np.float32), {}

    def step(self, action):
        self.place += 0.5 * (action - 1) + self.np_random.normal(0, 0.1)
        self.steps += 1
        seen = np.array([self.place, abs(self.place), 1.0], np.float32)
        return seen, 1.0 - abs(self.place), abs(self.place) > 1.8, self.steps == 9, {}


torch.manual_seed(0)
rng = np.random.default_rng(0)
env = Line()


def net():
    return nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 3))


policy, one, two = net(), net(), net()
slow_one, slow_two = copy.deepcopy(one), copy.deepcopy(two)
critic_adam = torch.optim.Adam([*one.parameters(), *two.parameters()], lr=1e-3)
policy_adam = torch.optim.Adam(policy.parameters(), lr=1e-3)
log_alpha = torch.tensor(-1.5, requires_grad=True)
alpha_adam = torch.optim.Adam([log_alpha], lr=1e-3)
wanted = 0.5
store = []
obs, _ = env.reset(seed=0)
for step in range(280):
    with torch.no_grad():
        action = int(torch.multinomial(policy(torch.tensor(obs)).softmax(-1), 1))
    nxt, reward, term, trunc, _ = env.step(action)
    store.append((obs, action, reward, nxt, float(term)))
    obs = env.reset()[0] if term or trunc else nxt
    if step < 120:
        continue
    rows = rng.integers(0, len(store), 32)
    o, a, r, n, d = (torch.tensor(np.array([store[i][k] for i in rows])) for k in range(5))
    alpha = log_alpha.exp().item()
    with torch.no_grad():
        log = F.log_softmax(policy(n), dim=1)
        smaller = torch.min(slow_one(n), slow_two(n))
        y = r.float() + 0.95 * (1 - d.float()) * (log.exp() * (smaller - alpha * log)).sum(1)
    of_one, of_two = one(o).gather(1, a[:, None])[:, 0], two(o).gather(1, a[:, None])[:, 0]
    loss = F.mse_loss(of_one, y) + F.mse_loss(of_two, y)
    critic_adam.zero_grad()
    loss.backward()
    critic_adam.step()
    log = F.log_softmax(policy(o), dim=1)
    with torch.no_grad():
        value = torch.min(one(o), two(o))
    policy_loss = (log.exp() * (alpha * log - value)).sum(1).mean()
    policy_adam.zero_grad()
    policy_loss.backward()
    policy_adam.step()
    entropy = -(log.exp() * log).sum(1).detach()
    alpha_loss = (log_alpha * (entropy - wanted)).mean()
    alpha_adam.zero_grad()
    alpha_loss.backward()
    alpha_adam.step()
    for fast, slow in ((one, slow_one), (two, slow_two)):
        for p, q in zip(fast.parameters(), slow.parameters()):
            q.data.lerp_(p.data, 0.02)
"""

_LOG_DET = "log_prob -= torch.log(1 - y_t.pow(2) + 1e-6)"

WITHIN = (
    SOFT.replace("def forward(self, x):", "def numbers(self, x):")
    .replace("mean, log_std = self(x)", "mean, log_std = self.numbers(x)")
    .replace("def get_action(", "def forward(")
    .replace("actor.get_action(", "actor(")
)
"""A policy that draws, and asks how likely that was, in its own forward."""

FAULTS = {
    "choices: no policy in the mean": (
        _CHOICES,
        [("(log.exp() * (smaller - alpha * log)).sum(1)", "(smaller - alpha * log).mean(1)")],
        "expectation-missing",
    ),
    "choices: the larger critic": (
        _CHOICES,
        [("torch.min(slow_one(n), slow_two(n))", "torch.max(slow_one(n), slow_two(n))")],
        "twin-minimum-missing",
    ),
    "choices: no entropy in targets": (
        _CHOICES,
        [("(smaller - alpha * log)", "smaller")],
        "entropy-term-missing",
    ),
    "choices: entropy with the wrong sign in targets": (
        _CHOICES,
        [("(smaller - alpha * log)", "(smaller + alpha * log)")],
        "entropy-sign-flipped",
    ),
    "choices: no mask of ends": (_CHOICES, [("0.95 * (1 - d.float())", "0.95")], "terminal-mask-missing"),
    "choices: the policy seeks low values": (
        _CHOICES,
        [("(alpha * log - value)", "(alpha * log + value)")],
        "policy-loss-sign",
    ),
    "choices: the policy seeks a low entropy": (
        _CHOICES,
        [("(alpha * log - value)", "(-alpha * log - value)")],
        "entropy-sign-flipped",
    ),
    "choices: the temperature the wrong way": (
        _CHOICES,
        [("(entropy - wanted)", "(wanted - entropy)")],
        "temperature-loss-sign",
    ),
    "choices: a negative target entropy": (
        _CHOICES,
        [("wanted = 0.5", "wanted = -3.0")],
        "target-entropy-sign",
    ),
    "numbers: entropy with the wrong sign in targets": (
        SOFT,
        [(" - alpha * nlp", " + alpha * nlp")],
        "entropy-sign-flipped",
    ),
    "numbers: the policy seeks a low entropy": (
        SOFT,
        [("((alpha * lp) - q_pi)", "(-(alpha * lp) - q_pi)")],
        "entropy-sign-flipped",
    ),
    "numbers: squashing counted the wrong way": (
        SOFT,
        [(_LOG_DET, _LOG_DET.replace("-=", "+="))],
        "log-det-missing",
    ),
    "within: squashing is not counted": (WITHIN, [(_LOG_DET, "pass")], "log-det-missing"),
    "within: squashing is counted the wrong way": (
        WITHIN,
        [(_LOG_DET, _LOG_DET.replace("-=", "+="))],
        "log-det-missing",
    ),
    "numbers: the log-probability of what was squashed": (
        SOFT,
        [("normal.log_prob(x_t)", "normal.log_prob(y_t)")],
        "log-prob-of-clipped-action",
    ),
    "numbers: log-probabilities averaged": (
        SOFT,
        [("log_prob.sum(1, keepdim=True)", "log_prob.mean(1, keepdim=True)")],
        "log-prob-not-summed",
    ),
    "numbers: both targets follow one critic": (
        SOFT,
        [("(qf2, qf2_target)):", "(qf1, qf2_target)):")],
        "target-follows-other-network",
    ),
    "numbers: a target network in the same memory": (
        SOFT,
        [
            (
                "target_param.data.copy_(0.02 * param.data + 0.98 * target_param.data)",
                "target_param.data = param.data",
            )
        ],
        "target-aliases-online",
    ),
    "steady: actions are stored without their noise": (
        STEADY,
        [
            (
                "        action = actor(torch.tensor(obs)).numpy() +",
                "        said = actor(torch.tensor(obs)).numpy()\n        action = said +",
            ),
            ("store.append((obs, action,", "store.append((obs, said,"),
        ],
        "critic-sees-wrong-action",
    ),
}

VARIANTS = {
    "choices": (_CHOICES, []),
    "choices: one critic": (
        _CHOICES,
        [
            ("torch.min(slow_one(n), slow_two(n))", "slow_one(n)"),
            ("torch.min(one(o), two(o))", "one(o)"),
        ],
    ),
    "choices: the policy gives probabilities": (
        _CHOICES,
        [
            (
                "policy, one, two = net(), net(), net()",
                "policy, one, two = net().append(nn.Softmax(-1)), net(), net()",
            ),
            ("policy(torch.tensor(obs)).softmax(-1)", "policy(torch.tensor(obs))"),
            ("F.log_softmax(policy(n), dim=1)", "policy(n).log()"),
            ("F.log_softmax(policy(o), dim=1)", "policy(o).log()"),
        ],
    ),
    "choices: entropy in neither": (
        _CHOICES,
        [("(smaller - alpha * log)", "smaller"), ("(alpha * log - value)", "(-value)")],
    ),
    "numbers: another way to count squashing": (
        SOFT,
        [(_LOG_DET, "log_prob += 2 * (x_t + F.softplus(-2 * x_t) - np.log(2))")],
    ),
    "within": (WITHIN, []),
    "within: a distribution that squashes": (
        WITHIN,
        [
            ("normal = torch", "normal = torch.distributions.TransformedDistribution(torch"),
            ("log_std.exp())\n", "log_std.exp()), [torch.distributions.TanhTransform(cache_size=1)])\n"),
            ("x_t = normal", "y_t = normal"),
            ("        y_t = torch.tanh(x_t)\n", ""),
            ("normal.log_prob(x_t)", "normal.log_prob(y_t)"),
            (_LOG_DET, "pass"),
        ],
    ),
    "numbers: log-probabilities summed before": (
        SOFT,
        [
            (_LOG_DET, "log_prob = log_prob.sum(1) - torch.log(1 - y_t.pow(2) + 1e-6).sum(1)"),
            ("log_prob.sum(1, keepdim=True)", "log_prob[:, None]"),
        ],
    ),
    "choices: targets are given their own state between copies": (
        _CHOICES,
        [
            (
                "        for p, q in zip(fast.parameters(), slow.parameters()):\n"
                "            q.data.lerp_(p.data, 0.02)\n",
                "        slow.load_state_dict((fast if step % 20 == 0 else slow).state_dict())\n",
            )
        ],
    ),
    "steady: targets are hard copies": (
        STEADY,
        [
            (
                "                other.data.lerp_(one.data, 0.01)",
                "                if step % 20 == 0:\n                    other.data.copy_(one.data)",
            )
        ],
    ),
}


@pytest.mark.parametrize("fault", every_second_slow(FAULTS))
def test_a_planted_fault_of_a_soft_policy_is_named_first(fault: str, tmp_path: Path) -> None:
    program, edits, expected = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


@pytest.mark.parametrize("variant", every_second_slow(VARIANTS))
def test_what_only_looks_odd_in_soft_policies_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).findings == []


def test_a_target_entropy_is_found_though_a_few_updates_were_heard_in_part() -> None:
    temperature = Temperature(Scene())
    logarithm = torch.nn.Parameter(torch.tensor(-2.0))
    optimizer = torch.optim.SGD([logarithm], lr=0.1)
    for step in range(12):
        surprise = -1.0 + 0.05 * step
        logarithm.grad = logarithm.detach().exp() * (-surprise + 0.3)
        heard_before = -0.2 if step in (5, 9) else surprise
        temperature.step(optimizer, heard_before, [], of_choices=True)
        optimizer.step()
    (finding,) = temperature.findings()
    assert finding.kind == "target-entropy-negative"
    assert finding.evidence["target_entropy"] == pytest.approx(-0.3, abs=1e-3)
