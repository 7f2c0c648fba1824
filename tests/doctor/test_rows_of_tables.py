"""A forest of measured trees: codes, units, rows set aside, and classes in place of scores."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_TREES = """
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

rng = np.random.default_rng(2)
rows = 700
girth = rng.lognormal(3.0, 0.5, rows)
rain = rng.normal(900.0, 20.0, rows)
soil = rng.normal(6.5, 0.6, rows)
ill = (np.log(girth) - 3 + (soil - 6.5) + rng.normal(0, 0.6, rows) > 0.2).astype(int)
trees = pd.DataFrame({"girth": girth, "rain": rain, "soil": soil})
X_train, X_test, y_train, y_test = train_test_split(trees.to_numpy(), ill, random_state=0)
for fit, val in StratifiedKFold(4, shuffle=True, random_state=0).split(X_train, y_train):
    trial = make_pipeline(StandardScaler(), SVC()).fit(X_train[fit], y_train[fit])
    print(f1_score(y_train[val], trial.predict(X_train[val])))
scaler = StandardScaler().fit(X_train)
model = SVC().fit(scaler.transform(X_train), y_train)
asked, true = scaler.transform(X_test), y_test
said, scores = model.predict(asked), model.decision_function(asked)
print(roc_auc_score(true, scores), f1_score(true, said))
"""
_READY = "X_train, X_test, y_train, y_test ="
_ASKED = "asked, true = scaler.transform(X_test), y_test"
_AREA = "roc_auc_score(true, scores)"
_CENSUS = """
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(4)
people = 2400
age = rng.integers(20, 60, people)
trade = np.minimum(age // 8 + rng.integers(0, 2, people), 7)
home = (trade > 4).astype(int)
rich = (age + 6 * trade + rng.normal(0, 12, people) > 70).astype(int)
table = pd.DataFrame({"age": age, "trade": trade, "home": home, "rich": rich})
learnt, held = train_test_split(table, random_state=0)
model = RandomForestClassifier(30, random_state=0).fit(learnt[["age", "trade", "home"]], learnt["rich"])
print(balanced_accuracy_score(held["rich"], model.predict(held[["age", "trade", "home"]])))
"""
_HELD = "learnt, held = train_test_split(table, random_state=0)"


_NETWORK = """
import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.tensor(table[["age", "trade", "home", "street"]].to_numpy("float32"))
inputs = (inputs - inputs[:1800].mean(dim=0)) / inputs[:1800].std(dim=0)
classes = torch.tensor(table["rich"].to_numpy())
network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
for epoch in range(6):
    for rows in torch.randperm(1800).split(60):
        loss = nn.functional.cross_entropy(network(inputs[rows]), classes[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print((network(inputs[1800:]).argmax(dim=1) == classes[1800:]).float().mean())
"""


def test_networks_meet_people_who_are_alike_by_chance_and_people_written_down_twice(tmp_path: Path) -> None:
    people = _CENSUS[: _CENSUS.index("learnt, held")]
    plain = people.replace('"home": home', '"home": home, "street": 1.0 * home')
    assert run_watched(plain + _NETWORK, tmp_path).findings == []
    wide = people.replace('"home": home', '"home": home, "street": rng.integers(0, 400, people)')
    assert run_watched(wide + _NETWORK, tmp_path).findings == []
    half = "half = table.sample(1200, random_state=1)\n"
    twice = half + "table = pd.concat([half, half]).sample(frac=1.0, random_state=0)\n"
    assert "rows-learnt-and-measured" in run_watched(wide + twice + _NETWORK, tmp_path).kinds


def test_people_who_are_alike_by_chance_are_no_copies(tmp_path: Path) -> None:
    assert run_watched(_CENSUS, tmp_path).findings == []


def test_people_who_were_written_down_twice_are_copies(tmp_path: Path) -> None:
    wide = _CENSUS.replace('"home": home,', '"home": home, "street": rng.integers(0, 400, people),')
    wide = wide.replace('["age", "trade", "home"]', '["age", "trade", "home", "street"]')
    assert run_watched(wide, tmp_path).findings == []
    twice = plant(wide, (_HELD, "table = pd.concat([table, table.sample(900, random_state=1)])\n" + _HELD))
    assert run_watched(twice, tmp_path).first_cause[0] == "duplicates-across-split"


_FAULTS = {
    "zeros where nothing was written down": (
        [(_READY, 'trees.loc[rng.random(rows) < 0.08, "rain"] = 0.0\n' + _READY)],
        "missing-value-code",
    ),
    "a third of the rows in metres": (
        [(_READY, 'trees.loc[rng.random(rows) < 0.3, "girth"] /= 1000\n' + _READY)],
        "unit-mismatch",
    ),
    "what was learnt is asked, what was set aside is not": (
        [(_ASKED, "asked, true = scaler.transform(X_train), y_train")],
        "evaluated-on-training-rows",
    ),
    "an area under the curve of classes": ([(_AREA, "roc_auc_score(true, said)")], "metric-on-hard-labels"),
    "an area under the curve of cut scores": (
        [(_AREA, "average_precision_score(true, (scores > 0.3).astype(int))")],
        "metric-on-hard-labels",
    ),
}
_SOUND = {
    "as it is": [],
    "zeros of what may be none": [(_READY, 'trees.loc[rng.random(rows) < 0.3, "girth"] = 0.0\n' + _READY)],
    "zeros that a column tells of": [
        (
            _READY,
            'gone = rng.random(rows) < 0.08\ntrees.loc[gone, "rain"] = 0.0\ntrees["gone"] = gone\n' + _READY,
        )
    ],
    "saplings and trees": [(_READY, 'trees.loc[rng.random(rows) < 0.3, "girth"] /= 30\n' + _READY)],
    "what was learnt is asked, too": [
        (
            "said, scores =",
            "print(f1_score(y_train, model.predict(scaler.transform(X_train))))\nsaid, scores =",
        )
    ],
    "all rows are learnt in the end": [
        (
            _READY + " train_test_split(trees.to_numpy(), ill, random_state=0)",
            "X_train, y_train = trees.to_numpy(), ill",
        ),
        (_ASKED, "asked, true = scaler.transform(X_train), y_train"),
    ],
}


@pytest.mark.parametrize("name", _FAULTS)
def test_odd_rows_and_wrong_ways_of_measuring_are_named(name: str, tmp_path: Path) -> None:
    edits, expected = _FAULTS[name]
    assert run_watched(plant(_TREES, *edits), tmp_path).first_cause[0] == expected


@pytest.mark.parametrize("name", _SOUND)
def test_rows_that_only_look_odd_are_not_called_wrong(name: str, tmp_path: Path) -> None:
    assert run_watched(plant(_TREES, *_SOUND[name]), tmp_path).findings == []
