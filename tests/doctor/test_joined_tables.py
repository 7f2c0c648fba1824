"""A table joined of several, a pipeline inside of a search: what was done to rows before is still known."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_VISITS = """
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

rng = np.random.default_rng(0)
n = 600
ids = rng.permutation(n) + 5000
age = rng.integers(18, 80, n).astype(float)
clinic = rng.choice(["north", "south"], n, p=[0.7, 0.3])
days = rng.gamma(2.0, 9.0, n)
mood = rng.normal(size=n)
ill = (rng.random(n) < 1 / (1 + np.exp(1.5 - 0.06 * days + 0.03 * (age - 50) + mood))).astype(int)
age[rng.random(n) < 0.15] = 0.0
persons = pd.DataFrame({"person": ids, "age": age, "clinic": clinic})
times = 86400 * (19900 - days) * np.where(clinic == "south", 1000, 1)
measured = pd.DataFrame({"person": ids, "seconds": times})
answers = pd.DataFrame(rng.integers(1, 6, (n, 60)), columns=[f"q{i}" for i in range(60)])
answers["q7"] = np.clip(np.round(3 + mood), 1, 5).astype(int)
answers.insert(0, "person", ids)
truth = pd.Series(ill, index=ids).sort_index()

persons["age"] = persons["age"].replace(0.0, np.nan)
measured["seconds"] = np.where(clinic == "south", measured["seconds"] / 1000, measured["seconds"])
measured["days"] = 19900 - measured["seconds"] / 86400
table = measured[["person", "days"]].set_index("person").sort_index()
for other in (persons, answers):
    table = table.join(other.set_index("person"))
questions = [name for name in table.columns if name.startswith("q")]
learnt, held, y_learnt, y_held = train_test_split(table, truth, test_size=0.3, random_state=0)
prepare = ColumnTransformer(
    [
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["days", "age"]),
        ("answers", make_pipeline(SelectKBest(f_classif, k=4), StandardScaler()), questions),
        ("classes", OneHotEncoder(), ["clinic"]),
    ]
)
model = Pipeline([("prepare", prepare), ("model", LogisticRegression(max_iter=300))])
search = GridSearchCV(model, {"model__C": [0.1, 1.0]}, scoring="roc_auc", cv=3)
search.fit(learnt, y_learnt)
said = search.predict_proba(held)[:, 1]
print(roc_auc_score(y_held, said), average_precision_score(y_held, said))
"""

_MISSING = 'persons["age"] = persons["age"].replace(0.0, np.nan)\n'
_UNITS = (
    'measured["seconds"] = np.where(clinic == "south", measured["seconds"] / 1000, measured["seconds"])\n'
)
_CHOSEN = """questions = [name for name in table.columns if name.startswith("q")]
chosen = SelectKBest(f_classif, k=12).fit(table[questions], truth).get_support()
questions = [name for name, kept in zip(questions, chosen) if kept]
"""

_FAULTS = {
    "zeros stand for what is missing": ((_MISSING, ""), "missing-value-code", "search.fit(learnt, y_learnt)"),
    "gaps filled before the join": (
        (_MISSING, _MISSING + 'persons["age"] = persons["age"].fillna(persons["age"].mean())\n'),
        "imputed-with-all-rows",
        'persons["age"] = persons["age"].fillna(persons["age"].mean())',
    ),
    "a difference in two units": ((_UNITS, ""), "unit-mismatch", "search.fit(learnt, y_learnt)"),
    "columns chosen before the split": (
        ('questions = [name for name in table.columns if name.startswith("q")]\n', _CHOSEN),
        "features-selected-on-all-rows",
        "chosen = SelectKBest(f_classif, k=12).fit(table[questions], truth).get_support()",
    ),
    "classes in place of probabilities": (
        ("said = search.predict_proba(held)[:, 1]", "said = search.predict(held)"),
        "metric-on-hard-labels",
        "print(roc_auc_score(y_held, said), average_precision_score(y_held, said))",
    ),
}
_VARIANTS = {
    "as it is": (),
    "gaps filled on each side": (
        ("prepare = Col", 'learnt = learnt.fillna({"age": learnt["age"].mean()})\nprepare = Col'),
    ),
    "all columns chosen on learnt rows": (
        (
            "prepare = Col",
            "kept = SelectKBest(f_classif, k=12).fit(learnt[questions], y_learnt).get_support()\n"
            "questions = [name for name, each in zip(questions, kept) if each]\n"
            "prepare = Col",
        ),
    ),
    "a score of classes from classes": (
        (
            "print(roc_auc_score(y_held, said), average",
            "print((search.predict(held) == y_held).mean(), roc_auc_score(y_held, said), average",
        ),
    ),
    "ages from zero on": (("rng.integers(18, 80, n)", "rng.integers(1, 80, n)"), (_MISSING, "")),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_fault_of_joined_tables_is_named_first(fault: str, tmp_path: Path) -> None:
    edit, name, line = _FAULTS[fault]
    told = run_watched(plant(_VISITS, edit), tmp_path)
    assert told.kinds
    assert told.first_cause == (name, line)


@pytest.mark.parametrize("variant", _VARIANTS)
def test_what_is_right_in_joined_tables_raises_nothing(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(_VISITS, *_VARIANTS[variant]), tmp_path).kinds == []
