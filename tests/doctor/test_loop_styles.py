"""Faults of loops and rows as they are written in other styles, and right programs beside them."""

from pathlib import Path

import pytest
from watched import DIGITS, plant, run_watched

TUMOURS = """
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

torch.manual_seed(0)
rows, labels = load_breast_cancer(return_X_y=True)
order = torch.randperm(len(rows))
rows, labels = torch.tensor(rows).float()[order], torch.tensor(labels).float()[order]
mean, deviation = rows[:400].mean(0), rows[:400].std(0)
rows = (rows - mean) / deviation
net = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(4):
    for idx in torch.randperm(400).split(32):
        opt.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(net(rows[idx]).squeeze(1), labels[idx])
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
    with torch.no_grad():
        said = torch.sigmoid(net(rows[400:])).squeeze(1)
        right = ((said > 0.5).float() == labels[400:]).float().mean().item()
"""

SERIES = """
import numpy as np
import torch
from torch import nn


class Load(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 12, batch_first=True)
        self.out = nn.Linear(12, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


torch.manual_seed(0)
noise = np.random.default_rng(0).normal(0, 0.1, 900)
values = (np.sin(np.arange(900) / 4) + 0.02 * np.cumsum(noise) + noise).astype("float32")
windows = torch.tensor(np.stack([values[i:i + 12] for i in range(888)])).unsqueeze(-1)
goals = torch.tensor(values[12:]).unsqueeze(-1)
order = torch.arange(888)
learnt, held = order[:650], order[662:]
net, criterion = Load(), nn.MSELoss()
opt = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(6):
    for idx in learnt[torch.randperm(len(learnt))].split(64):
        loss = criterion(net(windows[idx]), goals[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        error = criterion(net(windows[held]), goals[held]).item()
"""

LETTERS = """
import torch
from torch import nn
from torch.nn import functional as F


class Letters(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(12, 16), nn.Embedding(8, 16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 12)

    def forward(self, given):
        x = self.tokens(given) + self.places(torch.arange(8))
        b, t, c = x.shape
        q, k, v = (each.view(b, t, 4, 4).transpose(1, 2) for each in self.qkv(x).split(16, 2))
        scores = (q @ k.transpose(-2, -1)) / 2
        scores = scores.masked_fill(torch.ones(t, t).triu(1).bool(), float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        y = y.transpose(1, 2).reshape(b, t, c)
        return self.out(x + y)


torch.manual_seed(0)
text = (torch.randint(0, 3, (4000,)).cumsum(0) % 12)
net = Letters()
opt = torch.optim.Adam(net.parameters(), lr=0.01)
for step in range(60):
    at = torch.randint(0, 3990, (16,))
    x, y = (torch.stack([text[i + ahead:i + ahead + 8] for i in at]) for ahead in (0, 1))
    loss = F.cross_entropy(net(x).reshape(-1, 12), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
"""

_MODEL = "model = nn.Sequential("
_SHIFTED = """
class Shifted(TensorDataset):
    def __getitem__(self, at):
        x, y = super().__getitem__(at)
        return x.roll(int(torch.randint(-1, 2, ()))), y


validation = DataLoader(Shifted(held_out, held_out_labels), batch_size=64)
"""
_SCHEDULE = """import warnings

warnings.simplefilter("ignore")
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
"""
_CLIP = "        nn.utils.clip_grad_norm_(net.parameters(), 1.0)\n"

FAULTS = {
    "a column of predictions meets a row of labels": (
        plant(TUMOURS, ("(rows[400:])).squeeze(1)", "(rows[400:]))")),
        ("shapes-spread", "silent-broadcast", "right ="),
    ),
    "a row of predictions meets a column of labels": (
        plant(TUMOURS, ("== labels[400:])", "== labels[400:, None])")),
        ("shapes-spread", "silent-broadcast", "right ="),
    ),
    "clipped before there are gradients": (
        plant(TUMOURS, ("        loss.backward()\n" + _CLIP, _CLIP + "        loss.backward()\n")),
        ("clipped-after-step", "clip-after-step", "clip_grad_norm_"),
    ),
    "held-out rows are shifted at random, some by nothing": (
        plant(DIGITS, (_MODEL, _SHIFTED + _MODEL)),
        ("measured-rows-change", "augmented-in-evaluation", "model(x)"),
    ),
    "a schedule by epochs steps before each step": (
        plant(
            DIGITS,
            ("losses = []", _SCHEDULE + "losses = []"),
            ("        optimizer.zero_grad()", "        scheduler.step()\n        optimizer.zero_grad()"),
        ),
        ("schedule-passed-its-end", "scheduler-stepped-per-batch", "scheduler.step()"),
    ),
    "windows of a series are split at random": (
        plant(SERIES, ("order = torch.arange(888)", "order = torch.randperm(888)")),
        ("times-interleaved", "random-split-of-time-series", "criterion("),
    ),
    "time is taken for rows": (
        plant(SERIES, ("nn.GRU(1, 12, batch_first=True)", "nn.GRU(1, 12)")),
        ("rows-depend-on-each-other", "examples-mixed", ""),
    ),
    "heads are joined without a transpose": (
        plant(LETTERS, ("y.transpose(1, 2).reshape(b, t, c)", "y.reshape(b, t, c)")),
        ("future-is-seen", "axes-mixed-by-reshape", ""),
    ),
    "nothing is masked": (
        plant(
            LETTERS,
            ('        scores = scores.masked_fill(torch.ones(t, t).triu(1).bool(), float("-inf"))\n', ""),
        ),
        ("future-is-seen", "causal-mask-missing", ""),
    ),
    "two columns are scaled anew where they are measured": (
        plant(
            TUMOURS,
            (
                "rows = (rows - mean) / deviation",
                "rows = rows[:, :2]\nmean, deviation = mean[:2], deviation[:2]",
            ),
            (
                "net = nn",
                "parts = rows[:400], rows[400:]\n"
                "rows = torch.cat([(x - x.mean(0)) / x.std(0) for x in parts])\nnet = nn",
            ),
            ("nn.Linear(30, 16)", "nn.Linear(2, 16)"),
        ),
        ("preparation-fitted-anew-on-held-out-rows", "scaler-refitted-on-test", ""),
    ),
}

SOUND = {
    "tumours": TUMOURS,
    "predictions and labels are columns both": plant(
        TUMOURS,
        ("(rows[400:])).squeeze(1)", "(rows[400:]))"),
        ("== labels[400:])", "== labels[400:, None])"),
    ),
    "each prediction is ranked among all": TUMOURS + "    ranks = (said[:, None] - said).sign().sum(1)\n",
    "two columns, scaled by those that are learnt": plant(
        TUMOURS,
        ("rows = (rows - mean) / deviation", "rows = ((rows - mean) / deviation)[:, :2]"),
        ("nn.Linear(30, 16)", "nn.Linear(2, 16)"),
    ),
    "two columns of even draws": plant(
        TUMOURS,
        (
            "rows = (rows - mean) / deviation",
            "rows = torch.rand(20_000, 2)\nlabels = (rows.sum(1) > 1).float()",
        ),
        ("nn.Linear(30, 16)", "nn.Linear(2, 16)"),
    ).replace("400", "10_000"),
    "windows in the order of time": SERIES,
    "letters": LETTERS,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_another_style_is_named_first(fault: str, tmp_path: Path) -> None:
    program, (kind, name, line) = FAULTS[fault]
    told = run_watched(program, tmp_path)
    assert told.kinds[0] == kind
    found, written = told.first_cause
    assert found == name
    assert line in written


@pytest.mark.parametrize("program", SOUND)
def test_a_right_program_beside_it_raises_nothing(program: str, tmp_path: Path) -> None:
    assert run_watched(SOUND[program], tmp_path).findings == []


def test_a_middle_of_as_many_rows_as_numbers_is_no_row_of_predictions(tmp_path: Path) -> None:
    program = """
import torch
torch.manual_seed(0)
middle = torch.zeros(16, requires_grad=True)
adam = torch.optim.Adam([middle], lr=1e-2)
places = torch.rand(4, 16)
for _ in range(80):
    rows = places[torch.randint(0, 4, (16,))] + 0.1 * torch.randn(16, 16)
    loss = ((rows - middle) ** 2).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
"""
    assert "shapes-spread" not in run_watched(program, tmp_path).kinds
