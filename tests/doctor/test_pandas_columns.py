"""A panel of sales: lags, windows and statistics of groups that reach what is to be predicted, or do not."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_SALES = """
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error

rng = np.random.default_rng(3)
shops, days = 12, 160
level = rng.normal(50.0, 9.0, shops)
frames = []
for shop in range(shops):
    noise = np.zeros(days)
    for day in range(1, days):
        noise[day] = 0.7 * noise[day - 1] + rng.normal(0, 3.0)
    sold = level[shop] + 6 * np.sin(np.arange(days) * 2 * np.pi / 7) + noise
    frames.append(pd.DataFrame({"shop": shop, "day": np.arange(days), "sold": sold.round(3)}))
panel = pd.concat(frames, ignore_index=True).sort_values(["shop", "day"], ignore_index=True)
panel["price"] = rng.normal(3.0, 0.4, len(panel))
panel["sold"] -= 4 * panel["price"]
by_shop = panel.groupby("shop")["sold"]
panel["last"] = by_shop.shift(1)
panel["week"] = by_shop.transform(lambda each: each.shift(1).rolling(7).mean())
past = panel["sold"].shift(1)
panel["smooth"] = past.rolling(3).mean()
panel["y"] = panel["sold"]
table = panel.dropna()
learnt, held = table[table["day"] < 120], table[table["day"] >= 120]
names = ["price", "last", "week", "smooth"]
model = Ridge().fit(learnt[names], learnt["y"])
print(mean_absolute_error(held["y"], model.predict(held[names])))
"""
_LAST = 'panel["last"] = by_shop.shift(1)'
_SMOOTH = 'panel["smooth"] = past.rolling(3).mean()'
_FAULTS = {
    "a lag of the wrong sign": (
        ((_LAST, 'panel["last"] = by_shop.shift(-1)'),),
        "lag-from-the-future",
        'panel["last"] = by_shop.shift(-1)',
    ),
    "a window over the day itself": (
        ((_SMOOTH, 'panel["smooth"] = panel["sold"].rolling(3).mean()'),),
        "window-includes-target",
        'panel["smooth"] = panel["sold"].rolling(3).mean()',
    ),
    "a window around the day": (
        ((_SMOOTH, 'panel["smooth"] = past.rolling(5, center=True).mean()'),),
        "window-includes-target",
        'panel["smooth"] = past.rolling(5, center=True).mean()',
    ),
    "windows of groups": (
        ((_SMOOTH, 'panel["smooth"] = by_shop.rolling(3).mean().reset_index(level=0, drop=True)'),),
        "window-includes-target",
        'panel["smooth"] = by_shop.rolling(3).mean().reset_index(level=0, drop=True)',
    ),
    "all that came before, and the day": (
        ((_SMOOTH, 'panel["smooth"] = panel["sold"].expanding().mean()'),),
        "window-includes-target",
        'panel["smooth"] = panel["sold"].expanding().mean()',
    ),
    "arrays without names": (
        (
            (_LAST, 'panel["last"] = by_shop.shift(-1)'),
            ('fit(learnt[names], learnt["y"])', 'fit(learnt[names].to_numpy(), learnt["y"].to_numpy())'),
            ("predict(held[names])", "predict(held[names].to_numpy())"),
        ),
        "lag-from-the-future",
        'panel["last"] = by_shop.shift(-1)',
    ),
    "two days ahead for a target of tomorrow": (
        (
            ('panel["y"] = panel["sold"]', 'panel["y"] = by_shop.shift(-1)'),
            (_LAST, 'panel["last"] = by_shop.shift(-2)'),
        ),
        "lag-from-the-future",
        'panel["last"] = by_shop.shift(-2)',
    ),
    "means of shops over all days": (
        (
            (_LAST, 'panel["last"] = by_shop.transform("mean")'),
            ('["day"] < 120', '["day"] % 4 > 0'),
            ('["day"] >= 120', '["day"] % 4 == 0'),
        ),
        "target-encoded-on-all-rows",
        'panel["last"] = by_shop.transform("mean")',
    ),
}
_VARIANTS = {
    "as it is": (),
    "the day itself for a target of tomorrow": (
        ('panel["y"] = panel["sold"]', 'panel["y"] = by_shop.shift(-1)'),
        (_LAST, 'panel["last"] = panel["sold"]'),
        (_SMOOTH, 'panel["smooth"] = panel["sold"].rolling(3).mean()'),
    ),
    "a window that leaves its end out": (
        (_SMOOTH, 'panel["smooth"] = panel["sold"].rolling(3, closed="left").mean()'),
    ),
    "tomorrow's price": ((_SMOOTH, 'panel["smooth"] = panel["price"].shift(-1)'),),
    "a window over prices": ((_SMOOTH, 'panel["smooth"] = panel["price"].rolling(3, center=True).mean()'),),
    "a window that is only looked at": (
        (_SMOOTH, _SMOOTH + '\nprint(panel["sold"].rolling(30, center=True).mean().describe())'),
    ),
    "weighted means of days before": ((_SMOOTH, 'panel["smooth"] = past.ewm(span=5).mean()'),),
    "days before in all": ((_SMOOTH, 'panel["smooth"] = panel.groupby("shop").cumcount() / 7.3'),),
    "means of shops over the days learnt": (
        (
            _LAST,
            'panel["last"] = panel["shop"].map(panel[panel["day"] < 120].groupby("shop")["sold"].mean())',
        ),
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_reaches_the_target_is_named_with_its_line(fault: str, tmp_path: Path) -> None:
    edits, name, line = _FAULTS[fault]
    told = run_watched(plant(_SALES, *edits), tmp_path)
    assert told.first_cause == (name, line)


@pytest.mark.parametrize("variant", _VARIANTS)
def test_what_is_known_in_time_raises_nothing(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(_SALES, *_VARIANTS[variant]), tmp_path).kinds == []
