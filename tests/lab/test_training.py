"""What a job's results look like to everybody who reads them: runs, reruns and pilots."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwright.algorithms.learner import complete_config
from modelwright.base.configure import configure
from modelwright.base.seed import derive_seeds
from modelwright.data.source import Source, load_dataset
from modelwright.data.split import SplitPlan
from modelwright.experiment.question import Question
from modelwright.lab.executor.job import Failed, Finished, Job, Message, Progress, Workload
from modelwright.lab.ground.rows import Rows
from modelwright.lab.training import train_job

LEARNER = """
def ends(rng, number="nan"):
    yield {"score": float(number)}
"""


def train(root: Path, variant: dict[str, Any]) -> list[Message]:
    """Return what training three seeds of a learner that reports `score` says."""
    config = complete_config(variant, root=root)
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
    return list(train_job(workload, job))


def last_scores(root: Path, number: str) -> np.ndarray:
    """Return the scores of three seeds that all report this number."""
    (root / "mine.py").write_text(LEARNER)
    messages = train(root, {"learner": "mine.py:ends", "number": number})
    finished = [message for message in messages if isinstance(message, Finished)]
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


SLOW = """
import time

def slow(rng):
    for update in (10, 20):
        time.sleep(0.05)
        yield {"score": 1.0, "environment_steps": float(update**2)}

def plain(rng):
    for update in range(3):
        time.sleep(0.05)
        yield {"score": 1.0}

def proud(rng):
    yield {"score": 1.0, "throughput": 1e9}
"""


@pytest.mark.parametrize(("learner", "done"), [("slow", (100, 300)), ("plain", (1, 1, 1))])
def test_every_step_says_how_fast_the_learner_is(learner: str, done: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SLOW)
    messages = train(tmp_path, {"learner": f"mine.py:{learner}"})
    steps = [step for message in messages if isinstance(message, Progress) for step in message.steps]
    assert len(steps) == len(done)
    for (_, metrics), count in zip(steps, done, strict=True):
        assert metrics["throughput"].shape == (3,)
        # Three seeds sleep in turn; a busy machine may take longer, never less.
        assert (metrics["throughput"] <= count / 0.15).all()
        assert (metrics["throughput"] >= count / 5.0).all()


def test_a_learner_that_reports_what_the_lab_measures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SLOW)
    failed = train(tmp_path, {"learner": "mine.py:proud"})[-1]
    assert isinstance(failed, Failed)
    assert "throughput is measured by the lab" in failed.error["rule"]
    assert failed.error["next_step"] == "give the metric another name"
