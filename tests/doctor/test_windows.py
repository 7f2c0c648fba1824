"""Networks on windows of a series: how it was split, codes in it, a loss cut off, a rate cut for nothing."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_FORECAST = """
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

LENGTH = 12
rng = np.random.default_rng(0)
torch.manual_seed(0)
level = np.zeros(900)
for t in range(1, 900):
    level[t] = 0.9 * level[t - 1] + rng.normal()
level = 50 + level
missing = rng.random(900) < 0.02
level[missing] = level.mean()
starts = np.arange(900 - LENGTH)
cut = 600
level = (level - level[:cut].mean()) / level[:cut].std()


class Windows(Dataset):
    def __init__(self, starts):
        self.starts, self.level = starts, torch.tensor(level, dtype=torch.float32)

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, i):
        at = self.starts[i]
        return self.level[None, at : at + LENGTH], self.level[at + 1 : at + LENGTH + 1]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inlet, self.outlet = nn.Conv1d(1, 8, 3), nn.Conv1d(8, 2, 1)

    def forward(self, x):
        mean, raw = self.outlet(torch.tanh(self.inlet(F.pad(x, (2, 0))))).unbind(1)
        return mean, F.softplus(raw) + 0.05


train = DataLoader(Windows(starts[: cut - LENGTH]), batch_size=32, shuffle=True)
held = DataLoader(Windows(starts[cut:]), batch_size=64)
model = Net()
adam = torch.optim.Adam(model.parameters(), lr=2e-3)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, mode="min", factor=0.5, patience=1)
for epoch in range(9):
    model.train()
    for past, upcoming in train:
        mean, sigma = model(past)
        nll = F.gaussian_nll_loss(mean, upcoming, sigma**2, reduction="none")
        loss = nll.mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    model.eval()
    total, rows = 0.0, 0
    with torch.no_grad():
        for past, upcoming in held:
            mean, sigma = model(past)
            total += F.gaussian_nll_loss(mean, upcoming, sigma**2, reduction="sum").item()
            rows += upcoming.numel()
    plateau.step(total / rows)
print(total / rows)
"""

_FAULTS = {
    "windows drawn at random": (
        [("starts = np.arange(900 - LENGTH)", "starts = rng.permutation(900 - LENGTH)")],
        "times-interleaved",
        "random-split-of-time-series",
    ),
    "a code among measurements": (
        [("level[missing] = level.mean()", "level[missing] = -999.0")],
        "missing-value-taken-for-number",
        "missing-value-code",
    ),
    "a loss cut off on both sides": (
        [("loss = nll.mean()", "loss = nll.clamp(-0.5, 0.5).mean()")],
        "large-losses-cut-off",
        "loss-clipped",
    ),
    "progress in the other direction": (
        [
            ('mode="min", factor=0.5, patience=1', 'mode="max", factor=0.5, patience=0'),
            ("lr=2e-3", "lr=1e-2"),
        ],
        "plateau-of-the-other-direction",
        "annealed-too-early",
    ),
}
_VARIANTS = {
    "as it is": [],
    "measured windows reach back": [
        ("held = DataLoader(Windows(starts[cut:])", "held = DataLoader(Windows(starts[cut - LENGTH :])")
    ],
    "a score that is to rise": [
        ('mode="min", factor=0.5, patience=1', 'mode="max", factor=0.5, patience=0'),
        ("plateau.step(total / rows)", "plateau.step(-total / rows)"),
    ],
    "a small lower bound": [("loss = nll.mean()", "loss = nll.clamp(min=-8.0).mean()")],
    "measured on windows with gaps between": [("batch_size=64)", "batch_size=64, sampler=range(0, 288, 7))")],
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_fault_of_windows_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, kind, name = _FAULTS[fault]
    told = run_watched(plant(_FORECAST, *edits), tmp_path)
    assert told.kinds[0] == kind
    assert told.first_cause[0] == name


@pytest.mark.parametrize("variant", _VARIANTS)
def test_right_windows_raise_nothing(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(_FORECAST, *_VARIANTS[variant]), tmp_path).kinds == []
