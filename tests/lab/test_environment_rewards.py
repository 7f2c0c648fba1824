"""Rewards of a size that nobody can compute with, and environments that print: told, never a quiet score."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from environment_project import small
from here_executor import HereExecutor

from modelwright.experiment.design import Design
from modelwright.lab.prepare import prepare_design
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

PAY = """
import gymnasium
import numpy as np


class Pay(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, scale=1.0, loud=False):
        self.scale, self.loud = scale, loud

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.ones(1, np.float32), {}

    def step(self, action):
        if self.loud:
            print("PAYING")
        self.steps += 1
        return np.ones(1, np.float32), self.scale * action, self.steps == 10, False, {}
"""


def designed(root: Path, learner: str, **settings: Any) -> tuple[Design, Project]:
    (root / "pay.py").write_text(PAY)
    learns = {"total_steps": 640, "copies": 2}
    if learner == "dqn":
        learns |= {"learning_starts": 64, "batch_size": 16, "hidden": [8]}
    else:
        learns |= {"width": 8, "rollout": 16}
    design = small(
        name="pay",
        question={"hypothesis": "it learns", "metric": "return", "smallest_effect": 1.0},
        environment={"name": "pay.py:Pay", "settings": settings},
        evaluation={"episodes": 2},
        variants={"one": {"learner": learner, **learns}, "two": {"learner": learner, **learns, "gamma": 0.5}},
        rule={"kind": "group_sequential", "looks": [3, 4]},
    )
    return design, Project.find(root, journal=Path(".modelwright"))


def run(root: Path, learner: str, **settings: Any) -> Any:
    return run_design(*designed(root, learner, **settings), executor=HereExecutor())


@pytest.mark.parametrize("learner", ["ppo", "a2c", "reinforce", "dqn"])
def test_a_learner_that_rewards_have_frozen_has_diverged(learner: str, tmp_path: Path) -> None:
    result = run(tmp_path, learner, scale=1e25)
    kinds = {finding.kind for finding in result.findings}
    assert "diverged-trial" in kinds
    assert result.verdict.outcome.value == "invalid"
    (first, *_) = [each for each in result.findings if each.kind == "diverged-trial"]
    assert any("rewards" in cause.what for cause in first.causes)


def test_rewards_of_a_common_size_are_nobodys_finding(tmp_path: Path) -> None:
    assert not {"diverged-trial", "extreme-returns"} & {f.kind for f in run(tmp_path, "ppo").findings}


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_returns_of_an_extreme_size_are_a_warning(scale: float, tmp_path: Path) -> None:
    found = [each for each in run(tmp_path, "ppo", scale=scale).findings if each.kind == "extreme-returns"]
    assert found
    assert found[0].severity.value == "warning"
    assert f"{10 * scale:.0e}"[:2] in found[0].title


def test_what_an_environment_prints_while_a_design_is_checked_is_no_output(tmp_path: Path) -> None:
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        prepare_design(*designed(tmp_path, "ppo", loud=True))
    assert output.getvalue() == ""
    assert "PAYING" in errors.getvalue()
