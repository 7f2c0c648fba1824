"""Small programs that prepare their rows by hand, in the styles that people write them in."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["STYLES"]

_ROWS = """
import numpy as np

rng = np.random.default_rng(3)
latent = rng.normal(size=(480, 4))
X = latent @ rng.normal(size=(4, 9)) + 0.3 * rng.normal(size=(480, 9))
X = X * rng.uniform(0.5, 20, 9) + rng.uniform(-50, 100, 9)
y = (latent[:, 0] + 0.5 * latent[:, 1] ** 2 + 0.3 * rng.normal(size=480) > 0.3).astype("int64")
value = latent[:, 0] + np.sin(latent[:, 1]) + 0.2 * rng.normal(size=480)
# rows are ready
"""

_NUMPY = (
    _ROWS
    + """
import torch
from torch import nn

torch.manual_seed(0)
order = rng.permutation(480)
train, test = order[:360], order[360:]
mean, std = X[train].mean(0), X[train].std(0)
X_train, X_test = (X[train] - mean) / std, (X[test] - mean) / std
X_train, X_test = (torch.tensor(each, dtype=torch.float32) for each in (X_train, X_test))
y_train, y_test = torch.tensor(y[train]), torch.tensor(y[test])
model = nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(6):
    for rows in torch.randperm(len(X_train)).split(32):
        loss = nn.functional.cross_entropy(model(X_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(X_test).argmax(1) == y_test).float().mean().item()
"""
)

_TORCH = (
    _ROWS
    + """
import torch

torch.manual_seed(0)
x = torch.from_numpy(X).float()
t = torch.from_numpy(y).float()
known, asked = x[:360], x[360:]
centre = known.mean(dim=0)
known, asked = (known - centre) / known.std(dim=0), (asked - centre) / known.std(dim=0)
w1 = torch.nn.Linear(9, 12)
w2 = torch.nn.Linear(12, 1)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = w1, w2

    def forward(self, given):
        return self.b(torch.tanh(self.a(given))).squeeze(-1)


net = Net()
descent = torch.optim.SGD(net.parameters(), lr=0.1)
for sweep in range(40):
    descent.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(net(known), t[:360]).backward()
    descent.step()
net.eval()
hits = ((net(asked) > 0) == t[360:].bool()).float().mean()
"""
)

_PANDAS = (
    _ROWS
    + """
import pandas as pd
import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
frame = pd.DataFrame(X, columns=list("abcdefghi"))
frame["ill"] = y
columns = list("abcdefghi")
learn = frame.sample(frac=0.75, random_state=0)
rest = frame.drop(learn.index)
constants = learn[columns].mean(), learn[columns].std()
learn_x, rest_x = ((part[columns] - constants[0]) / constants[1] for part in (learn, rest))


def tensors(features, part):
    return TensorDataset(
        torch.tensor(features.to_numpy(), dtype=torch.float32), torch.tensor(part["ill"].to_numpy())
    )


batches = DataLoader(tensors(learn_x, learn), batch_size=40, shuffle=True)
others = DataLoader(tensors(rest_x, rest), batch_size=64)
net = torch.nn.Sequential(torch.nn.Linear(9, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
steps = torch.optim.AdamW(net.parameters(), lr=5e-3)
criterion = torch.nn.CrossEntropyLoss()
for epoch in range(5):
    net.train()
    for inputs, labels in batches:
        steps.zero_grad()
        criterion(net(inputs), labels).backward()
        steps.step()
    net.eval()
    right = 0
    with torch.no_grad():
        for inputs, labels in others:
            right += int((net(inputs).argmax(dim=1) == labels).sum())
"""
)

_DATASET = (
    _ROWS
    + """
import torch
from torch.utils.data import DataLoader, Dataset


class Readings(Dataset):
    def __init__(self, rows, labels, low, high):
        self.rows = (rows - low) / (high - low)
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, at):
        return {"x": torch.tensor(self.rows[at], dtype=torch.float32), "y": int(self.labels[at])}


torch.manual_seed(0)
low, high = X[:380].min(axis=0), X[:380].max(axis=0)
loader = DataLoader(Readings(X[:380], y[:380], low, high), batch_size=20, shuffle=True, drop_last=True)
checks = DataLoader(Readings(X[380:], y[380:], low, high), batch_size=50)
net = torch.nn.Sequential(torch.nn.Linear(9, 20), torch.nn.ReLU(), torch.nn.Linear(20, 2))
optimizer = torch.optim.RMSprop(net.parameters(), lr=2e-3)
for epoch in range(5):
    for batch in loader:
        log_odds = torch.log_softmax(net(batch["x"]), dim=1)
        loss = -log_odds.gather(1, batch["y"][:, None]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        total = sum(torch.nn.functional.cross_entropy(net(b["x"]), b["y"]).item() for b in checks)
"""
)

_SPLIT = (
    _ROWS
    + """
import torch
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
inputs = torch.tensor(X, dtype=torch.float32)
whole = TensorDataset(inputs, torch.tensor(value, dtype=torch.float32)[:, None])
seen, unseen = random_split(whole, [400, 80])
chosen = inputs[list(seen.indices)]
inputs.sub_(chosen.mean(0)).div_(chosen.std(0))
net = torch.nn.Sequential(torch.nn.Linear(9, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for epoch in range(6):
    for a, b in DataLoader(seen, batch_size=25, shuffle=True):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(a), b).backward()
        optimizer.step()
with torch.no_grad():
    errors = [torch.nn.functional.l1_loss(net(a), b).item() for a, b in DataLoader(unseen, batch_size=80)]
"""
)

_FOLDS = (
    _ROWS
    + """
import torch

torch.manual_seed(0)


def learn(rows, goals):
    net = torch.nn.Sequential(torch.nn.Linear(9, 12), torch.nn.ReLU(), torch.nn.Linear(12, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for epoch in range(6):
        order = torch.randperm(len(rows))
        for at in range(0, len(rows), 48):
            some = order[at : at + 48]
            loss = ((net(rows[some]).squeeze(1) - goals[some]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


said = np.zeros(480)
folds = np.array_split(rng.permutation(480), 4)
for k, fold in enumerate(folds):
    others = np.concatenate([each for i, each in enumerate(folds) if i != k])
    fitted_on = X[others]
    centre, size = fitted_on.mean(axis=0), fitted_on.std(axis=0)
    net = learn(
        torch.tensor((X[others] - centre) / size, dtype=torch.float32),
        torch.tensor(value[others], dtype=torch.float32),
    )
    with torch.no_grad():
        said[fold] = net(torch.tensor((X[fold] - centre) / size, dtype=torch.float32)).squeeze(1).numpy()
"""
)

_WRAPPED = (
    _ROWS
    + """
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split


class Network(ClassifierMixin, BaseEstimator):
    def __init__(self, hidden=16):
        self.hidden = hidden

    def fit(self, X, y):
        torch.manual_seed(0)
        self.classes_ = np.unique(y)
        self.mean_, self.scale_ = X.mean(axis=0), X.std(axis=0)
        rows = torch.tensor((X - self.mean_) / self.scale_, dtype=torch.float32)
        labels = torch.tensor(y)
        self.net_ = torch.nn.Sequential(
            torch.nn.Linear(9, self.hidden), torch.nn.ReLU(), torch.nn.Linear(self.hidden, 2)
        )
        optimizer = torch.optim.Adam(self.net_.parameters(), lr=1e-2)
        for _ in range(30):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.net_(rows), labels).backward()
            optimizer.step()
        return self

    def predict(self, X):
        rows = torch.tensor((X - self.mean_) / self.scale_, dtype=torch.float32)
        with torch.no_grad():
            return self.classes_[self.net_(rows).argmax(dim=1).numpy()]


parts = train_test_split(X, y, test_size=0.25, random_state=0)
score = balanced_accuracy_score(parts[3], Network().fit(parts[0], parts[2]).predict(parts[1]))
"""
)

_CODES = (
    _ROWS
    + """
import torch

torch.manual_seed(0)
kind = rng.integers(0, 5, 480)
rows = rng.permutation(480)
train, valid = rows[:380], rows[380:]
scaled = (X - X[train].mean(0)) / X[train].std(0)


class Mixed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.kinds = torch.nn.Embedding(5, 3)
        self.head = torch.nn.Sequential(torch.nn.Linear(12, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))

    def forward(self, numbers, kinds):
        return self.head(torch.cat([numbers, self.kinds(kinds)], dim=1))


def pick(some):
    return torch.tensor(scaled[some], dtype=torch.float32), torch.tensor(kind[some])


model = Mixed()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(5):
    for some in np.array_split(rng.permutation(train), 12):
        loss = torch.nn.functional.cross_entropy(model(*pick(some)), torch.tensor(y[some]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        miss = torch.nn.functional.cross_entropy(model(*pick(valid)), torch.tensor(y[valid])).item()
"""
)

STYLES: Mapping[str, str] = MappingProxyType(
    {
        "numpy": _NUMPY,
        "torch": _TORCH,
        "pandas": _PANDAS,
        "dataset": _DATASET,
        "split": _SPLIT,
        "folds": _FOLDS,
        "wrapped": _WRAPPED,
        "codes": _CODES,
    }
)
"""Style -> a program that is right."""
