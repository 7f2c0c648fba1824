"""Runs programs in processes of their own, two at a time, each to its end or to a limit of time."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright.base.errors import WorkerLost
from modelwright.journal.database import disk_failure
from modelwright.practice.trace import Failure, Trace, read_score

__all__ = ["AT_ONCE", "Execution", "Task"]

AT_ONCE = 2
"""Processes at a time."""
_LONGEST_OUTPUT = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A program to be run.

    Attributes:
        name: What it is called to whoever waits.
        source: Its text.
        seed: What it is given as `--seed`.
        limit: Seconds after which it is stopped.
        given: A file of weights that it runs with and does not change; None for its own.
        states: Where the weights with which it ends are kept; None for nowhere.
    """

    name: str
    source: bytes
    seed: int
    limit: float
    given: Path | None = None
    states: Path | None = None


class Execution:
    """Runs tasks; a context manager, at whose end no process of it is left.

    Args:
        program: File name of the programs, as error messages show it.
        tell: Called with a line whenever a task has ended.
    """

    def __init__(self, program: str, tell: Callable[[str], None]) -> None:
        self._program = program
        self._tell = tell
        self._children: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, tasks: Sequence[Task]) -> list[Trace]:
        """Run the tasks and return what each left, in their order.

        Raises:
            WorkerLost: where Python itself does not start.
            StoreFailed: where the disk has no room for what a run leaves.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            futures = {pool.submit(self._run, task): task for task in tasks}
            try:
                for future in as_completed(futures):
                    trace, task = future.result(), futures[future]
                    said = f"score {trace.score:.4g}" if trace.score is not None else "no score"
                    self._tell(f"{task.name}, seed {task.seed}: {said} ({trace.seconds:.1f} s)")
            except BaseException:
                self._stop()
                raise
        return [future.result() for future in futures]

    def _stop(self) -> None:
        self._stopped = True
        for child in list(self._children):
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)

    def _run(self, task: Task) -> Trace:
        with _folder() as folder:
            script = folder / self._program
            script.write_bytes(task.source)
            return self._execute(task, folder, script)

    def _execute(self, task: Task, folder: Path, script: Path) -> Trace:
        record, out, errors = folder / "record.json", folder / "out.txt", folder / "errors.txt"
        words = [str(record), str(task.states or "-"), str(task.given or "-"), str(script)]
        begun = time.monotonic()
        with out.open("wb") as stdout, errors.open("wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-m", "modelwright.practice.child", *words, "--seed", str(task.seed)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
            )
            self._children.add(child)
            late = False
            try:
                if self._stopped:
                    _end(child)
                status = child.wait(task.limit)
            except subprocess.TimeoutExpired:
                late = True
                _end(child)
                status = child.wait()
            finally:
                self._children.discard(child)
        seconds = time.monotonic() - begun
        told: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(record.read_text())
        if not told and status == 1 and b"modelwright" in (said := errors.read_bytes()[-2000:]):
            raise WorkerLost("Python runs a program of a drill", got=said.decode("utf-8", "replace"))
        text = out.read_bytes()[-_LONGEST_OUTPUT:].decode("utf-8", "replace")
        score, last = read_score(text)
        failure = _failure(told, status, late=late, limit=task.limit, score=score)
        return Trace(
            seed=task.seed,
            score=None if failure else score,
            last=last,
            lines=tuple(text.strip().splitlines()),
            counts=told.get("counts", {}),
            shapes=tuple(told.get("shapes", ())) if not told.get("missed") else (),
            weights=told.get("weights", ""),
            seconds=seconds,
            failure=failure,
        )


@contextlib.contextmanager
def _folder() -> Generator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="modelwright-drill-", ignore_cleanup_errors=True) as name:
            yield Path(name).resolve()
    except OSError as error:
        raise disk_failure(error, Path(tempfile.gettempdir()), "run a program of a drill") from error


def _end(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)


def _failure(
    told: dict[str, Any], status: int, *, late: bool, limit: float, score: float | None
) -> Failure | None:
    if late:
        return Failure(what=f"it did not come to its end within {limit:.0f} s")
    error = told.get("error")
    if error is not None:
        return Failure(what=f"it ended with {error['kind']}: {error['message']}", line=error["line"])
    if status < 0:
        return Failure(what=f"it was ended by signal {signal.Signals(-status).name}")
    if status != 0 or not told:
        return Failure(what=f"it ended with exit status {status}")
    if score is None:
        return Failure(what='its last line is not the object {"score": ...} with a finite number')
    return None
