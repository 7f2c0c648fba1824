"""Day-ahead forecast of daily demand from lags, calendar and weather with gradient boosting."""

import argparse
import json

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error

HORIZON = 1
LAGS = [1, 2, 3, 7, 14]
TEST_DAYS = 365
VALID_DAYS = 180


def simulate(seed, years=6):
    rng = np.random.default_rng(seed)
    days = pd.date_range("2018-01-01", periods=365 * years, freq="D")
    t = np.arange(len(days))
    season = np.cos(2 * np.pi * (t - 15) / 365.25)
    temperature = 11.0 - 9.0 * season + np.convolve(rng.normal(0, 2.2, len(t) + 4), np.ones(5) / 2.2, "valid")
    shock = np.zeros(len(t))
    for i in range(1, len(t)):
        shock[i] = 0.8 * shock[i - 1] + rng.normal(0, 5.0)
    weekend = (days.dayofweek >= 5).astype(float)
    demand = (
        200
        + 1.6 * np.maximum(16 - temperature, 0) ** 1.25
        - 32 * weekend
        + shock
        + rng.normal(0, 2.0, len(t))
    )
    frame = pd.DataFrame({"demand": demand, "temperature": temperature}, index=days)
    frame["sold"] = frame["demand"] * 0.31 + rng.normal(0, 1.0, len(t))
    frame.loc[rng.random(len(t)) < 0.03, "temperature"] = -999.0
    frame.loc[frame.index >= "2021-07-01", "temperature"] = frame["temperature"].where(
        frame["temperature"] == -999.0, frame["temperature"] * 1.8 + 32
    )
    return frame


def clean(raw):
    frame = raw.copy()
    frame["temperature"] = frame["temperature"].replace(-999.0, np.nan)
    fahrenheit = frame.index >= "2021-07-01"
    frame.loc[fahrenheit, "temperature"] = (frame.loc[fahrenheit, "temperature"] - 32) / 1.8
    frame["temperature"] = frame["temperature"].ffill()
    return frame


def add_features(frame):
    table = pd.DataFrame(index=frame.index)
    for lag in LAGS:
        table[f"demand_lag_{lag}"] = frame["demand"].shift(lag)
    table["demand_mean_7"] = frame["demand"].shift(HORIZON).rolling(7).mean()
    table["temperature"] = frame["temperature"]
    table["temperature_mean_3"] = frame["temperature"].rolling(3).mean()
    table["dayofweek"] = frame.index.dayofweek
    table["yearday"] = frame.index.dayofyear
    table["target"] = frame["demand"]
    return table.dropna()


def split(table):
    train = table.iloc[: -TEST_DAYS - VALID_DAYS]
    valid = table.iloc[-TEST_DAYS - VALID_DAYS : -TEST_DAYS]
    test = table.iloc[-TEST_DAYS:]
    return train, valid, test


def skill(test, prediction):
    """One minus the error over the error of the same day of last week."""
    return 1.0 - mean_absolute_error(test["target"], prediction) / mean_absolute_error(
        test["target"], test["demand_lag_7"]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300, help="trees at most")
    args = parser.parse_args()

    table = add_features(clean(simulate(args.seed)))
    train, valid, test = split(table)
    columns = [name for name in table.columns if name != "target"]

    best = None
    for depth in (3, 5, None):
        model = HistGradientBoostingRegressor(
            loss="absolute_error",
            learning_rate=0.06,
            max_iter=args.steps,
            max_depth=depth,
            random_state=args.seed,
        )
        model.fit(train[columns], train["target"])
        stages = [mean_absolute_error(valid["target"], p) for p in model.staged_predict(valid[columns])]
        trees = int(np.argmin(stages)) + 1
        print(f"depth {depth}: {trees} trees, MAE on validation days {stages[trees - 1]:.3f}")
        if best is None or stages[trees - 1] < best[0]:
            best = (stages[trees - 1], depth, trees)

    _, depth, trees = best
    final = HistGradientBoostingRegressor(
        loss="absolute_error", learning_rate=0.06, max_iter=trees, max_depth=depth, random_state=args.seed
    )
    history = pd.concat([train, valid])
    final.fit(history[columns], history["target"])
    prediction = final.predict(test[columns])
    error = mean_absolute_error(test["target"], prediction)
    print(f"test: {len(test)} days from {test.index[0].date()}, MAE {error:.3f}")
    print(json.dumps({"score": float(skill(test, prediction))}))


if __name__ == "__main__":
    main()
