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


NETWORK = plant(
    TURBINES,
    ("import numpy as np\n", "import numpy as np\nimport torch\nfrom torch import nn\n"),
    (
        """    model = LogisticRegression(max_iter=1000, class_weight="balanced")
    model.fit(X_train, y_train)
    chance = model.predict_proba(X_test)[:, 1]
""",
        """    torch.manual_seed(0)
    rows, labels = (torch.tensor(each, dtype=torch.float32) for each in (X_train, y_train))
    model = nn.Sequential(nn.Linear(rows.shape[1], 24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(15):
        model.train()
        for some in torch.randperm(len(rows)).split(64):
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(rows[some])[:, 0], labels[some])
            loss.backward()
            optimizer.step()
        chance = ask(model, X_test)
        print(epoch, roc_auc_score(y_test, chance))
""",
    ),
    (
        "def main():\n",
        """def ask(model, X):
    model.eval()
    said = []
    with torch.no_grad():
        for some in torch.tensor(X, dtype=torch.float32).split(100):
            said += torch.sigmoid(model(some)).squeeze(1).tolist()
    return np.array(said)


def main():
""",
    ),
)

OF_NETWORK = {
    **{fault: OF_TURBINES[fault] for fault in ("gaps filled by class", "a machine's own rate")},
    "columns in another order": OF_TURBINES["columns in another order"],
    "classes where an order is asked": (
        ("print(roc_auc_score(y_test, chance))", "print(roc_auc_score(y_test, chance > 0.5))"),
        "metric-on-hard-labels",
    ),
    "the best cut of those that are measured": (
        (
            '    print("balanced", balanced_accuracy_score(y_test, chance > 0.5))\n',
            "    score = lambda at: balanced_accuracy_score(y_test, chance > at)\n"
            "    best = max(np.linspace(0.05, 0.95, 30), key=score)\n"
            '    print("balanced", balanced_accuracy_score(y_test, chance > best))\n',
        ),
        "threshold-chosen-on-test",
    ),
    "rows that are not scaled": (
        ("    X_test = (X_test - mean) / std\n", ""),
        "preprocessing-differs-at-evaluation",
    ),
}

FINE_NETWORK = {
    "as it is": ("import torch\n", "import torch\n"),
    "never scaled": (
        "    X_train = (X_train - mean) / std\n    X_test = (X_test - mean) / std\n",
        "    X_train, X_test = X_train / 10, X_test / 10\n",
    ),
    "a cut from elsewhere": (
        "balanced_accuracy_score(y_test, chance > 0.5)",
        "balanced_accuracy_score(y_test, chance > y_train.mean())",
    ),
}


@pytest.mark.parametrize("fault", OF_NETWORK)
def test_what_is_wrong_with_a_network_of_turbines_is_named(fault: str, tmp_path: Path) -> None:
    edit, cause = OF_NETWORK[fault]
    assert run_watched(plant(NETWORK, edit), tmp_path).first_cause[0] == cause


@pytest.mark.parametrize("variant", FINE_NETWORK)
def test_a_network_of_turbines_is_fine(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(NETWORK, FINE_NETWORK[variant]), tmp_path).kinds == []


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
