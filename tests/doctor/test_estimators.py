"""Programs with scikit-learn: those that are right raise no alarm, and a fault is found with its line."""

from pathlib import Path

import pytest
from watched import run_watched

_BEGIN = """
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import SelectFromModel, SelectKBest, f_classif
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import (accuracy_score, balanced_accuracy_score, classification_report, confusion_matrix,
                             f1_score, mean_absolute_error, mean_squared_error, r2_score, roc_auc_score)
from sklearn.model_selection import (GridSearchCV, GroupKFold, KFold, RandomizedSearchCV, StratifiedKFold,
                                     TimeSeriesSplit, cross_val_predict, cross_val_score, cross_validate,
                                     train_test_split)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
"""

_SPLIT = "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)\n"

HEALTHY = {
    "a scaler fitted on training rows": "X, y = load_wine(return_X_y=True)\n"
    + _SPLIT
    + """
scaler = StandardScaler().fit(X_train)
model = LogisticRegression(max_iter=500).fit(scaler.transform(X_train), y_train)
print(accuracy_score(y_test, model.predict(scaler.transform(X_test))))
""",
    "a pipeline in a cross-validation": """
X, y = load_breast_cancer(return_X_y=True)
print(cross_val_score(make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), X, y, cv=5).mean())
""",
    "a grid search with a last refit on all rows": "X, y = load_wine(return_X_y=True)\n"
    + _SPLIT
    + """
search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1, 10]}, cv=3)
search.fit(X_train, y_train)
print(search.best_score_, search.score(X_test, y_test))
search.best_estimator_.fit(X, y)
""",
    "training and test scores side by side": "X, y = load_diabetes(return_X_y=True)\n"
    + _SPLIT
    + """
for alpha in (0.1, 1.0):
    model = Ridge(alpha=alpha).fit(X_train, y_train)
    print(model.score(X_train, y_train), model.score(X_test, y_test))
""",
    "columns of several kinds": """
rng = np.random.default_rng(0)
frame = load_wine(as_frame=True).frame
frame["region"] = rng.choice(["north", "south", "west"], len(frame))
frame.loc[rng.random(len(frame)) < 0.1, "hue"] = np.nan
y = frame.pop("target")
numeric = [name for name in frame.columns if name != "region"]
columns = ColumnTransformer([
    ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
    ("texts", OneHotEncoder(handle_unknown="ignore"), ["region"]),
])
model = make_pipeline(columns, LogisticRegression(max_iter=500))
print(cross_validate(model, frame, y, cv=5, scoring=["accuracy", "f1_macro"])["test_accuracy"].mean())
""",
    "selection inside of a pipeline": """
rng = np.random.default_rng(0)
X, y = load_breast_cancer(return_X_y=True)
X = np.hstack([X, rng.normal(size=(len(X), 100))])
model = make_pipeline(StandardScaler(), SelectKBest(f_classif, k=10), LogisticRegression())
for train, test in StratifiedKFold(5, shuffle=True, random_state=1).split(X, y):
    model.fit(X[train], y[train])
    print(roc_auc_score(y[test], model.predict_proba(X[test])[:, 1]))
""",
    "target encoding fold by fold": """
rng = np.random.default_rng(0)
frame = load_diabetes(as_frame=True, scaled=False).frame
frame["city"] = rng.integers(0, 12, len(frame)).astype(str)
y = frame.pop("target")
for train, test in KFold(5, shuffle=True, random_state=0).split(frame):
    means = y.iloc[train].groupby(frame["city"].iloc[train]).mean()
    coded = frame.assign(city=frame["city"].map(means).fillna(y.iloc[train].mean()))
    model = Ridge().fit(coded.iloc[train], y.iloc[train])
    print(r2_score(y.iloc[test], model.predict(coded.iloc[test])))
""",
    "a time series split in time": """
rng = np.random.default_rng(0)
days = pd.date_range("2019-01-01", periods=900)
level = 20 + 5 * np.sin(np.arange(900) / 58) + np.convolve(rng.normal(size=909), np.ones(10) / 3, "valid")
frame = pd.DataFrame({f"lag_{lag}": pd.Series(level, index=days).shift(lag) for lag in (1, 2, 7)})
frame["month"] = days.month
frame["mean_7"] = pd.Series(level, index=days).shift(1).rolling(7).mean()
frame["level"] = level
frame = frame.dropna()
y = frame.pop("level")
for train, test in TimeSeriesSplit(4).split(frame):
    model = HistGradientBoostingRegressor(max_iter=30).fit(frame.iloc[train], y.iloc[train])
    print(mean_absolute_error(y.iloc[test], model.predict(frame.iloc[test])))
""",
    "a picture of all rows by their main axes": "X, y = load_wine(return_X_y=True)\n"
    "axes = PCA(2).fit_transform(StandardScaler().fit_transform(X))\n"
    + _SPLIT
    + """
model = KNeighborsClassifier().fit(X_train, y_train)
print(classification_report(y_test, model.predict(X_test)))
""",
    "predictions out of fold": """
X, y = load_diabetes(return_X_y=True)
guess = cross_val_predict(make_pipeline(StandardScaler(), RidgeCV()), X, y, cv=5)
print(mean_squared_error(y, guess))
""",
    "rows of one patient kept together": """
rng = np.random.default_rng(0)
patients = np.repeat(np.arange(80), 5)
X = rng.normal(size=(80, 12))[patients] + rng.normal(0, 0.1, (400, 12))
y = (X[:, :3].sum(axis=1) + rng.normal(size=400) > 0).astype(int)
print(cross_val_score(LogisticRegression(), X, y, groups=patients, cv=GroupKFold(5)).mean())
""",
    "an encoder fitted on training rows": """
rng = np.random.default_rng(0)
frame = load_iris(as_frame=True).frame
frame["site"] = rng.choice(list("abcdef"), len(frame))
train, test = train_test_split(frame, random_state=3, stratify=frame["target"])
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(train[["site"]])
X_train = train.drop(columns="target").assign(site=encoder.transform(train[["site"]])[:, 0])
X_test = test.drop(columns="target").assign(site=encoder.transform(test[["site"]])[:, 0])
model = RandomForestClassifier(30, random_state=0).fit(X_train, train["target"])
print(f1_score(test["target"], model.predict(X_test), average="macro"))
""",
    "labels coded over all rows": """
frame = load_iris(as_frame=True).frame
names = np.array(["setosa", "versicolor", "virginica"])[frame.pop("target")]
y = LabelEncoder().fit_transform(names)
X_train, X_test, y_train, y_test = train_test_split(frame, y, random_state=0, stratify=y)
print(SVC().fit(X_train, y_train).score(X_test, y_test))
""",
    "groups of rows found without labels": """
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
X = StandardScaler().fit_transform(load_wine().data)
for k in (2, 3, 4):
    model = KMeans(k, n_init=3, random_state=0).fit(X)
    print(silhouette_score(X, model.predict(X)), model.score(X))
""",
    "three parts, the last used once": """
X, y = load_digits(return_X_y=True)
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
X_train, X_valid, y_train, y_valid = train_test_split(X_rest, y_rest, test_size=0.25, random_state=0)
best = max((1, 3, 5), key=lambda k: KNeighborsClassifier(k).fit(X_train, y_train).score(X_valid, y_valid))
print(KNeighborsClassifier(best).fit(X_rest, y_rest).score(X_test, y_test))
""",
    "gaps filled from training rows": """
rng = np.random.default_rng(0)
X, y = load_diabetes(return_X_y=True, scaled=False)
X[rng.random(X.shape) < 0.05] = np.nan
"""
    + _SPLIT
    + """
imputer = KNNImputer().fit(X_train)
model = RandomForestRegressor(20, random_state=0).fit(imputer.transform(X_train), y_train)
print(r2_score(y_test, model.predict(imputer.transform(X_test))))
""",
    "a random search in several processes": """
X, y = load_wine(return_X_y=True)
model = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500))
search = RandomizedSearchCV(model, {"logisticregression__C": [0.1, 1.0, 10.0]}, n_iter=2, cv=3, n_jobs=2)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
print(search.fit(X_train, y_train).score(X_test, y_test))
""",
    "an estimator of one's own": """
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
class Clip(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.low_, self.high_ = np.percentile(X, [1, 99], axis=0)
        return self
    def transform(self, X):
        return np.clip(X, self.low_, self.high_)
class Mean(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.mean_ = float(np.mean(y))
        return self
    def predict(self, X):
        return np.full(len(X), self.mean_)
X, y = load_diabetes(return_X_y=True)
"""
    + _SPLIT
    + """
print(Mean().fit(X_train, y_train).score(X_test, y_test))
print(make_pipeline(Clip(), LinearRegression()).fit(X_train, y_train).score(X_test, y_test))
""",
    "a nested search": """
X, y = load_iris(return_X_y=True)
inner = GridSearchCV(SVC(), {"C": [1, 10]}, cv=3)
print(cross_val_score(inner, X, y, cv=4).mean())
""",
    "texts of a few words": """
from sklearn.feature_extraction.text import TfidfVectorizer
rng = np.random.default_rng(0)
words = np.array([f"word{i}" for i in range(60)])
y = rng.integers(0, 2, 300)
texts = [" ".join(rng.choice(words[20 * label:20 * label + 40], 15)) for label in y]
train, test, y_train, y_test = train_test_split(texts, y, random_state=0)
model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(train, y_train)
print(model.score(test, y_test))
""",
    "selection by a model on training rows": "X, y = load_breast_cancer(return_X_y=True)\n"
    + _SPLIT
    + """
chooser = SelectFromModel(RandomForestClassifier(30, random_state=0)).fit(X_train, y_train)
model = RandomForestClassifier(30, random_state=0).fit(chooser.transform(X_train), y_train)
print(confusion_matrix(y_test, model.predict(chooser.transform(X_test))))
""",
    "a last model on all rows after a cross-validation": """
X, y = load_diabetes(return_X_y=True)
model = make_pipeline(StandardScaler(), Ridge())
print(cross_val_score(model, X, y).mean())
model.fit(X, y)
print("on its own rows", model.score(X, y))
""",
    "two kinds of iris, which one column tells apart": """
X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X[:100], y[:100], stratify=y[:100], random_state=0)
print(LogisticRegression().fit(X_train, y_train).score(X_test, y_test))
""",
    "a rare class with a fair score": """
from sklearn.datasets import make_classification
X, y = make_classification(2000, 10, weights=[0.95], random_state=0)
"""
    + _SPLIT
    + """
model = LogisticRegression(class_weight="balanced").fit(X_train, y_train)
print(balanced_accuracy_score(y_test, model.predict(X_test)))
""",
}

FAULTS = {
    "a scaler fitted on all rows": (
        "X, y = load_wine(return_X_y=True)\nX = StandardScaler().fit_transform(X)\n"
        + _SPLIT
        + """
model = LogisticRegression().fit(X_train, y_train)
print(accuracy_score(y_test, model.predict(X_test)))
""",
        ("scaler-fitted-on-all-rows", "X = StandardScaler().fit_transform(X)"),
    ),
    "a scaler fitted on all rows, used on parts": (
        "X, y = load_diabetes(return_X_y=True, scaled=False)\nscaler = MinMaxScaler().fit(X)\n"
        + _SPLIT
        + """
model = KNeighborsClassifier().fit(scaler.transform(X_train), y_train > 140)
print(model.score(scaler.transform(X_test), y_test > 140))
""",
        ("scaler-fitted-on-all-rows", "scaler = MinMaxScaler().fit(X)"),
    ),
    "main axes of all rows before a cross-validation": (
        """
X, y = load_digits(return_X_y=True)
X, y = X[:500], y[:500]
Z = PCA(10, random_state=0).fit_transform(X)
print(cross_val_score(SVC(), Z, y, cv=3).mean())
""",
        ("scaler-fitted-on-all-rows", "Z = PCA(10, random_state=0).fit_transform(X)"),
    ),
    "columns of a frame scaled before the split": (
        """
frame = load_breast_cancer(as_frame=True).frame
numbers = list(frame.columns[:12])
frame[numbers] = StandardScaler().fit_transform(frame[numbers])
train, test = train_test_split(frame, random_state=0)
model = LogisticRegression(max_iter=3000).fit(train.drop(columns="target"), train["target"])
print(f1_score(test["target"], model.predict(test.drop(columns="target"))))
""",
        ("scaler-fitted-on-all-rows", "frame[numbers] = StandardScaler().fit_transform(frame[numbers])"),
    ),
    "columns chosen on all rows": (
        """
rng = np.random.default_rng(0)
X, y = rng.normal(size=(120, 800)), np.arange(120) % 2
X = SelectKBest(f_classif, k=10).fit_transform(X, y)
print(cross_val_score(LogisticRegression(), X, y).mean())
""",
        ("features-selected-on-all-rows", "X = SelectKBest(f_classif, k=10).fit_transform(X, y)"),
    ),
    "columns chosen on all rows, by a mask": (
        """
rng = np.random.default_rng(0)
X, y = rng.normal(size=(120, 300)), np.arange(120) % 2
mask = SelectKBest(f_classif, k=10).fit(X, y).get_support()
"""
        + _SPLIT.replace("X, y", "X[:, mask], y")
        + """
print(LogisticRegression().fit(X_train, y_train).score(X_test, y_test))
""",
        ("features-selected-on-all-rows", "mask = SelectKBest(f_classif, k=10).fit(X, y).get_support()"),
    ),
    "gaps filled from all rows": (
        """
rng = np.random.default_rng(0)
X, y = load_diabetes(return_X_y=True, scaled=False)
X[rng.random(X.shape) < 0.05] = np.nan
X = SimpleImputer().fit_transform(X)
print(cross_val_score(RandomForestRegressor(10), X, y, cv=3))
""",
        ("imputed-with-all-rows", "X = SimpleImputer().fit_transform(X)"),
    ),
    "a scaler fitted anew on test rows": (
        "X, y = load_wine(return_X_y=True)\n"
        + _SPLIT
        + """
scaler = StandardScaler()
X_train = scaler.fit_transform(X_train)
X_test = scaler.fit_transform(X_test)
print(SVC().fit(X_train, y_train).score(X_test, y_test))
""",
        ("scaler-refitted-on-test", "X_test = scaler.fit_transform(X_test)"),
    ),
    "categories coded anew on test rows": (
        """
rng = np.random.default_rng(0)
frame = load_iris(as_frame=True).frame
frame["site"] = rng.choice(list("abcdefghijklmnopqrstuv"), len(frame))
train, test = train_test_split(frame, random_state=3)
X_train = train.drop(columns="target").assign(site=LabelEncoder().fit_transform(train["site"]))
X_test = test.drop(columns="target").assign(site=LabelEncoder().fit_transform(test["site"]))
model = RandomForestClassifier(30, random_state=0).fit(X_train, train["target"])
print(f1_score(test["target"], model.predict(X_test), average="macro"))
""",
        (
            "category-codes-refitted",
            'X_test = test.drop(columns="target").assign(site=LabelEncoder().fit_transform(test["site"]))',
        ),
    ),
    "scored on the rows of the fit": (
        "X, y = load_wine(return_X_y=True)\nmodel = RandomForestClassifier(20).fit(X, y)\n"
        "guess = model.predict(X)\nprint(accuracy_score(y, guess))\n",
        ("evaluated-on-training-rows", "print(accuracy_score(y, guess))"),
    ),
    "rows of the rare class repeated before the split": (
        """
X, y = load_breast_cancer(return_X_y=True)
X, y = np.vstack([X, X[y == 0], X[y == 0]]), np.concatenate([y, y[y == 0], y[y == 0]])
"""
        + _SPLIT
        + "print(RandomForestClassifier(20).fit(X_train, y_train).score(X_test, y_test))\n",
        (
            "oversampled-before-split",
            "print(RandomForestClassifier(20).fit(X_train, y_train).score(X_test, y_test))",
        ),
    ),
    "gaps of a column filled with the mean of all rows": (
        """
rng = np.random.default_rng(0)
frame = load_diabetes(as_frame=True, scaled=False).frame
frame.loc[rng.random(len(frame)) < 0.1, "s6"] = np.nan
frame["s6"] = frame["s6"].fillna(frame["s6"].mean())
y = frame.pop("target")
for train, test in KFold(3, shuffle=True, random_state=0).split(frame):
    model = Ridge().fit(frame.iloc[train], y.iloc[train])
    print(r2_score(y.iloc[test], model.predict(frame.iloc[test])))
""",
        ("imputed-with-all-rows", 'frame["s6"] = frame["s6"].fillna(frame["s6"].mean())'),
    ),
    "a code for what is missing": (
        """
rng = np.random.default_rng(0)
X, y = load_wine(return_X_y=True)
X[rng.random(len(X)) < 0.1, 10] = -999.0
"""
        + _SPLIT
        + "model = RandomForestClassifier(20).fit(X_train, y_train)\nprint(model.score(X_test, y_test))\n",
        ("missing-value-code", "model = RandomForestClassifier(20).fit(X_train, y_train)"),
    ),
    "one site that writes thousands": (
        """
rng = np.random.default_rng(0)
X, y = load_breast_cancer(return_X_y=True)
X[rng.random(len(X)) < 0.3, 3] *= 1000
"""
        + _SPLIT
        + "model = RandomForestClassifier(20).fit(X_train, y_train)\nprint(model.score(X_test, y_test))\n",
        ("unit-mismatch", "model = RandomForestClassifier(20).fit(X_train, y_train)"),
    ),
    "degrees of another scale from one day on": (
        """
rng = np.random.default_rng(0)
days = pd.date_range("2019-01-01", periods=900)
warmth = 11 - 9 * np.cos(2 * np.pi * np.arange(900) / 365) + rng.normal(0, 2, 900)
y = pd.Series(200 - 3 * warmth + rng.normal(0, 6, 900), index=days)
frame = pd.DataFrame({"warmth": np.where(np.arange(900) < 520, warmth, warmth * 1.8 + 32)}, index=days)
frame["weekday"] = days.day_of_week
model = RandomForestRegressor(20, random_state=0).fit(frame[:700], y[:700])
print(r2_score(y[700:], model.predict(frame[700:])))
""",
        ("unit-mismatch", "model = RandomForestRegressor(20, random_state=0).fit(frame[:700], y[:700])"),
    ),
    "what is only known with the target": (
        """
rng = np.random.default_rng(0)
days = pd.date_range("2019-01-01", periods=700)
y = pd.Series(200 + rng.normal(size=700).cumsum() + rng.normal(0, 3, 700), index=days)
frame = pd.DataFrame({f"lag_{lag}": y.shift(lag) for lag in (1, 2, 7)})
frame["sold"] = 0.3 * y + rng.normal(0, 0.1, 700)
frame = frame.dropna()
y = y[frame.index]
model = RandomForestRegressor(20, random_state=0).fit(frame[:500], y[:500])
print(r2_score(y[500:], model.predict(frame[500:])))
""",
        (
            "target-proxy-feature",
            "model = RandomForestRegressor(20, random_state=0).fit(frame[:500], y[:500])",
        ),
    ),
    "rows of one patient on both sides": (
        """
rng = np.random.default_rng(0)
patients = np.repeat(np.arange(80), 5)
X = rng.normal(size=(80, 12))[patients] + rng.normal(0, 0.05, (400, 12))
y = (X[:, :3].sum(axis=1) + rng.normal(size=400) > 0).astype(int)
"""
        + _SPLIT
        + "model = LogisticRegression().fit(X_train, y_train)\nprint(model.score(X_test, y_test))\n",
        ("group-in-both-splits", "model = LogisticRegression().fit(X_train, y_train)"),
    ),
    "days dealt at random": (
        """
rng = np.random.default_rng(0)
days = pd.date_range("2019-01-01", periods=700)
level = pd.Series(np.convolve(rng.normal(size=729), np.ones(30), "valid"), index=days)
frame = pd.DataFrame({f"lag_{lag}": level.shift(lag) for lag in (1, 2, 7)}).dropna()
X, y = frame, level[frame.index]
"""
        + _SPLIT
        + "model = Ridge().fit(X_train, y_train)\nprint(r2_score(y_test, model.predict(X_test)))\n",
        ("random-split-of-time-series", "model = Ridge().fit(X_train, y_train)"),
    ),
    "a window that reaches the day itself": (
        """
rng = np.random.default_rng(0)
days = pd.date_range("2019-01-01", periods=700)
level = pd.Series(rng.normal(size=700).cumsum() * 0.2 + rng.normal(size=700), index=days)
frame = pd.DataFrame({"lag_1": level.shift(1), "mean": level.rolling(5).mean()}).dropna()
y = level[frame.index]
model = Ridge().fit(frame[:500], y[:500])
print(r2_score(y[500:], model.predict(frame[500:])))
""",
        (
            "window-includes-target",
            'frame = pd.DataFrame({"lag_1": level.shift(1), "mean": level.rolling(5).mean()}).dropna()',
        ),
    ),
    "accuracy where one class is rare": (
        """
from sklearn.datasets import make_classification
X, y = make_classification(3000, 10, weights=[0.95], class_sep=0.3, random_state=0)
"""
        + _SPLIT
        + "model = LogisticRegression().fit(X_train, y_train)\nprint(model.score(X_test, y_test))\n",
        ("accuracy-under-imbalance", "print(model.score(X_test, y_test))"),
    ),
    "rows sorted by class and cut": (
        """
X, y = load_iris(return_X_y=True)
model = RandomForestClassifier(20).fit(X[:100], y[:100])
print(f1_score(y[100:], model.predict(X[100:]), average="macro"))
""",
        ("label-shift-between-splits", "model = RandomForestClassifier(20).fit(X[:100], y[:100])"),
    ),
}


@pytest.mark.parametrize("program", HEALTHY.values(), ids=HEALTHY)
def test_a_program_that_is_right_raises_no_alarm(program: str, tmp_path: Path) -> None:
    told = run_watched(_BEGIN + program, tmp_path)
    assert not told.findings


@pytest.mark.parametrize(("program", "named"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_first_with_its_line(program: str, named: tuple[str, str], tmp_path: Path) -> None:
    told = run_watched(_BEGIN + program, tmp_path)
    assert told.kinds
    assert told.first_cause == named
