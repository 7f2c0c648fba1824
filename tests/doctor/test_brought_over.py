"""Targets that are brought over from another table."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_HARVEST = """
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

rng = np.random.default_rng(21)
n = 400
fields = pd.DataFrame({"field": rng.permutation(n) + 70, "slope": rng.gamma(2, 3, n)})
fields["rain"] = rng.normal(500, 60, n)
tons = 2 + 0.01 * fields["rain"] - 0.1 * fields["slope"] + rng.normal(0, 0.2, n)
yields = pd.DataFrame({"field": fields["field"], "tons": tons, "last_year": tons + rng.normal(0, 1, n)})
yields = yields.sort_values("field")
table = fields.merge(yields[["field", "tons"]], on="field")
table = table.sort_values("rain").reset_index(drop=True)
part = rng.random(n) < 0.7
train, test = table[part], table[~part]
model = Ridge().fit(train[["slope", "rain"]], train["tons"])
print(r2_score(test["tons"], model.predict(test[["slope", "rain"]])))
"""
_MERGE = 'table = fields.merge(yields[["field", "tons"]], on="field")'
_ROUNDED = """yields["tons"] = yields["tons"].round(0)
yields["last_year"] = yields["last_year"].round(0)
"""
_BY_POSITION = 'table = fields.assign(tons=yields["tons"].to_numpy())'


def test_targets_in_the_order_of_another_table_are_told(tmp_path: Path) -> None:
    told = run_watched(plant(_HARVEST, (_MERGE, _BY_POSITION)), tmp_path)
    assert told.kinds == ["targets-of-other-rows"]
    assert told.first_cause[0] == "features-shuffled-against-labels"
    assert "field" in told.findings[0].title


@pytest.mark.parametrize(
    "edits",
    [
        (),
        ((_MERGE, 'table = fields.assign(tons=fields["field"].map(yields.set_index("field")["tons"]))'),),
        ((_MERGE, _BY_POSITION), ('yields = yields.sort_values("field")\n', "")),
        (("yields = yields.sort_values", f"{_ROUNDED}yields = yields.sort_values"),),
    ],
    ids=["a join", "by the key", "in one order", "two columns of the same few numbers"],
)
def test_targets_by_their_key_are_well(edits: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    assert run_watched(plant(_HARVEST, *edits), tmp_path).kinds == []
