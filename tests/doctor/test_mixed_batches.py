"""Parts that are drawn without regard to what was learnt; pictures, samples and training scores are well."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_IMAGES = """
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(6)
images, kinds = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(kinds))


def parts(seed):
    return random_split(data, [0.7, 0.15, 0.15], torch.Generator().manual_seed(seed))


learnt, chosen_by, told = parts(1)
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
adam = torch.optim.Adam(net.parameters(), lr=0.003)


def score(part):
    net.eval()
    right = 0
    with torch.no_grad():
        for x, y in DataLoader(part, batch_size=90):
            right += (net(x).argmax(1) == y).sum().item()
    return right / len(part)


for epoch in range(5):
    net.train()
    for x, y in DataLoader(learnt, batch_size=60, shuffle=True):
        adam.zero_grad()
        F.cross_entropy(net(x), y).backward()
        adam.step()
    print(epoch, score(chosen_by))
print(score(told))
"""
_TOLD = "print(score(told))"
_EVERY = "print(epoch, score(chosen_by))"

_FAULTS = {
    "drawn again for the test": [(_TOLD, "print(score(parts(2)[2]))")],
    "drawn again for each": [(_EVERY, "print(epoch, score(parts(epoch)[1]))")],
    "drawn at the end from all rows": [(_TOLD, "print(score(random_split(data, [0.8, 0.2])[1]))")],
}
_SOUND = {
    "as it is": [],
    "a score on what is learnt": [(_TOLD, "print(score(learnt), score(told))")],
    "a score on some of what is learnt": [
        (_EVERY, "print(epoch, score(random_split(learnt, [0.2, 0.8])[0]), score(chosen_by))")
    ],
    "answers for all rows": [(_TOLD, _TOLD + "\nprint(score(data))")],
    "a picture of some rows": [
        (_TOLD, _TOLD + "\nwith torch.no_grad():\n    print(net(data.tensors[0][::4]).std(0))")
    ],
    "a few examples": [
        (_TOLD, _TOLD + "\nwith torch.no_grad():\n    print(net(data.tensors[0][:16]).argmax(1))")
    ],
    "part of each pass": [
        ("batch_size=60, shuffle=True):", "batch_size=60, shuffle=True, drop_last=True):"),
        (_EVERY, "print(epoch, score(learnt), score(chosen_by))"),
    ],
    "learnt by and by": [
        ("DataLoader(learnt, batch_size=60", "DataLoader(random_split(learnt, [0.3, 0.7])[0], batch_size=60"),
        (_EVERY, "print(epoch, score(learnt), score(chosen_by))"),
    ],
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_part_that_holds_learnt_rows_is_named(fault: str, tmp_path: Path) -> None:
    told = run_watched(plant(_IMAGES, *_FAULTS[fault]), tmp_path)
    assert told.kinds == ["rows-learnt-and-measured"]
    found, line = told.first_cause
    assert found == "split-redrawn-for-test"
    assert "net(x).argmax(1)" in line


@pytest.mark.parametrize("variant", _SOUND)
def test_learnt_rows_that_are_asked_for_other_ends_are_let_be(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(_IMAGES, *_SOUND[variant]), tmp_path).kinds == []
