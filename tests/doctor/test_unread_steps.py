"""Recurrent networks that read their windows, and some that read only the first step."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_TIDES = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
level = torch.sin(torch.arange(500) * 0.4) + 0.5 * torch.sin(torch.arange(500) * 0.17)
level = torch.stack([level, torch.cos(torch.arange(500) * 0.4)], 1) + 0.05 * torch.randn(500, 2)
windows = torch.stack([level[at : at + 8] for at in range(480)])
goals = torch.stack([level[at + 8, 0] for at in range(480)])


class Tides(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(2, 12, batch_first=True)
        self.head = nn.Linear(12, 1)

    def forward(self, rows):
        out, state = self.layer(rows)
        return self.head(out[:, -1]).squeeze(-1)


model = Tides()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(6):
    for rows, goal in DataLoader(TensorDataset(windows[:400], goals[:400]), 40, shuffle=True):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(rows), goal).backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    print((model(windows[410:]) - goals[410:]).abs().mean())
"""
_TAKEN = "self.head(out[:, -1])"
_HEALTHY = {
    "as it is": (),
    "its state": ((_TAKEN, "self.head(state[-1])"),),
    "a mean": ((_TAKEN, "self.head(out.mean(1))"),),
    "the first of both directions": (
        ("batch_first=True)", "batch_first=True, bidirectional=True)"),
        ("nn.Linear(12, 1)", "nn.Linear(24, 1)"),
        (_TAKEN, "self.head(out[:, 0])"),
    ),
    "from the last to the first": (
        ("out, state = self.layer(rows)", "out, state = self.layer(rows.flip(1))"),
    ),
    "steps first": (
        ("batch_first=True)", ")"),
        ("self.layer(rows)", "self.layer(rows.transpose(0, 1))"),
        (_TAKEN, "self.head(out[-1])"),
    ),
}


@pytest.mark.parametrize("taken", ["self.head(out[:, 0])", "self.head(out[:, :1].flatten(1))"])
def test_a_network_that_reads_the_first_step_only_is_told(taken: str, tmp_path: Path) -> None:
    told = run_watched(plant(_TIDES, (_TAKEN, taken)), tmp_path)
    assert told.kinds[0] == "later-steps-not-read"
    assert told.first_cause[0] == "first-step-taken"


@pytest.mark.parametrize("variant", _HEALTHY)
def test_networks_that_read_all_steps_raise_nothing(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(_TIDES, *_HEALTHY[variant]), tmp_path).kinds == []
