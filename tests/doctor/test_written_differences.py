"""Metrics that a program writes down itself, of a column of pandas and an array."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_TREES = """
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import RandomForestRegressor
from torch import nn

rng = np.random.default_rng(2)
torch.manual_seed(0)
n = 700
trees = pd.DataFrame({"girth": rng.gamma(9, 4, n), "height": rng.normal(20, 4, n), "wet": rng.random(n)})
trees["mass"] = np.exp(2 * np.log(trees["girth"]) + 0.05 * trees["height"] + rng.normal(0, 0.1, n))
learnt, told = trees.iloc[:500], trees.iloc[500:]
columns = ["girth", "height", "wet"]
mean, std = learnt[columns].mean(), learnt[columns].std()


def rows(part):
    return ((part[columns] - mean) / std).to_numpy().astype("float32")
"""

_FOREST = (
    _TREES
    + """
model = RandomForestRegressor(30, random_state=0).fit(rows(learnt), np.log(learnt["mass"]))
said = np.exp(model.predict(rows(told)))
print(np.mean(np.abs(told["mass"] - said)))
"""
)

_NETS = (
    _TREES
    + """
answers = []
for seed in range(2):
    net = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 1))
    x, y = torch.tensor(rows(learnt)), torch.tensor(np.log(learnt["mass"].to_numpy()), dtype=torch.float32)
    with torch.no_grad():
        net[2].bias.fill_(float(y.mean()))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for epoch in range(20):
        net.train()
        for batch in torch.randperm(500).split(50):
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x[batch])[:, 0], y[batch]).backward()
            optimizer.step()
    net.eval()
    with torch.no_grad():
        answers.append(net(torch.tensor(rows(told)))[:, 0].numpy())
said = np.exp(np.mean(answers, axis=0))
error = said - told["mass"]
print(np.sqrt((error**2).mean()))
"""
)

_LOST = {
    "a forest": (_FOREST, [("np.exp(model.predict(rows(told)))", "model.predict(rows(told))")], "told["),
    "the mean of two networks": (
        _NETS,
        [("np.exp(np.mean(answers, axis=0))", "np.mean(answers, axis=0)")],
        "error =",
    ),
}

_RIGHT = {
    "a forest": (_FOREST, []),
    "a forest, in logarithms": (
        _FOREST,
        [("np.exp(model", "(model"), ('told["mass"] - said', 'np.log(told["mass"]) - said')],
    ),
    "another column beside answers": (
        _FOREST,
        [("np.exp(model", "(model"), ('told["mass"] - said', 'told["girth"] - said')],
    ),
    "two networks": (_NETS, []),
    "two networks that learn what is measured": (
        _NETS,
        [
            ('torch.tensor(np.log(learnt["mass"].to_numpy()), dtype=torch.float32)', "torch.tensor(scaled)"),
            ("answers = []", 'scaled = (learnt["mass"].to_numpy() / 1000).astype("float32")\nanswers = []'),
            ("np.exp(np.mean(answers, axis=0))", "1000 * np.mean(answers, axis=0)"),
        ],
    ),
}


@pytest.mark.parametrize("way", _LOST)
def test_a_unit_that_is_lost_is_named_at_the_difference(way: str, tmp_path: Path) -> None:
    text, edits, line = _LOST[way]
    told = run_watched(plant(text, *edits), tmp_path)
    assert told.kinds[0] == "predictions-in-another-unit"
    name, at = told.first_cause
    assert name == "predictions-not-rescaled"
    assert line in at


@pytest.mark.parametrize("way", _RIGHT)
def test_nothing_is_said_of_answers_in_the_unit_of_the_column(way: str, tmp_path: Path) -> None:
    text, edits = _RIGHT[way]
    assert "predictions-in-another-unit" not in run_watched(plant(text, *edits), tmp_path).kinds
