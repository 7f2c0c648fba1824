"""Random networks that stay as drawn: right where another one imitates them, wrong inside of one."""

from pathlib import Path

import pytest
from watched import plant, run_watched

SURPRISE = """
import torch
from torch import nn


class Surprise(nn.Module):
    def __init__(self):
        super().__init__()
        self.guess = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 9), nn.ReLU(), nn.Linear(9, 8))
        self.fixed = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 8))
        for weight in self.fixed.parameters():
            weight.requires_grad = False

    def forward(self, places):
        places = (places - 0.5) / 0.3
        wanted = self.fixed(places)
        return (self.guess(places) - wanted).pow(2).mean(-1)


torch.manual_seed(0)
net = Surprise()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for step in range(120):
    loss = net(torch.rand(64, 3)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
"""

_RETURN = "        return (self.guess(places) - wanted).pow(2).mean(-1)\n"
VARIANTS = {
    "as it is": [],
    "both are returned": [
        (_RETURN, "        return self.guess(places), wanted\n"),
        (
            "    loss = net(torch.rand(64, 3)).mean()\n",
            "    one, other = net(torch.rand(64, 3))\n    loss = (one - other).pow(2).mean()\n",
        ),
    ],
    "the fixed one is asked last": [
        (
            "        wanted = self.fixed(places)\n" + _RETURN,
            "        return (self.guess(places) - self.fixed(places)).pow(2).mean(-1)\n",
        ),
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_random_network_that_is_imitated_may_stay(variant: str, tmp_path: Path) -> None:
    assert not run_watched(plant(SURPRISE, *VARIANTS[variant]), tmp_path).kinds


FAULTS = {
    "what it gives goes on": (
        "        self.guess = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 9), nn.ReLU(), "
        "nn.Linear(9, 8))\n",
        "        self.guess = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 1))\n",
        "        wanted = torch.relu(self.fixed(places))\n        return self.guess(wanted)**2\n",
    ),
    "it stands above what learns": (
        "        self.fixed = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 8))\n",
        "        self.fixed = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 1))\n",
        "        return self.fixed(self.guess(places)).pow(2).mean(-1)\n",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_random_network_inside_of_one_that_learns_is_named(fault: str, tmp_path: Path) -> None:
    old, new, body = FAULTS[fault]
    edits = [(old, new), ("        wanted = self.fixed(places)\n" + _RETURN, body)]
    assert "untrained-layers-frozen" in run_watched(plant(SURPRISE, *edits), tmp_path).kinds
