"""Questions about learners that predict nothing: they report the metric, and refuse to be scored on rows."""

from pathlib import Path

import pytest
from here_executor import HereExecutor

from modelwright.base.errors import ModelwrightError
from modelwright.experiment.verdict import Outcome
from modelwright.lab.compose import compose_design
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

DESIGN = """
question:
  hypothesis: Ten clusters explain more of the spread of digits than five do.
  metric: explained_share
  direction: maximize
  reported: true
  low: 0.0
  high: 1.0
  smallest_effect: 0.02
data: {kind: sklearn, name: digits}
split: {kind: stratified, test: 0.25}
variants:
  ten: {learner: k_means, clusters: 10}
  five: {learner: k_means, clusters: 5}
seeds: 4
"""


def project(root: Path, text: str) -> Project:
    (root / "experiments").mkdir()
    (root / "experiments" / "groups.yaml").write_text(text)
    return Project.find(root)


@pytest.mark.parametrize(
    "variants",
    [
        "",
        "  ten: {learner: principal_components, components: 10}\n"
        "  five: {learner: principal_components, components: 5}\n",
    ],
    ids=["clusters", "components"],
)
def test_a_reported_metric_is_answered(variants: str, tmp_path: Path, here: HereExecutor) -> None:
    text = DESIGN
    if variants:
        head, tail = DESIGN.split("variants:\n")
        text = head + "variants:\n" + variants + tail[tail.index("seeds:") :]
    opened = project(tmp_path, text)
    design, _ = compose_design("groups", root=tmp_path)
    assert run_design(design, opened, executor=here).verdict.outcome is Outcome.SUPPORTED


def test_a_score_on_held_out_rows_is_refused_with_what_to_do(tmp_path: Path, here: HereExecutor) -> None:
    lines = [
        line
        for line in DESIGN.splitlines()
        if line.split(":")[0].strip() not in ("direction", "reported", "low", "high")
    ]
    text = "\n".join(lines).replace("explained_share", "accuracy")
    opened = project(tmp_path, text)
    design, _ = compose_design("groups", root=tmp_path)
    with pytest.raises(ModelwrightError, match=r"question\.reported=true"):
        run_design(design, opened, executor=here)
