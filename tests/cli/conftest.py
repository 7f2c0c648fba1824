"""Projects to call the command line in, and the call itself, in this process and as one of its own.

`digits` is a small experiment here, with the names that the examples of the help use.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import modelwright.lab.plan.plan
import modelwright.lab.run
from modelwright.cli import main
from modelwright.lab.executor.job import Job, Message, Workload
from modelwright.lab.training import train_job

DIGITS = """
question:
  hypothesis: Naive Bayes names a wine's cultivar more often than softmax regression stopped early.
  metric: accuracy
  margin: 0.02
  smallest_effect: 0.02
data: {kind: sklearn, name: wine}
split: {kind: stratified, test: 0.3}
variants:
  convnet: {learner: mlp, width: 8, depth: 1, updates: 40, learning_rate: 0.03}
  logistic: {learner: logistic_regression, updates: 20}
compare: [[convnet, logistic]]
correction: holm
scope: other_splits
seeds: 4
rule: {kind: group_sequential, spending: pocock, test: t, looks: [3, 4]}
budget: {seconds: 1000}
"""
"""Two looks at two learners of ours, and most of what a design can say."""

TREES = """
question: {hypothesis: A deep tree predicts better than a stump., metric: rmse, smallest_effect: 0.1}
data: {kind: csv, path: rows.csv, target: y}
variants:
  deep: {learner: sklearn.tree.DecisionTreeRegressor}
  stump: {learner: sklearn.tree.DecisionTreeRegressor, max_depth: 1}
seeds: 3
"""
"""On data with a column that is the target: a severe finding."""

ROWS = "a,b,leak,y\n" + "".join(
    f"{at},{at * 7 % 11},{2 * (at * 3 % 17)}.5,{at * 3 % 17}.25\n" for at in range(60)
)


MODEL = """
import torch


def make():
    torch.manual_seed(0)
    x = torch.randn(64, 3)
    return {"model": torch.nn.Linear(3, 1), "loss": torch.nn.MSELoss(), "data": (x, x[:, :1])}


def broken():
    return {**make(), "loss": lambda output, target: -torch.nn.functional.mse_loss(output, target)}


def raising():
    raise RuntimeError("planted")


def nothing():
    return 3
"""
"""What `examine` is shown."""


class HereExecutor:
    """Trains in this process: the same training without the seconds that a worker takes to start."""

    slots = 1

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Iterator[Message]:
        for job in jobs:
            yield from train_job(workload, job)

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Said:
    """What a call left: exit status, standard output and standard error."""

    status: int
    out: str
    err: str


def make_project(root: Path) -> Path:
    """Write the experiments of a project in which nothing ran yet."""
    (root / "experiments").mkdir(parents=True)
    (root / "experiments" / "digits.yaml").write_text(DIGITS)
    (root / "experiments" / "twin.yaml").write_text(DIGITS)
    (root / "experiments" / "trees.yaml").write_text(TREES)
    (root / "rows.csv").write_text(ROWS)
    (root / "model.py").write_text(MODEL)
    return root


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the caller's journal, colours and width out of the tests."""
    for name in ("MODELWRIGHT_JOURNAL", "COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def trains_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trials of this test run in this process."""
    for module in (modelwright.lab.run, modelwright.lab.plan.plan):
        monkeypatch.setattr(module, "open_executor", lambda launch: HereExecutor())


@pytest.fixture
def new_project(tmp_path: Path) -> Path:
    """A project in which nothing ran yet."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three experiments on record; nobody writes in it."""
    root = make_project(tmp_path_factory.mktemp("finished") / "project")
    with pytest.MonkeyPatch.context() as patch:
        for module in (modelwright.lab.run, modelwright.lab.plan.plan):
            patch.setattr(module, "open_executor", lambda launch: HereExecutor())
        patch.chdir(root)
        patch.delenv("MODELWRIGHT_JOURNAL", raising=False)
        assert [main(["run", name, "--json"]) for name in ("digits", "twin", "trees")] == [0, 0, 4]
    return root


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path, Sequence[str]], Said]:
    """Call the command line in this process, in a folder."""

    def do(root: Path, words: Sequence[str]) -> Said:
        monkeypatch.chdir(root)
        capsys.readouterr()
        status = main(list(words))
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return do


def call_apart(root: Path, words: Sequence[str], **environment: str) -> Said:
    """Call the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "modelwright", *words],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Said(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )


@pytest.fixture
def apart() -> Callable[..., Said]:
    """`call_apart`, for tests."""
    return call_apart
