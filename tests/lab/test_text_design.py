"""A question about text, from YAML to its verdict."""

from pathlib import Path

import pytest
from here_executor import HereExecutor

from modelwright.base.finding import Severity
from modelwright.experiment.verdict import Outcome
from modelwright.lab.compose import compose_design
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

DESIGN = """
question:
  hypothesis: A transformer foretells the next character better than softmax regression on character numbers.
  metric: log_loss
  smallest_effect: 0.1
data: {kind: text, name: python_manual, length: 16, windows: 2000}
split: {kind: time, test: 0.2}
variants:
  transformer: {learner: transformer, width: 16, heads: 2, depth: 1, updates: 60, learning_rate: 0.01}
  softmax: {learner: logistic_regression, updates: 60}
scope: this_test_set
seeds: 4
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "next.yaml").write_text(DESIGN)
    return tmp_path


def test_a_question_about_text_is_answered(root: Path, here: HereExecutor) -> None:
    design, _ = compose_design("next", root=root)
    result = run_design(design, Project.find(root), executor=here)
    assert not [finding for finding in result.findings if finding.severity is Severity.SEVERE]
    assert (result.verdict.outcome, result.trained) == (Outcome.SUPPORTED, 8)
