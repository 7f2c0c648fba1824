"""Targets that are learnt in another unit than they are measured in."""

from pathlib import Path

import numpy as np
import pytest
from watched import plant, run_watched

from modelwright.doctor.sensors.rows.scores.target_units import units_between

_RENTS = """
import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(3)
n = 500
table = pd.DataFrame(
    {
        "surface": rng.gamma(6, 12, n),
        "street": rng.integers(0, 12, n),
        "metro": rng.gamma(2, 4, n),
    }
)
table["rent"] = np.exp(5.5 + 0.6 * np.log(table["surface"]) - 0.02 * table["metro"] + rng.normal(0, 0.1, n))
train, test = table.iloc[:380], table.iloc[380:]
columns = ["surface", "street", "metro"]
scaler = StandardScaler().fit(train[columns])
model = Ridge(alpha=1.0).fit(scaler.transform(train[columns]), np.log(train["rent"]))
said = np.exp(model.predict(scaler.transform(test[columns])))
print(mean_absolute_error(test["rent"], said), r2_score(test["rent"], said))
"""

_BACK = ("said = np.exp(model.predict(scaler.transform(test[columns])))", "said = {}")


def _back(new: str) -> tuple[str, str]:
    return _BACK[0], _BACK[1].format(new)


_HEALTHY = {
    "as it is": (),
    "in logarithms all along": (
        _back("model.predict(scaler.transform(test[columns]))"),
        (
            'mean_absolute_error(test["rent"], said), r2_score(test["rent"], said)',
            'mean_absolute_error(np.log(test["rent"]), said)',
        ),
    ),
    "no logarithm": (
        ('np.log(train["rent"])', 'train["rent"]'),
        _back("model.predict(scaler.transform(test[columns]))"),
    ),
    "of cents": (
        ('np.log(train["rent"])', '100 * train["rent"]'),
        _back("model.predict(scaler.transform(test[columns])) / 100"),
    ),
    "a regressor that does both": (
        (
            'Ridge(alpha=1.0).fit(scaler.transform(train[columns]), np.log(train["rent"]))',
            "TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp)"
            '.fit(scaler.transform(train[columns]), train["rent"])',
        ),
        _back("model.predict(scaler.transform(test[columns]))"),
    ),
    "a series that grows": (
        ('table["rent"] = np.exp(', 'table["rent"] = np.exp(np.arange(n) / 60 + '),
        ('np.log(train["rent"])', 'train["rent"]'),
        _back("model.predict(scaler.transform(test[columns]))"),
    ),
}


@pytest.mark.parametrize("edits", _HEALTHY.values(), ids=_HEALTHY.keys())
def test_nothing_is_said_of_units_that_are_the_same(
    edits: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    told = run_watched(plant(_RENTS, *edits), tmp_path)
    assert "predictions-in-another-unit" not in told.kinds


@pytest.mark.parametrize(
    "target",
    [
        'np.log(train["rent"])',
        'np.log1p(train["rent"])',
        '(train["rent"] - train["rent"].mean()) / train["rent"].std()',
    ],
)
def test_predictions_that_stay_in_the_learnt_unit_are_told(target: str, tmp_path: Path) -> None:
    edits = ('np.log(train["rent"])', target), _back("model.predict(scaler.transform(test[columns]))")
    told = run_watched(plant(_RENTS, *edits), tmp_path)
    assert told.kinds[0] == "predictions-in-another-unit"
    assert told.first_cause == (
        "predictions-not-rescaled",
        'print(mean_absolute_error(test["rent"], said), r2_score(test["rent"], said))',
    )


@pytest.mark.parametrize("target", ['np.log1p(train["trips"])', 'np.log(train["trips"] + 1e-9)'])
def test_counts_that_reach_into_the_learnt_range_hide_no_unit(target: str, tmp_path: Path) -> None:
    edits = (
        ("train, test = table", 'table["trips"] = rng.poisson(table["rent"] / 60)\ntrain, test = table'),
        ('np.log(train["rent"])', target),
        _back("model.predict(scaler.transform(test[columns])).clip(0)"),
        ('(test["rent"], said), r2_score(test["rent"], said)', '(test["trips"], said)'),
    )
    told = run_watched(plant(_RENTS, *edits), tmp_path)
    assert told.first_cause[0] == "predictions-not-rescaled"


def test_counts_that_grow_are_in_their_own_unit(tmp_path: Path) -> None:
    edits = (
        ("train, test = table", 'table["trips"] = 2 + np.arange(n) ** 2 // 4000\ntrain, test = table'),
        ('np.log(train["rent"])', 'train["trips"]'),
        _back("model.predict(scaler.transform(test[columns])).clip(0)"),
        ('(test["rent"], said), r2_score(test["rent"], said)', '(test["trips"], said)'),
    )
    told = run_watched(plant(_RENTS, *edits), tmp_path)
    assert "predictions-in-another-unit" not in told.kinds


def test_what_is_undone_before_measuring_hides_no_rows(tmp_path: Path) -> None:
    edits = (
        _back("np.exp(model.predict(scaler.transform(train[columns])))"),
        ('test["rent"], said), r2_score(test["rent"]', 'train["rent"], said), r2_score(train["rent"]'),
    )
    told = run_watched(plant(_RENTS, *edits), tmp_path)
    assert "measured-on-training-rows" in told.kinds


def test_functions_are_known_by_what_they_do() -> None:
    said = np.random.default_rng(0).normal(3.0, 1.0, 200)
    for function, name in (
        (np.exp, "logarithm"),
        (np.expm1, "logarithm of one more"),
        (lambda each: 7.0 * each - 2.0, "shift and scale"),
        (lambda each: np.clip(np.exp(each), 5.0, 90.0), "logarithm"),
    ):
        found = units_between(said, function(said))
        assert found is not None
        assert found.name == name
        inner = np.abs(said - 3.0) < 1.0
        assert np.allclose(found.back(function(said))[inner], said[inner], atol=1e-6)
    assert units_between(said, -said) is None
    assert units_between(said, said + np.random.default_rng(1).normal(size=200)) is None


_FILLED = _RENTS.replace(
    "scaler = StandardScaler()",
    """train, test = train.copy(), test.copy()
filling = train["metro"].median()
train["metro"], test["metro"] = train["metro"].fillna(filling), test["metro"].fillna(filling)
means = train.groupby("street")["rent"].mean()
for part in (train, test):
    part["usual"] = part["street"].map(means)
columns.append("usual")
scaler = StandardScaler()""",
).replace(
    "train, test = table.iloc[:380]",
    'table.loc[rng.random(n) < 0.1, "metro"] = np.nan\ntrain, test = table.iloc[:380]',
    1,
)


def test_gaps_and_means_of_training_rows_alone_are_well(tmp_path: Path) -> None:
    assert run_watched(_FILLED, tmp_path).kinds == []


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_gaps_that_are_filled_part_by_part_with_a_number_of_both_are_told(
    statistic: str, tmp_path: Path
) -> None:
    told = run_watched(plant(_FILLED, ('train["metro"].median()', f'table["metro"].{statistic}()')), tmp_path)
    assert told.kinds == ["preparation-saw-held-out-rows"]
    assert told.first_cause[0] == "imputed-with-all-rows"


def test_means_of_targets_in_their_own_unit_that_were_scaled_since_are_told(tmp_path: Path) -> None:
    told = run_watched(plant(_FILLED, ("means = train.groupby", "means = table.groupby")), tmp_path)
    assert told.kinds == ["feature-gives-target-away"]
    assert told.first_cause == (
        "target-encoded-on-all-rows",
        'means = table.groupby("street")["rent"].mean()',
    )


_LOADS = """
import numpy as np
import torch
from sklearn.metrics import mean_absolute_error
from torch import nn

torch.manual_seed(0)
rng = np.random.default_rng(2)
hours = np.arange(700)
load = 6000 + 900 * np.sin(hours * 2 * np.pi / 24) + rng.normal(0, 60, 700)
least, most = load[:500].min(), load[:500].max()
scaled = 2 * (load - least) / (most - least) - 1
windows = np.stack([scaled[at : at + 12] for at in range(688)]).astype(np.float32)
goals = scaled[12:].astype(np.float32)
model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(15):
    for some in torch.randperm(480).split(32):
        told = model(torch.from_numpy(windows)[some]).squeeze(1)
        loss = nn.functional.mse_loss(told, torch.from_numpy(goals)[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    held = torch.from_numpy(windows[500:])
    said = torch.cat([model(some) for some in held.split(40)]).squeeze(1)
said = (said.numpy() + 1) / 2 * (most - least) + least
print(mean_absolute_error(load[512:], said))
"""
_UNDO = "said = (said.numpy() + 1) / 2 * (most - least) + least"


def test_answers_of_a_network_that_stay_scaled_are_told(tmp_path: Path) -> None:
    told = run_watched(plant(_LOADS, (_UNDO, "said = said.numpy()")), tmp_path)
    assert told.kinds == ["predictions-in-another-unit"]
    assert told.first_cause == ("predictions-not-rescaled", "print(mean_absolute_error(load[512:], said))")


@pytest.mark.parametrize(
    "edits",
    [(), ((_UNDO, "said = said.numpy()"), ("(load[512:], said)", "(scaled[512:], said)"))],
    ids=["brought back", "scaled both"],
)
def test_answers_of_a_network_in_the_unit_of_what_is_true(
    edits: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    assert run_watched(plant(_LOADS, *edits), tmp_path).kinds == []


def test_a_window_that_holds_its_target_is_named_first(tmp_path: Path) -> None:
    told = run_watched(plant(_LOADS, ("goals = scaled[12:]", "goals = scaled[11:-1]")), tmp_path)
    assert told.first_cause[0] == "window-includes-target"


def test_weighted_losses_that_stay_at_chance_are_told(tmp_path: Path) -> None:
    program = """
import torch
from torch import nn

torch.manual_seed(0)
words = torch.randint(0, 50, (600, 8))
names = (torch.rand(600) < 0.2).long()
weights = torch.tensor([600 / (2.0 * (names == 0).sum()), 600 / (2.0 * (names == 1).sum())])
model = nn.Sequential(nn.Embedding(50, 2), nn.Flatten(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for epoch in range(12):
    for some in torch.randperm(600).split(50):
        loss = nn.functional.cross_entropy(model(words[some]), names[some], weight=weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
    assert "nothing-learnt" in run_watched(program, tmp_path).kinds
    learnable = plant(program, ("(torch.rand(600) < 0.2)", "(words[:, 0] < 10)"), ("lr=1e-3", "lr=2.0"))
    assert run_watched(learnable, tmp_path).kinds == []
