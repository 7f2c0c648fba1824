"""What a job's results look like to everybody who reads them: runs, reruns and pilots."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from modelwright.algorithms.learner import complete_config
from modelwright.base.configure import configure
from modelwright.base.seed import derive_seeds
from modelwright.data.source import Source, load_dataset
from modelwright.data.split import SplitPlan
from modelwright.experiment.question import Question
from modelwright.lab.executor.job import Finished, Job, Workload
from modelwright.lab.ground.rows import Rows
from modelwright.lab.training import train_job

LEARNER = """
def ends(rng, number="nan"):
    yield {"score": float(number)}
"""


def last_scores(root: Path, number: str) -> np.ndarray:
    """Return the scores of three seeds that all report this number."""
    (root / "mine.py").write_text(LEARNER)
    config = complete_config({"learner": "mine.py:ends", "number": number}, root=root)
    question = Question(
        hypothesis="it ends",
        metric="score",
        reported=True,
        direction="maximize",
        smallest_effect=1.0,
    )
    dataset = load_dataset(configure(Source, {"kind": "sklearn", "name": "wine"}, where="data"), root=root)
    seeds = derive_seeds("training", 3)
    ground = Rows(dataset=dataset, plan=SplitPlan())
    parts = tuple(ground.part(seed, "training") for seed in seeds)
    workload = Workload(root=root, question=question, ground=ground, threads=1)
    job = Job(identity="job", variant="one", config=config, indices=(0, 1, 2), seeds=seeds, parts=parts)
    finished = [message for message in train_job(workload, job) if isinstance(message, Finished)]
    assert len(finished) == 1
    return finished[0].scores


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1.1e150", "-1e300"])
def test_a_score_that_no_interval_can_hold_is_not_a_number(number: str, tmp_path: Path) -> None:
    assert np.isnan(last_scores(tmp_path, number)).all()


@pytest.mark.parametrize("number", ["0.0", "1e150", "-1e150"])
def test_a_score_that_an_interval_can_hold_is_kept(number: str, tmp_path: Path) -> None:
    scores = last_scores(tmp_path, number)
    assert scores.tolist() == [float(number)] * 3
    with warnings.catch_warnings(action="error"):
        assert np.isfinite(np.std(np.append(scores, -scores[0]), ddof=1))
