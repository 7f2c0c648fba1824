"""Losses that are given targets in another code, and in their own."""

from pathlib import Path

import pytest
from watched import run_watched

_PROGRAM = """
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 6)
labels = (x[:, 0] + 0.5 * x[:, 1] > 0).float()
net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, OUTPUTS))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for step in range(60):
    rows = torch.randperm(256)[:32]
    said, y = net(x[rows]), labels[rows]
    both = torch.stack([y, (x[rows, 2] > 0).float()], dim=1)
    shares = torch.stack([1 - y, y], dim=1) * 0.8 + 0.1
    loss = LOSS
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

_WRONG = {
    "rows as classes": (1, "F.cross_entropy(said.squeeze(-1), y)"),
    "one class": (1, "F.cross_entropy(said, y[:, None]) + 1e-3 * said.square().mean()"),
    "several right classes": (2, "F.cross_entropy(said, both)"),
    "signs as shares": (1, "F.binary_cross_entropy_with_logits(said.squeeze(-1), 2 * y - 1)"),
    "codes as shares": (1, "F.binary_cross_entropy_with_logits(said.squeeze(-1), y + 1)"),
    "shares as signs": (1, "F.soft_margin_loss(said.squeeze(-1), y)"),
    "order as shares": (1, "F.margin_ranking_loss(said[:16, 0], said[16:, 0], y[:16])"),
    "probabilities for their logarithms": (
        2,
        "F.kl_div(said.softmax(-1), shares, reduction='batchmean')",
    ),
    "logarithms not told of": (
        2,
        "F.kl_div(said.log_softmax(-1), shares.log(), reduction='batchmean')",
    ),
    "counts below zero": (1, "F.poisson_nll_loss(said.squeeze(-1), x[rows, 0])"),
}
_RIGHT = {
    "labels": (2, "F.cross_entropy(said, y.long())"),
    "shares": (2, "F.cross_entropy(said, shares)"),
    "one hot": (2, "F.cross_entropy(said, torch.stack([1 - y, y], 1))"),
    "one row at a time": (2, "sum(F.cross_entropy(s, t.long()) for s, t in zip(said, y)) / 32"),
    "two labels": (2, "F.binary_cross_entropy_with_logits(said, both)"),
    "signs": (1, "F.soft_margin_loss(said.squeeze(-1), 2 * y - 1)"),
    "logarithms": (
        2,
        "F.kl_div(said.log_softmax(-1), shares, reduction='batchmean')",
    ),
    "logarithms told of": (
        2,
        "F.kl_div(said.log_softmax(-1), shares.log(), log_target=True, reduction='batchmean')",
    ),
    "counts": (1, "F.poisson_nll_loss(said.squeeze(-1), y)"),
}


def _line(outputs: int, loss: str) -> str:
    return _PROGRAM.replace("OUTPUTS", str(outputs)).replace("LOSS", loss)


@pytest.mark.parametrize("which", _WRONG)
def test_targets_of_another_loss_are_found_with_their_line(which: str, tmp_path: Path) -> None:
    program = _line(*_WRONG[which])
    found = next(
        each for each in run_watched(program, tmp_path).findings if each.kind == "targets-of-another-loss"
    )
    assert found.causes[0].name == "wrong-loss"
    assert found.causes[0].line == program.splitlines().index(f"    loss = {_WRONG[which][1]}") + 1


@pytest.mark.parametrize("which", _RIGHT)
def test_targets_of_the_loss_are_nothing(which: str, tmp_path: Path) -> None:
    told = run_watched(_line(*_RIGHT[which]), tmp_path)
    assert [each.title for each in told.findings if each.kind == "targets-of-another-loss"] == []
