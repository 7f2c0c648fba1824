"""A project with learners that repeat, and learners that do not, each for one reason."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelwright
from modelwright.experiment.design import Design
from modelwright.lab import cohort
from modelwright.lab.executor.job import Job, Message, Started, Workload
from modelwright.lab.executor.local import LocalExecutor
from modelwright.lab.lineage.answer import RerunAnswer
from modelwright.lab.lineage.environment import EnvironmentRecord
from modelwright.lab.lineage.hardware import HardwareRecord
from modelwright.lab.lineage.package import PackageRecord
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

LEARNERS = '''
import os
import time

import numpy as np

from settings import SCALE


class Line:
    def __init__(self, weight, shift=0.0):
        self.weight, self.shift = weight, shift

    def predict(self, features):
        return features @ self.weight + self.shift


def descend(features, target, rate, updates):
    weight = np.zeros(features.shape[1])
    for _ in range(updates):
        error = SCALE * features @ weight - target
        weight = weight - rate * features.T @ error / len(target)
        yield weight, error


def plain(features, target, rate=0.1, updates=4):
    """Repeats to the last bit."""
    for weight, error in descend(features, target, rate, updates):
        yield {"loss": np.mean(error**2), "model": Line(weight)}


def noisy(features, target, rate=0.1, updates=4):
    """Draws a little from the operating system's randomness at its third update."""
    for update, (weight, error) in enumerate(descend(features, target, rate, updates)):
        shift = 1e-3 * np.random.default_rng().normal() if update >= 2 else 0.0
        yield {"loss": np.mean(error**2), "model": Line(weight, shift)}


def timed(features, target, rate=0.1, updates=4):
    """Draws from the clock."""
    for weight, error in descend(features, target, rate, updates):
        yield {"loss": np.mean(error**2) + 1e-6 * (time.time_ns() % 997), "model": Line(weight)}


def worldly(features, target, rate=0.1, updates=4):
    """Draws from the global random state, of which each trial has one of its own."""
    for weight, error in descend(features, target, rate, updates):
        yield {"loss": np.mean(error**2) + np.random.normal(), "model": Line(weight)}


def parted(features, target, rate=0.1, updates=4):
    """Adds up in single precision in as many parts as there are threads, as libraries do."""
    parts = int(os.environ["OMP_NUM_THREADS"])
    for weight, error in descend(features, target, rate, updates):
        sums = [np.add.accumulate(part.astype(np.float32) ** 2)[-1] for part in np.array_split(error, parts)]
        loss = np.add.accumulate(np.array(sums, np.float32))[-1]
        yield {"loss": loss / len(target), "model": Line(weight)}


def swayed(features, target, rate=0.1, updates=4):
    """Depends on a variable that is recorded (DNNL_MAX_CPU_ISA) and on one that nobody records (SWAY)."""
    sway = float(os.environ.get("SWAY", 0)) + 5.0 * ("DNNL_MAX_CPU_ISA" in os.environ)
    for weight, error in descend(features, target, rate, updates):
        yield {"loss": np.mean(error**2) + sway, "model": Line(weight, sway)}


def diverging(features, target, rate=0.1, updates=4):
    """Ends without a result, every time alike."""
    for weight, error in descend(features, target, rate, updates):
        yield {"loss": np.mean(error**2), "model": Line(weight * np.nan)}
'''

NAMES = ("plain", "noisy", "timed", "worldly", "parted", "swayed", "diverging")

DESIGN: dict[str, Any] = {
    "name": "lines",
    "question": {"hypothesis": "No learner beats the plain one.", "metric": "rmse", "smallest_effect": 0.1},
    "data": {"kind": "csv", "path": "rows.csv", "target": "y"},
    "variants": {name: {"learner": f"learners.py:{name}"} for name in NAMES},
    "compare": [[name, "plain"] for name in NAMES[1:]],
    "seeds": 5,
    "tolerance": 1e-5,
}


class Elsewhere:
    """Trains here and says that it was elsewhere: the seam through which other hardware is recorded."""

    slots = 1

    def __init__(
        self, *, hardware: dict[str, Any] | None = None, environment: dict[str, Any] | None = None
    ) -> None:
        self._inner = LocalExecutor(1)
        self._hardware, self._environment = hardware or {}, environment or {}

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Generator[Message]:
        for message in self._inner.run(workload, jobs):
            if not isinstance(message, Started):
                yield message
                continue
            hardware: HardwareRecord = dataclasses.replace(message.hardware, **self._hardware)
            environment: EnvironmentRecord = dataclasses.replace(message.environment, **self._environment)
            yield dataclasses.replace(message, hardware=hardware, environment=environment)

    def close(self) -> None:
        self._inner.close()


def freeze_package(folder: Path) -> PackageRecord:
    """Copy Modelwright as it is now, for repetitions to import, and return its record.

    Somebody may edit the working copy while these tests run, and a repetition would rightly name it.
    """
    package = Path(modelwright.__file__).parent
    shutil.copytree(package, folder / "modelwright", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import json, modelwright.lab.lineage as l; print(json.dumps(l.record_package().record()))"
    variables = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    return PackageRecord.from_record(json.loads(done.stdout))


@contextmanager
def frozen_package(folder: Path) -> Generator[None]:
    """Let runs and repetitions in the block be of one Modelwright, whatever becomes of the working copy."""
    record = freeze_package(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cohort, "record_package", lambda: record)
        patch.setattr(sys, "path", [str(folder), *sys.path])
        yield


def write_rows(path: Path, *, shift: float = 0.0) -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(90, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + 0.5 * random.normal(size=90) + shift
    lines = [",".join(map(repr, [*row.tolist(), float(value)])) for row, value in zip(x, y, strict=True)]
    path.write_text("a,b,c,y\n" + "\n".join(lines) + "\n")


def write_project(root: Path) -> Project:
    root.mkdir(parents=True, exist_ok=True)
    (root / "learners.py").write_text(LEARNERS)
    (root / "settings.py").write_text("SCALE = 1.0\n")
    (root / "notes.py").write_text("# nobody imports this\n")
    write_rows(root / "rows.csv")
    return Project.find(root, journal=Path(".modelwright"))


def record_project(
    root: Path, *, executor: Any = None, variants: Sequence[str] = NAMES, **changes: Any
) -> Project:
    """Write the project and run its experiment."""
    project = write_project(root)
    record(project, executor=executor, variants=variants, **changes)
    return project


def record(
    project: Project,
    *,
    executor: Any = None,
    variants: Sequence[str] = NAMES,
    frames: Mapping[str, Any] | None = None,
    amend: str | None = None,
    design_variants: Mapping[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Run the experiment, or go on with it, with some settings of the design changed."""
    chosen = {name: (design_variants or DESIGN["variants"])[name] for name in variants}
    pairs = [[name, variants[0]] for name in variants[1:]]
    design = Design.from_mapping({**DESIGN, "variants": chosen, "compare": pairs, **changes})
    place = executor or LocalExecutor(1)
    try:
        run_design(design, project, executor=place, frames=frames, amend=amend)
    finally:
        place.close()


def named(answer: RerunAnswer) -> list[tuple[str, str]]:
    """Return side and subject of each difference."""
    return [(one.side.value, one.what) for one in answer.differences]
