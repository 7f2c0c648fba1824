"""An autoencoder that draws its code, and two networks against each other: faults named first."""

from pathlib import Path

import pytest
from watched import plant, run_watched

AUTOENCODER = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Normal, kl_divergence

torch.manual_seed(0)
pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 16.0
encoder = nn.Sequential(nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 16))
decoder = nn.Sequential(nn.Linear(8, 64), nn.ELU(), nn.Linear(64, 64))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
for step in range(120):
    x = pixels[torch.randperm(1400)[:64]]
    mean, log_std = encoder(x).chunk(2, dim=1)
    posterior = Normal(mean, log_std.clamp(-6, 3).exp())
    rebuilt = torch.sigmoid(decoder(posterior.rsample()))
    reconstruction = ((rebuilt - x) ** 2).sum(dim=1).mean() / 0.05
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(dim=1).mean()
    loss = reconstruction + kl
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
_LAST = "nn.Linear(8, 64), nn.ELU(), nn.Linear(64, 64)"

OF_AUTOENCODER = {
    "a sigmoid twice": ([(_LAST, _LAST + ", nn.Sigmoid()")], "sigmoid-twice"),
    "draws without a gradient": ([("rsample()", "sample()")], "reparameterisation-lost"),
    "the divergence raised": ([("reconstruction + kl", "reconstruction - kl")], "loss-sign-flipped"),
    "an encoder that stays random": (
        [("for step in", "for p in encoder.parameters():\n    p.requires_grad = False\nfor step in")],
        "layers-frozen",
    ),
}

RIVALS = """
import torch
from torch import nn

torch.manual_seed(0)
angle = torch.rand(2000) * 6.2832
points = torch.stack([angle.cos(), angle.sin()], dim=1)
maker = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
judge = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
of_maker = torch.optim.Adam(maker.parameters(), lr=1e-3, betas=(0.5, 0.999))
of_judge = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
ones, zeros = torch.ones(64), torch.zeros(64)
for step in range(150):
    real = points[torch.randint(2000, (64,))]
    made = maker(torch.randn(64, 4))
    loss = criterion(judge(real).view(-1), ones) + criterion(judge(made.detach()).view(-1), zeros)
    of_judge.zero_grad()
    loss.backward()
    of_judge.step()
    loss = criterion(judge(made).view(-1), ones)
    of_maker.zero_grad()
    loss.backward()
    of_maker.step()
"""


@pytest.mark.parametrize("program", [AUTOENCODER, RIVALS], ids=["autoencoder", "rivals"])
def test_programs_that_make_things_have_nothing_wrong(program: str, tmp_path: Path) -> None:
    assert run_watched(program, tmp_path).kinds == []


@pytest.mark.parametrize("fault", OF_AUTOENCODER)
def test_a_fault_of_an_autoencoder_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, expected = OF_AUTOENCODER[fault]
    told = run_watched(plant(AUTOENCODER, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


def test_a_maker_that_no_gradient_reaches_is_found(tmp_path: Path) -> None:
    edit = ("criterion(judge(made).view(-1), ones)", "criterion(judge(made.detach()).view(-1), ones)")
    told = run_watched(plant(RIVALS, edit), tmp_path)
    assert told.first_cause[0] == "graph-detached"
    assert told.kinds[0] == "parameters-without-gradient"
