"""Who earns more than 50K? A survey of employees in two deliveries, cleaned, tuned and tested.

The same people answer in several years, so both the held-out test and the folds of the search go
by person. The table is generated; its quirks (codes, units, spelling) are those of its two bureaus.
"""

import argparse
import json

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

NUMERIC = ["age", "hours", "tenure", "commute_km", "savings"]
NOMINAL = ["region", "sector"]
EDUCATION = ["primary", "secondary", "college", "bachelor", "master"]
WEEKS_PER_MONTH = 52 / 12


def draw_survey(rng: np.random.Generator, n_people: int = 1500, n_employers: int = 120) -> pd.DataFrame:
    """Return the raw table, one row per person and year, as the bureaus deliver it."""
    employer_pay = rng.normal(0, 0.30, n_employers)
    employer_sector = rng.integers(0, 6, n_employers)
    sector_pay = np.array([-0.20, -0.10, 0.0, 0.05, 0.10, 0.25])

    rows = []
    for person in range(n_people):
        bureau = "north" if rng.random() < 0.6 else "south"
        employer = int(rng.integers(n_employers))
        education = int(rng.choice(5, p=[0.1, 0.3, 0.25, 0.25, 0.1]))
        talent = rng.normal(0, 0.30)
        born = int(rng.integers(1955, 2000))
        commute = round(rng.gamma(2.0, 8.0), 1)
        region = int(rng.integers(5))
        first_year = int(rng.integers(2016, 2020))
        started = max(born + 18, first_year - int(rng.integers(0, 20)))
        for year in range(first_year, first_year + int(rng.integers(1, 6))):
            hours = np.clip(rng.normal(38, 7), 8, 70)
            log_income = (
                9.30
                + 0.20 * education
                + 0.025 * hours
                + 0.012 * (year - started)
                + employer_pay[employer]
                + sector_pay[employer_sector[employer]]
                + 0.03 * region
                + talent
                + rng.normal(0, 0.12)
            )
            income = np.exp(log_income)
            rows.append(
                {
                    "person": person,
                    "year": year,
                    "bureau": bureau,
                    "age": year - born,
                    "education": EDUCATION[education],
                    "region": f"R{region}",
                    "employer": f"E{employer:03d}",
                    "sector": f"S{employer_sector[employer]}",
                    "hours": hours,
                    "tenure": max(year - started, 0),
                    "commute_km": commute,
                    "savings": 0.1 * income * rng.lognormal(0, 0.8),
                    "tax_withheld": 0.22 * income * rng.normal(1, 0.05),
                    "income_class": ">50K" if income > 50_000 else "<=50K",
                }
            )
    survey = pd.DataFrame(rows)

    # The southern bureau asks for hours per month, writes 999 for "not stated" and ends labels with a point.
    south = survey["bureau"] == "south"
    survey.loc[south, "hours"] *= WEEKS_PER_MONTH
    survey.loc[south, "income_class"] += "."
    for column, share in {"hours": 0.15, "savings": 0.3, "tenure": 0.15}.items():
        silent = pd.Series(rng.random(len(survey)) < share, index=survey.index)
        survey[column] = survey[column].astype(float).mask(silent, np.nan)
        survey.loc[silent & south, column] = 999.0
    return survey.sample(frac=1.0, random_state=int(rng.integers(2**31))).reset_index(drop=True)


def clean(survey: pd.DataFrame) -> pd.DataFrame:
    """Bring both deliveries to one set of codes, units and spellings."""
    table = survey.copy()
    south = table["bureau"] == "south"
    coded = ["hours", "savings", "tenure"]
    table.loc[south, coded] = table.loc[south, coded].replace(999.0, np.nan)
    table.loc[south, "hours"] /= WEEKS_PER_MONTH
    table["income_class"] = table["income_class"].str.rstrip(".")
    # Withheld tax is settled only after the income of the year is known.
    return table.drop(columns=["tax_withheld", "bureau"])


def build_search(seed: int) -> GridSearchCV:
    """Return a grid over two kinds of model behind one preparation of the columns."""
    numeric = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    prepare = ColumnTransformer(
        [
            ("numeric", numeric, NUMERIC),
            ("education", OrdinalEncoder(categories=[EDUCATION]), ["education"]),
            ("nominal", OneHotEncoder(handle_unknown="ignore"), NOMINAL),
            ("employer", OneHotEncoder(min_frequency=8, handle_unknown="infrequent_if_exist"), ["employer"]),
        ],
        remainder="drop",
    )
    grid = [
        {"model": [LogisticRegression(max_iter=1000)], "model__C": [0.1, 1.0, 10.0]},
        {
            "model": [RandomForestClassifier(n_estimators=60, random_state=seed)],
            "model__min_samples_leaf": [2, 10],
        },
    ]
    pipeline = Pipeline([("prepare", prepare), ("model", LogisticRegression())])
    return GridSearchCV(pipeline, grid, scoring="roc_auc", cv=GroupKFold(n_splits=5))


def main() -> None:
    parser = argparse.ArgumentParser(description="Income classes from a survey.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--people", type=int, default=1500)
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    table = clean(draw_survey(rng, args.people))
    y = (table["income_class"] == ">50K").astype(int)
    X = table.drop(columns=["income_class"])
    print(f"{len(table)} rows of {X['person'].nunique()} people, {y.mean():.1%} above 50K")

    splitter = GroupShuffleSplit(n_splits=1, test_size=0.3, random_state=args.seed)
    train_rows, test_rows = next(splitter.split(X, y, groups=X["person"]))
    X_train, X_test = X.iloc[train_rows], X.iloc[test_rows]
    y_train, y_test = y.iloc[train_rows], y.iloc[test_rows]

    search = build_search(args.seed)
    search.fit(X_train, y_train, groups=X_train["person"])
    trials = pd.DataFrame(search.cv_results_)
    print(trials[["params", "mean_test_score", "std_test_score"]].to_string(index=False))

    probability = search.predict_proba(X_test)[:, 1]
    print(classification_report(y_test, probability > 0.5, digits=3))
    auc = roc_auc_score(y_test, probability)
    print(json.dumps({"score": float(auc), "cv": float(search.best_score_)}))


if __name__ == "__main__":
    main()
