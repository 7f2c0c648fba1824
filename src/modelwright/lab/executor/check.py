"""What every executor must do, as checks that anybody can run on theirs.

    from modelwright.lab.executor.check import EXECUTOR_CHECKS

    @pytest.mark.parametrize("check", EXECUTOR_CHECKS, ids=lambda check: check.__name__)
    def test_my_executor(check, tmp_path):
        check(lambda: MyExecutor(workers=2), tmp_path)

A check makes its executors with the given function, each able to run at least two jobs at once, and closes
them. Its folder must be one that the workers see too. It raises AssertionError where the executor is wrong.
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelwright.base.errors import WorkerLost
from modelwright.base.step import THROUGHPUT
from modelwright.lab.executor.check_jobs import CheckJobs
from modelwright.lab.executor.job import (
    Executor,
    Failed,
    Finished,
    Job,
    Lost,
    Message,
    Progress,
    Started,
    Watched,
    Workload,
)
from modelwright.lab.training import train_job

__all__ = ["EXECUTOR_CHECKS", "Check"]

Make = Callable[[], Executor]
Check = Callable[[Make, Path], None]
_PATIENCE_SECONDS = 60.0


def check_slots_are_counted(make: Make, folder: Path) -> None:
    """An executor says how many jobs it runs at once, so that a cohort is parted to use them all."""
    with _closing(make()) as executor:
        _require(executor.slots >= 2, "at least two jobs run at once", executor.slots)


def check_messages_come_in_order(make: Make, folder: Path) -> None:
    """Each job says Started, Progress ..., Finished: more jobs than workers, twice, and learners print."""
    made = CheckJobs(folder)
    with _closing(make()) as executor:
        _require(list(executor.run(made.workload, [])) == [], "no jobs give no messages")
        for batch in ("a", "b"):
            jobs = [made.job(f"{batch}{at}", "fit", words=20_000, first=at) for at in range(5)]
            told = _collect(executor, made.workload, jobs)
            for job in jobs:
                _require(
                    _kinds(told[job.identity]) == "SPF", "Started, Progress ..., Finished", told[job.identity]
                )
                _require(
                    len(_steps(told[job.identity])) == 4, "every step of the learner arrives", job.identity
                )
                _check_started(told[job.identity][0], made.workload)


def check_results_are_those_of_the_same_process(make: Make, folder: Path) -> None:
    """Steps, scores and learnt numbers equal those of `train_job` called here, bit for bit."""
    for reported in (True, False):
        made = CheckJobs(folder, reported=reported)
        jobs = [made.job("fit", "fit", first=3)]
        if not reported:
            names = {
                "ours": {"learner": "mlp", "updates": 30},
                "theirs": {"learner": "sklearn.linear_model.Ridge"},
            }
            jobs = [made.any_job(name, config) for name, config in names.items()]
        with _closing(make()) as executor:
            told = _collect(executor, made.workload, jobs)
        for job in jobs:
            _check_result(told[job.identity], list(train_job(made.workload, job)))


def check_jobs_run_side_by_side(make: Make, folder: Path) -> None:
    """Two jobs that wait for each other both end."""
    made = CheckJobs(folder)
    settings: dict[str, Any] = {"folder": str(made.marks), "patience": _PATIENCE_SECONDS}
    jobs = [made.job(name, "meet", mark=name, **settings) for name in ("one", "two")]
    with _closing(make()) as executor:
        told = _collect(executor, made.workload, jobs)
    scores = [_finished(told[job.identity]).scores[0] for job in jobs]
    _require(scores == [2.0, 2.0], "two jobs train at the same time", scores)


def check_errors_are_told(make: Make, folder: Path) -> None:
    """A learner that raises ends its own job as Failed with its traceback; a wrong request says so."""
    made = CheckJobs(folder)
    jobs = [
        made.job("broken", "fail"),
        made.job("good", "fit"),
        made.job("wrong", "fit", nonsense=1),
    ]
    with _closing(make()) as executor:
        told = _collect(executor, made.workload, jobs)
    _check_result(told["good"], list(train_job(made.workload, jobs[1])))
    for name, misuse, word in (("broken", False, "it broke on purpose"), ("wrong", True, "nonsense")):
        last = told[name][-1]
        _require(isinstance(last, Failed), "a learner that raises fails its job", last)
        assert isinstance(last, Failed)
        _require(last.misuse is misuse and word in last.trace + str(last.error), "the error is told", last)


def check_a_killed_worker_is_replaced(make: Make, folder: Path) -> None:
    """A killed attempt is Lost, nothing more of it arrives, and the next one comes to the same result."""
    made = CheckJobs(folder)
    fallen = made.job("fallen", "fall", folder=str(made.marks), pause=0.2)
    beside = made.job("beside", "fit", first=1, pause=0.1)
    with _closing(make()) as executor:
        told = _collect(executor, made.workload, [fallen, beside])
    _require(_kinds(told["fallen"]).count("L") == 1, "one death is one Lost", _kinds(told["fallen"]))
    _require(_kinds(told["beside"]) == "SPF", "a job beside it goes on", _kinds(told["beside"]))
    _check_result(told["fallen"], list(train_job(made.workload, fallen)))


def check_a_death_amid_a_message_is_seen(make: Make, folder: Path) -> None:
    """A worker that dies while nobody reads its many messages is Lost, and half a message is no message."""
    made = CheckJobs(folder)
    job = made.job("flood", "fall", folder=str(made.marks), delay=1.5, updates=50, pause=0.05, names=2000)
    with _closing(make()) as executor:
        told = _collect(executor, made.workload, [job], pause=2.5)
    if "L" not in _kinds(told["flood"]):
        raise AssertionError(f"The worker died while it sent; Lost was not told: {_kinds(told['flood'])}")
    _require(len(_steps(told["flood"])) == 50, "the next attempt is complete")


def check_a_helper_process_hides_no_death(make: Make, folder: Path) -> None:
    """A worker's death is seen though a process that its learner forked lives on."""
    made = CheckJobs(folder)
    job = made.job("forked", "fall", folder=str(made.marks), helper=True)
    began = time.monotonic()
    with _closing(make()) as executor:
        told = _collect(executor, made.workload, [job])
    _require(_kinds(told["forked"]).count("L") == 1, "one death is one Lost", _kinds(told["forked"]))
    _require(time.monotonic() - began < 50, "a death is seen before the helper ends")


def check_a_hopeless_job_ends_the_run(make: Make, folder: Path) -> None:
    """A job whose workers always die raises WorkerLost after some attempts; the executor stays usable."""
    made = CheckJobs(folder)
    jobs = [
        made.job("hopeless", "fall", folder=str(made.marks), times=1000),
        made.job("beside", "beat", file=str(folder / "hopeless-beats")),
    ]
    with _closing(make()) as executor:
        try:
            _collect(executor, made.workload, jobs)
        except WorkerLost:
            pass
        else:
            raise AssertionError("A job that kills its worker each time ended without WorkerLost")
        _require(2 <= len(list(made.marks.iterdir())) <= 10, "a lost job is tried again, and not for ever")
        after = made.job("after", "fit")
        told = _collect(executor, made.workload, [after])
        _check_result(told["after"], list(train_job(made.workload, after)))


def check_closing_the_iterator_stops_the_work(make: Make, folder: Path) -> None:
    """Who stops pulling stops the training; the executor can be used again, and closed twice."""
    made, beats = CheckJobs(folder), folder / "beats"
    with _closing(make()) as executor:
        stream = executor.run(made.workload, [made.job("beat", "beat", file=str(beats))])
        _require(isinstance(next(stream), Started), "the first message is Started")
        _wait_for(lambda: beats.exists() and beats.stat().st_size > 3, "the learner trains")
        close = getattr(stream, "close", None)
        _require(close is not None, "the iterator can be closed")
        assert close is not None
        close()
        _wait_for(lambda: _quiet(beats), "the learner stops soon after the iterator is closed")
        after = made.job("after", "fit")
        told = _collect(executor, made.workload, [after])
        _check_result(told["after"], list(train_job(made.workload, after)))


EXECUTOR_CHECKS: tuple[Check, ...] = (
    check_slots_are_counted,
    check_messages_come_in_order,
    check_results_are_those_of_the_same_process,
    check_jobs_run_side_by_side,
    check_errors_are_told,
    check_a_killed_worker_is_replaced,
    check_a_death_amid_a_message_is_seen,
    check_a_helper_process_hides_no_death,
    check_a_hopeless_job_ends_the_run,
    check_closing_the_iterator_stops_the_work,
)
"""All of them; each takes a function that makes an executor and an empty folder."""


@contextmanager
def _closing(executor: Executor) -> Generator[Executor, None, None]:
    try:
        yield executor
    finally:
        executor.close()
        executor.close()


def _collect(
    executor: Executor, workload: Workload, jobs: Sequence[Job], *, pause: float = 0.0
) -> dict[str, list[Message]]:
    """Read a run to its end; `pause` seconds pass after each Started before more is read."""
    told: dict[str, list[Message]] = {job.identity: [] for job in jobs}
    for message in executor.run(workload, jobs):
        told[message.job].append(message)
        _require(
            _in_order(_kinds(told[message.job])), "messages of a job are in order", _kinds(told[message.job])
        )
        if isinstance(message, Started):
            time.sleep(pause)
    for identity, messages in told.items():
        _require(_kinds(messages)[-1:] in ("F", "X"), "every job ends", f"{identity}: {_kinds(messages)}")
        updates = [update for update, _ in _steps(messages)]
        _require(updates == list(range(1, len(updates) + 1)), "steps are whole and in turn", updates)
    return told


def _kinds(messages: Sequence[Message]) -> str:
    """Return one letter a message; Progress in a row counts once, for its number depends on the clock."""
    letters = {Started: "S", Progress: "P", Finished: "F", Failed: "X", Lost: "L"}
    word = "".join(letters[type(message)] for message in messages if not isinstance(message, Watched))
    while "PP" in word:
        word = word.replace("PP", "P")
    return word


def _in_order(kinds: str) -> bool:
    attempts = kinds.split("L")
    whole = ("", "S", "SP")
    return all(part in whole for part in attempts[:-1]) and attempts[-1] in (*whole, "SPF", "SPX", "SX", "X")


def _steps(messages: Sequence[Message]) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the steps of the last attempt."""
    steps: list[tuple[int, Mapping[str, Any]]] = []
    for message in messages:
        if isinstance(message, Lost):
            steps = []
        elif isinstance(message, Progress):
            steps += message.steps
    return steps


def _finished(messages: Sequence[Message]) -> Finished:
    last = messages[-1]
    if not isinstance(last, Finished):
        raise AssertionError(f"The job must finish, and it said {last}")
    return last


def _check_started(message: Message, workload: Workload) -> None:
    assert isinstance(message, Started)
    told = message.environment.variables.get("OMP_NUM_THREADS"), message.pinned["count"]
    _require(
        told == (str(workload.threads), workload.threads),
        "a worker's threads are pinned from its start",
        told,
    )


def _check_result(got: Sequence[Message], expected: Sequence[Message]) -> None:
    one, other = _finished(got), _finished(expected)
    _require(one.scores.tobytes() == other.scores.tobytes(), "scores are those of this process", one.scores)
    _require(one.states == other.states, "learnt numbers are those of this process")
    pairs = [
        [
            (update, sorted((k, v.tobytes()) for k, v in m.items() if k != THROUGHPUT))
            for update, m in _steps(s)
        ]
        for s in (got, expected)
    ]
    _require(pairs[0] == pairs[1], "steps are those of this process")


def _require(condition: bool, rule: str, got: object = "") -> None:
    if not condition:
        raise AssertionError(f"An executor must hold: {rule}. Got {got}")


def _wait_for(condition: Callable[[], bool], rule: str) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        _require(time.monotonic() < end, rule, f"nothing for {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.1)


def _quiet(file: Path) -> bool:
    size = file.stat().st_size
    time.sleep(1.0)
    return file.stat().st_size == size
