"""SIGKILL at any moment: the next run goes on, and nothing tells that there was a kill.

The moments of the quick tests are calls and returns in the rooms lab and journal, counted from the start, so
that they fall into everything: registering, checking, training, looking, judging, reporting, the middle of
a transaction. Those of the slow test are instants of the clock, and training is done by workers.
"""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from interrupted_project import Runner, assert_whole, leftovers, make_project, outcome

from modelwright.lab.project import Project

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture(scope="module")
def runner() -> Generator[Runner]:
    with Runner() as started:
        yield started


@pytest.fixture(scope="module")
def whole(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """The uninterrupted experiment: how many moments it has, and what came out."""
    project = make_project(tmp_path_factory.mktemp("whole"))
    count = runner.run(project, moment=0)["count"]
    assert count > 2000
    found = outcome(project)
    assert len(found["look"]) == 2
    assert len(found["trials"]) == 10
    return count, found


def kill(runner: Runner, project: Project, **when: Any) -> bool:
    """Run and kill; return whether it was alive to be killed."""
    ended = runner.run(project, **when)
    assert ended == {"signal": 9} or "count" in ended, ended
    return ended == {"signal": 9}


@pytest.mark.parametrize(
    "part", [*range(4), *(pytest.param(part, marks=pytest.mark.slow) for part in range(4, 8))]
)
def test_a_run_that_is_killed_at_a_random_moment_goes_on_as_if_nothing_had_been(
    runner, whole, tmp_path, part
):
    count, expected = whole
    moment = int(count * (part + random.Random(part).random()) / 8)
    project = make_project(tmp_path)
    # Threads write metrics by the clock, so the very last moments may come after the end.
    assert kill(runner, project, moment=moment) or part == 7
    ended = runner.run(project)
    assert "count" in ended, ended
    age_leftovers(project)
    assert_whole(project, expected)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_goes_on_as_if_nothing_had_been(runner, whole, tmp_path):
    count, expected = whole
    project, moments = make_project(tmp_path), random.Random(11)
    kills = sum(kill(runner, project, moment=moments.randrange(count // 8, count // 2)) for _ in range(4))
    assert kills >= 2
    ended = runner.run(project)
    assert "count" in ended, ended
    age_leftovers(project)
    assert_whole(project, expected)
    # A second run finds everything done and adds nothing.
    with project.open_journal(read_only=True) as journal:
        head = journal.head()
    assert "count" in runner.run(project)
    with project.open_journal(read_only=True) as journal:
        assert journal.head() == head


def test_the_workers_of_a_killed_run_end_with_it(runner, whole, tmp_path):
    project = make_project(tmp_path)
    (tmp_path / "hold").touch()
    before = set(runner.descendants())
    for after in (4.0, 8.0, 16.0, 32.0):
        assert kill(runner, project, workers=True, after=after)
        if (tmp_path / "held").exists():
            break
    assert (tmp_path / "held").exists(), "the kill came before training"
    end = time.monotonic() + 20
    while set(runner.descendants()) - before and time.monotonic() < end:
        time.sleep(0.1)
    assert not set(runner.descendants()) - before


@pytest.mark.slow
def test_fifty_kills_at_random_instants_lose_nothing(runner, tmp_path):
    reference = make_project(tmp_path / "whole")
    began = time.monotonic()
    ended = runner.run(reference, workers=True)
    life = time.monotonic() - began
    assert "count" in ended, ended
    expected = outcome(reference)
    moments, killed, last = random.Random(50), 0, Counter[str]()
    project = make_project(tmp_path / "killed")
    while killed < 50:
        in_a_row = moments.choice([1, 1, 2, 3])
        for _ in range(in_a_row):
            if kill(runner, project, workers=True, after=moments.uniform(0.0, life)):
                killed += 1
                last.update([last_kind(project)])
        ended = runner.run(project, workers=True)
        assert "count" in ended, ended
        assert len(leftovers(project.journal_folder)) <= in_a_row
        age_leftovers(project)
        assert_whole(project, expected)
        shutil.rmtree(project.journal_folder)
    end = time.monotonic() + 20
    while runner.descendants() and time.monotonic() < end:
        time.sleep(0.1)
    assert not runner.descendants()
    after = ", ".join(f"{kind} ({count})" for kind, count in last.most_common())
    print(f"measured: {killed} kills at random instants of {life:.1f} s, last entries: {after}; nothing lost")


def last_kind(project: Project) -> str:
    """Return the kind of the newest entry, which tells how far a killed run had come."""
    if not (project.journal_folder / "head").exists():
        return "nothing"
    with project.open_journal(read_only=True) as journal:
        return journal.entries()[-1].kind


def age_leftovers(project: Project) -> None:
    """Let temporary files be two hours old and open the journal, which sweeps them then."""
    old = time.time() - 2 * 3600
    for path in Path(project.journal_folder).rglob("*.tmp"):
        os.utime(path, (old, old))
    project.open_journal().close()
