"""Networks that learn against each other, and mistakes in how they do."""

from pathlib import Path

import pytest
from watched import run_watched

_PROGRAM = """
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

torch.manual_seed(0)
maker = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)LAST)
judge = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
of_maker = torch.optim.Adam(maker.parameters(), 1e-3)
of_judge = torch.optim.Adam(judge.parameters(), 1e-3)
ones, zeros = torch.ones(32, 1), torch.zeros(32, 1)
noise = torch.randn(32, 4)
for step in range(40):
    angle = 6.283 * torch.rand(32)
    real = torch.stack([angle.cos(), angle.sin()], dim=1)
    made = maker(NOISE)
    said, other = judge(made.detach()), judge(real)
    loss = JUDGED
    of_judge.zero_grad()
    loss.backward()
    of_judge.step()
    said = judge(made)
    loss = MADE
    of_maker.zero_grad()
    loss.backward()
    of_maker.step()
"""
_CROSS = "bce(said, zeros) + bce(other, ones)"
_MEANS = "said.mean() - other.mean()"
_SQUARES = "said.square().mean() + (other - 1).square().mean()"
_FRESH = "torch.randn(32, 4)"


def _program(judged: str, made: str, noise: str = _FRESH, last: str = "") -> str:
    told = (("JUDGED", judged), ("MADE", made), ("NOISE", noise), ("LAST", last))
    program = _PROGRAM
    for old, new in told:
        program = program.replace(old, new)
    return program


@pytest.mark.parametrize(
    ("judged", "made"),
    [(_CROSS, "bce(said, zeros)"), (_MEANS, "said.mean()"), (_SQUARES, "said.square().mean()")],
)
def test_a_maker_that_learns_to_be_told_apart_is_found(judged: str, made: str, tmp_path: Path) -> None:
    told = run_watched(_program(judged, made), tmp_path)
    assert told.kinds == ["adversaries-pull-together"]
    assert told.first_cause == ("loss-sign-flipped", "said = judge(made)")


@pytest.mark.parametrize(
    ("judged", "made"),
    [
        (_CROSS, "bce(said, ones)"),
        (_CROSS, "-bce(said, zeros)"),
        (_CROSS, "bce(judge(maker(torch.randn(32, 4))), ones)"),
        (_MEANS, "-said.mean()"),
        (_SQUARES, "(said - 1).square().mean()"),
    ],
)
def test_networks_that_learn_against_each_other_are_right(judged: str, made: str, tmp_path: Path) -> None:
    assert run_watched(_program(judged, made), tmp_path).kinds == []


def test_noise_that_is_drawn_once_is_found_where_it_is_drawn(tmp_path: Path) -> None:
    told = run_watched(_program(_CROSS, "bce(said, ones)", noise="noise"), tmp_path)
    assert told.kinds == ["same-noise-at-every-step"]
    assert told.first_cause == ("noise-drawn-once", "noise = torch.randn(32, 4)")


def test_rows_that_the_maker_cannot_make_are_found(tmp_path: Path) -> None:
    told = run_watched(_program(_CROSS, "bce(said, ones)", last=", nn.ReLU()"), tmp_path)
    assert "targets-out-of-reach" in told.kinds
    cause = next(each for each in told.findings if each.kind == "targets-out-of-reach").causes[0]
    assert cause.name == "relu-on-output"
    assert run_watched(_program(_CROSS, "bce(said, ones)", last=", nn.Tanh()"), tmp_path).kinds == []
