"""The default executor keeps what every executor must, and broken ones are found out."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from modelwright.lab.executor import check as executor_check
from modelwright.lab.executor.check import (
    EXECUTOR_CHECKS,
    check_a_killed_worker_is_replaced,
    check_closing_the_iterator_stops_the_work,
    check_errors_are_told,
    check_jobs_run_side_by_side,
    check_messages_come_in_order,
    check_results_are_those_of_the_same_process,
)
from modelwright.lab.executor.check_jobs import CheckJobs
from modelwright.lab.executor.job import Failed, Finished, Lost, Progress, Started
from modelwright.lab.executor.local import LocalExecutor


@pytest.mark.parametrize("check", EXECUTOR_CHECKS, ids=lambda check: check.__name__)
def test_the_local_executor_conforms(check, tmp_path):
    check(lambda: LocalExecutor(2), tmp_path)


# ---- broken executors ----


class _Broken(LocalExecutor):
    """Passes on what another function makes of each message."""

    def __init__(self, change) -> None:
        super().__init__(2)
        self._change = change

    def run(self, workload, jobs):
        for message in super().run(workload, jobs):
            yield from self._change(message)


def _without(kind):
    return lambda message: [] if isinstance(message, kind) else [message]


def _rounded(message):
    if isinstance(message, Finished):
        message = dataclasses.replace(message, scores=np.nextafter(message.scores, np.inf))
    return [message]


def _late(message, held=[]):  # noqa: B006 - what it holds back is its fault
    if isinstance(message, Progress) and message.job == "fallen":
        held[:] = [message]
    return [message, *held] if isinstance(message, Lost) else [message]


def _restarted(message):
    return [message, message] if isinstance(message, Started) else [message]


def _half(message):
    if isinstance(message, Progress):
        message = dataclasses.replace(message, steps=message.steps[:-1])
    return [message]


def _excused(message):
    return (
        [dataclasses.replace(message, misuse=not message.misuse)]
        if isinstance(message, Failed)
        else [message]
    )


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [
        (_without(Progress), check_messages_come_in_order, "in order"),
        (_without(Started), check_messages_come_in_order, "in order"),
        (_without(Finished), check_messages_come_in_order, "every job ends"),
        (_restarted, check_messages_come_in_order, "in order"),
        (_half, check_messages_come_in_order, "every step"),
        (_rounded, check_results_are_those_of_the_same_process, "scores"),
        (_without(Failed), check_errors_are_told, "every job ends"),
        (_excused, check_errors_are_told, "the error is told"),
        (_without(Lost), check_a_killed_worker_is_replaced, "in order"),
        (_late, check_a_killed_worker_is_replaced, "in order"),
    ],
)
def test_an_executor_that_breaks_the_rules_is_found_out(change, check, told, tmp_path):
    with pytest.raises(AssertionError, match=told):
        check(lambda: _Broken(change), tmp_path)


def test_an_executor_that_trains_one_job_at_a_time_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(executor_check, "_PATIENCE_SECONDS", 1.0)
    with pytest.raises(AssertionError, match="at the same time"):
        check_jobs_run_side_by_side(lambda: LocalExecutor(1), tmp_path)


def test_an_executor_that_goes_on_after_its_iterator_is_closed_is_found_out(tmp_path, monkeypatch):
    class Deaf:
        """Closing its iterator reaches nobody."""

        def __init__(self) -> None:
            self._inner = LocalExecutor(2)

        def run(self, workload, jobs):
            stream = self._inner.run(workload, jobs)

            class Stream:
                __iter__ = lambda own: own  # noqa: E731
                __next__ = lambda own: next(stream)  # noqa: E731
                close = lambda own: None  # noqa: E731

            return Stream()

        def close(self) -> None:
            self._inner.close()

    monkeypatch.setattr(executor_check, "_PATIENCE_SECONDS", 2.0)
    with pytest.raises(AssertionError, match="stops soon"):
        check_closing_the_iterator_stops_the_work(Deaf, tmp_path)


# ---- what is the local executor's own ----


def test_a_worker_finds_the_modules_that_the_launcher_finds(tmp_path, monkeypatch):
    made = CheckJobs(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "my_learners_by_name.py").write_text(Path(tmp_path / "learners.py").read_text())
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    job = made.any_job("named", {"learner": "my_learners_by_name:fit"})
    executor = LocalExecutor(1)
    messages = list(executor.run(made.workload, [job]))
    executor.close()
    assert isinstance(messages[-1], Finished), messages[-1]


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_what_a_learner_started_ends_with_its_worker(end, tmp_path):
    made = CheckJobs(tmp_path)
    (tmp_path / "learners.py").write_text(
        "import os, signal, subprocess, sys, time\n"
        "def helped(file, killed):\n"
        "    if not os.path.exists(file):\n"
        "        helper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "        open(file, 'w').write(str(helper.pid))\n"
        "        if killed:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    while True:\n"
        "        time.sleep(0.1)\n"
        "        yield {'score': 1.0}\n"
    )
    executor = LocalExecutor(1)
    job = made.job("helped", "helped", file=str(tmp_path / "pid"), killed=end == "killed")
    stream = executor.run(made.workload, [job])
    assert any(isinstance(message, Progress) for message in stream)  # stops at the first
    if end == "closed":
        executor.close()
    _wait_until(lambda: not _lives(int((tmp_path / "pid").read_text())))
    executor.close()


_LAUNCH = """
import json, sys
from pathlib import Path
import psutil
from modelwright.lab.executor.check_jobs import CheckJobs
from modelwright.lab.executor.local import LocalExecutor

made = CheckJobs(Path(sys.argv[1]))
job = made.job("idle", "fit", updates=1000, pause=60.0)
for message in LocalExecutor(1).run(made.workload, [job]):
    print(json.dumps([one.pid for one in psutil.Process().children(recursive=True)]), flush=True)
"""


def test_workers_end_with_a_launcher_that_is_killed_even_amid_a_long_step(tmp_path):
    launcher = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert launcher.stdout is not None
        pids = json.loads(launcher.stdout.readline())
        assert pids
        launcher.send_signal(signal.SIGKILL)
        launcher.communicate()
        _wait_until(lambda: not any(_lives(pid) for pid in pids))
    finally:
        launcher.kill()
        launcher.wait()


def test_jobs_of_an_abandoned_run_are_not_heard_in_the_next(tmp_path):
    made = CheckJobs(tmp_path)
    executor = LocalExecutor(2)
    stream = executor.run(made.workload, [made.job("old", "beat", file=str(tmp_path / "beats"))])
    next(stream)
    told = {message.job for message in executor.run(made.workload, [made.job("new", "fit")])}
    executor.close()
    assert told == {"new"}


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_until(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
