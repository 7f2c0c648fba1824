"""A small experiment that may be killed at any moment, and what must be the same afterwards."""

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

import modelwright
from modelwright.base.step import THROUGHPUT
from modelwright.experiment.design import Design
from modelwright.lab.project import Project
from modelwright.lab.promise import read_promise
from modelwright.lab.standing import standing_entries

LEARNERS = """
import time
from pathlib import Path

import numpy as np


class Line:
    def __init__(self, weights):
        self.weights = weights

    def predict(self, features):
        return features @ self.weights


# Waits in the middle while there is a file called hold.
def descend(features, target, rng, updates=12, rate=0.1, pause=0.0):
    weights = np.zeros(features.shape[1])
    for update in range(updates):
        hold = Path(__file__).with_name("hold")
        while update == 6 and hold.exists():
            hold.with_name("held").touch()
            time.sleep(0.01)
        rows = rng.integers(len(features), size=16)
        error = features[rows] @ weights - target[rows]
        weights = weights - rate * features[rows].T @ error / len(rows)
        time.sleep(pause)
        yield {"loss": float((error**2).mean()), "model": Line(weights)}
"""

DESIGN: dict[str, Any] = {
    "name": "small",
    "question": {
        "hypothesis": "Twelve steps of descent predict as well as ridge regression.",
        "metric": "rmse",
        "smallest_effect": 0.02,
    },
    "data": {"kind": "csv", "path": "rows.csv", "target": "y"},
    "variants": {
        "descent": {"learner": "learners.py:descend"},
        "ridge": {"learner": "sklearn.linear_model.Ridge", "alpha": 30.0},
    },
    "seeds": 5,
    "rule": {"kind": "group_sequential", "looks": [3, 5]},
}
"""Two looks, the second of which decides nothing: every part of a run's life is there to be interrupted."""


def make_project(folder: Path, journal: str = ".modelwright") -> Project:
    """Write data and learners into a folder; the same at every call."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    features = random.normal(size=(80, 3))
    target = features @ [1.0, 0.5, -0.5] + random.normal(size=80)
    pd.DataFrame({**dict(zip("abc", features.T, strict=True)), "y": target}).to_csv(
        folder / "rows.csv", index=False
    )
    (folder / "learners.py").write_text(LEARNERS)
    return Project.find(folder, journal=Path(journal))


def make_design(**changes: Any) -> Design:
    return Design.from_mapping({**DESIGN, **changes})


def outcome(project: Project, name: str = "small") -> dict[str, Any]:
    """Return what an interruption must not change: trials with scores, looks, findings, verdict."""
    with project.open_journal(read_only=True) as journal:
        rows = [row for row in journal.runs(experiment=name) if row.status in ("finished", "failed")]
        design = read_promise(journal, name).design
        return {
            "trials": sorted([row.variant, row.seed_index, row.trial, row.score] for row in rows),
            **{
                kind: [entry.body for entry in standing_entries(journal, design, kind)]
                for kind in ("checks", "finding", "look", "verdict")
            },
            # As text, because a NaN equals nothing.
            "metrics": {
                f"{row.variant}-{row.seed_index}": repr(repeatable(journal.read_metrics(row.run)))
                for row in rows
            },
        }


def repeatable(table: Any) -> list[dict[str, Any]]:
    """Return the rows of recorded metrics that a second run repeats."""
    return [row for row in table.to_pylist() if row["metric"] != THROUGHPUT]


def assert_whole(project: Project, expected: Mapping[str, Any], name: str = "small") -> None:
    """Check a finished experiment against the uninterrupted one, and its journal against its own hashes."""
    found = outcome(project, name)
    for part, value in expected.items():
        assert found[part] == value, f"{part} differ"
    with project.open_journal(read_only=True) as journal:
        assert journal.verify().ok, journal.verify().damages
        runs = journal.runs(experiment=name)
        assert not [row for row in runs if row.status == "running"]
        finished = [row.trial for row in runs if row.status == "finished"]
        assert len(set(finished)) == len(finished), "a trial has two finished runs"
    assert (project.reports / f"{name}.html").stat().st_size > 10_000
    assert not leftovers(project.journal_folder), leftovers(project.journal_folder)


def leftovers(folder: Path) -> list[str]:
    """Return temporary files in a journal's folder."""
    return [
        path.name for path in folder.rglob("*") if path.suffix == ".tmp" or path.name.endswith("-journal")
    ]


RUNNER = """
import json, os, signal, sys, threading, time, traceback
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from interrupted_project import make_design
from modelwright.lab.project import Project
from modelwright.lab.run import run_design
from modelwright.lab.training import train_job
import modelwright.lab.report, modelwright.lab.page.render, modelwright.algorithms.outside.generator
import duckdb, filelock, jinja2, pandas, psutil, pyarrow.csv, pyarrow.parquet
import sklearn.ensemble, sklearn.linear_model, sklearn.metrics, sklearn.model_selection

class Here:
    slots = 1
    def run(self, workload, jobs):
        for job in jobs:
            yield from train_job(workload, job)
    def close(self):
        pass

def is_watched(file, rooms=os.path.dirname(modelwright.lab.__file__), known={}):
    if file not in known:
        folder, package = os.path.dirname(file), os.path.dirname(rooms)
        watched = (rooms, os.path.join(rooms, "executor"), os.path.join(package, "journal"))
        known[file] = folder in watched
    return known[file]

def run(given):
    moment, count = given.get("moment", 0), 0
    def watch(frame, event, argument):
        nonlocal count
        if is_watched(frame.f_code.co_filename):
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
    project = Project.find(Path(given["root"]), journal=Path(given["journal"]))
    if "moment" in given:
        threading.setprofile(watch)
        sys.setprofile(watch)
    run_design(make_design(**given.get("design", {})), project,
               executor=None if given.get("workers") else Here())
    sys.setprofile(None)
    return count

for line in sys.stdin:
    given = json.loads(line)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            count = run(given)
            print(json.dumps({"count": count}), flush=True)
            status = 0
        except BaseException:
            print(json.dumps({"error": traceback.format_exc()}), flush=True)
        os._exit(status)
    end = time.monotonic() + given.get("after", 1e6)
    while not (waited := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    status = os.waitstatus_to_exitcode(waited[1])
    if status < 0:
        print(json.dumps({"signal": -status}), flush=True)
"""


class Runner:
    """A process that imports everything once and forks for each run, so that a run takes no start-up.

    A context manager.
    """

    def __enter__(self) -> "Runner":
        source = str(Path(modelwright.__file__).parents[1])
        self._mark = uuid.uuid4().hex
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(Path(__file__).parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", "RUNNER_MARK": self._mark},
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)

    def run(self, project: Project, **given: Any) -> dict[str, Any]:
        """Run the experiment in a process of its own; return how it ended: `count`, `signal` or `error`.

        Args:
            project: Where.
            given: `moment`: kill it at its so manyth call or return in the rooms lab and journal (0: count
                them); `after`: kill it after so many seconds; `workers`: train in workers, not in the process
                itself; `design`: settings that differ.
        """
        order = {"root": str(project.root), "journal": str(project.journal_folder), **given}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def descendants(self) -> list[int]:
        """Return the processes that runs have started and that are alive, workers of killed ones too."""
        found: list[int] = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.pid != self._process.pid
                    and process.environ().get("RUNNER_MARK") == self._mark
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process.pid)
        return found
