"""Which subscribers leave within 90 days? Four exported tables are joined into one row per customer."""

import argparse
import json

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CUTOFF = pd.Timestamp("2024-07-01")
HORIZON = pd.Timedelta(days=90)


def export(seed, n=2000, n_regions=50, n_questions=200):
    """What the company's systems hold: customers, payments, sessions and a questionnaire."""
    rng = np.random.default_rng(400 + seed)
    ids = rng.permutation(np.arange(10_000, 10_000 + n))
    region = rng.integers(n_regions, size=n)
    plan = rng.choice(["basic", "family", "business"], n, p=[0.55, 0.3, 0.15])
    age = rng.integers(18, 80, n).astype(float)
    idle = rng.gamma(1.5, 12.0, n)
    lateness = rng.gamma(1.2, 4.0, n)
    contentment = rng.normal(size=n)
    hazard = (
        -4.6
        + 0.05 * idle
        + 0.16 * lateness
        - 0.035 * (age - 45)
        - 0.8 * contentment
        + rng.normal(0, 0.5, n_regions)[region]
        + np.select([plan == "basic", plan == "business"], [0.5, -0.9], 0.0)
    )
    leaves = rng.random(n) < 1 / (1 + np.exp(-hazard))
    leaves_after = np.where(leaves, rng.uniform(1, 90, n), rng.uniform(91, 900, n))
    customers = pd.DataFrame(
        {
            "customer_id": ids,
            "plan": plan,
            "region": [f"R{code:02d}" for code in region],
            "age": np.where(rng.random(n) < 0.12, 0.0, age),
            "cancelled_on": CUTOFF + pd.to_timedelta(leaves_after, unit="D"),
        }
    )

    months = pd.date_range("2023-10-05", "2024-12-05", freq="MS") + pd.Timedelta(days=4)
    payments = customers[["customer_id", "cancelled_on"]].merge(
        pd.Series(months, name="paid_on"), how="cross"
    )
    payments["days_late"] = rng.poisson(np.repeat(lateness, len(months)))
    payments["amount"] = rng.normal(20, 3, len(payments)).round(2)
    payments = payments[payments["paid_on"] < payments["cancelled_on"]].drop(columns="cancelled_on")

    seen = (CUTOFF - pd.to_timedelta(idle, unit="D") - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
    device = rng.choice(["web", "app"], n, p=[0.7, 0.3])
    sessions = pd.DataFrame({"customer_id": ids, "device": device, "last_seen": seen})
    sessions.loc[sessions["device"] == "app", "last_seen"] *= 1000

    answers = pd.DataFrame(
        rng.integers(1, 6, (n, n_questions)), columns=[f"q{i:03d}" for i in range(n_questions)]
    )
    answers["q007"] = np.clip(np.round(3 + contentment), 1, 5).astype(int)
    answers["q031"] = np.clip(np.round(3 - contentment + rng.normal(size=n)), 1, 5).astype(int)
    answers.insert(0, "customer_id", ids)
    return customers, payments, sessions, answers


def build_table(customers, payments, sessions, answers):
    history = payments[payments["paid_on"] < CUTOFF]
    table = history.groupby("customer_id").agg(
        n_payments=("amount", "size"), spent=("amount", "sum"), late=("days_late", "mean")
    )

    in_ms = sessions["last_seen"] > 1e11
    sessions["last_seen"] = np.where(in_ms, sessions["last_seen"] // 1000, sessions["last_seen"])
    last_seen = pd.to_datetime(sessions["last_seen"], unit="s")
    sessions["idle_days"] = (CUTOFF - last_seen).dt.total_seconds() / 86400

    customers["age"] = customers["age"].replace(0.0, np.nan)
    for other in (
        customers[["customer_id", "plan", "region", "age"]],
        sessions.drop(columns="last_seen"),
        answers,
    ):
        table = table.join(other.set_index("customer_id"), how="left")

    leaving = customers.set_index("customer_id")["cancelled_on"] <= CUTOFF + HORIZON
    y = leaving.loc[table.index].astype(int)
    return table, y


def main(args):
    X, y = build_table(*export(args.seed))
    questions = [name for name in X.columns if name.startswith("q")]
    numeric = ["n_payments", "spent", "late", "idle_days", "age"]

    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=args.seed
    )
    print(f"{len(X_train)} customers to learn from, {y_train.mean():.1%} of them leave")

    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
            ("answers", make_pipeline(SelectKBest(f_classif, k=4), StandardScaler()), questions),
            ("classes", OneHotEncoder(handle_unknown="ignore"), ["plan", "device", "region"]),
        ]
    )
    pipeline = Pipeline([("prepare", prepare), ("model", LogisticRegression(max_iter=500))])
    search = GridSearchCV(
        pipeline,
        {"model__C": [0.1, 1.0], "prepare__answers__selectkbest__k": [2, 4, 8]},
        scoring="average_precision",
        cv=StratifiedKFold(4, shuffle=True, random_state=args.seed),
    )
    search.fit(X_train, y_train)
    print(f"cross-validated {search.best_score_:.4f} with {search.best_params_}")

    probability = search.predict_proba(X_test)[:, 1]
    score = average_precision_score(y_test, probability)
    top = np.argsort(-probability)[: len(probability) // 10]
    print(
        f"AUC {roc_auc_score(y_test, probability):.4f}, lift of the first tenth "
        f"{y_test.to_numpy()[top].mean() / y_test.mean():.2f}"
    )
    print(json.dumps({"score": float(score), "leaving": float(y_test.mean())}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
