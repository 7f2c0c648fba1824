"""Inputs that say much of targets in one part of the rows, and nothing in the other."""

from pathlib import Path

import numpy as np
import pytest
from watched import plant, run_watched

from modelwright.doctor.sensors.rows.labels.relation import relation_of, standing_for

_LETTERS = """
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

random.seed(0)
torch.manual_seed(0)


def letter():
    kind = int(random.random() < 0.4)
    words = [random.randint(2, 60) for _ in range(random.randint(5, 15))]
    words[random.randrange(len(words))] = random.choice([61, 62, 63] if kind else [64, 65, 66])
    return torch.tensor(words), kind


def collate(pairs):
    words = pad_sequence([one for one, _ in pairs], batch_first=True)
    return words, torch.tensor([kind for _, kind in pairs])


letters = [letter() for _ in range(1600)]
learnt, told = letters[:1000], letters[1000:]
net = nn.Sequential(nn.EmbeddingBag(67, 16, padding_idx=0), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(10):
    net.train()
    for x, y in DataLoader(learnt, batch_size=50, shuffle=True, collate_fn=collate):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    net.eval()
    right = 0
    with torch.no_grad():
        for x, y in DataLoader(told, batch_size=100, collate_fn=collate):
            right += (net(x).argmax(1) == y).sum().item()
    print(right / len(told))
"""

_SHUFFLED = (
    "learnt, told = letters[:1000], letters[1000:]",
    "learnt, told = letters[:1000], letters[1000:]\nkinds = [kind for _, kind in learnt]\n"
    "random.shuffle(kinds)\nlearnt = [(one, kind) for (one, _), kind in zip(learnt, kinds)]",
)
_OTHER_WAY = (_SHUFFLED[0], _SHUFFLED[1].replace("learnt]", "told]").replace("learnt = [", "told = ["))

_RIGHT = {
    "as it is": [],
    "kinds that nothing tells": [("[61, 62, 63] if kind else [64, 65, 66]", "[61, 62, 63]")],
    "a third of the kinds wrong": [
        (
            _SHUFFLED[0],
            _SHUFFLED[0] + "\nlearnt = [(a, k if random.random() < 0.7 else 1 - k) for a, k in learnt]",
        )
    ],
}


def test_kinds_of_other_letters_are_found_among_those_that_are_learnt(tmp_path: Path) -> None:
    told = run_watched(plant(_LETTERS, _SHUFFLED), tmp_path)
    assert "targets-of-other-rows" in told.kinds
    found = next(each for each in told.findings if each.kind == "targets-of-other-rows")
    assert found.causes[0].name == "features-shuffled-against-labels"


@pytest.mark.parametrize("way", _RIGHT)
def test_nothing_is_said_where_both_parts_are_alike(way: str, tmp_path: Path) -> None:
    assert "targets-of-other-rows" not in run_watched(plant(_LETTERS, *_RIGHT[way]), tmp_path).kinds


def _rows(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(rows, 6))
    return values, values[:, 0] + values[:, 1] + generator.normal(0, 0.5, rows)


def _lost(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> str | None:
    targets = standing_for(one[1], other[1], classes=False)
    assert targets is not None
    found = relation_of(one[0], targets[0], other[0], targets[1])
    return None if found is None else found.lost_in


def test_the_part_that_lost_its_targets_is_named() -> None:
    (x, y), (u, v) = _rows(0, 600), _rows(1, 300)
    generator = np.random.default_rng(3)
    assert _lost((x, y), (u, v)) == ""
    assert _lost((x, generator.permutation(y)), (u, v)) == "learnt"
    assert _lost((x, y), (u, generator.permutation(v))) == "measured"


def test_no_part_is_named_where_both_hold_nothing_or_rows_lie_elsewhere() -> None:
    (x, y), (u, v) = _rows(0, 600), _rows(1, 300)
    generator = np.random.default_rng(3)
    assert _lost((x, generator.permutation(y)), (u, generator.permutation(v))) == ""
    assert _lost((x, generator.permutation(y)), (u + 3, v)) is None
    assert _lost((x, x[:, 0] ** 2), (u[:200] + 3, (u[:200, 0] + 3) ** 2)) is None
    assert _lost((x, generator.permutation(y)), (u[:100], v[:100])) is None
