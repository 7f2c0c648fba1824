"""Counts that go on after the outcome, beside counts and numbers that may tell as much."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_LOANS = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(4)
rows = 1200
loans = pd.DataFrame(rng.normal(size=(rows, 5)), columns=["debt", "income", "savings", "years", "rent"])
risk = 0.7 * loans["debt"] - 0.6 * loans["income"] + rng.normal(0, 1.2, rows)
late = (risk > 1.0).astype(int)
loans["calls"] = rng.poisson(0.3, rows)
loans["reminders"] = rng.poisson(np.where(late, 3.5, 0.2))
names = ["debt", "income", "savings", "years", "rent", "calls"]
learnt, held, y, y_held = train_test_split(loans[names], late, stratify=late, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(learnt, y)
print(roc_auc_score(y_held, model.predict_proba(held)[:, 1]))
"""
_NAMES = 'names = ["debt", "income", "savings", "years", "rent", "calls"]'
_WITH = (_NAMES, _NAMES.replace('"calls"', '"calls", "reminders"'))


@pytest.mark.parametrize(
    "edits",
    [
        [_WITH],
        [
            _WITH,
            (
                "rng.poisson(np.where(late, 3.5, 0.2))",
                "12 - np.minimum(12, rng.poisson(np.where(late, 4.0, 0.2)))",
            ),
        ],
    ],
)
def test_a_count_that_goes_on_after_the_outcome_is_named(
    edits: list[tuple[str, str]], tmp_path: Path
) -> None:
    told = run_watched(plant(_LOANS, *edits), tmp_path)
    found = next(each for each in told.findings if each.kind == "feature-gives-target-away")
    assert (found.subject, found.causes[0].name) == ("reminders", "target-proxy-feature")


_SOUND = {
    "without it": [],
    "a count that tells something": [_WITH, ("np.where(late, 3.5, 0.2)", "np.where(late, 1.0, 0.3)")],
    "a number that tells nearly all": [
        _WITH,
        ("rng.poisson(np.where(late, 3.5, 0.2))", "risk + rng.normal(0, 0.4, rows)"),
    ],
    "nothing else tells anything": [
        _WITH,
        ("late = (risk > 1.0)", "late = pd.Series(rng.normal(size=rows) > 1.0)"),
    ],
    "others tell nearly as much": [_WITH, ("0.7 * loans", "3.0 * loans")],
}


@pytest.mark.parametrize("sound", _SOUND)
def test_what_may_be_known_before_is_let_be(sound: str, tmp_path: Path) -> None:
    assert "feature-gives-target-away" not in run_watched(plant(_LOANS, *_SOUND[sound]), tmp_path).kinds
