"""What is tried out on copies at the end: settings changed one by one, inputs changed one by one."""

from pathlib import Path

import pytest
import torch
from watched import DIGITS, plant, run_watched

_ADAM = "torch.optim.Adam(model.parameters(), lr=2e-3)"
_SGD = "torch.optim.SGD(model.parameters(), lr={})"
_STEP = "        optimizer.step()\n"
_CLIP = "        nn.utils.clip_grad_norm_(model.parameters(), {})\n" + _STEP

SETTINGS = {
    "a rate a thousand times too low": ([("lr=2e-3", "lr=2e-6")], "learning-rate-too-low"),
    "a rate a hundred times too high": ([("lr=2e-3", "lr=0.5")], "learning-rate-too-high"),
    "plain descent a thousand times too slow": ([(_ADAM, _SGD.format("1e-4"))], "learning-rate-too-low"),
    "gradients clipped to nothing": (
        [(_ADAM, _SGD.format("0.3")), (_STEP, _CLIP.format("1e-3"))],
        "clip-norm-tiny",
    ),
    "weights pulled to zero": ([("lr=2e-3", "lr=2e-3, weight_decay=1.0")], "weight-decay-too-high"),
    "nearly all units dropped": ([("nn.Dropout(0.1)", "nn.Dropout(0.98)")], "dropout-too-high"),
}

SOUND = {
    "a rate three times as high": [("lr=2e-3", "lr=6e-3")],
    "plain descent": [(_ADAM, _SGD.format("0.3"))],
    "gradients clipped to 1": [(_STEP, _CLIP.format("1.0"))],
    "some decay": [("lr=2e-3", "lr=2e-3, weight_decay=1e-3")],
    "half of the units dropped": [("nn.Dropout(0.1)", "nn.Dropout(0.5)")],
    "a loss of my own": [
        ("criterion(model(x), y)", "-model(x).log_softmax(1).gather(1, y[:, None]).mean()"),
    ],
    "labels as text of one number, float inputs in a sequence": [
        ("nn.Sequential(", "nn.Sequential(nn.Flatten(), "),
        ("images = (images / 16.0)", "images = (images.reshape(-1, 8, 8) / 16.0)"),
    ],
    "the best weights loaded again": [
        (
            "    with torch.no_grad():\n",
            "    best = {k: v.clone() for k, v in model.state_dict().items()}\n"
            "    model.load_state_dict(best)\n    with torch.no_grad():\n",
        ),
    ],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_keeps_it_from_learning_is_named_first(name: str, tmp_path: Path) -> None:
    edits, expected = SETTINGS[name]
    told = run_watched(plant(DIGITS, *edits), tmp_path)
    found = next(each for each in told.findings if each.kind == "learns-better-otherwise")
    assert found.causes[0].name == expected
    assert found.evidence["steps_of_each"] >= 40


@pytest.mark.parametrize("name", SOUND)
def test_a_program_that_learns_has_no_setting_named(name: str, tmp_path: Path) -> None:
    assert run_watched(plant(DIGITS, *SOUND[name]), tmp_path).kinds == []


def test_streams_of_random_numbers_and_weights_stay_as_the_program_left_them(tmp_path: Path) -> None:
    alone: dict[str, object] = {}
    exec(compile(DIGITS, "program", "exec"), alone)
    state = torch.get_rng_state()
    told = run_watched(DIGITS, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert told.variables["losses"] == alone["losses"]
    weights = (each.state_dict() for each in (told.variables["model"], alone["model"]))  # pyright: ignore
    for one, other in zip(*(state.values() for state in weights), strict=True):
        assert torch.equal(one, other)


FOLDS = """
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(240, 5)
y = x[:, 0] - 0.5 * x[:, 1] + 0.1 * torch.randn(240)
y = (y - y.mean()) / y.std()
for fold in range(3):
    model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for step in range(150):
        rows = torch.randperm(160)[:32] + 80 * (fold > 0)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x[rows]).squeeze(1), y[rows]).backward()
        optimizer.step()
"""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("lr=2e-6", "learning-rate-too-low"), ("lr=2e-3, weight_decay=1.0", "weight-decay-too-high")],
)
def test_a_setting_is_named_for_the_last_of_several_fits(setting: str, expected: str, tmp_path: Path) -> None:
    told = run_watched(plant(FOLDS, ("lr=2e-3", setting)), tmp_path)
    found = next(each for each in told.findings if each.kind == "learns-better-otherwise")
    assert found.causes[0].name == expected
    assert run_watched(FOLDS, tmp_path).kinds == []


TUNING = """
for part in (model[0], model[3]):
    assert part.weight.requires_grad
model[3] = nn.Linear(32, 10)
optimizer = torch.optim.AdamW(
    [{"params": model[0].parameters(), "lr": 1e-4}, {"params": model[3].parameters(), "lr": 5e-3}]
)
for epoch in range(3):
    for x, y in batches:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
"""


@pytest.mark.parametrize(("rate", "lost"), [("1e-4", False), ("5e-1", True)])
def test_learnt_weights_that_are_thrown_away_are_found(rate: str, lost: bool, tmp_path: Path) -> None:
    told = run_watched(DIGITS + TUNING.replace("1e-4", rate), tmp_path)
    assert ("learnt-weights-lost" in told.kinds) is lost


PARTS = {
    "rows mixed by a softmax over them": (
        [("nn.Linear(64, 32), nn.ReLU()", "nn.Linear(64, 32), nn.Softmax(dim=0)")],
        "examples-mixed",
    ),
    "statistics of the batch in evaluation": (
        [
            (
                "nn.Linear(64, 32), nn.ReLU()",
                "nn.Linear(64, 32), nn.BatchNorm1d(32, track_running_stats=False), nn.ReLU()",
            )
        ],
        "batch-statistics-in-evaluation",
    ),
    "logits out of a relu": ([("nn.Linear(32, 10))", "nn.Linear(32, 10), nn.ReLU())")], "relu-on-output"),
    "a regression out of a sigmoid": (
        [
            ("nn.Linear(32, 10))", "nn.Linear(32, 1), nn.Sigmoid())"),
            ("criterion(model(x), y)", "nn.functional.mse_loss(model(x)[:, 0], y.float())"),
        ],
        "output-bounded",
    ),
    "a loss that is raised": ([("criterion(model(x), y)", "-criterion(model(x), y)")], "loss-sign-flipped"),
    "a loss that is cut off": (
        [("criterion(model(x), y)", "criterion(model(x), y).clamp(max=1.0)")],
        "loss-clipped",
    ),
    "one layer twice": (
        [("nn.ReLU(), nn.Dropout(0.1)", "nn.ReLU(), *[nn.Linear(32, 32)] * 2, nn.ReLU()")],
        "module-shared-by-mistake",
    ),
    "the last batch measured": (
        [
            (
                "        right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in validation)\n",
                "        for x, y in validation:\n            out = model(x)\n"
                "        right = (out.argmax(dim=1) == y).float().mean().item()\n",
            )
        ],
        "metric-over-last-batch-only",
    ),
    "a sum that is overwritten": (
        [
            (
                "        right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in validation)\n",
                "        right = 0\n        for x, y in validation:\n"
                "            right = (model(x).argmax(dim=1) == y).sum().item()\n"
                "        print(right / len(held_out))\n",
            )
        ],
        "metric-over-last-batch-only",
    ),
    "the best weights kept for nothing": (
        [
            (
                "    with torch.no_grad():\n",
                "    import copy\n    best = copy.deepcopy(model.state_dict())\n    with torch.no_grad():\n",
            )
        ],
        "best-weights-not-restored",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_fault_of_a_part_is_named_first(name: str, tmp_path: Path) -> None:
    edits, expected = PARTS[name]
    told = run_watched(plant(DIGITS, *edits), tmp_path)
    assert told.first_cause[0] == expected, told.kinds


TOKENS = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
text = torch.arange(4000) ** 2 % 11
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 11)
        self.mask = nn.Transformer.generate_square_subsequent_mask(12)

    def forward(self, tokens):
        return self.head(self.layer(self.embedding(tokens), src_mask=self.mask))

model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
losses = []
for step in range(30):
    at = torch.randint(len(text) - 20, (16,))
    rows = torch.stack([text[i : i + 12] for i in at])
    targets = torch.stack([text[i + 1 : i + 13] for i in at])
    loss = F.cross_entropy(model(rows).flatten(0, 1), targets.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
"""

SEQUENCES = {
    "no mask": ([(", src_mask=self.mask", "")], "causal-mask-missing"),
    "targets that are the inputs": ([("text[i + 1 : i + 13]", "text[i : i + 12]")], "labels-not-shifted"),
    "targets two ahead": ([("text[i + 1 : i + 13]", "text[i + 2 : i + 14]")], "labels-shifted-twice"),
    "time taken for rows": (
        [
            ("batch_first=True", "batch_first=False"),
            ("square_subsequent_mask(12)", "square_subsequent_mask(16)"),
        ],
        "examples-mixed",
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_fault_of_a_sequence_model_is_named_first(name: str, tmp_path: Path) -> None:
    edits, expected = SEQUENCES[name]
    told = run_watched(plant(TOKENS, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


def test_a_sound_sequence_model_has_no_finding(tmp_path: Path) -> None:
    assert run_watched(TOKENS, tmp_path).kinds == []
