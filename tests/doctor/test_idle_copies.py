"""Copies that are measured in place of the model that learns."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_TIDES = """
import copy

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(700, 6)
y = (x[:, 0] + torch.sin(2 * x[:, 1])).unsqueeze(1)


class Tide(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 24), nn.Linear(24, 1)

    def forward(self, rows):
        return self.last(torch.tanh(self.first(rows)))


class Average:
    def __init__(self, model, decay=0.9):
        self.copy, self.decay = copy.deepcopy(model), decay

    def follow(self, model):
        with torch.no_grad():
            for mine, other in zip(self.copy.parameters(), model.parameters()):
                mine.lerp_(other, 1 - self.decay)


model = Tide()
average = Average(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(10):
    model.train()
    for rows in torch.randperm(500).split(50):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
        average.follow(model)
    average.copy.eval()
    with torch.no_grad():
        print(nn.functional.mse_loss(average.copy(x[500:]), y[500:]).item())
"""

_IDLE = ("        average.follow(model)\n", "")
_SWA = [
    ("average = Average(model)", "average = torch.optim.swa_utils.AveragedModel(model)"),
    ("average.copy.eval()", "average.eval()"),
    ("average.copy(x[500:])", "average(x[500:])"),
]

_FAULTS = {
    "an average of one's own": [_IDLE],
    "an average of torch": [*_SWA, _IDLE],
}

_RIGHT = {
    "as it is": [],
    "an average of torch": [*_SWA, ("average.follow(model)", "average.update_parameters(model)")],
    "compared with what it was": [
        _IDLE,
        ("    average.copy.eval()", "    model.eval()\n    average.copy.eval()"),
        (
            "        print(",
            "        print(nn.functional.mse_loss(model(x[500:]), y[500:]).item())\n        print(",
        ),
    ],
    "an average that begins late": [
        ("average.follow(model)", "average.follow(model) if epoch > 7 else None")
    ],
    "a reference that steps keep near to": [
        _IDLE,
        (
            "nn.functional.mse_loss(model(x[rows]), y[rows]).backward()",
            "told = average.copy(x[rows]).detach()\n"
            "        said = model(x[rows])\n"
            "        near = (said - told).square().mean()\n"
            "        (nn.functional.mse_loss(said, y[rows]) + 0.01 * near).backward()",
        ),
    ],
    "a score before learning": [
        _IDLE,
        ("optimizer = torch", "with torch.no_grad():\n    average.copy(x)\noptimizer = torch"),
        ("average.copy.eval()", "model.eval()"),
        ("average.copy(x[500:])", "model(x[500:])"),
    ],
}


@pytest.mark.parametrize("way", _FAULTS)
def test_a_copy_that_never_follows_is_found(way: str, tmp_path: Path) -> None:
    told = run_watched(plant(_TIDES, *_FAULTS[way]), tmp_path)
    assert told.kinds[0] == "copy-measured-never-follows"
    name, line = told.first_cause
    assert name == "copy-never-updated"
    assert "x[500:]" in line


@pytest.mark.parametrize("way", _RIGHT)
def test_nothing_is_said_of_copies_that_follow_or_stand_beside(way: str, tmp_path: Path) -> None:
    assert not run_watched(plant(_TIDES, *_RIGHT[way]), tmp_path).kinds
