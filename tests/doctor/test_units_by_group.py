"""Meters of two makers, which tell the flow in two units: the model is not told the maker."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_METERS = """
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score

rng = np.random.default_rng(5)
n = 1600
log = pd.DataFrame({
    "maker": rng.choice(["alpha", "beta"], n, p=[0.6, 0.4]),
    "flow": rng.gamma(30.0, 0.2, n),
    "pressure": rng.normal(4.0, 0.7, n),
    "heat": rng.normal(60.0, 9.0, n),
    "age": rng.uniform(0.0, 20.0, n),
})
log["use"] = 3 * log["flow"] + log["heat"] / 4 + rng.normal(0, 2.0, n)
beta = log["maker"] == "beta"
# units are those of the makers
table = log.drop(columns=["maker"])
learnt, held = table.iloc[:1100], table.iloc[1100:]
names = ["flow", "pressure", "heat", "age"]
model = RandomForestRegressor(n_estimators=20, random_state=0).fit(learnt[names], learnt["use"])
print(r2_score(held["use"], model.predict(held[names])))
"""
_UNITS = "# units are those of the makers\n"
_VARIANTS = {
    "as it is": (),
    "one maker sells to larger houses": ((_UNITS, 'log.loc[beta, "flow"] *= 2.0\n'),),
    "one maker sells to houses of all sizes": (
        (_UNITS, 'log["flow"] = rng.gamma(2.0, 3.0, n)\nlog.loc[beta, "flow"] *= 2.1\n'),
    ),
    "one maker sells to larger and hotter houses": ((_UNITS, 'log.loc[beta, ["flow", "age"]] *= 3.6\n'),),
    "the model knows the maker": (
        (
            _UNITS,
            'log.loc[beta, "flow"] *= 1.609344\nlog["other"] = log["maker"]\n'
            'log["maker"] = beta.astype(int)\n',
        ),
        ('table = log.drop(columns=["maker"])', 'table = log.drop(columns=["other"])'),
        ('names = ["flow"', 'names = ["maker", "flow"'),
    ),
}


def test_a_unit_that_depends_on_a_column_left_out_is_named(tmp_path: Path) -> None:
    told = run_watched(plant(_METERS, (_UNITS, 'log.loc[beta, "flow"] *= 1.609344\n')), tmp_path)
    assert told.kinds == ["rows-in-two-units"]
    assert told.first_cause[0] == "unit-mismatch"


@pytest.mark.parametrize("variant", _VARIANTS)
def test_groups_that_differ_by_nature_raise_nothing(variant: str, tmp_path: Path) -> None:
    told = run_watched(plant(_METERS, *_VARIANTS[variant]), tmp_path)
    assert [(each.kind, each.title) for each in told.findings] == []
