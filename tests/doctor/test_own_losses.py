"""Networks that are given targets beside their inputs, and return the loss with what they say."""

from pathlib import Path

import pytest
from watched import plant, run_watched

TUMOURS = """
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

torch.manual_seed(0)
X, y = load_breast_cancer(return_X_y=True)
parts = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
mean, deviation = parts[0].mean(0), parts[0].std(0)
seen, other = (torch.tensor((each - mean) / deviation, dtype=torch.float32) for each in parts[:2])
labels, true = (torch.tensor(each) for each in parts[2:])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(seen.shape[1], 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x, targets=None):
        logits = self.body(x)
        loss = None if targets is None else functional.cross_entropy(logits, targets)
        return logits, loss


net = Net()
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
for step in range(300):
    if step % 50 == 0:
        net.eval()
        with torch.no_grad():
            logits, loss = net(other, true)
        print(step, loss.item(), (logits.argmax(1) == true).float().mean().item())
        net.train()
    some = torch.randint(len(seen), (64,))
    logits, loss = net(seen[some], labels[some])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
net.eval()
with torch.no_grad():
    print((net(other)[0].argmax(1) == true).float().mean().item())
"""

_LOSS_FIRST = (
    ("return logits, loss", "return loss, logits"),
    ("logits, loss = net(other", "loss, logits = net(other"),
    ("logits, loss = net(seen", "loss, logits = net(seen"),
    ("net(other)[0]", "net(other)[1]"),
)
_BY_NAME = (
    ("return logits, loss", "return {'loss': loss, 'logits': logits}"),
    ("logits, loss = net(other, true)", "loss, logits = net(x=other, targets=true).values()"),
    ("logits, loss = net(seen[some], labels[some])", "loss = net(seen[some], targets=labels[some])['loss']"),
    ("net(other)[0]", "net(x=other)['logits']"),
)
_NUMBERS = (
    ("nn.Linear(32, 2)", "nn.Linear(32, 1)"),
    ("functional.cross_entropy(logits, targets)", "functional.mse_loss(logits, targets)"),
    (
        "(torch.tensor(each) for each in parts[2:])",
        "(torch.tensor(each)[:, None].float() for each in parts[2:])",
    ),
    ("(logits.argmax(1) == true)", "((logits > 0.5) == true)"),
    ("(net(other)[0].argmax(1) == true)", "((net(other)[0] > 0.5) == true)"),
)

STYLES = {
    "logits first": (),
    "loss first": _LOSS_FIRST,
    "numbers": _NUMBERS,
    "by name": _BY_NAME,
}


@pytest.mark.parametrize("style", STYLES)
def test_targets_beside_inputs_are_no_feature(style: str, tmp_path: Path) -> None:
    assert run_watched(plant(TUMOURS, *STYLES[style]), tmp_path).kinds == []


@pytest.mark.parametrize("style", STYLES)
def test_targets_of_other_rows_are_named(style: str, tmp_path: Path) -> None:
    shifted = ("for step in range", "labels = labels.roll(5, 0)\nfor step in range")
    program = plant(plant(TUMOURS, *STYLES[style]), shifted)
    assert run_watched(program, tmp_path).first_cause[0] == "features-shuffled-against-labels"


def test_a_feature_that_is_the_target_is_named(tmp_path: Path) -> None:
    program = plant(TUMOURS, ("parts = train", "X[:, 3] = 10 + 5 * y\nparts = train"))
    assert run_watched(program, tmp_path).first_cause[0] == "target-copied-into-feature"
