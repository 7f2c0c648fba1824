"""Trials of a user's, in PyTorch and scikit-learn: right ones, and the same with one thing wrong."""

from pathlib import Path
from typing import Any

from modelwright.experiment.design import Design
from modelwright.lab.project import Project

__all__ = ["ACTING", "LEARNING", "design_of", "line_of", "make_project"]

LEARNING = """
import torch
from torch import nn


class Model:
    def __init__(self, net, mean, deviation):
        self.net, self.mean, self.deviation = net, mean, deviation

    def __getstate__(self):
        return {name: value.numpy().copy() for name, value in self.net.state_dict().items()}

    def predict_proba(self, features):
        self.net.eval()
        x = (torch.as_tensor(features, dtype=torch.float32) - self.mean) / self.deviation
        with torch.no_grad():
            found = torch.softmax(self.net(x), dim=1).double().numpy()
        self.net.train()
        return found / found.sum(axis=1, keepdims=True)

    predict = predict_proba


def train(features, target, rate=0.02, updates=120, fault="", raises=0):
    rows = torch.as_tensor(features, dtype=torch.float32)
    mean, deviation = rows.mean(0), rows.std(0) + 1e-6
    x, y = (rows - mean) / deviation, torch.as_tensor(target)
    net = nn.Sequential(nn.Linear(x.shape[1], 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 3))
    other = nn.Sequential(nn.Linear(x.shape[1], 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 3))
    learnt = other if fault == "optimizer" else net
    optimizer = torch.optim.Adam(learnt.parameters(), lr=rate)
    for update in range(1, updates + 1):
        drawn = torch.randint(len(x), (32,))
        loss = nn.functional.cross_entropy(net(x[drawn]), y[drawn])
        if fault == "sign":
            loss = -loss
        if fault != "zero":
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update == raises:
            raise RuntimeError("the disk of the user's is full")
        step = {"train_loss": float(loss.detach())}
        yield {**step, "model": Model(net, mean, deviation)} if update % 40 == 0 else step
"""

ACTING = """
import random

import gymnasium
import numpy as np
import torch
from torch import nn


class Greedy:
    def __init__(self, values):
        self.values = values

    def __getstate__(self):
        return {name: value.numpy().copy() for name, value in self.values.state_dict().items()}

    def act(self, observation):
        with torch.no_grad():
            return int(self.values(torch.as_tensor(observation)[None]).argmax())


def dqn(environment, rng, steps=1500, masked=True, gamma=0.98):
    values, target = (
        nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2)) for _ in range(2)
    )
    target.load_state_dict(values.state_dict())
    optimizer = torch.optim.Adam(values.parameters(), lr=1e-3)
    memory = []
    before, _ = environment.reset()
    total, last = 0.0, 0.0
    for step in range(1, steps + 1):
        if rng.random() < max(0.05, 1 - step / 800):
            action = int(rng.integers(2))
        else:
            with torch.no_grad():
                action = int(values(torch.as_tensor(before)[None]).argmax())
        after, reward, ended, cut, _ = environment.step(action)
        memory.append((before, action, reward, after, ended))
        total += reward
        before = after
        if ended or cut:
            last, total = total, 0.0
            before, _ = environment.reset()
        if step > 200 and step % 4 == 0:
            drawn = [memory[each] for each in rng.integers(len(memory), size=32)]
            states, actions, rewards, nexts, ends = (
                torch.as_tensor(np.array(part)) for part in zip(*drawn)
            )
            with torch.no_grad():
                best = target(nexts).max(dim=1).values
                alive = 1.0 - ends.float() if masked else 1.0
                wanted = rewards.float() + gamma * best * alive
            found = values(states).gather(1, actions[:, None]).squeeze(1)
            loss = nn.functional.mse_loss(found, wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if step % 200 == 0:
            target.load_state_dict(values.state_dict())
        if step % 500 == 0:
            yield {"episode_return": last, "policy": Greedy(values)}
"""


def line_of(text: str, source: str = LEARNING) -> int:
    """Return the number of the first line that holds a text."""
    return next(at for at, line in enumerate(source.splitlines(), start=1) if text in line)


def make_project(root: Path) -> Project:
    """Return a project with both files."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "mine.py").write_text(LEARNING)
    (root / "acting.py").write_text(ACTING)
    return Project.find(root, journal=Path(".modelwright"))


def design_of(one: dict[str, Any], other: dict[str, Any] | None = None, **changes: Any) -> Design:
    """Return a design of two variants, `one` and `other`, on rows."""
    plain = {"learner": "mine.py:train"}
    return Design.from_mapping(
        {
            "name": "watched",
            "question": {
                "hypothesis": "One names a wine's cultivar more often than the other.",
                "metric": "accuracy",
                "smallest_effect": 0.05,
            },
            "data": {"kind": "sklearn", "name": "wine"},
            "variants": {
                "one": {**plain, **one},
                "other": {**plain, "rate": 0.01} if other is None else other,
            },
            "seeds": 3,
            **changes,
        }
    )
