"""Small experiments, one for each way in which a report can come out; made once and read by several tests."""

import shutil
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from modelwright.experiment.design import Design
from modelwright.lab.executor.job import Job, Message, Workload
from modelwright.lab.launch import Launch
from modelwright.lab.project import Project
from modelwright.lab.run import run_design
from modelwright.lab.training import train_job

INJECTED = (
    "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & \"quoted\""
)
"""Markup that must stay text wherever it comes from."""

LEARNERS = '''
import math


def walk(features, target, rng, level=0.8, noise=0.02, updates=60, lost=0.0, draw=0):
    """Report a score that rises to a level of its own, so that each outcome can be brought about."""
    # Variants of a seed have the same stream: which number of it they take makes them differ.
    top, bad = level + noise * rng.standard_normal(draw + 1)[-1], rng.random() < lost
    for update in range(1, updates + 1):
        share = 1 - math.exp(-5 * update / updates)
        yield {
            "train_loss": math.nan if bad and update > updates // 2 else 3 * (1 - share) ** 2 + 1e-4,
            "score": math.nan if bad else top * share,
            "<b>odd</b> & name": 1.0 / update,
        }


def raises(features, target, rng):
    """Fail after one step."""
    yield {"score": 0.5, "train_loss": 1.0}
    raise ValueError("<b>the rows ran out</b>")
'''


class HereExecutor:
    """Trains in this process, and stops like a killed process after so many jobs."""

    def __init__(self, jobs: int = 10**6) -> None:
        self.jobs = jobs

    slots = 2

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Generator[Message]:
        for job in jobs:
            self.jobs -= 1
            if self.jobs < 0:
                raise KeyboardInterrupt
            yield from train_job(workload, job)

    def close(self) -> None:
        pass


def walking(name: str, *, seeds: int = 8, looks: Sequence[int] = (4, 8), **variants: Any) -> dict[str, Any]:
    """Return a design of variants of `walk`; the first two are compared, and every other with the second."""
    names = list(variants)
    return {
        "name": name,
        "question": {
            "hypothesis": f"{names[0]} scores higher than {names[1]} {INJECTED}",
            "metric": "score",
            "direction": "maximize",
            "reported": True,
            "low": 0,
            "high": 1,
            "margin": 0.02,
            "smallest_effect": 0.02,
        },
        "data": {"kind": "sklearn", "name": "wine"},
        "split": {"kind": "stratified", "test": 0.25},
        "variants": {
            key: {"learner": "learners.py:walk", "draw": at, **value}
            for at, (key, value) in enumerate(variants.items())
        },
        "compare": [[key, names[1]] for key in names if key != names[1]],
        "seeds": seeds,
        "rule": {"kind": "group_sequential", "looks": list(looks)},
    }


DESIGNS = {
    "supported": walking("supported", novel={"level": 0.9}, plain={"level": 0.8}),
    "refuted": walking("refuted", novel={"level": 0.7}, plain={"level": 0.8}),
    "equivalent": walking(
        "equivalent", novel={"level": 0.8, "noise": 0.005}, plain={"level": 0.8, "noise": 0.005}
    ),
    "inconclusive": walking(
        "inconclusive", novel={"level": 0.82, "noise": 0.08}, plain={"level": 0.8, "noise": 0.08}
    ),
    "invalid": walking("invalid", novel={"level": 0.9, "lost": 0.8}, plain={"level": 0.8}),
    "several": walking(
        "several", novel={"level": 0.9}, plain={"level": 0.8}, other={"level": 0.815}, worse={"level": 0.6}
    ),
}


def gallery(shared: Path, own: Path) -> Project:
    """Return a project with every outcome, an amended experiment, and ones that never came to an end.

    Args:
        shared: Folder of the whole run of tests, in which the first process that asks makes it.
        own: Folder of this process, into which it is copied.
    """
    made = shared / "report-gallery"
    with FileLock(shared / "report-gallery.lock"):
        if not made.exists():
            _fill(shared / "report-gallery-unfinished")
            (shared / "report-gallery-unfinished").rename(made)
    shutil.copytree(made, own / "gallery")
    return Project.find(own / "gallery", journal=Path(".modelwright"))


def _fill(root: Path) -> None:
    root.mkdir()
    (root / "learners.py").write_text(LEARNERS)
    project = Project.find(root, journal=Path(".modelwright"))
    for values in DESIGNS.values():
        run_design(Design.from_mapping(values), project, executor=HereExecutor())
    wide = {"level": 0.8, "noise": 0.08}
    first = walking("amended", looks=(4, 6), seeds=6, novel=wide, plain=wide)
    run_design(Design.from_mapping(first), project, executor=HereExecutor())
    more = walking("amended", looks=(4, 6, 12), seeds=12, novel=wide, plain=wide)
    run_design(
        Design.from_mapping(more), project, executor=HereExecutor(), amend=f"six were too few {INJECTED}"
    )
    stopped = walking("stopped", novel={"level": 0.82, "noise": 0.06}, plain={"level": 0.8})
    for name, jobs in (("stopped", 6), ("started", 1)):
        design = Design.from_mapping({**stopped, "name": name})
        with pytest.raises(KeyboardInterrupt):
            run_design(design, project, launch=Launch(workers=2), executor=HereExecutor(jobs))
    broken = walking("broken", novel={"level": 0.82}, plain={"level": 0.8})
    broken["variants"]["novel"] = {"learner": "learners.py:raises"}
    with pytest.raises(Exception, match="raised ValueError"):
        run_design(Design.from_mapping(broken), project, executor=HereExecutor())
