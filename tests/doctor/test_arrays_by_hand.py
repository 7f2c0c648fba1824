"""Programs that prepare arrays by hand for an estimator: turbines by machine, a shop's load by day."""

from pathlib import Path

import pytest
from watched import plant, run_watched

TURBINES = """
import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

MISSING = -200.0


def simulate(rng, machines=150, visits=8):
    n = machines * visits
    machine = np.repeat(np.arange(machines), visits)
    habit = rng.normal(size=(machines, 4))[machine]
    load = rng.normal(size=n)
    heat = 0.8 * load + rng.normal(size=n) + habit[:, 0]
    shake = rng.gamma(2.0, 1.0, n) + 0.3 * habit[:, 1]
    oil = rng.normal(50, 10, n) + 4 * habit[:, 2]
    noise = rng.normal(size=n) + habit[:, 3]
    site = rng.integers(0, 12, n)
    effect = rng.normal(0, 0.7, 12)[site]
    frail = rng.normal(0, 0.8, machines)[machine]
    logit = 1.1 * heat + 0.7 * (shake - 2) - 0.05 * (oil - 50) + effect + frail - 0.8
    label = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    X = np.column_stack([load, heat, shake, oil, noise])
    holes = rng.random(X.shape) < 0.05
    X[holes] = MISSING
    return X, site, machine, label


def one_hot(site, known):
    return (site[:, None] == known[None]).astype(float)


def main():
    rng = np.random.default_rng(1)
    X, site, machine, y = simulate(rng)
    X = np.where(X == MISSING, np.nan, X)
    machines = rng.permutation(np.unique(machine))
    held = machines[: len(machines) // 4]
    test = np.isin(machine, held)
    train = ~test
    X_train, X_test, y_train, y_test = X[train], X[test], y[train], y[test]
    fill = np.nanmedian(X_train, axis=0)
    X_train = np.where(np.isnan(X_train), fill, X_train)
    X_test = np.where(np.isnan(X_test), fill, X_test)
    mean, std = X_train.mean(axis=0), X_train.std(axis=0)
    X_train = (X_train - mean) / std
    X_test = (X_test - mean) / std
    known = np.unique(site[train])
    X_train = np.hstack([X_train, one_hot(site[train], known)])
    X_test = np.hstack([X_test, one_hot(site[test], known)])
    order = rng.permutation(len(X_train))
    X_train, y_train = X_train[order], y_train[order]
    model = LogisticRegression(max_iter=1000, class_weight="balanced")
    model.fit(X_train, y_train)
    chance = model.predict_proba(X_test)[:, 1]
    print("balanced", balanced_accuracy_score(y_test, chance > 0.5))
    print(roc_auc_score(y_test, chance))


main()
"""

SHOP = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.preprocessing import StandardScaler

LAGS, HORIZON = 14, 1


def make_series(rng, days=900):
    t = np.arange(days)
    base = 200 + 0.05 * t + 30 * np.sin(2 * np.pi * t / 7) + 40 * np.sin(2 * np.pi * t / 365)
    ar = np.zeros(days)
    for i in range(1, days):
        ar[i] = 0.7 * ar[i - 1] + rng.normal(0, 12)
    price = 10 + np.cumsum(rng.normal(0, 0.05, days))
    return base + ar - 6 * (price - 10), price


def main():
    rng = np.random.default_rng(1)
    series, price = make_series(rng)
    windows = sliding_window_view(series, LAGS + HORIZON)
    X = windows[:, :LAGS]
    y = windows[:, -1]
    day = np.arange(len(series))[LAGS + HORIZON - 1 :]
    week = np.eye(7)[day % 7]
    X = np.column_stack([X, X[:, -7:].mean(axis=1), week, price[LAGS - 1 : -1]])
    cut = int(0.75 * len(X))
    train, test = slice(0, cut), slice(cut, None)
    scaler = StandardScaler().fit(X[train])
    mean, std = y[train].mean(), y[train].std()
    model = Ridge(alpha=1.0)
    model.fit(scaler.transform(X[train]), (y[train] - mean) / std)
    forecast = model.predict(scaler.transform(X[test])) * std + mean
    print("MAE", mean_absolute_error(y[test], forecast))
    print(r2_score(y[test], forecast))


main()
"""

_EARLIER = "    X_train, X_test, y_train, y_test = X[train], X[test], y[train], y[test]\n"

OF_TURBINES = {
    "gaps filled by class": (
        (
            _EARLIER,
            "    for each in (0, 1):\n"
            "        middle = np.nanmedian(X[y == each], axis=0)\n"
            "        X[y == each] = np.where(np.isnan(X[y == each]), middle, X[y == each])\n" + _EARLIER,
        ),
        "imputed-by-label",
    ),
    "a machine's own rate": (
        (
            "    order = rng.permutation(len(X_train))\n",
            "    rate = np.array([y[machine == each].mean() for each in range(machine.max() + 1)])[machine]\n"
            "    X_train = np.hstack([X_train, rate[train][:, None]])\n"
            "    X_test = np.hstack([X_test, rate[test][:, None]])\n"
            "    order = rng.permutation(len(X_train))\n",
        ),
        "target-encoded-on-all-rows",
    ),
    "columns in another order": (
        (
            "    order = rng.permutation(len(X_train))\n",
            "    X_test[:, [1, 2]] = X_test[:, [2, 1]]\n    order = rng.permutation(len(X_train))\n",
        ),
        "preprocessing-differs-at-evaluation",
    ),
}

FINE_TURBINES = {
    "as it is": ("import numpy as np\n", "import numpy as np\n"),
    "trees": (
        'LogisticRegression(max_iter=1000, class_weight="balanced")',
        "GradientBoostingClassifier(n_estimators=40, random_state=0)",
    ),
    "a rate of other rows": (
        "    order = rng.permutation(len(X_train))\n",
        "    rate = np.array([y[train & (site == each)].mean() for each in range(12)])[site]\n"
        "    X_train = np.hstack([X_train, rate[train][:, None]])\n"
        "    X_test = np.hstack([X_test, rate[test][:, None]])\n"
        "    order = rng.permutation(len(X_train))\n",
    ),
    "readings stop at a limit": (
        "    X = np.where(X == MISSING, np.nan, X)\n",
        "    X = np.where(X == MISSING, np.nan, X)\n    X[:, 3] = np.clip(X[:, 3], 40, 60)\n",
    ),
}

OF_SHOP = {
    "rows drawn at random": (
        (
            "    train, test = slice(0, cut), slice(cut, None)\n",
            "    order = rng.permutation(len(X))\n    train, test = order[:cut], order[cut:]\n",
        ),
        "random-split-of-time-series",
    ),
    "windows split at random": (
        (
            "    train, test = slice(0, cut), slice(cut, None)\n",
            "    from sklearn.model_selection import train_test_split\n"
            "    train_test_split(X, y, random_state=0)\n"
            "    train, test = slice(0, cut), slice(cut, None)\n",
        ),
        "random-split-of-time-series",
    ),
    "a mean with the day itself": (
        ("X[:, -7:].mean(axis=1)", "windows[:, -7:].mean(axis=1)"),
        "window-includes-target",
    ),
    "a mean around the day": (
        ("X[:, -7:].mean(axis=1)", 'np.convolve(series, np.ones(7) / 7, "same")[LAGS - 1 : -1]'),
        "window-includes-target",
    ),
    "a target of days before": (
        ("    y = windows[:, -1]\n", "    y = np.roll(windows[:, -1], 3)\n"),
        "window-includes-target",
    ),
    "held back": (("alpha=1.0", "alpha=1e5"), "weight-decay-too-high"),
}

FINE_SHOP = {
    "as it is": ("import numpy as np\n", "import numpy as np\n"),
    "trees": ("Ridge(alpha=1.0)", "RandomForestRegressor(20, random_state=0)"),
    "a baseline that says nothing": (
        "    model = Ridge(alpha=1.0)\n",
        "    from sklearn.dummy import DummyRegressor\n"
        "    plain = DummyRegressor().fit(X[train], y[train])\n"
        "    r2_score(y[test], plain.predict(X[test]))\n    model = Ridge(alpha=1.0)\n",
    ),
    "windows in order": (
        "    train, test = slice(0, cut), slice(cut, None)\n",
        "    from sklearn.model_selection import train_test_split\n"
        "    train_test_split(X, y, shuffle=False)\n"
        "    train, test = slice(0, cut), slice(cut, None)\n",
    ),
}


@pytest.mark.parametrize("fault", OF_TURBINES)
def test_what_is_wrong_with_turbines_is_named(fault: str, tmp_path: Path) -> None:
    edit, cause = OF_TURBINES[fault]
    assert run_watched(plant(TURBINES, edit), tmp_path).first_cause[0] == cause


@pytest.mark.parametrize("variant", FINE_TURBINES)
def test_turbines_are_fine(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(TURBINES, FINE_TURBINES[variant]), tmp_path).kinds == []


@pytest.mark.parametrize("fault", OF_SHOP)
def test_what_is_wrong_with_a_shops_load_is_named(fault: str, tmp_path: Path) -> None:
    edit, cause = OF_SHOP[fault]
    assert run_watched(plant(SHOP, edit), tmp_path).first_cause[0] == cause


@pytest.mark.parametrize("variant", FINE_SHOP)
def test_a_shops_load_is_fine(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(SHOP, FINE_SHOP[variant]), tmp_path).kinds == []
