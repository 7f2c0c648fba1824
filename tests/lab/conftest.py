"""One project with finished experiments, made once and read by all tests of the room.

It is shared: a test that writes takes a copy of it first (`shutil.copytree` of `small_project.root`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from here_executor import HereExecutor
from visit import CHROMIUM, FLAGS

from modelwright.experiment.design import Design
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

SMALL: dict[str, Any] = {
    "name": "small",
    "question": {
        "hypothesis": "Naive Bayes names a wine's cultivar more often than softmax regression stopped early.",
        "metric": "accuracy",
        "margin": 0.02,
        "smallest_effect": 0.02,
    },
    "data": {"kind": "sklearn", "name": "wine"},
    "split": {"kind": "stratified", "test": 0.3},
    "variants": {
        "bayes": {"learner": "sklearn.naive_bayes.GaussianNB"},
        "softmax": {"learner": "logistic_regression", "updates": 20},
    },
    "seeds": 4,
    "rule": {"kind": "group_sequential", "looks": [3, 4]},
}
"""Two looks, one learner with a course of learning, one that fits at once; ends inconclusive."""

FLAWED: dict[str, Any] = {
    "name": "flawed",
    "question": {
        "hypothesis": "A deep tree predicts better than a stump and than the mean.",
        "metric": "rmse",
        "smallest_effect": 0.1,
    },
    "data": {"kind": "frame", "name": "table", "target": "y"},
    "variants": {
        "deep": {"learner": "sklearn.tree.DecisionTreeRegressor"},
        "stump": {"learner": "sklearn.tree.DecisionTreeRegressor", "max_depth": 1},
        "mean": {"learner": "sklearn.dummy.DummyRegressor"},
    },
    "compare": [["deep", "stump"], ["deep", "mean"]],
    "seeds": 3,
}
"""Two comparisons on data with a column that is the target: a severe finding, and an amendment later."""


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one run of tests have."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if own.name.startswith("popen-") else own


@pytest.fixture(scope="session")
def here() -> HereExecutor:
    return HereExecutor()


@pytest.fixture(scope="session")
def small_design() -> Design:
    return Design.from_mapping(SMALL)


@pytest.fixture(scope="session")
def flawed_frames() -> Mapping[str, Any]:
    random = np.random.default_rng(3)
    x = random.normal(size=(90, 2))
    y = x[:, 0] + np.sin(3 * x[:, 1]) + 0.1 * random.normal(size=90)
    return {"table": pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "leak": 2 * y, "same": 1.0, "y": y})}


@pytest.fixture(scope="session")
def small_project(
    tmp_path_factory: pytest.TempPathFactory,
    here: HereExecutor,
    small_design: Design,
    flawed_frames: Mapping[str, Any],
) -> Project:
    """`small`: finished after two looks. `flawed`: invalid, and amended after its results were in."""
    project = Project.find(tmp_path_factory.mktemp("small"), journal=Path(".modelwright"))
    run_design(small_design, project, executor=here)
    run_design(Design.from_mapping(FLAWED), project, frames=flawed_frames, executor=here)
    more = Design.from_mapping({**FLAWED, "seeds": 4})
    run_design(more, project, frames=flawed_frames, executor=here, amend="three seeds say little")
    return project


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()
