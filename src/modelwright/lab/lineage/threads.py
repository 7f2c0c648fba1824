"""One number of threads everywhere, because sums depend on how many share them.

A matrix product rounds differently on one thread and on two. Pinning the number makes a rerun
comparable, and keeps trials that run side by side from crowding the cores.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import jsonable

__all__ = ["THREAD_VARIABLES", "PinnedThreads", "pinned_environment", "pinned_threads"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Variables by which libraries are told their number of threads when they load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedThreads:
    """What was pinned.

    Attributes:
        count: Threads asked for.
        libraries: File names of the loaded libraries that were set.
        not_held: Those among them that use another number all the same.
        torch_threads: Torch's threads inside one operation, None where torch is not loaded.
        torch_interop_threads: Torch's threads between operations; torch lets them be set only once a
            process and before first use, so they may differ from `count`, and they stay as they are.
    """

    count: int
    libraries: tuple[str, ...]
    not_held: tuple[str, ...]
    torch_threads: int | None
    torch_interop_threads: int | None

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return jsonable(self)


def pinned_environment(count: int) -> dict[str, str]:
    """Return the variables that make a child process use `count` threads; merge them into its environment.

    Raises:
        BadValue: where `count` is not a whole number of at least 1.
    """
    _check(count)
    # Without the last two, MKL and OpenMP may use fewer threads than told when the machine is busy.
    return {name: str(count) for name in THREAD_VARIABLES} | {"MKL_DYNAMIC": "FALSE", "OMP_DYNAMIC": "FALSE"}


def _check(count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise BadValue("The number of threads is a whole number of at least 1", got=count, nearest="1")


@contextmanager
def pinned_threads(count: int) -> Generator[PinnedThreads, None, None]:
    """Make linear algebra and torch use `count` threads while the block runs, and put everything back after.

    OpenMP counts its threads per calling thread: enter the block in the thread that trains. Child
    processes started inside inherit the number. What is first imported inside the block starts with
    the number too, and is given the machine's default when the block ends.

    Raises:
        BadValue: where `count` is not a whole number of at least 1.
    """
    variables = pinned_environment(count)
    from threadpoolctl import ThreadpoolController

    before = {name: os.environ.get(name) for name in variables}
    known = ThreadpoolController()
    counts = {library.filepath: library.num_threads for library in known.lib_controllers}
    torch = sys.modules.get("torch")
    torch_threads = None if torch is None else int(torch.get_num_threads())
    os.environ.update(variables)
    try:
        for library in known.lib_controllers:
            library.set_num_threads(count)
        interop = None
        if torch is not None:
            torch.set_num_threads(count)
            interop = _pin_interop(torch, count)
        yield PinnedThreads(
            count=count,
            libraries=tuple(sorted(os.path.basename(path) for path in counts)),
            not_held=tuple(
                sorted(
                    os.path.basename(library.filepath)
                    for library in known.lib_controllers
                    if library.num_threads != count
                )
            ),
            torch_threads=None if torch is None else int(torch.get_num_threads()),
            torch_interop_threads=interop,
        )
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _put_back(counts, torch_threads)


def _pin_interop(torch: Any, count: int) -> int:
    if torch.get_num_interop_threads() != count:
        with suppress(RuntimeError):  # in use already; the record shows the number that holds
            torch.set_num_interop_threads(count)
    return int(torch.get_num_interop_threads())


def _put_back(counts: dict[str, int], torch_threads: int | None) -> None:
    from threadpoolctl import ThreadpoolController

    default = _default_threads()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(torch_threads or default)
    for library in ThreadpoolController().lib_controllers:  # last: torch sets some of the same libraries
        library.set_num_threads(counts.get(library.filepath, default))


def _default_threads() -> int:
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
