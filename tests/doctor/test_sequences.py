"""Sequences: what models see of what they are to give, in other styles than one decoder of tokens."""

from pathlib import Path

import pytest
from watched import Told, plant, run_watched

from modelwright.base.finding import Severity

TIDES = """
import math
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
hours = torch.arange(900.0)
level = (hours / 6.2).sin() + 0.4 * (hours / 2.9).cos() + 0.2 * torch.randn(900)
wind = torch.randn(900)
series = torch.stack([wind, level])


class Past(nn.Module):
    def __init__(self, inner, outer, dilation):
        super().__init__()
        self.reach = 2 * dilation
        self.conv = nn.Conv1d(inner, outer, 3, dilation=dilation)

    def forward(self, x):
        return self.conv(F.pad(x, (self.reach, 0)))


net = nn.Sequential(Past(2, 16, 1), nn.ReLU(), Past(16, 16, 2), nn.ReLU(), nn.Conv1d(16, 1, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for step in range(160):
    at = torch.randint(0, 700, (24,)).tolist()
    past = torch.stack([series[:, i : i + 32] for i in at])
    coming = torch.stack([series[1, i + 1 : i + 33] for i in at])
    loss = F.mse_loss(net(past).squeeze(1), coming)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

NOTES = """
import torch
from torch import nn

torch.manual_seed(0)
melody = torch.cat([torch.randperm(9).sort().values.roll(int(k)) for k in torch.randint(0, 9, (90,))])


class Composer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 12)
        self.rnn = nn.LSTM(12, 24)
        self.head = nn.Linear(24, 9)

    def forward(self, notes):
        hidden, _ = self.rnn(self.embed(notes))
        return self.head(hidden).reshape(-1, 9)


composer = Composer()
optimizer = torch.optim.Adam(composer.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss()
for step in range(80):
    at = torch.randint(0, 700, (10,)).tolist()
    notes = torch.stack([melody[i : i + 17] for i in at], dim=1)
    optimizer.zero_grad()
    loss = criterion(composer(notes[:-1]), notes[1:].reshape(-1))
    loss.backward()
    optimizer.step()
"""

REVERSE = """
import torch
from torch import nn

torch.manual_seed(0)
BEGIN = 10


class Reverser(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.encoder = nn.GRU(16, 32, batch_first=True)
        self.decoder = nn.GRU(16, 32, batch_first=True)
        self.attend = nn.MultiheadAttention(32, 2, batch_first=True)
        self.head = nn.Linear(32, 11)

    def forward(self, source, so_far):
        read, state = self.encoder(self.embed(source))
        written, _ = self.decoder(self.embed(so_far), state)
        looked, _ = self.attend(written, read, read)
        return self.head(written + looked)


model = Reverser()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(80):
    length = 6 + step % 3
    source = torch.randint(0, 10, (16, length))
    whole = torch.cat([torch.full((16, 1), BEGIN), source.flip(1)], dim=1)
    logits = model(source, whole[:, :-1])
    loss = nn.functional.cross_entropy(logits.transpose(1, 2), whole[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

WORDS = """
import torch
from torch import nn

torch.manual_seed(0)


class Speller(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 16, padding_idx=0)
        self.rnn = nn.GRU(16, 24, batch_first=True)
        self.head = nn.Linear(24, 12)

    def forward(self, letters):
        return self.head(self.rnn(self.embed(letters))[0])


speller = Speller()
optimizer = torch.optim.Adam(speller.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss(ignore_index=0)
for step in range(90):
    first = torch.randint(2, 12, (16, 1))
    words = (first + torch.arange(10) * (first % 3 + 1)) % 10 + 2
    ends = torch.randint(4, 10, (16, 1))
    words = words.masked_fill(torch.arange(10) > ends, 0).masked_fill(torch.arange(10) == ends, 1)
    loss = criterion(speller(words[:, :-1]).flatten(0, 1), words[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
IGNORED = "nn.CrossEntropyLoss(ignore_index=0)"

FAULTS: dict[str, tuple[str, str, str]] = {
    "padded on both sides": (
        plant(TIDES, ("F.pad(x, (self.reach, 0))", "F.pad(x, (self.reach // 2, self.reach // 2))")),
        "future-is-seen",
        "causal-padding-lost",
    ),
    "padded on both sides, squares by hand": (
        plant(
            TIDES,
            ("F.pad(x, (self.reach, 0))", "F.pad(x, (self.reach // 2, self.reach // 2))"),
            ("F.mse_loss(net(past).squeeze(1), coming)", "((net(past)[:, 0] - coming) ** 2).mean()"),
        ),
        "future-is-seen",
        "causal-padding-lost",
    ),
    "read in both directions": (
        plant(NOTES, ("nn.LSTM(12, 24)", "nn.LSTM(12, 12, bidirectional=True)")),
        "future-is-seen",
        "causal-mask-missing",
    ),
    "notes that are given": (
        plant(NOTES, ("notes[1:].reshape", "notes[:-1].reshape")),
        "targets-at-another-place",
        "labels-not-shifted",
    ),
    "a decoder that is given its targets": (
        plant(REVERSE, ("model(source, whole[:, :-1])", "model(source, whole[:, 1:])")),
        "targets-at-another-place",
        "labels-not-shifted",
    ),
    "what fills words up is learnt": (
        plant(WORDS, (IGNORED, "nn.CrossEntropyLoss()")),
        "padding-is-learnt",
        "padding-counted-in-loss",
    ),
    "a decoder that looks ahead": (
        plant(
            REVERSE,
            (
                "self.decoder = nn.GRU(16, 32, batch_first=True)",
                "self.decoder = nn.GRU(16, 16, batch_first=True, bidirectional=True)",
            ),
            ("self.embed(so_far), state)", "self.embed(so_far))"),
        ),
        "future-is-seen",
        "causal-mask-missing",
    ),
}

HEALTHY: dict[str, str] = {
    "the past only": TIDES,
    "two hours ahead": plant(TIDES, ("i + 1 : i + 33", "i + 2 : i + 34")),
    "a window is brought to mean zero": plant(
        TIDES,
        ("net(past).squeeze(1)", "net(past - past.mean(2, keepdim=True)).squeeze(1) + past.mean(2)[:, 1:2]"),
    ),
    "both directions, and one number for each window": plant(
        TIDES,
        ("F.pad(x, (self.reach, 0))", "F.pad(x, (self.reach // 2, self.reach // 2))"),
        ("net(past).squeeze(1), coming", "net(past).mean((1, 2)), coming[:, -1]"),
    ),
    "both directions, and gaps to fill": plant(
        TIDES,
        ("F.pad(x, (self.reach, 0))", "F.pad(x, (self.reach // 2, self.reach // 2))"),
        ("series[1, i + 1 : i + 33]", "series[1, i : i + 32]"),
        ("net(past)", "net(past * (torch.rand_like(past) > 0.3))"),
    ),
    "another series is told": plant(
        TIDES,
        ("F.pad(x, (self.reach, 0))", "F.pad(x, (self.reach // 2, self.reach // 2))"),
        ("series = torch.stack([wind, level])", "series = torch.stack([level + 0.1 * wind, level])"),
        ("past = torch.stack([series[:, i : i + 32]", "past = torch.stack([series[:1, i : i + 32]"),
        ("Past(2, 16, 1)", "Past(1, 16, 1)"),
    ),
    "notes in one direction": NOTES,
    "notes in one direction, rows first": plant(
        NOTES,
        ("nn.LSTM(12, 24)", "nn.LSTM(12, 24, batch_first=True)"),
        (
            "composer(notes[:-1]), notes[1:].reshape(-1)",
            "composer(notes[:-1].t()), notes[1:].t().reshape(-1)",
        ),
    ),
    "tags of notes, in both directions": plant(
        NOTES,
        ("nn.LSTM(12, 24)", "nn.LSTM(12, 12, bidirectional=True)"),
        ("notes[1:].reshape(-1)", "(notes[:-1] % 3).reshape(-1)"),
    ),
    "rows turned round": REVERSE,
    "what fills words up is left out": WORDS,
    "what fills words up has no weight": plant(
        WORDS, (IGNORED, "nn.CrossEntropyLoss(weight=torch.tensor([0.0] + [1.0] * 11))")
    ),
    "it is left out by hand": plant(
        WORDS,
        (IGNORED, "nn.CrossEntropyLoss(reduction='none')"),
        (
            "    optimizer.zero_grad()",
            "    loss = loss[words[:, 1:].flatten() > 0].mean()\n    optimizer.zero_grad()",
        ),
    ),
    "words of which the first letter tells a class": plant(
        WORDS,
        (IGNORED, "nn.CrossEntropyLoss()"),
        (
            "speller(words[:, :-1]).flatten(0, 1), words[:, 1:].flatten()",
            "speller(words)[:, -1], first[:, 0] % 2",
        ),
    ),
    "what is given now and then is what it said": plant(
        REVERSE,
        (
            "written, _ = self.decoder(self.embed(so_far), state)",
            "written, _ = self.decoder(self.embed(self.kept(so_far)), state)",
        ),
        (
            "    def forward(self",
            "    def kept(self, said):\n"
            "        return said if random.random() < 0.8 else said.flip(0)\n\n    def forward(self",
        ),
        ("import torch\nfrom torch import nn", "import random\n\nimport torch\nfrom torch import nn"),
    ),
    "shifted inside of the model": plant(
        REVERSE,
        ("source, so_far):", "source, answers):\n        so_far = answers.roll(1, 1)"),
        ("written, _ =", "so_far[:, 0] = BEGIN\n        written, _ ="),
        ("model(source, whole[:, :-1])", "model(source, whole[:, 1:])"),
    ),
}


def alarms(told: Told) -> list[tuple[str, str | None]]:
    acted = (each for each in told.findings if each.severity is not Severity.INFO)
    return [(each.kind, each.causes[0].name) for each in acted]


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_seen_before_its_time_is_found(name: str, tmp_path: Path) -> None:
    text, kind, cause = FAULTS[name]
    assert (kind, cause) in alarms(run_watched(text, tmp_path))


@pytest.mark.parametrize("name", HEALTHY)
def test_sequences_without_a_fault_are_left_alone(name: str, tmp_path: Path) -> None:
    assert not alarms(run_watched(HEALTHY[name], tmp_path))
