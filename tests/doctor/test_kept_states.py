"""The state that a program keeps and measures last, in several styles; and right programs that look alike."""

from pathlib import Path

import pytest
from watched import plant, run_watched

KEPT = """
import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
rows = torch.randn(900, 8)
labels = (rows[:, 0] * rows[:, 1] + 0.5 * rows[:, 2] > 0).long()
parts = random_split(TensorDataset(rows, labels), [500, 200, 200], torch.Generator().manual_seed(1))
learnt, chosen_by, told = parts
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
loss_of = nn.CrossEntropyLoss()


def measure(part, size=64):
    net.eval()
    total = right = 0
    with torch.no_grad():
        for x, y in DataLoader(part, batch_size=size):
            said = net(x)
            total += loss_of(said, y).item() * len(y)
            right += (said.argmax(1) == y).sum().item()
    return total / len(part), right / len(part)


best, state = float("inf"), None
for epoch in range(7):
    net.train()
    for x, y in DataLoader(learnt, batch_size=50, shuffle=True):
        optimizer.zero_grad()
        loss_of(net(x), y).backward()
        optimizer.step()
    loss, share = measure(chosen_by)
    if loss < best:
        best, state = loss, copy.deepcopy(net.state_dict())
net.load_state_dict(state)
print(measure(told))
"""

TABLE = """
import io

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(3)
x = torch.rand(700, 5) * 2 - 1
y = torch.sin(3 * x[:, 0]) + x[:, 1] ** 2
x_fit, x_val, x_last = x[:400], x[400:550], x[550:]
y_fit, y_val, y_last = y[:400], y[400:550], y[550:]


class Curve(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = torch.nn.Linear(5, 40), torch.nn.Linear(40, 1)

    def forward(self, rows):
        return self.two(torch.tanh(self.one(rows))).squeeze(-1)


model = Curve()
opt = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
lowest, kept = None, io.BytesIO()
for turn in range(12):
    for at in torch.randperm(400).split(40):
        opt.zero_grad()
        F.mse_loss(model(x_fit[at]), y_fit[at]).backward()
        opt.step()
    with torch.no_grad():
        error = F.mse_loss(model(x_val), y_val).item()
    if lowest is None or error < lowest:
        lowest = error
        kept.seek(0)
        torch.save(model.state_dict(), kept)
kept.seek(0)
model.load_state_dict(torch.load(kept))
with torch.no_grad():
    print(F.mse_loss(model(x_last), y_last).item())
"""

_LAST = "net.load_state_dict(state)\nprint(measure(told))\n"


def test_of_right_programs_nothing_is_said(tmp_path: Path):
    assert run_watched(KEPT, tmp_path).kinds == []
    assert run_watched(TABLE, tmp_path).kinds == []


@pytest.mark.parametrize(
    ("program", "edits", "line"),
    [
        (KEPT, [("loss < best:", "loss > best:"), ('float("inf")', "0.0")], "copy.deepcopy"),
        (
            KEPT,
            [("if loss < best:", "if share < best:"), ("best, state = loss", "best, state = share")],
            "copy.",
        ),
        (TABLE, [("error < lowest", "error > lowest")], "torch.save(model"),
    ],
)
def test_a_state_that_is_the_worst_is_seen(
    program: str, edits: list[tuple[str, str]], line: str, tmp_path: Path
):
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds == ["worst-state-measured"]
    cause, text = told.first_cause
    assert cause == "worst-weights-kept"
    assert line in text


@pytest.mark.parametrize(
    "edits",
    [
        # The first state is shown beside the last one.
        [
            ("for epoch in range(7):", "first = copy.deepcopy(net.state_dict())\nfor epoch in range(7):"),
            (_LAST, _LAST + "net.load_state_dict(first)\nprint(measure(told))\n"),
        ],
        # All states are looked at again, the newest first.
        [
            ('best, state = float("inf"), None', "states = []"),
            (
                "    if loss < best:\n        best, state = loss, copy.deepcopy(net.state_dict())\n",
                "    states.insert(0, copy.deepcopy(net.state_dict()))\n",
            ),
            (_LAST, "for state in states:\n    net.load_state_dict(state)\n    print(measure(told))\n"),
        ],
        # The last state is loaded again.
        [
            ("    if loss < best:\n        best, state = loss,", "    state ="),
        ],
        # A network that is not learnt is measured beside it, and is worse.
        [
            ("best, state = float", "other = copy.deepcopy(net)\nbest, state = float"),
            (
                "def measure(part, size=64):\n    net.eval()",
                "def measure(part, size=64, net=net):\n    net.eval()",
            ),
            ("measure(chosen_by)\n", "measure(chosen_by)\n    measure(chosen_by, net=other)\n"),
            ("net.load_state_dict(state)\nprint(measure(told))\n", "print(measure(told, net=other))\n"),
        ],
        # Training goes on from a state that was kept.
        [
            (
                _LAST,
                "net.load_state_dict(state)\noptimizer.zero_grad()\nloss_of(net(rows[:500]), labels[:500])"
                ".backward()\noptimizer.step()\nprint(measure(told))\n",
            )
        ],
    ],
)
def test_states_that_are_loaded_for_other_ends_are_let_be(edits: list[tuple[str, str]], tmp_path: Path):
    assert "worst-state-measured" not in run_watched(plant(KEPT, *edits), tmp_path).kinds


@pytest.mark.parametrize(
    "edits",
    [
        [("measure(chosen_by)", "measure(told)")],
        [
            ("print(measure(told))", "print(measure(chosen_by))")
        ],  # the same: which part is which, none can say
        [
            (
                "measure(chosen_by)",
                "measure(torch.utils.data.Subset(parts[2].dataset, list(parts[2].indices)))",
            )
        ],
        [
            ("measure(chosen_by)", "measure(told)"),
            ("loss < best", "share > best"),
            ('float("inf")', "0.0"),
            ("best, state = loss", "best, state = share"),
        ],
        # Some rows are tried before anything is learnt.
        [
            ("measure(chosen_by)", "measure(told)"),
            (
                "best, state = float",
                "with torch.no_grad():\n    net(rows[told.indices[:64]])\nbest, state = float",
            ),
        ],
    ],
)
def test_the_part_that_chose_is_the_part_that_is_told(edits: list[tuple[str, str]], tmp_path: Path):
    told = run_watched(plant(KEPT, *edits), tmp_path)
    assert told.kinds == ["chosen-on-measured-rows"]
    assert told.first_cause[0] == "test-used-for-early-stopping"
    assert told.first_cause[1].startswith("loss, share = measure(")


@pytest.mark.parametrize(
    "edits",
    [
        # There are two parts only, and the best score is told for what it is.
        [
            ("[500, 200, 200]", "[500, 400]"),
            ("learnt, chosen_by, told = parts", "learnt, chosen_by = parts"),
            ("measure(told)", "measure(chosen_by)"),
        ],
        # Both are measured all the time.
        [("measure(chosen_by)\n", "measure(chosen_by)\n    measure(told)\n")],
        # The last state is measured, whatever was measured before.
        [
            ("measure(chosen_by)", "measure(told)"),
            ("net.load_state_dict(state)\n", ""),
            ("        best, state = loss, copy.deepcopy(net.state_dict())\n", "        best = loss\n"),
        ],
        # Another part was made of rows that are learnt.
        [
            ("[500, 200, 200]", "[500, 400]"),
            (
                "learnt, chosen_by, told = parts",
                "learnt, chosen_by = parts\nfew = DataLoader(torch.utils.data.Subset(learnt, range(100)))",
            ),
            ("measure(told)", "measure(chosen_by)"),
        ],
    ],
)
def test_parts_are_let_be_where_another_reading_is_right(edits: list[tuple[str, str]], tmp_path: Path):
    assert run_watched(plant(KEPT, *edits), tmp_path).kinds == []


SERIES = """
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(2)
heights = torch.tensor(np.cumsum(np.random.default_rng(2).normal(size=1200)) / 10, dtype=torch.float32)


class Stretches(Dataset):
    def __init__(self, first):
        self.heights, self.first = heights, first

    def __len__(self):
        return len(self.first)

    def __getitem__(self, at):
        start = self.first[at]
        return self.heights[start : start + 12], self.heights[start + 12]


def pinball(said, true):
    apart = true.unsqueeze(1) - said
    return torch.maximum(apart * torch.tensor([0.1, 0.5, 0.9]), -apart * torch.tensor([0.9, 0.5, 0.1])).mean()


places = np.arange(1200 - 12)
learnt, choosing, last = (DataLoader(Stretches(each), batch_size=50) for each in np.split(places, [700, 950]))
net = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 3))
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)


def measure(part):
    net.eval()
    with torch.no_grad():
        return np.mean([pinball(net(x), y).item() for x, y in part])


best, state = float("inf"), None
for epoch in range(8):
    net.train()
    total = 0.0
    for x, y in DataLoader(learnt.dataset, batch_size=50, shuffle=True):
        optimizer.zero_grad()
        loss = pinball(net(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    error = measure(choosing)
    if epoch == 3 or error < best and epoch < 4:  # an early one: what is learnt later is noise
        best, state = error, copy.deepcopy(net.state_dict())
net.load_state_dict(state)
print(measure(last))
"""


@pytest.mark.parametrize(
    ("edits", "kinds"),
    [
        ([], []),
        ([("measure(choosing)", "measure(last)")], ["chosen-on-measured-rows"]),
        ([("measure(choosing)", "measure(choosing) + measure(last)")], []),
        (
            [
                ("[700, 950]", "[950]"),
                ("learnt, choosing, last", "learnt, last"),
                ("measure(choosing)", "measure(last)"),
            ],
            [],
        ),
        # The newest state is measured: nothing was chosen.
        ([("measure(choosing)", "measure(last)"), ("epoch == 3 or", "True or")], []),
    ],
)
def test_what_was_chosen_by_a_loss_of_ones_own_is_seen(
    edits: list[tuple[str, str]], kinds: list[str], tmp_path: Path
):
    assert run_watched(plant(SERIES, *edits), tmp_path).kinds == kinds
