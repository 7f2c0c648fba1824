"""Flag emergency visits that end in intensive care, from the exports of two hospitals."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

CREATININE_UMOL_PER_MG = 88.42  # the south reports micromoles per litre, the north mg/dL
CRP_MG_L_PER_MG_DL = 10.0  # the south reports mg/dL, the north mg/L
NOT_TAKEN = {"systolic": 999.0, "heart_rate": 0.0, "spo2": -1.0}
FEATURES = [
    *("age", "bmi", "chronic", "home_km", "complaint_code"),
    *("heart_rate", "systolic", "spo2", "shock_index", "creatinine", "crp"),
    *("earlier_visits", "earlier_icu", "days_since_last", "heart_rate_change"),
]


@dataclass(frozen=True)
class Export:
    """What the two hospitals deliver: one row per patient, per visit, per blood sample, per outcome."""

    patients: pd.DataFrame
    visits: pd.DataFrame
    samples: pd.DataFrame
    outcomes: pd.DataFrame


def draw_export(seed: int, n_patients: int = 420, n_complaints: int = 40) -> Export:
    """Stand-in for the hospitals' files, with the same columns and the same habits."""
    rng = np.random.default_rng(seed + 4100)
    frailty = rng.normal(0, 1, n_patients)
    patients = pd.DataFrame(
        {
            "patient_id": np.arange(n_patients),
            "hospital": rng.choice(["north", "south"], n_patients, p=[0.55, 0.45]),
            "age": (61 + 8 * frailty + rng.normal(0, 14, n_patients)).clip(18, 97).round(1),
            "bmi": rng.normal(27, 4.5, n_patients).round(2),
            "chronic": rng.poisson(np.exp(0.2 + 0.4 * frailty)),
            "home_km": rng.gamma(1.5, 6.0, n_patients).round(2),
            "practice": rng.integers(0, 120, n_patients),
        }
    )
    who = np.repeat(np.arange(n_patients), rng.integers(4, 12, n_patients))
    n = len(who)
    days = pd.Series(rng.gamma(1.5, 60.0, n) + 21).groupby(who).cumsum()
    severity = rng.normal(0, 1, n)
    popularity = 1 / (3 + np.arange(n_complaints))
    complaint = rng.choice(n_complaints, n, p=popularity / popularity.sum())
    danger = rng.normal(0, 1.6, n_complaints)[complaint]
    pulse = 84 + 10 * severity + rng.normal(0, 9, n)
    visits = pd.DataFrame(
        {
            "visit_id": rng.permutation(n) + 10_000,
            "patient_id": who,
            "arrived": pd.Timestamp("2021-01-04") + pd.to_timedelta(days.round(3), unit="D"),
            "complaint": np.char.add("C", (complaint * 37 % 101).astype(str)),
            "heart_rate": pulse.round(),
            "systolic": (130 - 11 * severity + rng.normal(0, 12, n)).round(),
            "spo2": (97 - 1.2 * severity + rng.normal(0, 1.5, n)).clip(70, 100).round(),
        }
    )
    creatinine = 0.95 * np.exp(0.15 * frailty[who] + 0.2 * rng.normal(0, 1, n))
    crp = 25.0 * np.exp(0.6 * severity + 0.8 * rng.normal(0, 1, n))
    logit = 3.0 * frailty[who] + 1.2 * severity + danger + 1.1 * np.log(crp / 25.0)
    logit += 2.5 * np.log(creatinine / 0.95) + rng.logistic(0, 0.6, n)
    icu = logit > np.quantile(logit, 0.78)
    south = (patients["hospital"].to_numpy() == "south")[who]
    for column, code in NOT_TAKEN.items():
        visits.loc[rng.random(n) < 0.10, column] = code
    at = np.repeat(np.arange(n), rng.poisson(0.5 + 2.0 * icu) + 1)
    samples = pd.DataFrame({"visit_id": visits["visit_id"].to_numpy()[at]})
    samples["nth"] = samples.groupby("visit_id").cumcount()
    worse = 1 + 0.2 * samples["nth"].to_numpy() * icu[at]
    samples["creatinine"] = creatinine[at] * worse * np.where(south[at], CREATININE_UMOL_PER_MG, 1.0)
    samples["crp"] = crp[at] * worse / np.where(south[at], CRP_MG_L_PER_MG_DL, 1.0)
    samples.loc[rng.random(len(samples)) < 0.15, "crp"] = np.nan
    ended = np.where(icu, np.where(south, "Icu", "ICU"), np.where(south, "Ward", "WARD"))
    outcomes = pd.DataFrame({"visit_id": visits["visit_id"], "ended_in": ended})
    outcomes["nights"] = rng.poisson(2 + 4 * icu)
    return Export(patients, visits, samples.sample(frac=1.0, random_state=seed), outcomes)


def one_row_per_visit(export: Export) -> pd.DataFrame:
    """Join the four tables; of the blood samples only the one on arrival is known in time."""
    on_arrival = export.samples[export.samples["nth"] == 0]
    table = (
        export.visits.merge(export.patients, on="patient_id")
        .merge(on_arrival, on="visit_id")
        .merge(export.outcomes, on="visit_id")
    )
    south = table["hospital"] == "south"
    table.loc[south, "creatinine"] /= CREATININE_UMOL_PER_MG
    table.loc[south, "crp"] *= CRP_MG_L_PER_MG_DL
    for column, code in NOT_TAKEN.items():
        table[column] = table[column].mask(table[column] == code)
    table["icu"] = (table["ended_in"].str.upper() == "ICU").astype(int)
    return table


def add_history(table: pd.DataFrame) -> pd.DataFrame:
    """Add what is known of the patient from earlier visits."""
    table = table.sort_values(["patient_id", "arrived"], ignore_index=True)
    by_patient = table.groupby("patient_id")
    table["earlier_visits"] = by_patient.cumcount()
    table["earlier_icu"] = by_patient["icu"].cumsum() - table["icu"]
    table["days_since_last"] = by_patient["arrived"].diff().dt.total_seconds() / 86_400
    table["heart_rate_change"] = table["heart_rate"] - by_patient["heart_rate"].shift(1)
    table["shock_index"] = table["heart_rate"] / table["systolic"]
    return table


def complaint_levels(frame: pd.DataFrame) -> dict[str, int]:
    """Rank complaints from the most frequent to the rarest."""
    return {name: rank for rank, name in enumerate(frame["complaint"].value_counts().index)}


def features_of(frame: pd.DataFrame, levels: dict[str, int]) -> pd.DataFrame:
    """Columns of the model; a complaint that was never seen counts as rarer than all others."""
    codes = frame["complaint"].map(levels).fillna(len(levels))
    return frame.assign(complaint_code=codes)[FEATURES]


def build_model(seed: int) -> Pipeline:
    """Impute by medians, then a forest."""
    forest = RandomForestClassifier(n_estimators=120, min_samples_leaf=1, max_features=0.3, random_state=seed)
    return make_pipeline(SimpleImputer(strategy="median"), forest)


def best_threshold(y: np.ndarray, probability: np.ndarray) -> float:
    """Probability from which to raise the flag, by Matthews' correlation."""
    grid = np.quantile(probability, np.linspace(0.40, 0.97, 58))
    return float(max(grid, key=lambda cut: matthews_corrcoef(y, probability >= cut)))


def main() -> None:
    """Split by patient, choose the threshold out of fold, score the patients held back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test-share", type=float, default=0.35)
    args = parser.parse_args()

    table = add_history(one_row_per_visit(draw_export(args.seed)))
    splitter = GroupShuffleSplit(n_splits=1, test_size=args.test_share, random_state=args.seed)
    learn, held_back = next(splitter.split(table, groups=table["patient_id"]))
    train, test = table.iloc[learn], table.iloc[held_back]
    levels = complaint_levels(train)
    X_train, y_train = features_of(train, levels), train["icu"].to_numpy()
    X_test, y_test = features_of(test, levels), test["icu"].to_numpy()
    print(f"{len(train)} visits to learn from, {len(test)} held back, {y_test.mean():.1%} to intensive care")

    model = build_model(args.seed)
    folds = StratifiedGroupKFold(n_splits=5, shuffle=True, random_state=args.seed)
    out_of_fold = cross_val_predict(
        model, X_train, y_train, groups=train["patient_id"], cv=folds, method="predict_proba"
    )[:, 1]
    print(f"out of fold: AUC {roc_auc_score(y_train, out_of_fold):.4f}")

    model.fit(X_train, y_train)
    probability = model.predict_proba(X_test)[:, 1]
    threshold = best_threshold(y_train, out_of_fold)
    flagged = probability >= threshold
    print(
        f"held back: AUC {roc_auc_score(y_test, probability):.4f}, "
        f"{flagged.mean():.1%} flagged from {threshold:.3f}"
    )
    print(json.dumps({"score": float(matthews_corrcoef(y_test, flagged))}))


if __name__ == "__main__":
    main()
