"""Small training programs under watch, in this process; and the same program with a fault planted."""

import runpy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.sensors.all import make_sensors
from modelwright.doctor.watch.listening import Listening
from modelwright.doctor.watch.watch import Watch

__all__ = ["CORRIDOR", "DIGITS", "Told", "every_second_slow", "plant", "run_watched"]

DIGITS = """
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
images = (images / 16.0).astype("float32")
parts = train_test_split(images, labels, test_size=0.2, random_state=0)
seen, held_out, seen_labels, held_out_labels = (torch.tensor(part) for part in parts)
batches = DataLoader(TensorDataset(seen, seen_labels), batch_size=64, shuffle=True)
validation = DataLoader(TensorDataset(held_out, held_out_labels), batch_size=64)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()
losses = []
for epoch in range(5):
    model.train()
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in validation)
"""


CORRIDOR = """
import random

import gymnasium
import numpy as np
import torch
from torch import nn


class Corridor(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-1, 1), 0
        return np.array([self.place, 1.0], np.float32), {}

    def step(self, action):
        self.place += (0.5 if action else -0.5) + self.np_random.normal(0, 0.1)
        self.steps += 1
        ended = abs(self.place) > 2
        observation = np.array([self.place, 1.0], np.float32)
        return observation, 1.0 if self.place > 2 else -0.1, ended, self.steps == 12, {}


random.seed(0)
torch.manual_seed(0)
environment = gymnasium.wrappers.RecordEpisodeStatistics(Corridor())
online = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
target = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
target.load_state_dict(online.state_dict())
optimizer = torch.optim.Adam(online.parameters(), lr=1e-3)
memory, losses, right = [], [], 0
observation, _ = environment.reset(seed=0)
for step in range(900):
    if random.random() < max(0.1, 1 - step / 500):
        action = random.randrange(2)
    else:
        with torch.no_grad():
            action = int(online(torch.from_numpy(observation)[None]).argmax())
    following, reward, terminated, truncated, _ = environment.step(action)
    memory.append((observation, action, reward, following, terminated))
    observation = environment.reset()[0] if terminated or truncated else following
    if step >= 100:
        rows = random.sample(memory, 32)
        states, actions, rewards, nexts, ends = (torch.tensor(np.array(part)) for part in zip(*rows))
        with torch.no_grad():
            best = target(nexts).max(dim=1).values
            goal = rewards.float() + 0.95 * best * (1.0 - ends.float())
        value = online(states).gather(1, actions[:, None]).squeeze(1)
        loss = nn.functional.mse_loss(value, goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 0:
            target.load_state_dict(online.state_dict())
model = online
"""


class _Busy(Watch):
    """Listens as rarely as on the busiest machine, so that what is found depends on no clock."""

    @property
    def share(self) -> float:
        return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a watched program: what was found, and the program's own variables."""

    findings: Sequence[Finding]
    variables: dict[str, Any]

    @property
    def kinds(self) -> list[str]:
        """Kinds of the findings that need action."""
        return [each.kind for each in self.findings if each.severity is not Severity.INFO]

    @property
    def first_cause(self) -> tuple[str, str]:
        """The likeliest cause of the first finding: its name, and the text of its line."""
        cause = self.findings[0].causes[0]
        assert cause.name
        if cause.file is None or cause.line is None:
            return cause.name, ""
        return cause.name, Path(cause.file).read_text().splitlines()[cause.line - 1].strip()


def every_second_slow(names: Iterable[str]) -> list[Any]:
    """Return parameters of a test of which every second one is run with the slow tests only."""
    return [pytest.param(each, marks=pytest.mark.slow) if at % 2 else each for at, each in enumerate(names)]


def plant(program: str, *edits: tuple[str, str]) -> str:
    """Return the program with each old text, which occurs once, replaced by the new."""
    for old, new in edits:
        assert program.count(old) == 1, f"{program.count(old)} times: {old}"
        program = program.replace(old, new)
    return program


def run_watched(program: str, folder: Path) -> Told:
    """Run a program from its text under watch."""
    path = folder / "program.py"
    path.write_text(program)
    watch = _Busy(make_sensors)
    listening = Listening(watch)
    listening.start()
    try:
        variables = runpy.run_path(str(path))
    finally:
        watch.end()
        findings = watch.findings()
        listening.stop()
    return Told(findings=findings, variables=variables)
