"""Axes of rows that are mixed where rows are learnt, or where they are measured."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_HEARTS = """
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)
t = np.arange(20) / 4
rate = rng.uniform(0.5, 2.0, 700)
level = np.array([0.0, 3.0, -1.0])[None, :, None]
beats = np.sin(rate[:, None, None] * t + rng.normal(0, 0.3, (700, 3, 1))) + level
beats = beats + rng.normal(0, 0.1, beats.shape)
seen, held = beats[:500], beats[500:]
seen, held = torch.tensor(seen, dtype=torch.float32), torch.tensor(held, dtype=torch.float32)
goal = torch.tensor(rate, dtype=torch.float32)
model = nn.Sequential(nn.Conv1d(3, 16, 5), nn.ReLU(), nn.Flatten(), nn.Linear(256, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(8):
    for rows in torch.randperm(500).split(50):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(seen[rows])[:, 0], goal[:500][rows]).backward()
        optimizer.step()
    with torch.no_grad():
        print(nn.functional.mse_loss(model(held)[:, 0], goal[500:]).item())
"""

_LINE = "seen, held = beats[:500], beats[500:]"
_MIXED = "seen, held = beats[:500].transpose(0, 2, 1).reshape(500, 3, 20), beats[500:]"
_HELD = "seen, held = beats[:500], np.swapaxes(beats[500:], 1, 2).copy().reshape(200, 3, 20)"

_RIGHT = {
    "as it is": [],
    "mixed everywhere": [(_LINE, "beats = beats.transpose(0, 2, 1).reshape(700, 3, 20)\n" + _LINE)],
    "another level later": [(_LINE, "beats[500:] += 0.5\n" + _LINE)],
    "the other way round": [(_LINE, "seen, held = beats[:500], beats[500:, :, ::-1].copy()")],
}


@pytest.mark.parametrize(("line", "where"), [(_MIXED, "model(seen"), (_HELD, "model(")])
def test_axes_that_are_mixed_in_one_part_are_found(line: str, where: str, tmp_path: Path) -> None:
    told = run_watched(plant(_HEARTS, (_LINE, line)), tmp_path)
    assert "measured-outside-of-what-was-learnt" in told.kinds
    found = next(each for each in told.findings if each.kind == "measured-outside-of-what-was-learnt")
    assert found.causes[0].name == "axes-mixed-by-reshape"
    assert "exchanged" in found.title


@pytest.mark.parametrize("way", _RIGHT)
def test_nothing_is_said_of_axes_that_are_alike(way: str, tmp_path: Path) -> None:
    told = run_watched(plant(_HEARTS, *_RIGHT[way]), tmp_path)
    assert not any("exchanged" in each.title for each in told.findings)
