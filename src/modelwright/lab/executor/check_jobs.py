"""Small jobs that executors are checked with: learners that train, fail, die, wait or beat."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelwright.base.seed import derive_seeds
from modelwright.data.dataset import Dataset
from modelwright.data.split import SplitPlan
from modelwright.experiment.question import Question
from modelwright.lab.executor.job import Job, Workload
from modelwright.lab.ground.rows import Rows

__all__ = ["CheckJobs"]

_LEARNERS = """
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np


def fit(features, target, rng, updates=4, pause=0.0, words=0, names=1):
    weights = np.zeros(features.shape[1], dtype=np.float32)
    for _ in range(updates):
        rows = rng.integers(len(features), size=32)
        error = features[rows] @ weights - target[rows]
        weights = weights - 0.1 * (features[rows].T @ error).astype(np.float32) / 32
        print("word " * words)
        time.sleep(pause)
        losses = {f"loss_{name}": float(error @ error) for name in range(names)}
        yield {**losses, "score": float(weights.sum())}


def fall(features, target, rng, folder=".", times=1, helper=False, delay=0.0, **settings):
    for update, metrics in enumerate(fit(features, target, rng, **settings)):
        yield metrics
        if update == 1:
            fallen = sum(1 for _ in Path(folder).iterdir())
            if fallen < times:
                (Path(folder) / str(fallen)).touch()
                if helper and os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
                if not delay:
                    time.sleep(60)


def fail(features, target, rng):
    yield from fit(features, target, rng, 2)
    raise ArithmeticError("it broke on purpose")


def meet(folder=".", mark="", others=2, patience=60.0):
    (Path(folder) / mark).touch()
    end = time.monotonic() + patience
    while sum(1 for _ in Path(folder).iterdir()) < others and time.monotonic() < end:
        time.sleep(0.02)
    yield {"score": float(sum(1 for _ in Path(folder).iterdir()))}


def beat(file="", seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with open(file, "a") as beats:
            beats.write("x")
        time.sleep(0.05)
        yield {"score": 0.0}
"""


class CheckJobs:
    """Made-up data, and jobs on them whose learners are functions of a file.

    - `fit` trains: a matrix product and the seed's stream decide its numbers;
    - `fall` is `fit` that kills its process, `times` times, so that a later attempt comes through;
    - `fail` raises;
    - `meet` waits for another of its kind;
    - `beat` writes to a file for as long as it is pulled.

    Args:
        folder: A folder that the workers see too; the project of the jobs.
        reported: Whether the learners report the metric themselves, or offer a model.

    Attributes:
        workload: What the jobs share.
        marks: A folder in which learners leave marks.
    """

    def __init__(self, folder: Path, *, reported: bool = True) -> None:
        (folder / "learners.py").write_text(_LEARNERS)
        self.marks = folder / "marks"
        self.marks.mkdir(exist_ok=True)
        generator = derive_seeds("executor check", 1)[0].generator("rows")
        features = generator.normal(size=(120, 40)).astype(np.float32)
        dataset = Dataset(
            name="made up",
            features=features,
            target=(features @ generator.normal(size=40) + generator.normal(size=120)).astype(np.float64),
            task="regression",
            columns=tuple(f"x{at}" for at in range(40)),
        )
        question = Question(
            hypothesis="the executor is right",
            metric="score" if reported else "rmse",
            direction="maximize" if reported else "",
            smallest_effect=1.0,
            reported=reported,
        )
        ground = Rows(dataset=dataset, plan=SplitPlan())
        self.workload = Workload(root=folder, question=question, ground=ground, threads=1)

    def job(self, name: str, function: str, *, first: int = 0, **settings: Any) -> Job:
        """Return a job of one of the functions, with seeds from number `first` on; `fit` gets two."""
        config = {"learner": f"learners.py:{function}", **settings}
        return self.any_job(name, config, first=first, seeds=2 if function == "fit" else 1)

    def any_job(self, name: str, config: Mapping[str, Any], *, first: int = 0, seeds: int = 2) -> Job:
        """Return a job of any learner."""
        drawn = derive_seeds("executor check", seeds, start=first)
        return Job(
            identity=name,
            variant=name,
            config=config,
            indices=tuple(range(first, first + seeds)),
            seeds=drawn,
            parts=tuple(self.workload.ground.part(seed, "executor check") for seed in drawn),
        )
