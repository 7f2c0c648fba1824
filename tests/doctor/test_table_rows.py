"""A network of two inputs that learns a table of pandas: codes, gaps, units, copies and labels from one."""

from pathlib import Path

import pytest
from watched import plant, run_watched

TABLE = """
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import f1_score
from torch import nn

rng = np.random.default_rng(4)
torch.manual_seed(0)
rows = 900
table = pd.DataFrame(
    {
        "colour": rng.choice(["red", "green", "blue", "grey"], rows),
        "shop": rng.choice([f"shop {at}" for at in range(9)], rows),
        "weight": rng.normal(70.0, 6.0, rows),
        "age": rng.gamma(5.0, 6.0, rows),
        "price": rng.normal(3.0, 1.0, rows),
    }
)
risk = table["weight"] / 6 + (table["colour"] == "red") * 2 - table["price"] + rng.normal(0, 0.4, rows)
table["grade"] = 1 + np.digitize(risk, np.quantile(risk, [0.4, 0.75]))
table.loc[rng.random(rows) < 0.1, "age"] = np.nan
# the table is made
order = rng.permutation(len(table))
train, test = table.iloc[order[:600]].copy(), table.iloc[order[600:]].copy()
for name in ("colour", "shop"):
    levels = sorted(train[name].unique())
    for part in (train, test):
        part[name] = pd.Categorical(part[name], categories=levels).codes + 1
numeric = ["weight", "age", "price"]
fill = train["age"].median()
mean, std = train[numeric].mean(), train[numeric].std()


def tensors(part):
    numbers = (part[numeric].fillna({"age": fill}) - mean) / std
    return (
        torch.tensor(part[["colour", "shop"]].to_numpy(dtype="int64")),
        torch.tensor(numbers.to_numpy(), dtype=torch.float32),
        torch.tensor(part["grade"].to_numpy()),
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.colour, self.shop = nn.Embedding(6, 3), nn.Embedding(12, 3)
        self.layers = nn.Sequential(nn.Linear(9, 24), nn.ReLU(), nn.Linear(24, 3))

    def forward(self, codes, numbers):
        return self.layers(torch.cat([self.colour(codes[:, 0]), self.shop(codes[:, 1]), numbers], dim=1))


learnt, measured = tensors(train), tensors(test)
net = Net()
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
for epoch in range(6):
    net.train()
    for batch in torch.randperm(len(learnt[2])).split(50):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(learnt[0][batch], learnt[1][batch]), learnt[2][batch] - 1).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        said = net(measured[0], measured[1]).argmax(dim=1) + 1
    score = f1_score(measured[2].numpy(), said.numpy(), average="macro")
"""

_CODES = "pd.Categorical(part[name], categories=levels).codes + 1"
_MADE = "# the table is made"

_FAULTS = {
    "codes by factorize, part by part": (
        [(_CODES, "pd.factorize(part[name])[0] + 1")],
        ("preparation-fitted-anew-on-held-out-rows", "category-codes-refitted", "factorize"),
    ),
    "codes by the categories of each part": (
        [
            ("table.iloc[order[600:]].copy()", "table.iloc[order[600:]].query('colour != \"blue\"').copy()"),
            (_CODES, 'part[name].astype("category").cat.codes + 1'),
        ],
        ("preparation-fitted-anew-on-held-out-rows", "category-codes-refitted", "cat.codes"),
    ),
    "codes by a dictionary of each part": (
        [(_CODES, "part[name].map({each: at for at, each in enumerate(part[name].unique())})")],
        ("preparation-fitted-anew-on-held-out-rows", "category-codes-refitted", ".map("),
    ),
    "answers from nought": (
        [(".argmax(dim=1) + 1", ".argmax(dim=1)")],
        ("labels-counted-from-one", "labels-off-by-one", "f1_score("),
    ),
    "copies on both sides": (
        [(_MADE, "table = pd.concat([table, table.sample(300, random_state=0)], ignore_index=True)")],
        ("rows-learnt-and-measured", "duplicates-across-split", ""),
    ),
    "gaps filled with the median of all rows": (
        [('fill = train["age"].median()', 'fill = table["age"].median()')],
        ("preparation-saw-held-out-rows", "imputed-with-all-rows", ""),
    ),
    "gaps filled with the mean of all rows": (
        [('fill = train["age"].median()', 'fill = table["age"].mean()')],
        ("preparation-saw-held-out-rows", "imputed-with-all-rows", ""),
    ),
    "grams among kilograms, then scaled": (
        [(_MADE, 'table.loc[table.index % 3 == 0, "weight"] *= 1000.0')],
        ("rows-in-two-units", "unit-mismatch", ""),
    ),
}

_RIGHT = {
    "as it is": [],
    "one coding for all rows": [
        (_MADE, 'for name in ("colour", "shop"):\n    table[name] = pd.factorize(table[name])[0]'),
        (_CODES, "part[name] + 1"),
    ],
    "two columns with the same categories": [
        (_MADE, 'table["partner"] = rng.permutation(table["shop"])'),
        (
            "    for part in (train, test):\n",
            '    pd.factorize(table["partner"])\n    for part in (train, test):\n',
        ),
    ],
    "codes by a dictionary of what is learnt": [
        (_CODES, "part[name].map({each: at for at, each in enumerate(levels)})")
    ],
    "two ways to number the same column": [
        (_MADE, 'table["rank"] = table["colour"].map({"red": 3, "green": 1, "blue": 0, "grey": 2})'),
        (_CODES, "part[name].map({each: at for at, each in enumerate(levels)})"),
    ],
    "folds that have each their own dictionary": [
        (
            _MADE,
            """halves = table.index[::2], table.index[1::2]
for own, other in (halves, halves[::-1]):
    codes = {each: at for at, each in enumerate(table.loc[own, "shop"].unique())}
    table.loc[own, "shop"].map(codes), table.loc[other, "shop"].map(codes)
""",
        ),
    ],
    "how often each comes": [
        (_CODES, "part[name].map({each: 7 * at + 3 for at, each in enumerate(part[name].unique())}) % 6"),
    ],
    "gaps filled with a constant": [('fill = train["age"].median()', "fill = 30.0")],
    "two kinds of things": [(_MADE, 'table.loc[table.index % 3 == 0, "weight"] += 300.0')],
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_fault_of_the_table_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, (kind, cause, line) = _FAULTS[fault]
    told = run_watched(plant(TABLE, *edits), tmp_path)
    assert told.kinds[0] == kind
    name, at = told.first_cause
    assert name == cause
    assert line in at


@pytest.mark.parametrize("way", _RIGHT)
def test_a_table_that_is_prepared_rightly_raises_nothing(way: str, tmp_path: Path) -> None:
    assert not run_watched(plant(TABLE, *_RIGHT[way]), tmp_path).kinds
