"""The Ray executor: jobs as tasks on a cluster, their messages streamed back to the launching process.

Each attempt of a job is one Ray task that Ray itself never retries, so that a lost attempt is seen, written
down and started again here. The task trains in a worker process of its own environment: thread variables are
in place before anything numerical is imported, as they are for local workers.
"""

import contextlib
import os
import pickle
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from modelwright.base.errors import ModelwrightError, SourceMissing, WorkerLost
from modelwright.lab.executor.job import Failed, Finished, Job, Lost, Message, Workload
from modelwright.lab.executor.ray_connection import RayConnection
from modelwright.lab.executor.ray_worker import pack_job, pack_workload, serve_job
from modelwright.lab.lineage.threads import pinned_environment

__all__ = ["RayExecutor"]

_ATTEMPTS = 3
_GLANCE_SECONDS = 5.0
_PATIENCE_SECONDS = 120.0
"""How long jobs wait while no node of the cluster is large enough for one: such a node may be on its way."""


class RayExecutor:
    """Runs jobs on a Ray cluster that the launching process is a part of.

    A connection that the process already has is used and left open. Otherwise `close` ends the connection,
    and the cluster too where it was started here.

    Args:
        workers: Most jobs at once; None for as many as the cluster has CPUs for.
        threads: Threads of numerical libraries in each job, and the CPUs that it reserves.
        address: Where the cluster is; see `RayConnection`.

    Raises:
        SourceMissing: where Ray is not installed.
        BadValue: for an address through which messages cannot be streamed.
    """

    def __init__(self, *, workers: int | None, threads: int, address: str) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._environment = {**pinned_environment(threads), "PYTHONHASHSEED": "0"}
        self._connection = RayConnection(address, workers * threads if workers else max(cores, threads))
        self._ray = self._connection.ray
        self._workers = workers
        self._threads = threads
        self._running: dict[Any, Job] = {}
        self._workload: Workload | None = None
        self._sent: Any = None
        self._task: Any = None

    @property
    def slots(self) -> int:
        """Jobs at once: `workers` where given, else as many as the cluster's nodes have room for."""
        if self._workers is not None:
            return self._workers
        self._connection.join(0)
        return max(1, sum(size // self._threads for size in self._sizes()))

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Generator[Message]:
        """Run jobs; see `Executor`.

        Raises:
            WorkerLost: where no cluster answers, a job lost its worker too often, or no node is large enough.
            SourceMissing: where a node has no Modelwright, or other code than this machine.
        """
        self._cancel_all()
        if not jobs:
            return
        self._send(workload)
        waiting = deque(jobs)
        attempts: Counter[str] = Counter()
        heard = time.monotonic()
        try:
            while waiting or self._running:
                while waiting and (self._workers is None or len(self._running) < self._workers):
                    job = waiting.popleft()
                    attempts[job.identity] += 1
                    self._running[self._task.remote(self._sent, pack_job(workload, job))] = job
                ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_GLANCE_SECONDS)
                if ready:
                    yield from self._listen(ready[0], waiting, attempts)
                if ready or max(self._sizes(), default=0) >= self._threads:
                    heard = time.monotonic()
                elif time.monotonic() - heard > _PATIENCE_SECONDS:
                    raise self._too_small()
        finally:
            self._cancel_all()

    def _send(self, workload: Workload) -> None:
        """Put the workload where every node fetches it once."""
        if workload is self._workload and self._connection.open:
            return
        content = pack_workload(workload)
        self._connection.join(len(content))
        self._sent, self._workload = self._ray.put(content), workload
        self._task = self._ray.remote(serve_job).options(
            num_cpus=self._threads,
            num_returns="streaming",
            max_retries=0,
            runtime_env={"env_vars": self._environment},
        )

    def _listen(self, stream: Any, waiting: "deque[Job]", attempts: "Counter[str]") -> Iterator[Message]:
        job = self._running[stream]
        try:
            message: Message = pickle.loads(self._ray.get(next(stream)))
        except self._ray.exceptions.RayTaskError as error:
            raise _as_error(error) from None
        except (self._ray.exceptions.RayError, StopIteration) as error:
            why = _first_line(error)
        else:
            del self._running[stream]
            if not isinstance(message, Finished | Failed):
                self._running[stream] = job  # behind the others, so that each is heard in turn
            yield message
            return
        del self._running[stream]
        self._cancel(stream)  # where only a message was lost, its task would train on
        yield Lost(job=job.identity, why=why)
        if attempts[job.identity] >= _ATTEMPTS:
            raise WorkerLost(
                f"A worker lives until its job is done; {job.variant} lost {_ATTEMPTS}",
                got=why,
                next_step="look at the nodes' memory and logs, then run again: finished trials are kept",
            )
        waiting.append(job)

    def _cancel(self, stream: Any) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError, ConnectionError):
            self._ray.cancel(stream, force=True)

    def _cancel_all(self) -> None:
        while self._running:
            stream, _ = self._running.popitem()
            if self._connection.open:
                self._cancel(stream)

    def _sizes(self) -> list[int]:
        return [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]

    def _too_small(self) -> WorkerLost:
        sizes = self._sizes()
        return WorkerLost(
            f"A node of the cluster has the CPUs that a job reserves, {self._threads}",
            got=f"nodes with {', '.join(map(str, sizes)) or 'no'} CPUs for {_PATIENCE_SECONDS:.0f} s",
            nearest=f"threads={max(sizes)}" if any(sizes) else None,
            next_step="add a node or ask for fewer threads, then run again: finished trials are kept",
        )

    def close(self) -> None:
        """Stop the jobs at work; disconnect if we connected; end the cluster if it was started here."""
        self._cancel_all()
        self._sent = self._workload = self._task = None
        self._connection.leave()


def _as_error(error: Any) -> ModelwrightError:
    """Return what to raise for an exception outside of the training itself."""
    cause = error.cause
    if isinstance(cause, ModelwrightError):
        return cause
    return SourceMissing(
        "Every node can import Modelwright and read a job",
        got=_first_line(cause),
        next_step="install the same Modelwright and packages on every node",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
