"""Tables of codes that begin all alike, and parts of a model that are measured in training mode."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_TASTES = """
import torch
from torch import nn

torch.manual_seed(0)
guests, dishes = torch.randint(60, (3000,)), torch.randint(40, (3000,))
likes = (torch.randn(60, 3)[guests] * torch.randn(40, 3)[dishes]).sum(1) + 0.1 * torch.randn(3000)


class Tastes(nn.Module):
    def __init__(self):
        super().__init__()
        self.guest, self.dish = nn.Embedding(60, 4), nn.Embedding(40, 4)
        self.usual = nn.Embedding(40, 1)
        nn.init.zeros_(self.usual.weight)

    def forward(self, guest, dish):
        return (self.guest(guest) * self.dish(dish)).sum(1) + self.usual(dish).squeeze(1)


tastes = Tastes()
optimizer = torch.optim.Adam(tastes.parameters(), lr=0.02)
for epoch in range(6):
    for part in torch.randperm(2400).split(100):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(tastes(guests[part], dishes[part]), likes[part])
        loss.backward()
        optimizer.step()
with torch.no_grad():
    print(nn.functional.mse_loss(tastes(guests[2400:], dishes[2400:]), likes[2400:]).item())
"""
_FIRST = "        nn.init.zeros_(self.usual.weight)\n"


@pytest.mark.parametrize("how", ["nn.init.constant_({}.weight, 0.1)", "nn.init.zeros_({}.weight)"])
def test_codes_whose_numbers_never_differ_are_named(how: str, tmp_path: Path) -> None:
    both = "".join(f"        {how.format(name)}\n" for name in ("self.guest", "self.dish"))
    told = run_watched(plant(_TASTES, (_FIRST, _FIRST + both)), tmp_path)
    assert told.first_cause[0] == "constant-initialisation"


@pytest.mark.parametrize("first", ["", "        nn.init.zeros_(self.guest.weight)\n"])
def test_codes_that_come_apart_are_well(first: str, tmp_path: Path) -> None:
    assert not run_watched(plant(_TASTES, (_FIRST, _FIRST + first)), tmp_path).kinds


_VIEWS = """
import copy
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(500, 8) @ torch.randn(8, 8)
body = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 6))


class Views(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = body, nn.Linear(6, 6)

    def forward(self, one, other):
        return self.head(self.body(one)), self.body(other).detach()


views, slow = Views(), copy.deepcopy(body).requires_grad_(False)
optimizer = torch.optim.Adam(views.parameters(), lr=2e-3)
for epoch in range(6):
    views.train()
    for part in torch.randperm(400).split(50):
        one, other = (x[part] + 0.1 * torch.randn(50, 8) for _ in range(2))
        said, goal = views(one, other)
        loss = -F.cosine_similarity(said, goal).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    body.eval()
    with torch.no_grad():
        print(body(x[400:]).mean())
"""


def test_a_part_that_is_measured_in_training_mode_is_named(tmp_path: Path) -> None:
    assert not run_watched(_VIEWS, tmp_path).kinds
    slow = "        with torch.no_grad():\n            goal = goal + slow(other)\n        loss ="
    assert not run_watched(plant(_VIEWS, ("        loss =", slow)), tmp_path).kinds
    told = run_watched(plant(_VIEWS, ("    body.eval()\n", "")), tmp_path)
    assert told.first_cause == ("eval-mode-missing", "print(body(x[400:]).mean())")
