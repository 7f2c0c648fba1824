"""The default executor: worker processes on this machine, their threads pinned."""

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import IO, Any

from modelwright.base.errors import StoreFailed, WorkerLost
from modelwright.lab.executor.job import Failed, Finished, Job, Lost, Message, Workload
from modelwright.lab.lineage.threads import pinned_environment

__all__ = ["LocalExecutor"]

_ATTEMPTS = 3
_LAST_WORDS = 20_000


class LocalExecutor:
    """Keeps up to `workers` processes and gives each one job at a time.

    Args:
        workers: Processes at once.
        threads: Threads of numerical libraries in each.
    """

    def __init__(self, workers: int, threads: int = 1) -> None:
        self._most = workers
        self._threads = threads
        self._workers: list[_Worker] = []
        self._blob: bytes | None = None
        self._workload: Workload | None = None

    @property
    def slots(self) -> int:
        """Processes at once."""
        return self._most

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Generator[Message]:
        """Run jobs; see `Executor`."""
        if workload is not self._workload or any(worker.job for worker in self._workers):
            self.close()
            self._workload = workload
            self._blob = pickle.dumps(workload, protocol=pickle.HIGHEST_PROTOCOL)
        waiting = deque(jobs)
        attempts = dict.fromkeys((job.identity for job in jobs), 0)
        try:
            while waiting or any(worker.job for worker in self._workers):
                self._hand_out(waiting, attempts)
                busy = {worker.connection: worker for worker in self._workers if worker.job}
                for ready in wait(list(busy)):
                    worker = busy[ready]  # pyright: ignore[reportArgumentType]  # only ours were given
                    yield from self._listen(worker, waiting, attempts)
        except BaseException:
            # Whatever ended the reading, nobody waits for these jobs any more.
            self.close()
            raise

    def _hand_out(self, waiting: "deque[Job]", attempts: dict[str, int]) -> None:
        idle = [worker for worker in self._workers if worker.job is None]
        while waiting:
            if not idle:
                if len(self._workers) >= self._most:
                    return
                assert self._blob is not None
                idle.append(_Worker(self._blob, self._threads))
                self._workers.append(idle[-1])
            job = waiting.popleft()
            attempts[job.identity] += 1
            idle.pop().give(job)

    def _listen(
        self, worker: "_Worker", waiting: "deque[Job]", attempts: dict[str, int]
    ) -> Iterator[Message]:
        job = worker.job
        assert job is not None
        message = worker.hear()
        if message is None:
            why = worker.epitaph()
            self._workers.remove(worker)
            worker.stop()
            yield Lost(job=job.identity, why=why)
            if attempts[job.identity] >= _ATTEMPTS:
                raise WorkerLost(
                    f"A worker lives until its job is done; {job.variant} lost {_ATTEMPTS}",
                    got=why,
                    next_step="look at memory (a kill by signal 9 is often the kernel's), then run again: "
                    "finished trials are kept",
                )
            waiting.append(job)
            return
        if isinstance(message, Finished | Failed):
            worker.job = None
        yield message

    def close(self) -> None:
        """Stop all workers."""
        while self._workers:
            self._workers.pop().stop()


class _Worker:
    """One process and our end of its socket."""

    def __init__(self, workload: bytes, threads: int) -> None:
        ours, theirs = socket.socketpair()
        self.job: Job | None = None
        fixed = {"PYTHONHASHSEED": "0", "PYTHONFAULTHANDLER": "1"}
        environment = {**os.environ, **pinned_environment(threads), **fixed}
        try:
            self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
            self.process: subprocess.Popen[Any] = subprocess.Popen(
                [sys.executable, "-m", "modelwright.lab.executor.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env=environment,
                process_group=0,  # so that what the learner starts can be stopped with it
            )
        except OSError as error:
            ours.close()
            raise StoreFailed(
                "A worker process must start",
                got=str(error),
                next_step="free memory, processes or space for temporary files, then run again: "
                "finished trials are kept",
            ) from error
        finally:
            theirs.close()
        self.connection = Connection(ours.detach())
        self._send(pickle.dumps(list(sys.path)))
        self._send(workload)

    def give(self, job: Job) -> None:
        self.job = job
        self._send(pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL))

    def _send(self, content: bytes) -> None:
        # A worker that is gone shows when its answer is read, with its last words.
        with contextlib.suppress(ConnectionError):
            self.connection.send_bytes(content)

    def hear(self) -> Message | None:
        """Return the next message, or None where the process is gone."""
        # OSError, not only its kinds for closed connections: an end in the middle of a message is one.
        with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
            return pickle.loads(self.connection.recv_bytes())
        return None

    def epitaph(self) -> str:
        """Return how the process ended, with the last lines that it wrote."""
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        end = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, end - _LAST_WORDS))
        words = _last_of(self._output.read().decode(errors="replace").strip().splitlines())
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return how + (": " + " | ".join(words) if words else "")

    def stop(self) -> None:
        self.connection.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._output.close()


def _last_of(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines that say most: where native code crashed, else the last."""
    crashes = [at for at, line in enumerate(lines) if line.startswith("Current thread")]
    if not crashes or not any(line.startswith("Fatal Python error") for line in lines):
        return lines[-6:]
    return [line.strip() for line in lines[crashes[-1] + 1 :][:3]]
