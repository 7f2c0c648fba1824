"""Losses that become infinite: what made them so is told all the same."""

from pathlib import Path

from watched import run_watched

_PROGRAM = """
import torch
from torch import nn

torch.manual_seed(0)
x = 3 * torch.randn(256, 8)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
sgd = torch.optim.SGD(model.parameters(), lr=0.5)
for step in range(100):
    rows = torch.randperm(256)[:32]
    sgd.zero_grad()
    loss = nn.functional.nll_loss(model(x[rows]), y[rows])
    loss.backward()
    sgd.step()
"""


def test_logits_for_log_probabilities_are_told_where_the_loss_ends_infinite(tmp_path: Path) -> None:
    told = run_watched(_PROGRAM, tmp_path)
    assert "loss-not-finite" in told.kinds
    found = next(each for each in told.findings if each.kind == "no-log-probabilities-into-nll")
    assert found.causes[0].line == 13
    assert not [each for each in told.findings if each.kind == "sensor-failed"]
