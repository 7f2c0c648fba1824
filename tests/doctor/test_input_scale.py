"""Pictures that were scaled with constants of other data, or twice; and right programs that look alike."""

from pathlib import Path

import pytest
from watched import plant, run_watched

BARS = """
import torch
from torch import nn

torch.manual_seed(0)
count = 512
labels = torch.randint(0, 3, (count,))
grey = torch.randint(0, 90, (count, 1, 8, 8))
for at, label in enumerate(labels.tolist()):
    place = int(torch.randint(1, 7, ()))
    if label == 0:
        grey[at, 0, place] += 150
    elif label == 1:
        grey[at, 0, :, place] += 150
pictures = grey.float() / 255


class Bars(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = nn.Conv2d(1, 12, 3, padding=1)
        self.said = nn.Linear(12, 3)

    def forward(self, x):
        return self.said(torch.relu(self.seen(x)).amax((2, 3)))


def prepared(x):
    return (x - 0.25) / 0.2


net = Bars()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for turn in range(20):
    for part in torch.randperm(400).split(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(prepared(pictures[part])), labels[part])
        loss.backward()
        optimizer.step()
net.eval()
with torch.no_grad():
    print((net(prepared(pictures[400:])).argmax(1) == labels[400:]).float().mean())
"""

_PREPARED = "return (x - 0.25) / 0.2"


@pytest.mark.parametrize(
    "prepared", [_PREPARED, "return x", "return (x - 0.45) / 0.225", "return x - 1", "return x / 10"]
)
def test_pictures_that_are_scaled_somehow_are_let_be(prepared: str, tmp_path: Path):
    assert run_watched(plant(BARS, (_PREPARED, prepared)), tmp_path).kinds == []


@pytest.mark.parametrize(
    ("prepared", "first"),
    [
        ("return x / 255", "inputs-not-scaled"),
        ("return (x - 123.7) / 58.4", "wrong-normalisation-constants"),
        ("return x * 255", "inputs-not-scaled"),
    ],
)
def test_pictures_of_another_scale_are_told(prepared: str, first: str, tmp_path: Path):
    told = run_watched(plant(BARS, (_PREPARED, prepared)), tmp_path)
    assert "inputs-out-of-scale" in told.kinds
    found = next(each for each in told.findings if each.kind == "inputs-out-of-scale")
    assert found.causes[0].name == first


_LEVELS = """
import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
digits = load_digits()
pixels, labels = torch.tensor(digits.data).float() / 16, torch.tensor(digits.target)
net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(6):
    for part in torch.randperm(1400).split(100):
        loss = nn.functional.cross_entropy(net(pixels[part]), labels[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


@pytest.mark.parametrize(
    ("divided", "told"), [("/ 16", []), ("/ 255", ["wrong-normalisation-constants"]), ("/ 100", []), ("", [])]
)
def test_levels_far_below_255_are_told_where_they_were_divided_by_it(
    divided: str, told: list[str], tmp_path: Path
):
    findings = run_watched(plant(_LEVELS, ("/ 16", divided)), tmp_path).findings
    assert [each.causes[0].name for each in findings if each.kind == "inputs-out-of-scale"] == told
