"""A wide table of a plant's sensors: which columns, which fillings and which scores are chosen on what."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_PLANT = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

rng = np.random.default_rng(8)
rows = 1200
frame = pd.DataFrame(rng.normal(size=(rows, 80)), columns=[f"s{at:02d}" for at in range(80)])
fails = frame["s03"] + frame["s40"] + 0.6 * frame["s77"] + rng.logistic(0, 0.7, rows) > 2.7
frame["fails"] = fails.astype(int)
frame["hours"] = rng.gamma(4.0, 20.0, rows)
frame.loc[rng.random(rows) < 0.2, "hours"] = np.nan
train, test = frame.iloc[:800].copy(), frame.iloc[800:].copy()
chosen = ["s03", "s10", "s40", "s77"]
# columns are chosen
model = LogisticRegression(class_weight="balanced").fit(train[chosen], train["fails"])
answer = model.predict(test[chosen])
print(balanced_accuracy_score(test["fails"], answer))
"""
_CHOSEN = 'chosen = ["s03", "s10", "s40", "s77"]'
_SCORE = 'print(balanced_accuracy_score(test["fails"], answer))'
_STRONGEST = 'chosen = list({}.drop("fails").abs().nlargest(6).index)'
_BY_CLASS = """for label in (0, 1):
    part = frame["fails"] == label
    frame.loc[part, "hours"] = frame.loc[part, "hours"].fillna(frame.loc[part, "hours"].median())
"""
_SPLIT = "train, test = frame.iloc[:800].copy(), frame.iloc[800:].copy()"
_RARE = (("> 2.7", "> 4.2"), ('(class_weight="balanced")', "(C=0.001)"))
_FAULTS = {
    "the strongest of all rows": (
        ((_CHOSEN, _STRONGEST.format('frame.corr()["fails"]')),),
        "features-selected-on-all-rows",
        _STRONGEST.format('frame.corr()["fails"]'),
    ),
    "the strongest of all rows, one by one": (
        (
            (
                _CHOSEN,
                'c = frame.drop(columns="fails").corrwith(frame["fails"]).abs()\n'
                "chosen = [*c[c > 0.08].index]",
            ),
        ),
        "features-selected-on-all-rows",
        'c = frame.drop(columns="fails").corrwith(frame["fails"]).abs()',
    ),
    "gaps filled class by class": (
        ((_SPLIT, _BY_CLASS + _SPLIT), ('"s10"', '"hours"')),
        "imputed-by-label",
        'frame.loc[part, "hours"] = frame.loc[part, "hours"].fillna(frame.loc[part, "hours"].median())',
    ),
    "accuracy by hand": (
        (*_RARE, (_SCORE, 'print((answer == test["fails"]).mean())')),
        "accuracy-under-imbalance",
        'print((answer == test["fails"]).mean())',
    ),
}
_VARIANTS = {
    "as it is": (),
    "the strongest of learnt rows": ((_CHOSEN, _STRONGEST.format('train.corr()["fails"]')),),
    "columns that are only looked at": (
        ("# columns are chosen", 'print(frame.corr()["fails"].abs().nlargest(4))'),
    ),
    "gaps filled within each half": (
        ((_SPLIT), _BY_CLASS.replace('frame["fails"] == label', "np.arange(rows) % 2 == label") + _SPLIT),
    ),
    "accuracy beside a balanced score": (
        *_RARE,
        (_SCORE, _SCORE + '\nprint((answer == test["fails"]).mean())'),
    ),
    "accuracy beside probabilities": (
        *_RARE,
        (
            _SCORE,
            'p = model.predict_proba(test[chosen])[:, 1]\nprint((answer == test["fails"]).mean(), p.mean())',
        ),
    ),
    "answers that are looked up": (
        *_RARE,
        (_SCORE, 'wrong = test[~(answer == test["fails"])]\nprint(len(wrong))\n' + _SCORE),
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_choice_by_measured_rows_is_named_with_its_line(fault: str, tmp_path: Path) -> None:
    edits, name, line = _FAULTS[fault]
    told = run_watched(plant(_PLANT, *edits), tmp_path)
    assert [(each.kind, each.title) for each in told.findings]
    assert told.first_cause == (name, line)


@pytest.mark.parametrize("variant", _VARIANTS)
def test_a_choice_by_learnt_rows_raises_nothing(variant: str, tmp_path: Path) -> None:
    told = run_watched(plant(_PLANT, *_VARIANTS[variant]), tmp_path)
    assert [(each.kind, each.title) for each in told.findings] == []
