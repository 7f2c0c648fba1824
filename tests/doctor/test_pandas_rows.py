"""Loans from several tables: what pandas did to rows, labels and groups before they are learnt."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_LOANS = """
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit, train_test_split

rng = np.random.default_rng(11)
n = 900
person = rng.integers(0, 400, n)
risk = rng.normal(size=400)[person]
branch = rng.integers(0, 30, n)
loans = pd.DataFrame({
    "loan": rng.permutation(n) + 7000,
    "person": [f"P{each}" for each in person],
    "branch": [f"B{each}" for each in branch],
    "amount": rng.gamma(3.0, 900.0, n),
    "months": rng.uniform(6, 60, n),
    "income": rng.normal(3000, 700, n),
})
score = 0.4 * risk + loans["amount"] / 1500 - loans["income"] / 700 + rng.normal(0, 0.3, 30)[branch]
late = score + rng.logistic(0, 0.5, n) > np.quantile(score, 0.7)
loans["state"] = np.where(late, "late", "paid")
loans.loc[rng.random(n) < 0.1, "months"] = np.nan
offices = pd.DataFrame({"branch": [f"B{each}" for each in range(30)], "staff": rng.uniform(3, 40, 30)})
# the tables are made
loans = loans.merge(offices, on="branch", how="left")
loans["months"] = loans["months"].fillna(0.0)
y = (loans["state"] == "late").astype(int)
X = loans.drop(columns=["state", "loan", "branch"])
# the rows are made
cut = GroupShuffleSplit(n_splits=1, test_size=0.4, random_state=0)
learnt, held = next(cut.split(X, y, groups=X["person"]))
columns = ["amount", "months", "income", "staff"]
forest = RandomForestClassifier(n_estimators=20, min_samples_leaf=5, random_state=0)
search = GridSearchCV(forest, {"max_depth": [3, 6]}, scoring="roc_auc", cv=GroupKFold(n_splits=3))
search.fit(X.iloc[learnt][columns], y.iloc[learnt], groups=X["person"].iloc[learnt])
known = X.iloc[held][columns]
said = search.predict_proba(known)[:, 1]
print(roc_auc_score(y.iloc[held], said))
"""
_CUT = "cut = GroupShuffleSplit(n_splits=1, test_size=0.4, random_state=0)"
_ROWS = "# the rows are made\n"
_GAPS = 'loans["months"] = loans["months"].fillna(0.0)'
_SPLIT = (
    ("GridSearchCV, GroupKFold, GroupShuffleSplit,", "GridSearchCV, GroupKFold, ShuffleSplit,"),
    (_CUT, "cut = ShuffleSplit(n_splits=1, test_size=0.4, random_state=0)"),
    ('cut.split(X, y, groups=X["person"])', "cut.split(X, y)"),
)
_PLAIN = (
    *_SPLIT,
    ("cv=GroupKFold(n_splits=3)", "cv=3"),
    (', groups=X["person"].iloc[learnt])', ")"),
)
_SCORE = "print(roc_auc_score(y.iloc[held], said))"
_RATE = 'X["rate"] = X["branch"].map(y.groupby(X["branch"]).mean())'
_WITH_BRANCH = (
    ('columns=["state", "loan", "branch"]', 'columns=["state", "loan"]'),
    ('"income", "staff"]', '"income", "rate"]'),
)
_TRIES = """true = y.iloc[held].to_numpy()
scores = {}
for threshold in np.linspace(0.2, 0.7, 11):
    scores[threshold] = f1_score(true, said > threshold)
best = max(scores, key=scores.get)
"""
_FAULTS = {
    "groups on both sides": (
        _SPLIT,
        "group-in-both-splits",
        "cut = ShuffleSplit(n_splits=1, test_size=0.4, random_state=0)",
    ),
    "folds that mix groups": (
        (("cv=GroupKFold(n_splits=3)", "cv=3"), (', groups=X["person"].iloc[learnt])', ")")),
        "groups-ignored-in-cross-validation",
        "search.fit(X.iloc[learnt][columns], y.iloc[learnt])",
    ),
    "the first column of probabilities": (
        (("predict_proba(known)[:, 1]", "predict_proba(known)[:, 0]"),),
        "wrong-class-probability",
        "said = search.predict_proba(known)[:, 0]",
    ),
    "the precision of the first column": (
        (
            ("predict_proba(known)[:, 1]", "predict_proba(known)[:, 0]"),
            ("import f1_score, roc_auc_score", "import average_precision_score, f1_score"),
            (_SCORE, "print(average_precision_score(y.iloc[held], said))"),
        ),
        "wrong-class-probability",
        "said = search.predict_proba(known)[:, 0]",
    ),
    "two spellings": (
        (("# the tables are made\n", 'loans.loc[::3, "state"] = loans.loc[::3, "state"].str.title()\n'),),
        "label-spelling-lost",
        'y = (loans["state"] == "late").astype(int)',
    ),
    "gaps filled class by class": (
        (
            (
                _GAPS,
                'm = loans.groupby("state")["months"].transform("mean")\n'
                'loans["months"] = loans["months"].fillna(m)',
            ),
        ),
        "imputed-by-label",
        'm = loans.groupby("state")["months"].transform("mean")',
    ),
    "rows sorted after the targets were taken": (
        ((_ROWS, 'X = X.sort_values("amount", ignore_index=True)\n'),),
        "features-shuffled-against-labels",
        'X = X.sort_values("amount", ignore_index=True)',
    ),
    "arrays of rows in another order": (
        (
            (_ROWS, "X = X.sample(frac=1.0, random_state=1)\n"),
            ("y = (", "y = ("),
            ("cut.split(X, y, g", "cut.split(X, y.to_numpy(), g"),
        ),
        "features-shuffled-against-labels",
        "X = X.sample(frac=1.0, random_state=1)",
    ),
    "means of the target over all rows": (
        (*_WITH_BRANCH, (_ROWS, _RATE + "\n")),
        "target-encoded-on-all-rows",
        _RATE,
    ),
    "drawn means of the target over all rows": (
        (
            *_WITH_BRANCH,
            (
                _ROWS,
                'g = y.groupby(X["branch"]).agg(["sum", "count"])\n'
                'X["rate"] = X["branch"].map((g["sum"] + 10 * y.mean()) / (g["count"] + 10))\n',
            ),
        ),
        "target-encoded-on-all-rows",
        'search.fit(X.iloc[learnt][columns], y.iloc[learnt], groups=X["person"].iloc[learnt])',
    ),
    "scaled by hand before the split": (
        (
            (
                _ROWS,
                'n = ["amount", "income", "staff"]\nmean, spread = X[n].mean(), X[n].std()\n'
                "X[n] = (X[n] - mean) / spread\n",
            ),
        ),
        "scaler-fitted-on-all-rows",
        "mean, spread = X[n].mean(), X[n].std()",
    ),
    "a table with keys twice": (
        (
            *_PLAIN,
            ("# the tables are made\n", "offices = pd.concat([offices, offices.assign(staff=5.5)])\n"),
        ),
        "rows-multiplied-by-join",
        'loans = loans.merge(offices, on="branch", how="left")',
    ),
    "the best threshold of measured rows": (
        ((_SCORE, _TRIES + "print(f1_score(true, said > best))"),),
        "threshold-chosen-on-test",
        "scores[threshold] = f1_score(true, said > threshold)",
    ),
    "late loans only thinned where they are measured": (
        (
            *_PLAIN,
            (
                "known = X.iloc[held][columns]",
                "true = y.iloc[held]\nfew = true[true == 0].sample(120, random_state=0)\n"
                "true = pd.concat([true[true == 1], few])\nknown = X.loc[true.index, columns]",
            ),
            (_SCORE, "print(roc_auc_score(true, said))"),
        ),
        "label-shift-between-splits",
        "few = true[true == 0].sample(120, random_state=0)",
    ),
}
_VARIANTS = {
    "as it is": (),
    "no groups anywhere": _PLAIN,
    "the first column for the first class": (
        ("predict_proba(known)[:, 1]", "predict_proba(known)[:, 0]"),
        (_SCORE, "print(roc_auc_score(1 - y.iloc[held], said))"),
    ),
    "the first column, told to be the positive class": (
        ("predict_proba(known)[:, 1]", "predict_proba(known)[:, 0]"),
        ("import f1_score, roc_auc_score", "import average_precision_score, f1_score"),
        (_SCORE, "print(average_precision_score(y.iloc[held], said, pos_label=0))"),
    ),
    "other states": (("# the tables are made\n", 'loans.loc[::9, "state"] = "paid late"\n'),),
    "gaps filled by branch": (
        (
            _GAPS,
            'm = loans.groupby("branch")["staff"].transform("mean")\n'
            'loans["months"] = loans["months"].fillna(m)',
        ),
    ),
    "rows sorted before the targets are taken": (
        ("y = (loans", 'loans = loans.sort_values("amount", ignore_index=True)\ny = (loans'),
    ),
    "rows and targets shuffled alike": (
        (_ROWS, "X = X.sample(frac=1.0, random_state=1)\ny = y.loc[X.index]\n"),
    ),
    "rows and targets shuffled alike, labels given anew": (
        (
            _ROWS,
            "order = rng.permutation(len(X))\nX = X.iloc[order].reset_index(drop=True)\n"
            "y = y.iloc[order].reset_index(drop=True)\n",
        ),
    ),
    "shuffled rows, and targets that stand beside them": (
        (_ROWS, "X = X.sample(frac=1.0, random_state=1)\ny = pd.Series(y.loc[X.index].to_numpy())\n"),
    ),
    "means of the target of learnt rows": (
        *_WITH_BRANCH,
        (
            "columns = [",
            'rates = y.iloc[learnt].groupby(X["branch"].iloc[learnt]).mean()\n'
            'X["rate"] = X["branch"].map(rates).fillna(y.iloc[learnt].mean())\ncolumns = [',
        ),
    ),
    "scaled by hand after the split": (
        (
            "columns = [",
            'n = ["amount", "income", "staff"]\npart = X.iloc[learnt][n]\n'
            "X[n] = (X[n] - part.mean()) / part.std()\ncolumns = [",
        ),
    ),
    "means of another column": (
        *_WITH_BRANCH,
        (_ROWS, 'X["rate"] = X["branch"].map(X.groupby("branch")["income"].mean())\n'),
    ),
    "a table of thresholds": ((_SCORE, _TRIES + "print(scores)"),),
    "a threshold of validation rows": (
        (
            _SCORE,
            _TRIES.replace(
                "true = y.iloc[held].to_numpy()",
                "half, rest = np.arange(len(held)) % 2 == 0, "
                "np.arange(len(held)) % 2 == 1\nfirst, second = search.predict_proba(known[half])[:, 1], "
                "search.predict_proba(known[rest])[:, 1]\ntrue = y.iloc[held][half].to_numpy()",
            ).replace("said > threshold", "first > threshold")
            + "print(f1_score(y.iloc[held][rest], second > best))",
        ),
    ),
    "learnt rows thinned": (
        *_PLAIN,
        (
            "columns = [",
            "late = learnt[y.iloc[learnt] == 1]\nlearnt = np.concatenate([late, "
            "rng.choice(learnt[y.iloc[learnt] == 0], len(late), replace=False)])\ncolumns = [",
        ),
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_was_done_to_rows_is_named_with_its_line(fault: str, tmp_path: Path) -> None:
    edits, name, line = _FAULTS[fault]
    told = run_watched(plant(_LOANS, *edits), tmp_path)
    assert [(each.kind, each.title) for each in told.findings]
    assert told.first_cause == (name, line)


@pytest.mark.parametrize("variant", _VARIANTS)
def test_what_is_right_raises_nothing(variant: str, tmp_path: Path) -> None:
    told = run_watched(plant(_LOANS, *_VARIANTS[variant]), tmp_path)
    assert [(each.kind, each.title) for each in told.findings] == []
