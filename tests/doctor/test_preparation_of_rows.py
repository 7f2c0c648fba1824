"""Rows measured beside rows learnt: prepared in another way, the very same, or drawn by another model."""

from pathlib import Path

import pytest
from watched import run_watched

_WINE = """
import torch
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(0)
wine = load_wine()
x, y = torch.tensor(wine.data, dtype=torch.float32), torch.tensor(wine.target)
order = torch.randperm(len(x))
seen, held = order[:118], order[118:]
mean, deviation = x[seen].mean(0), x[seen].std(0)
learnt, measured = (x[seen] - mean) / deviation, MEASURED
model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(20):
    for rows in torch.randperm(118).split(16):
        sgd.zero_grad()
        nn.functional.cross_entropy(model(learnt[rows]), y[seen][rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), LIMIT)
        sgd.step()
with torch.no_grad():
    accuracy = (model(measured).argmax(1) == y[held]).float().mean()
"""
_CODES = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Normal, kl_divergence

torch.manual_seed(0)
pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 16
seen, held = pixels[:1200], pixels[1200:]
encoder, decoder = nn.Linear(64, 16), nn.Linear(8, 64)
adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)


def code(x):
    mean, size = encoder(x).chunk(2, dim=1)
    return Normal(mean, size.clamp(-4, 3).exp())


for epoch in range(5):
    for x in seen[torch.randperm(1200)].split(64):
        adam.zero_grad()
        drawn = code(x)
        error = (torch.sigmoid(decoder(drawn.DRAW())) - x).square().sum(1).mean()
        (10 * error + kl_divergence(drawn, Normal(0.0, 1.0)).sum(1).mean()).backward()
        adam.step()
    with torch.no_grad():
        error = (torch.sigmoid(decoder(code(MEASURED).mean)) - MEASURED).square().mean()
"""


def _wine(measured: str, limit: str = "2.0") -> str:
    return _WINE.replace("MEASURED", measured).replace("LIMIT", limit)


def test_a_scale_that_is_left_out_where_rows_are_measured_is_found(tmp_path: Path) -> None:
    told = run_watched(_wine("x[held] - mean"), tmp_path)
    assert told.kinds == ["measured-outside-of-what-was-learnt"]
    assert told.first_cause[0] == "preprocessing-differs-at-evaluation"
    assert run_watched(_wine("(x[held] - mean) / deviation"), tmp_path).kinds == []


@pytest.mark.parametrize(
    ("last", "kinds"),
    [
        ("x[held]", ["measured-outside-of-what-was-learnt"]),
        ("(x[held] - mean) / deviation * 1.01", []),
        ("(x[held] - mean) / deviation * 15", []),
        ("(x[held] - mean) / deviation + 0.5 * torch.randn(60, 13)", []),
    ],
)
def test_one_part_alone_is_spoken_of_where_its_scale_is_left_out(
    last: str, kinds: list[str], tmp_path: Path
) -> None:
    text = _wine("(x[held] - mean) / deviation")
    text += f"sgd.step()\nwith torch.no_grad():\n    print((model({last}).argmax(1) == y[held]).sum())\n"
    assert run_watched(text, tmp_path).kinds == kinds


def test_a_tiny_limit_of_gradients_is_named_before_the_rate(tmp_path: Path) -> None:
    told = run_watched(_wine("(x[held] - mean) / deviation", limit="2e-4"), tmp_path)
    assert "nothing-learnt" in told.kinds
    assert {each.causes[0].name for each in told.findings} == {"clip-norm-tiny"}


@pytest.mark.parametrize(
    ("measured", "draw", "kinds"),
    [
        ("held", "rsample", []),
        ("seen", "rsample", ["measured-on-training-rows"]),
        ("held", "sample", ["draws-without-gradient"]),
    ],
)
def test_rows_of_one_model_are_not_those_that_it_gives_another(
    measured: str, draw: str, kinds: list[str], tmp_path: Path
) -> None:
    assert run_watched(_CODES.replace("MEASURED", measured).replace("DRAW", draw), tmp_path).kinds == kinds
