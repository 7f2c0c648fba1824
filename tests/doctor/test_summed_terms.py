"""Losses of two terms, one of them summed over rows; and those that look alike and are right."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_CODES = """
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
rows = torch.randn(256, 12) @ torch.randn(12, 12)
down, up = nn.Linear(12, 8), nn.Linear(4, 12)
adam = torch.optim.Adam([*down.parameters(), *up.parameters()], lr=1e-2)
for epoch in range(12):
    for x in rows[torch.randperm(256)].split(32):
        mean, log_var = down(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        rebuilt = F.mse_loss(up(z), x)
        kl = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(dim=1).mean()
        loss = rebuilt + kl
        adam.zero_grad()
        loss.backward()
        adam.step()
"""
_REBUILT = "rebuilt = F.mse_loss(up(z), x)"
_KL = "-0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(dim=1).mean()"
FAULTS = {
    "a loss's own sum": (_REBUILT, 'rebuilt = F.mse_loss(up(z), x, reduction="sum")'),
    "squares": (_REBUILT, "rebuilt = ((up(z) - x) ** 2).sum() / 2"),
    "a module": (_REBUILT, 'rebuilt = nn.MSELoss(reduction="sum")(up(z), x)'),
    "likelihood": (
        _REBUILT,
        "rebuilt = -torch.distributions.Normal(up(z), 1.0).log_prob(x).sum()",
    ),
    "the other one": (_KL, _KL.replace(".sum(dim=1).mean()", ".sum()")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_term_summed_over_rows_beside_a_mean_is_named(fault: str, tmp_path: Path) -> None:
    told = run_watched(plant(_CODES, FAULTS[fault]), tmp_path)
    found = next(each for each in told.findings if each.kind == "loss-terms-on-two-scales")
    assert found.causes[0].name == "loss-summed-over-batch"
    line = found.causes[0].line
    assert line is not None
    assert FAULTS[fault][1] in plant(_CODES, FAULTS[fault]).splitlines()[line - 1]


SOUND = {
    "as it is": [],
    "each row's sum": [(_REBUILT, "rebuilt = ((up(z) - x) ** 2).sum(dim=1).mean()")],
    "both summed": [
        (_REBUILT, 'rebuilt = F.mse_loss(up(z), x, reduction="sum")'),
        (_KL, _KL.replace(".sum(dim=1).mean()", ".sum()")),
    ],
    "divided by rows": [(_REBUILT, "rebuilt = ((up(z) - x) ** 2).sum() / len(x)")],
    "weighed down": [(_KL, "1e-3 * " + _KL.replace(".sum(dim=1).mean()", ".sum()"))],
    "a penalty on weights": [("loss = rebuilt + kl", "loss = rebuilt + kl + down.weight.square().sum()")],
    "a penalty on as many weights as rows": [
        ("loss = rebuilt + kl", "loss = rebuilt + kl + sum(p.abs().sum() for p in wide.parameters())"),
        ("adam =", "wide = nn.Linear(12, 32)\nadam ="),
    ],
    "a mean that is weighed up": [
        (_REBUILT, 'rebuilt = F.mse_loss(up(z), x, reduction="sum")'),
        ("loss = rebuilt + kl", "loss = rebuilt + 32 * kl"),
    ],
    "a weight that is learnt": [
        (_REBUILT, 'rebuilt = F.mse_loss(up(z), x, reduction="sum")'),
        ("loss = rebuilt + kl", "loss = rebuilt * scale.exp() + kl"),
        ("adam =", "scale = nn.Parameter(torch.zeros(()))\nadam ="),
    ],
}


@pytest.mark.parametrize("sound", SOUND)
def test_terms_that_are_weighed_are_not(sound: str, tmp_path: Path) -> None:
    assert "loss-terms-on-two-scales" not in run_watched(plant(_CODES, *SOUND[sound]), tmp_path).kinds
