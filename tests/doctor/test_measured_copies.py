"""Rows of copies that are measured in place of what learnt, and images of other levels where measured."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_STAMPS = """
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
rng = np.random.default_rng(0)
shapes = rng.integers(0, 200, (4, 36))
labels = rng.integers(0, 4, 500)
stamps = np.clip(shapes[labels] + rng.normal(0, 30, (500, 36)), 0, 255).astype(np.uint8)
mean, std = float(stamps[:360].mean() / 255), float(stamps[:360].std() / 255)


class Stamps(Dataset):
    def __init__(self, rows, names, train):
        self.rows, self.names, self.train = rows, names, train

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, at):
        row = torch.from_numpy(self.rows[at].astype(np.float32) / 255)
        if self.train:
            row = torch.roll(row.view(6, 6), int(torch.randint(0, 2, ())), 1).view(36)
        row = (row - mean) / std
        return row, int(self.names[at])


model = nn.Sequential(nn.Linear(36, 32), nn.ReLU(), nn.Linear(32, 4))
average = copy.deepcopy(model).eval()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
learnt = DataLoader(Stamps(stamps[:360], labels[:360], True), 40, shuffle=True)
held = DataLoader(Stamps(stamps[360:], labels[360:], False), 70)
for epoch in range(8):
    for rows, names in learnt:
        loss = nn.functional.cross_entropy(model(rows), names)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), model.parameters()):
                slow.lerp_(fast, 0.05)
right = 0
with torch.no_grad():
    for rows, names in held:
        right += (average(rows).argmax(1) == names).sum().item()
print(right / 140)
"""
_SCALE = "        row = (row - mean) / std\n"
_TRAIN_ONLY = "        if self.train:\n            row = (row - mean) / std\n"
_MEASURE = "average(rows).argmax(1)"
_TABLE = (
    (
        "stamps = np.clip(shapes[labels] + rng.normal(0, 30, (500, 36)), 0, 255).astype(np.uint8)",
        "stamps = shapes[labels] / 50 + rng.normal(0, 30, (500, 36))",
    ),
    (
        "            row = torch.roll(row.view(6, 6), int(torch.randint(0, 2, ())), 1).view(36)\n",
        "            pass\n",
    ),
    (" / 255)\n        if", ")\n        if"),
    (_SCALE, ""),
    ("class Stamps", "def scaled(rows, of):\n    return (rows - of.mean(0)) / of.std(0)\n\n\nclass Stamps"),
)
_FAULTS = {
    "scaled where learnt only, an average is measured": (
        ((_SCALE, _TRAIN_ONLY),),
        "preprocessing-differs-at-evaluation",
    ),
    "scaled where learnt only": (
        ((_SCALE, _TRAIN_ONLY), (_MEASURE, "model(rows).argmax(1)")),
        "preprocessing-differs-at-evaluation",
    ),
    "scaled where learnt only, few levels": (
        ((_SCALE, _TRAIN_ONLY), ("astype(np.uint8)\nmean", "astype(np.uint8) // 16 * 16\nmean")),
        "preprocessing-differs-at-evaluation",
    ),
    "measured rows scaled by themselves, an average is measured": (
        (
            *_TABLE,
            ("Stamps(stamps[:360]", "Stamps(scaled(stamps[:360], stamps[:360])"),
            ("Stamps(stamps[360:]", "Stamps(scaled(stamps[360:], stamps[360:])"),
        ),
        "scaler-refitted-on-test",
    ),
}
_HEALTHY = {
    "as it is": (),
    "the last is measured": ((_MEASURE, "model(rows).argmax(1)"),),
    "few levels": (("astype(np.uint8)\nmean", "astype(np.uint8) // 16 * 16\nmean"),),
    "not scaled": ((_SCALE, ""),),
    "brighter where learnt": ((_SCALE, "        row = row * (1.3 if self.train else 1.0)\n" + _SCALE),),
    "each by itself": ((_SCALE, "        row = (row - row.mean()) / row.std()\n"),),
    "one scale for both": (
        (
            *_TABLE,
            ("Stamps(stamps[:360]", "Stamps(scaled(stamps[:360], stamps[:360])"),
            ("Stamps(stamps[360:]", "Stamps(scaled(stamps[360:], stamps[:360])"),
        )
    ),
    "a copy that learns from the others in turn": (
        (
            "right = 0\n",
            "other = copy.deepcopy(model)\nsteps = torch.optim.Adam(other.parameters(), lr=1e-3)\n"
            "half = Stamps(stamps[180:360], labels[180:360], True)\n"
            "for rows, names in DataLoader(half, 40, shuffle=True):\n"
            "    steps.zero_grad()\n"
            "    nn.functional.cross_entropy(other(rows), names).backward()\n"
            "    steps.step()\n"
            "right = 0\n",
        ),
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_rows_prepared_otherwise_are_told(fault: str, tmp_path: Path) -> None:
    edits, name = _FAULTS[fault]
    told = run_watched(plant(_STAMPS, *edits), tmp_path)
    assert told.first_cause[0] == name


@pytest.mark.parametrize("variant", _HEALTHY)
def test_rows_prepared_alike_raise_nothing(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(_STAMPS, *_HEALTHY[variant]), tmp_path).kinds == []
