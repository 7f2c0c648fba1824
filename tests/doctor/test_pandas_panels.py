"""Meters read day by day: rows are called anew after gaps are dropped, features are made meter by meter."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_METERS = """
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(5)
dates = pd.date_range("2023-01-01", periods=150)
frames = []
for meter in range(10):
    drift = np.zeros(len(dates))
    for day in range(1, len(dates)):
        drift[day] = 0.8 * drift[day - 1] + rng.normal(0, 2.0)
    used = rng.normal(30.0, 6.0) + 3 * np.sin(np.arange(len(dates)) * 2 * np.pi / 7) + drift
    degrees = rng.normal(8.0, 3.0, len(dates))
    used -= degrees
    frames.append(pd.DataFrame({"date": dates, "meter": f"m{meter}", "degrees": degrees, "kwh": used}))
df = pd.concat(frames).sort_values(["date", "meter"]).reset_index(drop=True)
by_meter = df.groupby("meter")["kwh"]
df["kwh_1"] = by_meter.shift(1)
df["kwh_week"] = by_meter.transform(lambda x: x.shift(1).rolling(7).mean())
df["change"] = df["kwh_1"] - by_meter.shift(2)
df["y"] = df["kwh"]
df = df.dropna().reset_index(drop=True)
train, test = df[df["date"] < "2023-05-01"], df[df["date"] >= "2023-05-01"]
X = ["degrees", "kwh_1", "kwh_week", "change"]
model = Ridge().fit(train[X], train["y"])
print(mean_absolute_error(test["y"], model.predict(test[X])))
"""
_LAG = 'df["kwh_1"] = by_meter.shift(1)'
_WEEK = 'df["kwh_week"] = by_meter.transform(lambda x: x.shift(1).rolling(7).mean())'
_CHANGE = 'df["change"] = df["kwh_1"] - by_meter.shift(2)'
_DROP = "df = df.dropna().reset_index(drop=True)"
_SPLIT = 'train, test = df[df["date"] < "2023-05-01"], df[df["date"] >= "2023-05-01"]'
_FIT = 'model = Ridge().fit(train[X], train["y"])'


def _week(inner: str) -> tuple[str, str]:
    return _WEEK, f'df["kwh_week"] = by_meter.{inner}'


_FAULTS = {
    "a lag of the wrong sign, rows called anew": (
        ((_LAG, 'df["kwh_1"] = by_meter.shift(-1)'),),
        "lag-from-the-future",
        'df["kwh_1"] = by_meter.shift(-1)',
    ),
    "called anew in place": (
        (
            (_LAG, 'df["kwh_1"] = by_meter.shift(-1)'),
            (
                _DROP,
                "import warnings\nwarnings.simplefilter('ignore')\ndf = df.dropna()\n"
                "df.reset_index(drop=True, inplace=True)",
            ),
        ),
        "lag-from-the-future",
        'df["kwh_1"] = by_meter.shift(-1)',
    ),
    "a window in a function of each meter": (
        (_week("transform(lambda x: x.rolling(7).mean())"),),
        "window-includes-target",
        'df["kwh_week"] = by_meter.transform(lambda x: x.rolling(7).mean())',
    ),
    "a window that is shifted the wrong way": (
        (_week("transform(lambda x: x.rolling(7).mean().shift(-7))"),),
        "window-includes-target",
        'df["kwh_week"] = by_meter.transform(lambda x: x.rolling(7).mean().shift(-7))',
    ),
    "a window in a function that is applied": (
        (_week("apply(lambda x: x.ewm(span=4).mean()).droplevel(0)"),),
        "window-includes-target",
        'df["kwh_week"] = by_meter.apply(lambda x: x.ewm(span=4).mean()).droplevel(0)',
    ),
    "a change up to the day itself": (
        ((_CHANGE, 'df["change"] = by_meter.diff()'),),
        "window-includes-target",
        'df["change"] = by_meter.diff()',
    ),
    "days drawn at random": (
        ((_SPLIT, "train, test = train_test_split(df, test_size=0.2, random_state=0)"),),
        "random-split-of-time-series",
        _FIT,
    ),
    "days sampled, the others dropped": (
        ((_SPLIT, "test = df.sample(frac=0.2, random_state=0)\ntrain = df.drop(test.index)"),),
        "random-split-of-time-series",
        _FIT,
    ),
    "targets of a table that was sorted since": (
        ((_FIT, 'model = Ridge().fit(train[X], train.sort_values(["meter", "date"])["y"].values)'),),
        "features-shuffled-against-labels",
        None,
    ),
}
_HEALTHY = {
    "as it is": (),
    "a window that is shifted after": (_week("transform(lambda x: x.rolling(7).mean().shift(1))"),),
    "a function without windows": (_week("transform(lambda x: x.shift(1).fillna(x.iloc[0]))"),),
    "a change up to the day before": (
        (_CHANGE, 'df["change"] = by_meter.transform(lambda x: x.diff().shift(1))'),
    ),
    "the day itself for tomorrow": (
        ('df["y"] = df["kwh"]', 'df["y"] = by_meter.shift(-1)'),
        _week("transform(lambda x: x.rolling(7).mean())"),
        (_CHANGE, 'df["change"] = by_meter.diff()'),
    ),
    "the change is what is told": (
        ('df["y"] = df["kwh"]', 'df["y"] = by_meter.diff()'),
        (_CHANGE, 'df["change"] = by_meter.diff().groupby(df["meter"]).shift(1)'),
    ),
    "windows over what is known ahead": (
        (
            _WEEK,
            'df["kwh_week"] = df.groupby("meter")["degrees"]'
            ".transform(lambda x: x.rolling(3, center=True).mean())",
        ),
    ),
    "meters held out": (
        (_SPLIT, 'train, test = df[~df["meter"].isin(["m3", "m7"])], df[df["meter"].isin(["m3", "m7"])]'),
    ),
    "weeks held out": (
        (
            _SPLIT,
            'weeks = df["date"].dt.day_of_year // 21\ntrain, test = df[weeks % 4 > 0], df[weeks % 4 == 0]',
        ),
    ),
    "sorted with its targets": (
        (
            _FIT,
            'train = train.sort_values(["meter", "date"])\nmodel = Ridge().fit(train[X], train["y"].values)',
        ),
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_is_wrong_in_time_is_named_with_its_line(fault: str, tmp_path: Path) -> None:
    edits, name, line = _FAULTS[fault]
    told = run_watched(plant(_METERS, *edits), tmp_path)
    assert told.first_cause[0] == name
    assert line is None or told.first_cause[1] == line


@pytest.mark.parametrize("variant", _HEALTHY)
def test_what_is_known_in_time_raises_nothing(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(_METERS, *_HEALTHY[variant]), tmp_path).kinds == []
