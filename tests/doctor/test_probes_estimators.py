"""Estimators under examination: sound ones raise nothing, a planted mistake is named."""

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from examined import kinds_of, look
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from modelwright.base.errors import BadValue
from modelwright.doctor.probes.all import make_probes
from modelwright.doctor.probes.examination import Examination
from modelwright.doctor.probes.preserved import print_of
from modelwright.doctor.probes.reading import read_factory

pytestmark = pytest.mark.filterwarnings("ignore")


def examined(estimator: Any, data: Any, validation: Any = None) -> Examination:
    return look(
        lambda: {"model": estimator, "data": data, "validation": validation}, *make_probes(), seconds=120.0
    )


def cancer(rows: int = 240) -> tuple[Any, Any]:
    inputs, labels = load_breast_cancer(return_X_y=True)
    return inputs[:rows], labels[:rows]


def passengers(rows: int = 300) -> tuple[Any, Any]:
    """Return a frame with texts and gaps, and names of classes."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "fare": random.gamma(2.0, 20.0, rows),
            "deck": random.choice(["upper", "middle", "lower"], rows),
            "age": np.where(random.random(rows) < 0.2, np.nan, random.normal(35, 12, rows)),
        }
    )
    chance = 1 / (1 + np.exp(-(frame["fare"] - 40) / 8 - 2.0 * (frame["deck"] == "upper")))
    return frame, pd.Series(np.where(random.random(rows) < chance, "stays", "leaves"))


def messages(rows: int = 200) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(1)
    words = {"spam": ["offer", "money", "now"], "post": ["meeting", "minutes", "regards"]}
    kinds = random.choice(["spam", "post"], rows)
    return [" ".join(random.choice(words[kind] + ["the", "of"], 6)) for kind in kinds], list(kinds)


def _columns() -> Any:
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["deck"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["fare", "age"]),
    )


HEALTHY = {
    "a pipeline": lambda: (make_pipeline(StandardScaler(), LogisticRegression()), cancer()),
    "a regression": lambda: (Ridge(), load_diabetes(return_X_y=True)),
    "a forest without a seed": lambda: (RandomForestClassifier(20), load_iris(return_X_y=True)),
    "a forest with a generator": lambda: (
        RandomForestClassifier(20, random_state=np.random.RandomState(0)),
        cancer(),
    ),
    "trees on a frame with gaps": lambda: (
        make_pipeline(_columns(), HistGradientBoostingClassifier(max_iter=30)),
        passengers(),
    ),
    "a linear model on a frame": lambda: (make_pipeline(_columns(), LogisticRegression()), passengers()),
    "texts": lambda: (make_pipeline(TfidfVectorizer(), MultinomialNB()), messages()),
    "a search": lambda: (
        GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1.0]}, cv=3),
        cancer(),
    ),
    "one that goes on": lambda: (
        make_pipeline(StandardScaler(), LogisticRegression(warm_start=True, max_iter=20)),
        cancer(),
    ),
    "stochastic gradients": lambda: (make_pipeline(StandardScaler(), SGDClassifier()), cancer()),
    "one learnt elsewhere": lambda: (
        FrozenEstimator(LogisticRegression(max_iter=5000).fit(*cancer())),
        cancer(),
    ),
    "one with a lambda": lambda: (
        make_pipeline(FunctionTransformer(lambda each: np.log1p(np.abs(each))), LogisticRegression()),
        cancer(),
    ),
    "rows in order of their classes": lambda: (KNeighborsClassifier(), load_iris(return_X_y=True)),
}
FAST = ("a pipeline", "a linear model on a frame", "texts")


@pytest.mark.parametrize(
    "name", [each if each in FAST else pytest.param(each, marks=pytest.mark.slow) for each in HEALTHY]
)
def test_a_sound_estimator_raises_nothing(name: str) -> None:
    estimator, (inputs, targets) = HEALTHY[name]()
    found = examined(estimator, (inputs, targets))
    assert kinds_of(found) == []
    assert not [each for each in found.findings if each.kind == "probe-failed"]
    assert len(found.checked) == 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_sound_estimator_on_a_split_of_its_own_raises_nothing(seed: int) -> None:
    learnt, measured, targets, others = train_test_split(
        *load_wine(return_X_y=True), test_size=0.4, random_state=seed
    )
    model = make_pipeline(StandardScaler(), KNeighborsClassifier())
    found = examined(model, (learnt, targets), (measured, others))
    assert kinds_of(found) == []
    assert len(found.checked) == 4


class Nearest(ClassifierMixin, BaseEstimator):
    """The class of the nearest mean; sound unless a mistake is named."""

    def __init__(self, power: float = 2.0, mistake: str = "") -> None:
        self.power = power
        self.mistake = mistake

    def fit(self, X: Any, y: Any) -> "Nearest":
        if self.mistake == "keeps the first" and hasattr(self, "means_"):
            return self
        if self.mistake == "draws":
            X = X + np.random.default_rng().normal(0, X.std(axis=0), X.shape)
        if self.mistake == "scales in place":
            X -= X.mean(axis=0)
        if self.mistake == "adds":
            self.rows_ = [*getattr(self, "rows_", []), (X, y)]
            X, y = (np.concatenate(each) for each in zip(*self.rows_, strict=True))
        self.scale_ = X.std(axis=0) + 1e-9
        self.classes_ = np.unique(y)
        self.means_ = np.stack([X[y == each].mean(axis=0) for each in self.classes_])
        self.offset = getattr(self, "shift", 0.0)
        if self.mistake == "gives too many":
            raise ValueError("planted")
        return self

    def predict(self, X: Any) -> Any:
        X = np.asarray(X, np.float64)
        if self.mistake == "scales anew":
            X = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-9) * self.scale_ + self.means_.mean(axis=0)
        far = (np.abs((X[:, None] - self.means_) / self.scale_) ** self.power).sum(axis=2)
        far = far + self.offset * np.arange(len(self.classes_))
        return self.classes_[far.argmin(axis=1)]

    def __getstate__(self) -> Any:
        state = dict(super().__getstate__())
        if self.mistake == "drops its scale" and "scale_" in state:
            state["scale_"] = np.ones_like(state["scale_"])
        return state


class Renamed(Nearest):
    def __init__(self, power: float = 2.0) -> None:
        self.power = max(1.0, float(power) / 2)
        self.mistake = ""


class Reads(Nearest):
    """Looks targets up by the rows themselves."""

    def fit(self, X: Any, y: Any) -> "Reads":
        known = {row.tobytes(): label for row, label in zip(*cancer(), strict=True)}
        return super().fit(X, np.array([known[np.ascontiguousarray(row).tobytes()] for row in X]))


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [
        ("keeps the first", "fit-remembers"),
        ("adds", "fit-remembers"),
        ("scales in place", "rows-changed-in-place"),
        ("scales anew", "rows-mixed"),
        ("gives too many", "pass-raises"),
    ],
)
def test_a_mistake_is_found_with_its_line(mistake: str, kind: str) -> None:
    found = examined(Nearest(mistake=mistake), cancer())
    assert kind in kinds_of(found)
    first = next(each for each in found.findings if each.kind == kind)
    assert first.causes[0].file == __file__


def test_what_a_pickle_does_not_keep_is_told() -> None:
    # A deep copy goes the same way, so what learns from a copy is looked at once it has learnt.
    assert kinds_of(examined(Nearest(mistake="drops its scale"), cancer())) == ["state-is-not-the-model"]


def test_one_that_draws_without_a_seed_is_told_and_no_alarm() -> None:
    found = examined(Nearest(mistake="draws"), cancer())
    assert kinds_of(found) == []
    assert {each.kind for each in found.findings} <= {"fit-not-repeatable"}


def test_a_constructor_that_changes_its_settings_does_not_clone() -> None:
    assert kinds_of(examined(Renamed(power=6.0), cancer())) == ["estimator-does-not-clone"]
    lost = Nearest()
    lost.shift = 8.0
    assert kinds_of(examined(lost, cancer())) == ["estimator-does-not-clone"]
    assert kinds_of(examined(Nearest(), cancer())) == []


def test_targets_from_elsewhere_are_told() -> None:
    found = examined(Reads(), cancer())
    assert kinds_of(found) == ["targets-not-needed"]
    assert found.findings[0].causes[0].file == __file__


class LastValidates(ClassifierMixin, BaseEstimator):
    """Keeps the last half of its rows to choose by, which are of other classes where rows are sorted."""

    def fit(self, X: Any, y: Any) -> "LastValidates":
        cut = len(X) // 2
        self.model_ = make_pipeline(StandardScaler(), LogisticRegression())
        self.model_.fit(X[:cut], y[:cut])
        return self

    def predict(self, X: Any) -> Any:
        return self.model_.predict(X)


def test_rows_sorted_by_class_are_told_where_they_matter() -> None:
    inputs, labels = load_iris(return_X_y=True)
    learnt, other = np.arange(150) % 2 == 0, np.arange(150) % 2 == 1
    found = examined(LastValidates(), (inputs[learnt], labels[learnt]), (inputs[other], labels[other]))
    assert kinds_of(found) == ["learns-better-otherwise"]
    assert found.findings[0].causes[0].name == "batches-sorted-by-label"


@pytest.mark.slow
def test_a_search_over_folds_of_one_class_is_told_or_nothing_else_is() -> None:
    search = GridSearchCV(SVC(), {"C": [0.001, 1.0]}, cv=KFold(3))
    assert set(kinds_of(examined(search, load_iris(return_X_y=True)))) <= {"learns-better-otherwise"}


def test_columns_of_other_sizes_are_told_where_they_matter() -> None:
    random = np.random.default_rng(2)
    inputs = random.normal(size=(400, 3)) * [1.0, 1e4, 1e4]
    found = examined(KNeighborsClassifier(), (inputs, (inputs[:, 0] > 0).astype(int)))
    assert kinds_of(found) == ["learns-better-otherwise"]
    assert found.findings[0].causes[0].name == "inputs-not-scaled"


def test_targets_in_another_order_are_told() -> None:
    inputs, labels = cancer()
    found = examined(
        make_pipeline(StandardScaler(), LogisticRegression()),
        (inputs, np.random.default_rng(2).permutation(labels)),
    )
    assert kinds_of(found) == ["inputs-tell-nothing"]


class Constant(RegressorMixin, BaseEstimator):
    def fit(self, X: Any, y: Any) -> "Constant":
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_)


def test_one_that_learns_nothing_where_a_forest_does_is_told() -> None:
    assert kinds_of(examined(Constant(), load_diabetes(return_X_y=True))) == ["less-than-a-small-forest"]


def test_sensors_speak_of_the_rows() -> None:
    inputs, labels = cancer()
    found = examined(
        make_pipeline(StandardScaler(), LogisticRegression()), (inputs, labels), (inputs, labels)
    )
    assert {"measured-on-training-rows", "rows-learnt-and-measured"} & set(kinds_of(found))


def test_a_forest_in_a_tuple_is_no_data() -> None:
    subject = read_factory(lambda: (RandomForestClassifier(5).fit(*cancer()), *cancer()))
    assert isinstance(subject.estimator, RandomForestClassifier)
    assert subject.table is not None
    assert subject.table.count == 240


class Slow(Nearest):
    def fit(self, X: Any, y: Any) -> "Slow":
        time.sleep(0.004 * len(X))
        return super().fit(X, y)


def test_what_takes_too_long_is_left_out_and_said() -> None:
    found = look(lambda: (Slow(), *cancer(150)), *make_probes(), seconds=6.0)
    assert kinds_of(found) == []
    assert any("one takes" in each or "one fit takes" in each for each in found.unchecked)
    assert not any("the factory gives no data" in each for each in found.unchecked)


@pytest.mark.parametrize("data", [np.zeros((5, 2)), (np.zeros((5, 2)), np.zeros(4)), 3])
def test_rows_without_a_target_each_are_refused(data: Any) -> None:
    with pytest.raises(BadValue, match=r"\(X, y\)|target for each row"):
        read_factory(lambda: {"model": Ridge(), "data": data})


def test_the_estimator_and_its_rows_are_afterwards_as_they_were() -> None:
    inputs, labels = cancer(120)
    model = Nearest(mistake="scales in place")
    subject = read_factory(lambda: (model, inputs, labels))
    before, kept = print_of(subject), inputs.copy()
    look(lambda: (model, inputs, labels), *make_probes())
    assert print_of(subject) == before
    assert (inputs == kept).all()
    assert not hasattr(model, "means_")
