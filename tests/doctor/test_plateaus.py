"""What a schedule waits for, held to what its metric is: the share of right answers, or a loss."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_PROGRAM = """
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)
pixels, kinds = load_digits(return_X_y=True)
rows, kinds = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(kinds)
order = torch.randperm(len(rows))
fit = DataLoader(TensorDataset(rows[order[:1000]], kinds[order[:1000]]), batch_size=50, shuffle=True)
held = DataLoader(TensorDataset(rows[order[1000:]], kinds[order[1000:]]), batch_size=200)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.2)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
for epoch in range(10):
    model.train()
    for x, y in fit:
        opt.zero_grad()
        F.cross_entropy(model(x), y).backward()
        opt.step()
    model.eval()
    loss = right = 0.0
    with torch.no_grad():
        for x, y in held:
            logits = model(x)
            loss += F.cross_entropy(logits, y).item()
            right += (logits.argmax(1) == y).sum().item()
    loss, accuracy = loss / len(held), right / len(held.dataset)
    plateau.step(loss)
    print(epoch, loss, accuracy, opt.param_groups[0]["lr"])
"""
_SCORE = "plateau.step(loss)", "plateau.step(accuracy)"


@pytest.mark.parametrize(
    "edits",
    [
        [_SCORE],
        [("plateau.step(loss)", "plateau.step(100.0 * accuracy)")],
        [("factor=0.5, patience=1", 'factor=0.5, patience=1, mode="max"')],
    ],
)
def test_a_schedule_that_waits_for_the_other_direction_is_named(edits: list[tuple[str, str]], tmp_path: Path):
    told = run_watched(plant(_PROGRAM, *edits), tmp_path)
    assert told.kinds == ["plateau-of-the-other-direction"]
    assert told.first_cause[0] == "annealed-too-early"
    assert told.first_cause[1].startswith("plateau = ")


@pytest.mark.parametrize(
    "edits",
    [
        [],
        [_SCORE, ("factor=0.5, patience=1", 'factor=0.5, patience=1, mode="max"')],
        [("plateau.step(loss)", "plateau.step(1 - accuracy)")],
        [("plateau.step(loss)", "plateau.step(-loss)"), ("patience=1", 'patience=1, mode="max"')],
        # It never comes to a cut.
        [_SCORE, ("patience=1", "patience=20")],
    ],
)
def test_a_schedule_that_waits_for_the_right_direction_is_let_be(
    edits: list[tuple[str, str]], tmp_path: Path
):
    assert run_watched(plant(_PROGRAM, *edits), tmp_path).kinds == []
