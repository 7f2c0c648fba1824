"""A series whose next step is up or down: lags of classes, splits of rows that follow one another."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_TIDES = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, matthews_corrcoef
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(5)
rows = 900
hidden = np.zeros(rows)
for at in range(1, rows):
    hidden[at] = 0.9 * hidden[at - 1] + rng.normal()
tide = pd.DataFrame({"wind": hidden + rng.normal(0, 1.5, rows), "moon": np.arange(rows) % 28})
tide["high"] = (hidden + rng.normal(0, 0.7, rows) > 0).astype(int)
tide["before"] = tide["high"].shift(1)
tide["often"] = tide["high"].shift(1).rolling(6).mean()
tide["wind_before"] = tide["wind"].shift(1)
tide = tide.dropna()
names = ["wind", "moon", "before", "often", "wind_before"]
learnt, held = tide.iloc[:650], tide.iloc[650:]
model = LogisticRegression(max_iter=500).fit(learnt[names], learnt["high"])
chances = model.predict_proba(held[names])[:, 1]
print(log_loss(held["high"], chances), matthews_corrcoef(held["high"], chances > 0.5))
"""
_BEFORE = 'tide["before"] = tide["high"].shift(1)'
_OFTEN = 'tide["often"] = tide["high"].shift(1).rolling(6).mean()'
_SPLIT = "learnt, held = tide.iloc[:650], tide.iloc[650:]"
_CHANCES = "model.predict_proba(held[names])[:, 1]"
_FAULTS = {
    "a lag of the wrong sign": ([(_BEFORE, _BEFORE.replace("1", "-1"))], "lag-from-the-future"),
    "a window over its own class": ([(_OFTEN, _OFTEN.replace(".shift(1)", ""))], "window-includes-target"),
    "a window that looks ahead": (
        [(_OFTEN, _OFTEN.replace("rolling(6)", "rolling(6, center=True)"))],
        "window-includes-target",
    ),
    "a random split": (
        [(_SPLIT, "learnt, held = train_test_split(tide, test_size=0.3, random_state=1)")],
        "random-split-of-time-series",
    ),
    "rows in another order": (
        [(_SPLIT, "tide = tide.sample(frac=1.0, random_state=0)\n" + _SPLIT)],
        "random-split-of-time-series",
    ),
    "chances of the other class": ([(_CHANCES, _CHANCES.replace("1]", "0]"))], "wrong-class-probability"),
}
_SOUND = {
    "as it is": [],
    "a window that ends before": [(_OFTEN, 'tide["often"] = tide["high"].rolling(6, closed="left").mean()')],
    "the step after is what is told": [
        (_BEFORE, 'tide["high"] = tide["high"].shift(-1)\ntide["before"] = tide["high"].shift(1)')
    ],
    "the last part is split further at random": [
        ("print(", 'other = train_test_split(held[["wind"]], test_size=0.5, random_state=0)\nprint(')
    ],
    "the series is one of many, and each is on one side": [
        (_BEFORE, 'tide["boat"] = rng.integers(0, 40, rows)\n' + _BEFORE),
        (_OFTEN, 'tide["often"] = tide.groupby("boat")["high"].shift(1)'),
        ('tide["wind_before"] = tide["wind"].shift(1)', 'tide["wind_before"] = tide["wind"] ** 2'),
        (_BEFORE, 'tide["before"] = tide.groupby("boat")["wind"].shift(1)'),
        (_SPLIT, 'learnt, held = tide[tide["boat"] < 28], tide[tide["boat"] >= 28]'),
    ],
    "changes only number the stretches": [
        (_BEFORE, 'stretch = (tide["high"] != tide["high"].shift(1)).cumsum()\ntide["before"] = stretch % 2'),
        (_OFTEN, 'tide["often"] = rng.normal(size=rows)'),
        ('tide["wind_before"] = tide["wind"].shift(1)', 'tide["wind_before"] = tide["wind"] ** 2'),
        ('names = ["wind", "moon", "before",', 'names = ["wind", "moon",'),
        (_SPLIT, "learnt, held = train_test_split(tide, test_size=0.3, random_state=1)"),
    ],
    "log loss of the class that counts": [
        (_CHANCES, _CHANCES.replace("1]", "0]")),
        ('log_loss(held["high"], chances)', 'log_loss(1 - held["high"], chances)'),
        ('matthews_corrcoef(held["high"], chances > 0.5)', "0"),
    ],
}


@pytest.mark.parametrize("name", _FAULTS)
def test_lags_and_splits_that_reach_the_class_are_named(name: str, tmp_path: Path) -> None:
    edits, expected = _FAULTS[name]
    assert run_watched(plant(_TIDES, *edits), tmp_path).first_cause[0] == expected


@pytest.mark.parametrize("name", _SOUND)
def test_what_a_row_may_know_and_series_that_are_cut_are_not_called_wrong(name: str, tmp_path: Path) -> None:
    assert run_watched(plant(_TIDES, *_SOUND[name]), tmp_path).findings == []
