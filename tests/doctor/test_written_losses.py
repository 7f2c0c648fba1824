"""Losses that a program writes out itself: their sign."""

from pathlib import Path

import pytest
from watched import plant, run_watched

PAIRS = """
import torch
from torch.nn import functional as F

torch.manual_seed(0)
groups = torch.randn(6, 10) * 2
net = torch.nn.Sequential(torch.nn.Linear(10, 24), torch.nn.ReLU(), torch.nn.Linear(24, 6))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(120):
    of = torch.randint(0, 6, (24,))
    rows = groups[of] + torch.randn(24, 10)
    said = net(rows)
    LOSS
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def program(*lines: str) -> str:
    return plant(PAIRS, ("LOSS", "\n    ".join(lines)))


PICKED = "picked = F.log_softmax(said, dim=1)[torch.arange(24), of]"
ONE_HOT = "weights = F.one_hot(of, 6) * F.log_softmax(said, dim=-1)"
ALIKE = (
    "near = F.normalize(said, dim=1) @ F.normalize(said, dim=1).T / 0.3",
    "near = near - 1e9 * torch.eye(24)",
    "same = (of[:, None] == of[None]) & ~torch.eye(24, dtype=torch.bool)",
    "log = F.log_softmax(near, dim=1)",
)
RANKED = "apart = said.gather(1, of[:, None]) - said.gather(1, (of[:, None] + 1) % 6)"
ERRORS = "goal = groups[of][:, :6] / 3"

FAULTS: dict[str, tuple[str, str]] = {
    "log-likelihoods of one class": (program(PICKED, "loss = picked.mean()"), "loss = picked.mean()"),
    "log-likelihoods times ones": (program(ONE_HOT, "loss = weights.sum(1).mean()"), "loss ="),
    "neighbours of the same class": (
        program(*ALIKE, "loss = ((log * same).sum(1) / same.sum(1).clamp(min=1)).mean()"),
        "loss =",
    ),
    "pairs that are ranked": (program(RANKED, "loss = F.logsigmoid(apart).mean()"), "loss ="),
    "squares": (program(ERRORS, "loss = -((said - goal) ** 2).mean()"), "loss ="),
    "sizes of errors": (program(ERRORS, "loss = -(goal - said).abs().sum(1).mean()"), "loss ="),
}
HEALTHY: dict[str, str] = {
    "log-likelihoods of one class": program(PICKED, "loss = -picked.mean()"),
    "log-likelihoods times ones": program(ONE_HOT, "loss = -weights.sum(1).mean()"),
    "neighbours of the same class": program(
        *ALIKE, "loss = -((log * same).sum(1) / same.sum(1).clamp(min=1)).mean()"
    ),
    "pairs that are ranked": program(RANKED, "loss = -F.logsigmoid(apart).mean()"),
    "squares": program(ERRORS, "loss = (said - goal).square().mean()"),
    "costs times log-likelihoods of draws": program(
        "draws = torch.distributions.Categorical(logits=said).sample()",
        "picked = F.log_softmax(said, dim=1)[torch.arange(24), draws]",
        "loss = (picked * (2.0 - (draws == of).float())).mean()",
    ),
    "one cost for all draws of a batch": program(
        "draws = torch.distributions.Categorical(logits=said).sample()",
        "picked = F.log_softmax(said, dim=1)[torch.arange(24), draws]",
        "loss = picked.sum() * (2.0 - (draws == of).float()).mean()",
    ),
    "a divergence from what another says": program(
        "other = F.log_softmax(rows @ groups.T / 3, dim=1)",
        "log = F.log_softmax(said, dim=1)",
        "loss = (log.exp() * (log - other)).sum(1).mean()",
    ),
    "an optimizer that makes larger": plant(
        program(PICKED, "loss = picked.mean()"), ("lr=1e-3", "lr=1e-3, maximize=True")
    ),
    "few draws that differ": program(ERRORS, "loss = F.mse_loss(said, goal) - 0.01 * (said - goal).var()"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_loss_that_is_raised_is_found(name: str, tmp_path: Path) -> None:
    text, line = FAULTS[name]
    told = run_watched(text, tmp_path)
    found = next(each for each in told.findings if each.kind == "loss-is-raised")
    assert found.causes[0].name == "loss-sign-flipped"
    assert line in text.splitlines()[found.causes[0].line - 1]


@pytest.mark.parametrize("name", HEALTHY)
def test_a_loss_that_is_lowered_is_left_alone(name: str, tmp_path: Path) -> None:
    assert "loss-is-raised" not in run_watched(HEALTHY[name], tmp_path).kinds
