"""A user's function as a learner."""

import numpy as np
import pytest

from modelwright.algorithms.outside.generator import Generator
from modelwright.base.errors import BadValue, SourceMissing, UnknownName, WorkerLost

MINE = '''
import numpy as np
import beside

def descend(features, target, rng, seed, updates=3, rate=0.1):
    """Least squares by gradient, one line at a time."""
    weight = np.zeros(features.shape[1])
    goal = target - target.mean()
    for update in range(updates):
        error = features @ weight - goal
        weight -= rate * beside.STEP * features.T @ error / len(error)
        yield {"mse": np.mean(error**2), "draw": rng.random(), "rows": len(features)}

class Mean:
    def __init__(self, value):
        self.value = value
    def predict(self, features):
        return np.full(len(features), self.value)

def fit(experience, seed):
    return Mean(float(experience.target.mean()))

def offers(target):
    yield {"loss": 1.0}
    yield {"loss": 0.5, "model": Mean(float(target.mean()))}

def early(rng):
    for update in range(1 + int(rng.integers(4))):
        yield {"loss": update}

def raises(features):
    yield {"loss": 1.0}
    helper()

def helper():
    raise ValueError("the sky fell")

def raises_elsewhere(features):
    np.linalg.inv(np.zeros((2, 2)))
    yield {}

def nothing(features):
    return
    yield

def returns_a_number(features):
    return 3

def yields_a_number(features):
    yield 3.0

def yields_a_text(features):
    yield {"loss": "0.5"}

def yields_an_array(features):
    yield {"loss": np.ones(3)}

def yields_a_huge_number(features):
    yield {"loss": 10**400}

def yields_an_endless_number(features):
    yield {"loss": 10**5000}

def yields_no_metric(features):
    yield {}

def yields_odd_keys(features):
    yield {1: 2.0}

def yields_odd_model(features):
    yield {"loss": 1.0, "model": 3}

def needs(features, strength):
    yield {"loss": strength}

def positional(features, /):
    yield {"loss": 1.0}

def anything(features, **settings):
    yield {"loss": settings["depth"]}

def spoils(experience):
    experience.features[:] = 0
    experience.target[:] = 0
    yield {"rows": len(experience.features)}

constant = 3
'''


@pytest.fixture
def root(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "beside.py").write_text("STEP = 1.0\n")
    return tmp_path


def run(root, name, given, **settings):
    return list(Generator(f"mine.py:{name}", settings, root=root).train(given.experience, given.seeds))


def test_its_steps_carry_one_number_per_seed(root, given):
    diabetes = given("diabetes", 3, ragged=True)
    steps = run(root, "descend", diabetes, updates=4, rate=0.5)
    assert [step.update for step in steps] == [1, 2, 3, 4]
    np.testing.assert_array_equal(steps[0].metrics["rows"], [331, 328, 325])
    expected = [np.var(diabetes.experience.of(place)[1]) for place in range(3)]
    np.testing.assert_allclose(steps[0].metrics["mse"], expected)
    assert len(set(steps[0].metrics["draw"])) == 3
    assert all(step.model is None for step in steps)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(root, given):
    first, again = (run(root, "descend", given("diabetes", 2)) for _ in range(2))
    assert [step.metrics["draw"].tolist() for step in first] == [
        step.metrics["draw"].tolist() for step in again
    ]
    assert first[0].metrics["draw"][0] != first[0].metrics["draw"][1]


def test_a_fitted_object_is_evaluated_like_a_model(root, given):
    diabetes = given("diabetes", 2)
    (step,) = run(root, "fit", diabetes)
    for place, found in enumerate(step.model.predict(diabetes.tests())):
        assert (found == diabetes.experience.of(place)[1].mean()).all()
    np.testing.assert_allclose(
        step.metrics["train_rmse"], [diabetes.experience.of(p)[1].std() for p in range(2)]
    )


def test_a_model_may_be_yielded_beside_metrics(root, given):
    first, last = run(root, "offers", given("diabetes", 2))
    assert first.model is None
    assert last.model is not None
    np.testing.assert_array_equal(last.metrics["loss"], [0.5, 0.5])
    assert last.model.state()["digest"].shape == (2, 32)


def test_seeds_that_end_early_are_nan_afterwards(root, given):
    steps = run(root, "early", given("diabetes", 8))
    ended = np.array([np.isnan(step.metrics["loss"]) for step in steps])
    assert (np.diff(ended.astype(int), axis=0) >= 0).all()
    assert 0 < ended.sum() < ended.size
    assert not ended[0].any()


def test_training_rows_are_copies_and_the_only_rows(root, given):
    diabetes = given("diabetes", 1)
    before = diabetes.experience.features.copy()
    (step,) = run(root, "spoils", diabetes)
    assert step.metrics["rows"][0] == 331
    assert np.array_equal(diabetes.experience.features, before)


def test_the_complete_configuration_has_the_defaults(root):
    learner = Generator("mine.py:descend", {"rate": 0.5}, root=root)
    assert learner.complete() == {"learner": "mine.py:descend", "updates": 3, "rate": 0.5}
    assert Generator("mine.py:anything", {"depth": 2}, root=root).complete()["depth"] == 2


def test_its_sources_are_its_file_and_what_lies_beside_it(root):
    names = [path.name for path in Generator("mine.py:descend", {}, root=root).sources(root)]
    assert "mine.py" in names
    assert "beside.py" in names
    assert "generator.py" in names


def test_an_error_names_the_users_file_and_line(root, given):
    line = MINE[: MINE.index('raise ValueError("the sky fell")')].count("\n") + 1
    with pytest.raises(WorkerLost, match=rf"the sky fell \(mine.py, line {line}\)") as caught:
        run(root, "raises", given("diabetes", 2))
    assert isinstance(caught.value.__cause__, ValueError)
    line = MINE[: MINE.index("np.linalg.inv")].count("\n") + 1
    with pytest.raises(WorkerLost, match=rf"Singular matrix \(mine.py, line {line}\)"):
        run(root, "raises_elsewhere", given("diabetes", 1))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "at least one"),
        ("returns_a_number", "a int"),
        ("yields_a_number", "a float at step 1"),
        ("yields_a_text", "loss = '0.5'"),
        ("yields_an_array", "one number"),
        ("yields_a_huge_number", r"must be one number\. Got loss = 1000.*401 characters\) \(int\) at step 1"),
        ("yields_an_endless_number", r"must be one number\. Got loss = a number of thousands of digits"),
        ("yields_no_metric", "empty dictionary"),
        ("yields_odd_keys", "must be texts"),
        ("yields_odd_model", "must have predict"),
    ],
)
def test_what_is_no_dictionary_of_numbers_is_refused(name, words, root, given):
    with pytest.raises(BadValue, match=words):
        run(root, name, given("diabetes", 1))


@pytest.mark.parametrize(
    ("name", "settings", "kind", "words"),
    [
        ("mine.py:desend", {}, UnknownName, "Nearest: descend"),
        ("mien.py:descend", {}, SourceMissing, "Nearest: mine.py"),
        ("mine.py:constant", {}, BadValue, "must be a function"),
        ("mine.py:", {}, BadValue, "file.py:function"),
        ("mine.py:descend", {"rat": 1}, UnknownName, "Nearest: rate"),
        ("mine.py:descend", {"features": 1}, BadValue, "no setting"),
        ("mine.py:needs", {}, BadValue, "strength"),
        ("mine.py:positional", {}, BadValue, "positional-only"),
        ("mine.py:anything", {"depth": float("nan")}, BadValue, "finite"),
        ("broken.py:train", {}, BadValue, "SyntaxError"),
        ("no_such_module_here:train", {}, SourceMissing, "no_such_module_here"),
    ],
)
def test_wrong_names_and_settings_get_a_clear_answer_before_anything_runs(name, settings, kind, words, root):
    (root / "broken.py").write_text("def train(:\n")
    with pytest.raises(kind, match=words):
        Generator(name, settings, root=root)


def test_an_edited_file_is_read_again(root, given):
    run(root, "offers", given("diabetes", 1))
    (root / "mine.py").write_text("def offers(features):\n    yield {'other': 2.0}\n")
    (step,) = run(root, "offers", given("diabetes", 1))
    assert list(step.metrics) == ["other"]


def test_a_function_of_an_importable_module_is_found(given):
    learner = Generator(
        "modelwright.algorithms.networks.layers:cross_entropy",
        {"logits": 1},
        root=None or __import__("pathlib").Path(),
    )
    assert learner.complete() == {
        "learner": "modelwright.algorithms.networks.layers:cross_entropy",
        "logits": 1,
    }
