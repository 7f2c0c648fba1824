"""Two processes on one experiment, on one journal, and on a journal that neither has made yet."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from here_executor import HereExecutor
from interrupted_project import Runner, assert_whole, make_design, make_project, outcome

from modelwright.base.errors import NotPermitted
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


# Two questions: asked twice, the same one would be a finding in whichever comes second.
DESIGNS: dict[str, dict[str, Any]] = {
    "small": {"name": "small"},
    "other": {"name": "other", "split": {"kind": "random", "test": 0.3}},
}


@pytest.fixture(scope="module")
def runners() -> Generator[list[Runner]]:
    with Runner() as first, Runner() as second:
        yield [first, second]


@pytest.fixture(scope="module")
def whole(here: HereExecutor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the experiments `small` and `other` come to, each alone."""
    project = make_project(tmp_path_factory.mktemp("whole"))
    for changes in DESIGNS.values():
        run_design(make_design(**changes), project, executor=here)
    return {name: outcome(project, name) for name in ("small", "other")}


class Running(threading.Thread):
    """A run in another process, while this one does something else."""

    def __init__(self, runner: Runner, project: Project, **given: Any) -> None:
        super().__init__()
        self._run = lambda: runner.run(project, **given)
        self.ended: dict[str, Any] = {}
        self.start()

    def run(self) -> None:
        self.ended = self._run()


def wait_for(file: Path) -> None:
    end = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < end, f"{file.name} did not come"
        time.sleep(0.01)


def test_a_second_process_on_an_experiment_is_refused_at_once_and_names_the_first(
    runners, here, whole, tmp_path
):
    project = make_project(tmp_path)
    (tmp_path / "hold").touch()
    running = Running(runners[0], project)
    try:
        wait_for(tmp_path / "held")
        with project.open_journal(read_only=True) as journal:
            head = journal.head()
        (holder,) = runners[0].descendants()
        began = time.monotonic()
        with pytest.raises(NotPermitted, match=f"held by process {holder} since"):
            run_design(make_design(), project, executor=here)
        assert time.monotonic() - began < 5
        with project.open_journal(read_only=True) as journal:
            assert journal.head() == head, "the refused one wrote something"
    finally:
        (tmp_path / "hold").unlink()
        running.join()
    assert "count" in running.ended, running.ended
    assert_whole(project, whole["small"])


def test_another_experiment_runs_to_its_end_while_the_first_is_at_work(runners, here, whole, tmp_path):
    project = make_project(tmp_path)
    (tmp_path / "hold").touch()
    running = Running(runners[0], project)
    try:
        wait_for(tmp_path / "held")
        # Its learner must not wait for the same file: it is in the middle of a run of the first.
        other = make_design(
            name="other",
            variants={**make_design().variants, "descent": {"learner": "learners.py:descend", "updates": 5}},
        )
        result = run_design(other, project, executor=here)
        assert result.trained == 10
    finally:
        (tmp_path / "hold").unlink()
        running.join()
    assert "count" in running.ended, running.ended
    assert_whole(project, whole["small"])


def test_two_experiments_that_start_together_on_a_new_journal_both_come_to_their_verdicts(
    runners, whole, tmp_path
):
    project = make_project(tmp_path)
    both = [
        Running(runner, project, design=changes)
        for runner, changes in zip(runners, DESIGNS.values(), strict=True)
    ]
    for running in both:
        running.join()
        assert "count" in running.ended, running.ended
    for name in ("small", "other"):
        assert_whole(project, whole[name], name)


def test_two_processes_that_start_one_experiment_together_leave_one_of_everything(
    runners, here, whole, tmp_path
):
    project = make_project(tmp_path)
    both = [Running(runner, project) for runner in runners]
    for running in both:
        running.join()
    done = [running.ended for running in both if "count" in running.ended]
    refused = [running.ended["error"] for running in both if "error" in running.ended]
    assert len(done) + len(refused) == 2
    assert done
    assert all(
        "NotPermitted: One process at a time works on the experiment small" in text for text in refused
    )
    assert_whole(project, whole["small"])


FOUND = """
import os, sys, time
from pathlib import Path
from modelwright.journal.journal import Journal

for attempt in range(int(sys.argv[2])):
    folder, start = Path(sys.argv[1]) / str(attempt), time.monotonic() + 0.02
    children = []
    for who in range(4):
        child = os.fork()
        if child == 0:
            while time.monotonic() < start + who * attempt * 2e-5:
                pass
            try:
                with Journal.open(folder) as journal:
                    journal.append("note", {"who": who})
                os._exit(0)
            except BaseException as error:
                print(f"{attempt}: {error!r}", flush=True)
                os._exit(1)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    with Journal.open(folder) as journal:
        assert journal.verify().ok
        print(len(journal.entries()), flush=True)
"""


def test_processes_that_open_a_new_journal_at_one_moment_make_one_journal(tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", FOUND, str(tmp_path), "12"], capture_output=True, text=True, check=True
    )
    assert found.stdout.split("\n") == ["4"] * 12 + [""]
