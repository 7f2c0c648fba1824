"""Predict readmission from visits: pandas, a scikit-learn pipeline, cross-validation by patient."""

import argparse
import json
import warnings

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore", category=RuntimeWarning)

N_PATIENTS = 260
N_GENES = 300


def make_visits(seed):
    """Several visits per patient; markers belong to the patient, laboratory values to the visit."""
    rng = np.random.default_rng(seed + 77)
    genes = rng.normal(size=(N_PATIENTS, N_GENES))
    tendency = rng.normal(0, 1.0, N_PATIENTS) + 0.7 * genes[:, :3].sum(axis=1)
    patient = np.repeat(np.arange(N_PATIENTS), rng.integers(2, 7, N_PATIENTS))
    n = len(patient)
    visits = pd.DataFrame(genes[patient] + rng.normal(0, 0.05, (n, N_GENES)))
    visits.columns = [f"gene_{i:03d}" for i in range(N_GENES)]
    visits["patient"] = patient
    visits["ward"] = rng.choice(["surgery", "medicine", "geriatrics", "heart"], n)
    visits["creatinine"] = rng.normal(1.0, 0.25, n)
    visits["temperature"] = rng.normal(37.2, 0.7, n)
    visits["stay"] = rng.gamma(2.0, 2.0, n)
    score = (
        tendency[patient]
        + 1.2 * (visits["temperature"] - 37.2)
        + 3.0 * (visits["creatinine"] - 1.0)
        + visits["ward"].map({"surgery": -0.6, "medicine": 0.0, "geriatrics": 1.0, "heart": 0.4})
        + rng.logistic(0, 0.8, n)
    )
    visits["readmitted"] = (score > np.quantile(score, 0.75)).astype(int)
    visits["followup_calls"] = rng.poisson(0.4 + 2.5 * visits["readmitted"])
    visits["coded_by_clerk"] = np.where(rng.random(n) < 0.3, rng.integers(0, 2, n), visits["readmitted"])
    visits.loc[rng.random(n) < 0.12, "creatinine"] = 9999.0
    us_clinic = rng.random(n) < 0.3
    visits.loc[us_clinic, "temperature"] = visits.loc[us_clinic, "temperature"] * 9 / 5 + 32
    return visits


def clean(visits):
    visits = visits.copy()
    visits["creatinine"] = visits["creatinine"].replace(9999.0, np.nan)
    fahrenheit = visits["temperature"] > 60
    visits.loc[fahrenheit, "temperature"] = (visits.loc[fahrenheit, "temperature"] - 32) * 5 / 9
    return visits


def build_model(numeric, categorical):
    numeric_steps = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median")),
            ("scale", StandardScaler()),
            ("select", SelectKBest(f_classif, k=15)),
        ]
    )
    columns = ColumnTransformer(
        [
            ("numeric", numeric_steps, numeric),
            ("categorical", OneHotEncoder(handle_unknown="ignore"), categorical),
        ]
    )
    return Pipeline([("columns", columns), ("model", LogisticRegression(C=0.3, max_iter=500))])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3, help="repeats of the cross-validation")
    args = parser.parse_args()
    np.random.seed(args.seed)

    visits = clean(make_visits(args.seed))
    y = visits["readmitted"].to_numpy()
    groups = visits["patient"].to_numpy()
    X = visits.drop(columns=["readmitted", "patient", "followup_calls", "coded_by_clerk"])
    categorical = ["ward"]
    numeric = [name for name in X.columns if name not in categorical]

    scores = []
    for repeat in range(args.epochs):
        splitter = StratifiedGroupKFold(n_splits=5, shuffle=True, random_state=args.seed * 100 + repeat)
        for fold, (train, test) in enumerate(splitter.split(X, y, groups)):
            model = build_model(numeric, categorical)
            model.fit(X.iloc[train], y[train])
            probability = model.predict_proba(X.iloc[test])[:, 1]
            auc = roc_auc_score(y[test], probability)
            scores.append(auc)
            print(f"repeat {repeat} fold {fold}: {len(train)} / {len(test)} visits, AUC {auc:.4f}")

    print(f"mean {np.mean(scores):.4f} sd {np.std(scores):.4f}")
    print(json.dumps({"score": float(np.mean(scores))}))


if __name__ == "__main__":
    main()
