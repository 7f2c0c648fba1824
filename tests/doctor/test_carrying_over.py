"""Classifiers whose rows are measured under other labels than they were learnt under."""

from pathlib import Path

import pytest
from watched import plant, run_watched

SIGNALS = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
shapes = torch.randint(3, 20, (4, 12))
kinds = torch.randint(0, 4, (900,))
lengths = torch.randint(6, 13, (900,))
tokens = torch.where(torch.rand(900, 12) < 0.6, shapes[kinds], torch.randint(3, 20, (900, 12)))
tokens = torch.where(torch.arange(12) < lengths[:, None], tokens, 0)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 24, padding_idx=0)
        self.read = nn.Sequential(nn.Linear(24 * 12, 64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, tokens, lengths):
        return self.read(self.embed(tokens).flatten(1) / lengths[:, None] * 6)


learnt = TensorDataset(tokens[:600], lengths[:600], kinds[:600])
held = TensorDataset(tokens[600:], lengths[600:], kinds[600:])
reader = Reader()
optimizer = torch.optim.Adam(reader.parameters(), lr=3e-3)
scores = []
for epoch in range(8):
    reader.train()
    for words, long, kind in DataLoader(learnt, 40, shuffle=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(reader(words, long), kind).backward()
        optimizer.step()
    reader.eval()
    right = 0
    with torch.no_grad():
        for words, long, kind in DataLoader(held, 100):
            right += int((reader(words, long).argmax(1) == kind).sum())
    scores.append(right / 300)
"""
OF_HELD = "kinds[600:])"
OF_LEARNT = "kinds[:600])"
FAULTS: dict[str, tuple[str, str, str]] = {
    "labels of other rows are learnt": (
        plant(SIGNALS, (OF_LEARNT, "kinds[:600][torch.randperm(600)])"), ("range(8)", "range(30)")),
        "targets-of-other-rows",
        "features-shuffled-against-labels",
    ),
    "labels of other rows are measured": (
        plant(SIGNALS, (OF_HELD, "kinds[600:].roll(1))")),
        "targets-of-other-rows",
        "features-shuffled-against-labels",
    ),
    "classes are counted on by one": (
        plant(SIGNALS, (OF_HELD, "(kinds[600:] + 1) % 4)")),
        "classes-named-otherwise",
        "labels-off-by-one",
    ),
    "classes are coded anew": (
        plant(SIGNALS, (OF_HELD, "torch.tensor([2, 1, 3, 0])[kinds[600:]])")),
        "classes-named-otherwise",
        "category-codes-refitted",
    ),
}
FIELDS = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
spots = nn.functional.avg_pool2d((torch.rand(200, 1, 14, 14) < 0.12).float(), 3, 1)
masks = (spots > 0.05).float()
pictures = spots * 6 - 1 + 0.2 * torch.randn_like(spots)
net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)



def surprise(said, true):
    return nn.functional.softplus(said) - said * true

for epoch in range(10):
    for picture, mask in DataLoader(TensorDataset(pictures, masks), 20, shuffle=True):
        optimizer.zero_grad()
        loss = surprise(net(picture), mask).mean()
        loss.backward()
        optimizer.step()
"""
MARGINS = plant(
    SIGNALS,
    (
        "nn.functional.cross_entropy(reader(words, long), kind).backward()",
        "margin(reader(words, long), kind).backward()",
    ),
    (
        "reader = Reader()",
        "\n\ndef margin(said, kind):\n    right = said.gather(1, kind[:, None])\n"
        "    return (said.tanh().sum(1) - 2 * right.tanh().squeeze(1)).mean()\n\n\nreader = Reader()",
    ),
)
RAISED: dict[str, str] = {
    "a surprise that is made larger": plant(FIELDS, ("loss = surprise", "loss = 0.1 - surprise")),
    "a margin that is made smaller": plant(MARGINS, ("return (said", "return -(said")),
}
HEALTHY: dict[str, str] = {
    "as it is": SIGNALS,
    "a surprise": FIELDS,
    "a margin": MARGINS,
    "what is left out is told": plant(
        FIELDS,
        (
            "surprise(net(picture), mask).mean()",
            "nn.functional.binary_cross_entropy_with_logits(net(picture), 1 - mask)",
        ),
        ("TensorDataset(pictures, masks)", "TensorDataset(pictures, 1 - masks)"),
    ),
    "labels beside are of an earlier batch": plant(
        SIGNALS,
        ("for words, long, kind in DataLoader(held, 100):", "for at in range(600, 900, 40):"),
        (
            "right += int((reader(words, long).argmax(1) == kind).sum())",
            "some = slice(at, at + 40)\n"
            "            right += int((reader(tokens[some], lengths[some]).argmax(1) == kinds[some]).sum())",
        ),
    ),
    "hardly anything to be learnt": plant(
        SIGNALS, ("torch.rand(900, 12) < 0.6", "torch.rand(900, 12) < 0.12")
    ),
    "a noisy half": plant(
        SIGNALS, (OF_LEARNT, "torch.where(torch.rand(600) < 0.4, torch.randint(0, 4, (600,)), kinds[:600]))")
    ),
    "nothing learnt yet": plant(SIGNALS, ("lr=3e-3", "lr=1e-6")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_labels_that_do_not_hold_are_found(name: str, tmp_path: Path) -> None:
    text, kind, cause = FAULTS[name]
    told = run_watched(text, tmp_path)
    found = [each for each in told.findings if each.kind == kind]
    assert [each.causes[0].name for each in found] == [cause]


@pytest.mark.parametrize("name", HEALTHY)
def test_what_holds_is_left_alone(name: str, tmp_path: Path) -> None:
    kinds = run_watched(HEALTHY[name], tmp_path).kinds
    assert "targets-of-other-rows" not in kinds
    assert "loss-is-raised" not in kinds
    assert "classes-named-otherwise" not in kinds


@pytest.mark.parametrize("name", RAISED)
def test_models_that_learn_the_opposite_are_found(name: str, tmp_path: Path) -> None:
    told = run_watched(RAISED[name], tmp_path)
    found = [each for each in told.findings if each.kind == "loss-is-raised"]
    assert [each.causes[0].name for each in found] == ["loss-sign-flipped"]
