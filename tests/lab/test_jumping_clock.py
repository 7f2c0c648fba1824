"""A clock that jumps: back a day, ahead a year, at every entry. Nothing but dates may depend on it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest
from here_executor import HereExecutor
from interrupted_project import assert_whole, make_design, make_project, outcome

from modelwright.lab.load import load
from modelwright.lab.run import run_design
from modelwright.lab.watch.view import QuietView

DAY, YEAR = timedelta(days=1), timedelta(days=365)


class JumpingClock:
    """Jumps at every question, by each of some steps in turn."""

    def __init__(self, *steps: timedelta) -> None:
        self._instant = datetime(2026, 3, 1, tzinfo=UTC)
        self._steps: Iterator[timedelta] = cycle(steps)

    def now(self) -> datetime:
        self._instant += next(self._steps)
        return self._instant

    def monotonic(self) -> float:
        return 0.0


class Stop(QuietView):
    """Stops the run, as Ctrl-C does, after its first look."""

    def looked(self, look: object) -> None:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(here: HereExecutor, tmp_path_factory: pytest.TempPathFactory):
    project = make_project(tmp_path_factory.mktemp("whole"))
    run_design(make_design(), project, executor=here)
    return outcome(project)


@pytest.mark.parametrize(
    "steps",
    [(-DAY,), (YEAR, -YEAR - DAY), (timedelta(0),)],
    ids=["always back", "a year ahead and back", "stands still"],
)
def test_a_clock_that_jumps_moves_dates_and_nothing_else(here, whole, tmp_path, steps):
    project = make_project(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_design(make_design(), project, executor=here, clock=JumpingClock(*steps), view=Stop())
    run_design(make_design(), project, executor=here, clock=JumpingClock(*steps))
    assert_whole(project, whole)
    with project.open_journal(read_only=True) as journal:
        entries = journal.entries()
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        dates = [entry.time for entry in entries]
        assert (dates == sorted(dates)) == (steps == (timedelta(0),)), "the clock was not asked"
        notes = journal.verify().notes
        assert bool(notes) == (steps != (timedelta(0),))
        ends = [entry.body["body"] for entry in journal.entries(kind="run.finished")]
        assert all(end["usage"]["wall_seconds"] >= 0 for end in ends)
        order = [row.run for row in journal.runs(order="started")]
        assert order == [entry.run for entry in entries if entry.kind == "run.started"]
    assert (load("small", project=project).trials["seconds"] >= 0).all()
