"""From a variant to a learner."""

import dataclasses
import json
import random
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from modelwright.algorithms import LEARNERS, SUPERVISED
from modelwright.algorithms.learner import build_learner, complete_config, source_files
from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.fingerprint import fingerprint
from modelwright.data.experience import Experience

DESCENDING = {"linear_regression", "logistic_regression", "mlp", "convnet", "transformer"}
"""Learners that go downhill in small steps."""
UNSUPERVISED = {"k_means", "principal_components"}
"""Learners that predict no target."""
DRAWING = ("mlp", "convnet", "transformer", "gradient_boosting", "k_means")
"""Learners that draw random numbers."""
HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "algorithms"
DATA = {
    "linear_regression": "diabetes",
    "logistic_regression": "wine",
    "mlp": "wine",
    "convnet": "digits",
    "transformer": "text",
    "gaussian_naive_bayes": "wine",
    "k_nearest_neighbours": "wine",
    "decision_tree": "wine",
    "gradient_boosting": "wine",
    "k_means": "wine",
    "principal_components": "wine",
}
QUICK = {
    "linear_regression": {},
    "logistic_regression": {"updates": 3},
    "mlp": {"updates": 3, "evaluate_every": 2},
    "convnet": {"updates": 3, "width": 2},
    "transformer": {"updates": 3, "width": 8, "heads": 2},
    "gaussian_naive_bayes": {},
    "k_nearest_neighbours": {"neighbours": 3},
    "decision_tree": {},
    "gradient_boosting": {"rounds": 3, "subsample": 0.5},
    "k_means": {"clusters": 3},
    "principal_components": {},
}


def test_every_learner_that_is_given_rows_is_tried_here():
    assert set(DATA) == set(QUICK) == set(SUPERVISED)


def steps(name, given, count=2, **more):
    cohort = given(DATA[name], count)
    learner = build_learner({"learner": name, **QUICK[name], **more}, root=HERE)
    return cohort, list(learner.train(cohort.experience, cohort.seeds))


@pytest.mark.parametrize("name", LEARNERS)
def test_the_complete_configuration_has_every_field_and_stays_itself(name):
    whole = complete_config({"learner": name}, root=HERE)
    config = import_module(LEARNERS[name]).Config
    assert set(whole) == {"learner", *(field.name for field in dataclasses.fields(config))}
    assert complete_config(whole, root=HERE) == whole
    assert complete_config(json.loads(json.dumps(whole)), root=HERE) == whole
    assert len(fingerprint(whole)) == 64


@pytest.mark.parametrize("name", LEARNERS)
def test_every_field_is_documented(name):
    for field in dataclasses.fields(import_module(LEARNERS[name]).Config):
        assert field.metadata["doc"].endswith("."), field.name


def test_whole_floats_become_integers_and_both_ways_are_one_configuration():
    one = complete_config({"learner": "mlp", "width": 32.0, "learning_rate": 1}, root=HERE)
    assert one == complete_config({"learner": "mlp", "width": 32, "learning_rate": 1.0}, root=HERE)
    assert isinstance(one["width"], int)


@pytest.mark.parametrize(
    ("variant", "kind", "words"),
    [
        ({"learner": "convnett"}, UnknownName, "Nearest: convnet"),
        ({"learner": "linear regression"}, UnknownName, "Nearest: linear_regression"),
        ({"learner": "mlp", "widht": 3}, UnknownName, "Nearest: width"),
        ({"learner": "mlp", "optimizer": "adma"}, UnknownName, "Nearest: adam"),
        ({"learner": "mlp", "width": "3"}, BadValue, "whole number"),
        ({"learner": "mlp", "width": 2.5}, BadValue, "whole number"),
        ({"learner": "mlp", "width": True}, BadValue, "whole number"),
        ({"learner": "mlp", "width": 0}, BadValue, "at least 1"),
        ({"learner": "mlp", "width": None}, BadValue, "whole number"),
        ({"learner": "mlp", "learning_rate": float("nan")}, BadValue, "above 0"),
        ({"learner": "mlp", "learning_rate": "fast"}, BadValue, "a number"),
        ({"learner": "mlp", "standardize": "yes"}, BadValue, "true or false"),
        ({"learner": "mlp", "momentum": 0.9}, BadValue, "sgd"),
        ({"learner": "mlp", "dropout": 1.0}, BadValue, "below 1"),
        ({"learner": "convnet", "kernel": 4}, BadValue, "odd"),
        ({"learner": "linear_regression", "updates": 7}, BadValue, "closed form"),
        ({}, BadValue, "names its learner"),
        ({"learner": 3}, BadValue, "names its learner"),
    ],
)
def test_a_wrong_variant_gets_a_clear_answer(variant, kind, words):
    for function in (complete_config, build_learner, source_files):
        with pytest.raises(kind, match=words):
            function(variant, root=HERE)


@pytest.mark.parametrize("name", SUPERVISED)
def test_every_step_keeps_the_promises_of_the_seam(name, given):
    cohort, found = steps(name, given, count=3)
    assert [step.update for step in found] == list(range(1, len(found) + 1))
    assert found[-1].model is not None
    if name in DESCENDING:
        assert {"train_loss", "grad_norm", "update_ratio", "learning_rate"} <= set(found[-1].metrics)
    for step in found:
        assert all(values.shape == (3,) and values.dtype == np.float64 for values in step.metrics.values())
    assert all(values.shape[0] == 3 for values in found[-1].model.state().values())
    with pytest.raises(BadValue, match="one array of rows per seed"):
        found[-1].model.predict(cohort.tests()[:2])
    if name in UNSUPERVISED:
        with pytest.raises(BadValue, match=r"question\.reported=true"):
            found[-1].model.predict(cohort.tests())
        return
    predictions = found[-1].model.predict([rows[: 5 + place] for place, rows in enumerate(cohort.tests())])
    for place, prediction in enumerate(predictions):
        if cohort.experience.task == "classification":
            assert prediction.shape == (5 + place, len(cohort.experience.classes))
            np.testing.assert_allclose(prediction.sum(axis=1), 1.0)
        else:
            assert prediction.shape == (5 + place,)


def test_the_model_is_offered_as_often_as_asked(given):
    _, found = steps("mlp", given, updates=7)
    assert [step.update for step in found if step.model is not None] == [2, 4, 6, 7]


@pytest.mark.parametrize("name", SUPERVISED)
def test_the_same_seed_gives_the_same_numbers_and_global_state_is_untouched(name, given):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    threads = torch.get_num_threads()
    first, again = (steps(name, given)[1][-1].model.state() for _ in range(2))
    for key in first:
        assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(first[key], again[key], strict=True))
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before  # noqa: NPY002
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", DRAWING)
def test_another_seed_gives_other_numbers(name, given):
    cohort = given(DATA[name], 2)
    same = cohort.part([0, 0])
    learner = build_learner({"learner": name, **QUICK[name]}, root=HERE)
    *_, last = learner.train(same.experience, cohort.seeds)
    assert any(not np.array_equal(*values, equal_nan=True) for values in last.model.state().values())


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_and_infinite_features_are_refused_with_their_row(name, value, given):
    cohort = given(DATA[name], 1)
    features = cohort.experience.features.copy()
    row = int(cohort.experience.rows[0][3])
    features[row].flat[0] = value
    broken = Experience(
        features=features,
        target=cohort.experience.target,
        rows=cohort.experience.rows,
        task=cohort.experience.task,
        classes=cohort.experience.classes,
    )
    with pytest.raises(BadValue, match=rf"row {row} "):
        next(iter(build_learner({"learner": name, **QUICK[name]}, root=HERE).train(broken, cohort.seeds)))


def test_as_many_seeds_as_arrays_of_rows_are_demanded(given):
    cohort = given("wine", 2)
    with pytest.raises(BadValue, match="3 seeds, 2 arrays"):
        next(
            iter(
                build_learner({"learner": "mlp"}, root=HERE).train(
                    cohort.experience, (*cohort.seeds, cohort.seeds[0])
                )
            )
        )


def test_one_training_row_is_enough_to_run(given):
    cohort = given("wine", 1)
    tiny = Experience(
        features=cohort.experience.features,
        target=cohort.experience.target,
        rows=(np.array([5]),),
        task="classification",
        classes=cohort.experience.classes,
    )
    *_, last = build_learner({"learner": "mlp", "updates": 2}, root=HERE).train(tiny, cohort.seeds)
    assert np.isfinite(last.model.predict(cohort.tests())[0]).all()


@pytest.mark.parametrize("name", SUPERVISED)
def test_its_sources_are_its_own_file_and_the_leaves_that_it_uses(name):
    names = [path.name for path in source_files({"learner": name}, root=HERE)]
    assert f"{name}.py" in names
    assert {"seed.py", "experience.py"} <= set(names)
    assert ("descent.py" in names) == (name in DESCENDING)
    assert not {"estimator.py", "learner.py"} & set(names)
    assert ("convolution.py" in names) == (name == "convnet")


def test_importing_the_room_loads_neither_torch_nor_scikit_learn():
    code = (
        "import sys, modelwright.algorithms.learner; from pathlib import Path\n"
        "assert not {'torch', 'sklearn', 'pandas', 'scipy'} & set(sys.modules), set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", SUPERVISED)
def test_the_page_of_a_learner_has_each_of_its_metrics_and_settings_and_no_other(name, given):
    page = (DOCS / f"{name}.md").read_text()
    sections = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    listed = {
        title: re.findall(r"^\| `([a-z0-9_]+)` \|", text, flags=re.MULTILINE)
        for title, text in sections.items()
    }
    settings = {field.name for field in dataclasses.fields(import_module(LEARNERS[name]).Config)}
    metrics = set(steps(name, given)[1][-1].metrics)
    if name == "linear_regression":
        metrics |= set(steps(name, given, solver="descent", updates=2)[1][-1].metrics)
    if name in ("mlp", "convnet"):
        metrics.add("train_rmse")
    if name in ("k_nearest_neighbours", "decision_tree", "gradient_boosting"):
        values = given("diabetes", 1)
        learner = build_learner({"learner": name, **QUICK[name]}, root=HERE)
        *_, last = learner.train(values.experience, values.seeds)
        metrics |= set(last.metrics)
    assert sorted(listed["Settings"]) == sorted(settings)
    assert sorted(listed["Metrics"]) == sorted(metrics)
