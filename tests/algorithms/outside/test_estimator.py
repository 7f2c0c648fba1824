"""Scikit-learn estimators, and classes like them, as learners."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from modelwright.algorithms.outside.estimator import Estimator
from modelwright.base.errors import BadValue, SourceMissing, UnknownName, WorkerLost
from modelwright.base.metric import find_metric
from modelwright.data.experience import Experience

FOREST = "sklearn.ensemble.RandomForestClassifier"
PIPELINE = "sklearn.pipeline.Pipeline"
STEPS = [
    ["scale", {"learner": "sklearn.preprocessing.StandardScaler"}],
    ["svm", {"learner": "sklearn.svm.SVC", "C": 10}],
]


def fit(learner, given):
    (step,) = learner.train(given.experience, given.seeds)
    return step


def test_it_fits_what_scikit_learn_fits_on_each_seeds_rows(given):
    wine = given("wine", 3, ragged=True)
    step = fit(Estimator(PIPELINE, {"steps": STEPS}), wine)
    for place, found in enumerate(step.model.predict(wine.tests())):
        features, target = wine.experience.of(place)
        oracle = make_pipeline(StandardScaler(), SVC(C=10)).fit(features.astype(np.float64), target)
        assert np.array_equal(found.argmax(axis=1), oracle.predict(wine.tests()[place]))
        assert step.metrics["train_accuracy"][place] == oracle.score(features, target)


def test_the_random_state_comes_from_the_seed_also_inside_a_pipeline(given):
    wine = given("wine", 2)
    same = type(wine)(wine.part([0, 0]).experience, wine.seeds, wine.held_out)
    for learner in (
        Estimator(FOREST, {"n_estimators": 3}),
        Estimator(PIPELINE, {"steps": [["forest", {"learner": FOREST, "n_estimators": 3}]]}),
    ):
        first, again = (fit(learner, same).model.state()["digest"] for _ in range(2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first[0], first[1])
    features, target = wine.experience.of(0)
    wanted = RandomForestClassifier(3, random_state=wine.seeds[0].integer("estimator/random_state") % 2**32)
    expected = wanted.fit(features, target).predict_proba(wine.tests()[0])
    found = fit(Estimator(FOREST, {"n_estimators": 3}), wine).model.predict(wine.tests())[0]
    assert np.array_equal(found, expected)


def test_global_random_state_is_untouched(given):
    wine = given("wine", 1)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    fit(Estimator(FOREST, {"n_estimators": 2}), wine)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_a_learner_without_probabilities_says_so_and_its_labels_still_count(given):
    wine = given("wine", 1)
    learner = Estimator("sklearn.svm.LinearSVC", {"max_iter": 100_000, "C": 1e-6})
    step = fit(learner, wine)
    assert not learner.probabilistic
    assert not step.model.probabilistic
    (found,) = step.model.predict(wine.tests())
    assert set(np.unique(found)) == {0.0, 1.0}
    assert find_metric("accuracy").compute(wine.experience.target[wine.held_out[0]], found) > 0.5
    assert Estimator(FOREST, {}).probabilistic


def test_a_class_that_a_seed_has_not_seen_has_probability_zero(given):
    wine = given("wine", 1)
    rows = wine.experience.rows[0]
    only = rows[wine.experience.target[rows] != 1]
    experience = Experience(
        features=wine.experience.features,
        target=wine.experience.target,
        rows=(only,),
        task="classification",
        classes=wine.experience.classes,
    )
    (step,) = Estimator("sklearn.naive_bayes.GaussianNB", {}).train(experience, wine.seeds)
    (found,) = step.model.predict(wine.tests())
    assert found.shape[1] == 3
    assert not found[:, 1].any()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_values_and_images_work(given):
    diabetes, digits = given("diabetes", 2), given("digits", 2)
    step = fit(Estimator("sklearn.linear_model.Ridge", {"alpha": 0.1}), diabetes)
    assert [each.shape for each in step.model.predict(diabetes.tests())] == [(111,), (111,)]
    assert (step.metrics["train_rmse"] < 60).all()
    step = fit(Estimator("sklearn.neighbors.KNeighborsClassifier", {}), digits)
    assert (step.metrics["train_accuracy"] > 0.97).all()


def test_missing_features_are_left_to_estimators_that_take_them(given):
    wine = given("wine", 1).experience
    features = wine.features.copy()
    features[::7, 2] = np.nan
    broken = Experience(
        features=features, target=wine.target, rows=wine.rows, task="classification", classes=wine.classes
    )
    seeds = given("wine", 1).seeds
    (step,) = Estimator("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 3}).train(
        broken, seeds
    )
    assert step.metrics["train_accuracy"][0] > 0.8
    with pytest.raises(WorkerLost, match="NaN"):
        list(Estimator("sklearn.svm.SVC", {}).train(broken, seeds))


def test_the_complete_configuration_names_every_argument_and_stays_itself_when_completed_again():
    whole = Estimator(FOREST, {"n_estimators": 7}).complete()
    assert whole["learner"] == FOREST
    assert whole["n_estimators"] == 7
    assert whole["max_features"] == "sqrt"
    assert "random_state" not in whole
    nested = Estimator(PIPELINE, {"steps": STEPS, "svm__gamma": 0.5}).complete()
    assert nested["steps"][1][1]["kernel"] == "rbf"
    for complete in (whole, nested):
        again = Estimator(
            complete["learner"], {key: value for key, value in complete.items() if key != "learner"}
        )
        assert again.complete() == complete
    imputer = {"steps": [["fill", {"learner": "sklearn.impute.SimpleImputer"}], STEPS[1]]}
    assert "missing_values" not in Estimator(PIPELINE, imputer).complete()["steps"][0][1]


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "words"),
    [
        ("sklearn.ensemble.RandomForestClasifier", {}, UnknownName, "RandomForestClassifier"),
        ("sklearn.ensembl.RandomForestClassifier", {}, UnknownName, "Nearest: ensemble"),
        ("sklern.svm.SVC", {}, SourceMissing, "Nearest: sklearn"),
        ("sklearn.svm.SVC", {"c": 1}, UnknownName, "Nearest: C"),
        ("sklearn.svm.SVC", {"kernal": "rbf"}, UnknownName, "Nearest: kernel"),
        ("sklearn.svm.SVC", {"C": -1}, BadValue, "'C' parameter"),
        ("sklearn.svm.SVC", {"C": "much"}, BadValue, "'C' parameter"),
        ("sklearn.svm.SVC", {"random_state": 3}, BadValue, "seed"),
        (PIPELINE, {"steps": [["svm", {"learner": "sklearn.svm.SVC", "random_state": 3}]]}, BadValue, "seed"),
        (PIPELINE, {"steps": STEPS, "svm__c": 1}, UnknownName, "Nearest: svm__C"),
        (PIPELINE, {"steps": STEPS, "svm__C": -1}, BadValue, "'C' parameter"),
        (PIPELINE, {"steps": [["svm", {"learner": "sklearn.svm.SVCC"}]]}, UnknownName, "Nearest: SVC"),
        (PIPELINE, {}, BadValue, "steps"),
        ("sklearn.preprocessing.StandardScaler", {}, BadValue, "no predict"),
        ("sklearn.datasets.load_iris", {}, BadValue, "must be a class"),
        ("sklearn..svm", {}, BadValue, "dotted name"),
    ],
)
def test_wrong_names_and_arguments_get_a_clear_answer_before_anything_runs(name, arguments, kind, words):
    with pytest.raises(kind, match=words):
        Estimator(name, arguments)


def test_an_estimator_of_the_wrong_kind_is_refused(given):
    with pytest.raises(BadValue, match="a classifier"):
        fit(Estimator("sklearn.svm.SVC", {}), given("diabetes", 1))
    with pytest.raises(BadValue, match="a regressor"):
        fit(Estimator("sklearn.svm.SVR", {}), given("wine", 1))


def test_a_class_that_is_not_scikit_learns_needs_fit_and_predict_only(given, tmp_path, monkeypatch):
    (tmp_path / "majority_of_others.py").write_text(
        "import numpy as np\n"
        "class Majority:\n"
        "    def __init__(self, noise=0.0, random_state=None):\n"
        "        self.noise, self.random_state = noise, random_state\n"
        "    def fit(self, features, target):\n"
        "        self.label = int(np.bincount(target).argmax())\n"
        "        self.draw = np.random.rand()\n"
        "    def predict(self, features):\n"
        "        return np.full(len(features), self.label)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    wine = given("wine", 2)
    learner = Estimator("majority_of_others.Majority", {"noise": 0.5})
    assert learner.complete() == {"learner": "majority_of_others.Majority", "noise": 0.5}
    assert tmp_path / "majority_of_others.py" in learner.sources(tmp_path)
    first, again = (fit(learner, wine) for _ in range(2))
    assert np.array_equal(first.model.state()["digest"], again.model.state()["digest"])
    assert first.model.predict(wine.tests())[0].argmax(axis=1).tolist() == [1] * 45
    with pytest.raises(UnknownName, match="noise"):
        Estimator("majority_of_others.Majority", {"noize": 1})


def test_an_error_while_fitting_names_the_estimator_and_keeps_its_own_words(given):
    digits = given("digits", 1)
    with pytest.raises(WorkerLost, match=r"KNeighborsRegressor|ComplementNB.*Negative values") as caught:
        fit(Estimator("sklearn.naive_bayes.ComplementNB", {}), negative(digits))
    assert isinstance(caught.value.__cause__, ValueError)


def negative(given):
    experience = given.experience
    shifted = Experience(
        features=experience.features - 100,
        target=experience.target,
        rows=experience.rows,
        task="classification",
        classes=experience.classes,
    )
    return type(given)(shifted, given.seeds, given.held_out)


def test_its_sources_are_this_packages_own_files():
    names = {path.name for path in Estimator(FOREST, {}).sources(Path("/nowhere"))}
    assert {"estimator.py", "fitted.py", "seed.py", "experience.py"} <= names
    assert "convnet.py" not in names
