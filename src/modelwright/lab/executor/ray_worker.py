"""What runs on the cluster: one job in a worker process of Ray, its messages yielded as bytes."""

import contextlib
import os
import pickle
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from modelwright.algorithms.learner import source_files
from modelwright.base.errors import ModelwrightError, SourceMissing
from modelwright.lab.executor.job import Job, Workload
from modelwright.lab.lineage.files import file_sha256
from modelwright.lab.lineage.package import record_package
from modelwright.lab.training import train_job

__all__ = ["pack_job", "pack_workload", "serve_job"]

_Code = frozenset[tuple[str, str]]


def pack_workload(workload: Workload) -> bytes:
    """Return what all jobs share, with the hashes of this Modelwright and this process's import path.

    Bytes of our own instead of an object of Ray's: a worker's arrays are then laid out in its memory as a
    local worker's are, and not views into a store that other processes share.
    """
    content = (workload, _package(), list(sys.path))
    return pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)


def pack_job(workload: Workload, job: Job) -> bytes:
    """Return a job with the hashes of its learner's files."""
    try:
        code = _learner(workload, job)
    except ModelwrightError:
        code = None  # the worker meets the same error and reports it as the job's
    return pickle.dumps((job, code), protocol=pickle.HIGHEST_PROTOCOL)


def serve_job(workload: bytes, job: bytes) -> Iterator[bytes]:
    """Train one packed job and yield its messages, each pickled.

    Raises:
        SourceMissing: where this node has other code than the launching machine; nothing has trained then.
    """
    shared, package, path = pickle.loads(workload)
    sys.path.extend(entry for entry in path if entry not in sys.path)
    wanted, code = pickle.loads(job)
    if code is not None:
        _check_code(package | code, shared, wanted)
    _part_sockets_at_fork()
    for message in train_job(shared, wanted):
        yield pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


_OURS: set[int] = set()
"""Descriptors of the sockets that Ray has open in this process."""


def _part_sockets_at_fork() -> None:
    """Have processes that the learner forks let go of Ray's sockets.

    Ray sees a worker's death by its sockets, and would wait for as long as a forked process holds them.
    """
    if not _OURS:
        os.register_at_fork(after_in_child=_let_go)
    _OURS.clear()
    for entry in Path("/proc/self/fd").glob("*"):  # elsewhere than on Linux there is no such folder
        with contextlib.suppress(OSError):
            if entry.readlink().name.startswith("socket:"):
                _OURS.add(int(entry.name))


def _let_go() -> None:
    for descriptor in _OURS:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _package() -> _Code:
    return frozenset(record_package().files.items())


def _learner(workload: Workload, job: Job) -> _Code:
    # Relative to the project, or the name alone: folders may differ from machine to machine.
    root = workload.root.resolve()
    files = source_files(job.config, root=workload.root)
    return frozenset(
        (file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name, file_sha256(file))
        for file in (file.resolve() for file in files)
    )


def _check_code(expected: _Code, workload: Workload, job: Job) -> None:
    """Refuse to train with other code than the record will name."""
    try:
        here = _package() | _learner(workload, job)
    except (ModelwrightError, OSError) as error:
        raise _other_code(str(error)) from error
    if here != expected:
        raise _other_code(_listed({name for name, _ in here ^ expected}))


def _listed(names: Iterable[str]) -> str:
    ordered: Sequence[str] = sorted(names)
    return ", ".join(ordered[:5]) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "") + " differ"


def _other_code(got: str) -> SourceMissing:
    return SourceMissing(
        "Every node has the code of the launching machine",
        got=f"on {platform.node()}: {got}",
        next_step="install the same Modelwright on every node, and keep the project in a shared folder",
    )
