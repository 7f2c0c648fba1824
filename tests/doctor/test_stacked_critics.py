"""Several critics that give one tensor, (critic, row): faults are named first, right ones are silent."""

from pathlib import Path

import pytest
from test_pairs import STEADY
from watched import plant, run_watched

_CRITICS = """
class Critics(nn.Module):
    def __init__(self):
        super().__init__()
        self.nets = nn.ModuleList([net(5, 1), net(5, 1)])
    def forward(self, x, u):
        pair = torch.cat([x, u], dim=-1)
        return torch.stack([each(pair).squeeze(-1) for each in self.nets], dim=0)
actor, critics = net(3, 2, nn.Tanh()), Critics()
"""
_LOSS = "    loss = (critics(o, a) - y).square().mean(1).sum()\n"

STACKED = plant(
    STEADY,
    ("actor, critics = net(3, 2, nn.Tanh()), nn.ModuleList([net(5, 1), net(5, 1)])\n", _CRITICS),
    ("        both = torch.cat([n, na], dim=1)\n", ""),
    ("torch.min(slow_critics[0](both), slow_critics[1](both)).squeeze(1)", "slow_critics(n, na).amin(0)"),
    (
        "    pair = torch.cat([o, a], dim=1)\n"
        "    loss = sum(F.mse_loss(critic(pair).squeeze(1), y) for critic in critics)\n",
        _LOSS,
    ),
    ("-critics[0](torch.cat([o, actor(o)], dim=1)).mean()", "-critics(o, actor(o))[0].mean()"),
)
_COLUMNS = [
    ("each(pair).squeeze(-1) for", "each(pair) for"),
    ("(n, na).amin(0)", "(n, na).amin(0).squeeze(1)"),
    ("(critics(o, a) - y)", "(critics(o, a) - y[:, None])"),
]
_EXPANDED = (_LOSS, "    loss = F.smooth_l1_loss(critics(o, a), y.expand(2, -1))\n")

FAULTS = {
    "the mean of both": ([("(n, na).amin(0)", "(n, na).mean(0)")], "twin-minimum-missing"),
    "the first one": ([("(n, na).amin(0)", "(n, na)[0]")], "twin-minimum-missing"),
    "the larger one, of columns": (
        [*_COLUMNS, ("(n, na).amin(0)", "(n, na).amax(0)")],
        "twin-minimum-missing",
    ),
    "no mask of ends": ([("0.95 * (1 - d) * smaller", "0.95 * smaller")], "terminal-mask-missing"),
    "no mask of ends, targets expanded": (
        [_EXPANDED, ("0.95 * (1 - d) * smaller", "0.95 * smaller")],
        "terminal-mask-missing",
    ),
    "the policy's actions for before": (
        [("na = (slow_actor(n) + noise)", "na = (slow_actor(o) + noise)")],
        "critic-sees-wrong-action",
    ),
    "the policy seeks low values": (
        [("policy_loss = -critics", "policy_loss = critics")],
        "policy-loss-sign",
    ),
}

VARIANTS = {
    "stacked": [],
    "columns": _COLUMNS,
    "targets expanded": [_EXPANDED],
    "rows first": [
        ("for each in self.nets], dim=0)", "for each in self.nets], dim=1)"),
        ("(n, na).amin(0)", "(n, na).amin(1)"),
        ("(critics(o, a) - y)", "(critics(o, a) - y[:, None])"),
        ("critics(o, actor(o))[0]", "critics(o, actor(o))[:, 0]"),
    ],
    "five critics, of which two are drawn": [
        ("[net(5, 1), net(5, 1)]", "[net(5, 1) for _ in range(5)]"),
        ("(n, na).amin(0)", "(n, na)[torch.randperm(5)[:2]].amin(0)"),
    ],
    "the policy asks the smaller one": [("critics(o, actor(o))[0]", "critics(o, actor(o)).amin(0)")],
    "one critic": [("[net(5, 1), net(5, 1)]", "[net(5, 1)]")],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_stacked_critics_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, expected = FAULTS[fault]
    told = run_watched(plant(STACKED, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_stacked_critics_that_are_right_are_not_called_wrong(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(STACKED, *VARIANTS[variant]), tmp_path).findings == []
