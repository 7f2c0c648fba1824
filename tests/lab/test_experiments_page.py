"""The page on experiments: its example runs, and it names what there is."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelwright.experiment.design import Design
from modelwright.experiment.rule import Rule
from modelwright.experiment.verdict import Outcome
from modelwright.lab.compose import compose_design
from modelwright.lab.executor.job import Executor
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_example_of_the_page_runs_to_a_verdict(page: str, tmp_path: Path, here: Executor) -> None:
    (yaml,) = re.findall(
        r"<!-- tested: experiments/scores.yaml -->\n```yaml\n(.*?)```", page, flags=re.DOTALL
    )
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "scores.yaml").write_text(yaml)
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 2))
    score = np.sin(3 * x[:, 0]) + x[:, 1] + 0.1 * random.normal(size=300)
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "score": score}).to_csv(tmp_path / "scores.csv", index=False)
    design, _ = compose_design("scores", root=tmp_path)
    result = run_design(design, Project.find(tmp_path, journal=Path("journal")), executor=here)
    assert result.verdict.outcome is Outcome.SUPPORTED


def test_the_page_names_every_rule_scope_and_outcome(page: str) -> None:
    for kind in Rule.__dataclass_fields__["kind"].metadata["choices"]:
        assert f"| `{kind}` |" in page
    for scope in Design.__dataclass_fields__["scope"].metadata["choices"]:
        assert f"| `{scope}` |" in page
    for outcome in Outcome:
        assert f"| *{outcome}* |" in page
