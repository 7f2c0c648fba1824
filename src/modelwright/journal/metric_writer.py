"""Metrics from the training thread to the disk, without making the training wait.

`write` copies a step's numbers into memory and returns. A thread writes what has gathered as a segment
every two seconds, or sooner where much has gathered, so that a crash loses at most the last seconds
even when no further step comes.
"""

import contextlib
import operator
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue, ModelwrightError, NotPermitted, StoreFailed
from modelwright.journal.database import disk_failure
from modelwright.journal.metric_file import MetricFile
from modelwright.journal.segment import Block, write_segment

__all__ = ["FLUSH_SECONDS", "MetricWriter"]

FLUSH_SECONDS = 2.0
"""How long metrics wait in memory; well below the promised five seconds, for slow disks."""

_BUFFER_VALUES = 1 << 15
_WAKE_VALUES = 1 << 20
_MOST_VALUES = 1 << 23
_DOUBLE = np.dtype(np.float64)
_MOST_UPDATE = 2**63 - 1


def _check_update(update: object) -> int:
    try:
        number = operator.index(update)  # pyright: ignore[reportArgumentType]
    except TypeError:
        number = -1
    if isinstance(update, bool) or not 0 <= number <= _MOST_UPDATE:
        raise BadValue("An update is a whole number of at least 0 and below 2**63", got=update)
    return number


class _Buffer:
    """Calls with one set of names, in preallocated arrays."""

    __slots__ = ("capacity", "count", "flat", "names", "updates", "values")

    def __init__(self, names: tuple[str, ...], seeds: int) -> None:
        self.names = names
        self.capacity = max(16, _BUFFER_VALUES // (len(names) * seeds))
        self.count = 0
        self.updates = np.empty(self.capacity, np.int64)
        self.values = np.empty((self.capacity, len(names), seeds), np.float64)
        self.flat = self.values.reshape(self.capacity, len(names) * seeds)

    def block(self) -> Block:
        """Return what was filled, without copying; the buffer is not written again."""
        return Block(names=self.names, updates=self.updates[: self.count], values=self.values[: self.count])


class MetricWriter:
    """Writes the metrics of one cohort. Made by `Journal.metric_writer`; a context manager.

    Leaving the context without `finish` abandons the writer: segments stay and can be read.

    Args:
        folder: Where the cohort's segments go; exists.
        cohort: Identity of the cohort.
        runs: The runs, in the order of the seed axis.
        compact: Turns the segments into a metric file and removes them; called by `finish`.
        flush_seconds: How long metrics may wait in memory.
    """

    def __init__(
        self,
        *,
        folder: Path,
        cohort: str,
        runs: Sequence[str],
        compact: Callable[[], dict[str, MetricFile]],
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self.cohort = cohort
        self.runs = tuple(runs)
        self._folder = folder
        self._compact = compact
        self._flush_seconds = flush_seconds
        self._shape = (len(self.runs),)
        self._memory = threading.Lock()
        self._disk = threading.Lock()
        self._wake = threading.Event()
        self._open: dict[tuple[str, ...], _Buffer] = {}
        self._waiting: list[Block] = []
        self._waiting_values = 0
        self._written = 0
        self._trouble: ModelwrightError | None = None
        self._state = "open"
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._keep_flushing, name=f"metrics-{cohort[:8]}", daemon=True)
        self._thread.start()

    def write(self, update: int, metrics: Mapping[str, NDArray[np.float64]]) -> None:
        """Take one step's numbers; they are copied.

        Args:
            update: Updates done so far, at least 0.
            metrics: Name -> (seed,) numbers, in the order of the cohort's runs; NaN is a number here.

        Raises:
            BadValue: where shapes, types or names are wrong; nothing of the step is taken then.
            NotPermitted: after `finish` or `abandon`.
            StoreFailed: where earlier metrics could not be written and still cannot. They stay in memory
                and this step is not taken: free space and write it again.
        """
        if self._trouble is not None or self._waiting_values > _MOST_VALUES:
            self.flush()
        if type(update) is not int or not 0 <= update <= _MOST_UPDATE:
            update = _check_update(update)
        with self._memory:
            if self._state != "open":
                raise NotPermitted(
                    "Metrics are written before finish() and abandon()", got=f"writer {self._state}"
                )
            names = tuple(metrics)
            buffer = self._open.get(names)
            if buffer is None or buffer.count == buffer.capacity:
                if not names:
                    return
                buffer = self._new_buffer(names)
            arrays = list(metrics.values())
            shape = self._shape
            for values in arrays:
                if type(values) is not np.ndarray or values.dtype is not _DOUBLE or values.shape != shape:
                    arrays = [self._check_values(*item) for item in metrics.items()]
                    break
            row = buffer.count
            # One call of NumPy for all metrics; assigning each costs three times as much.
            np.concatenate(arrays, out=buffer.flat[row])
            buffer.updates[row] = update
            buffer.count = row + 1

    def _new_buffer(self, names: tuple[str, ...]) -> _Buffer:
        for name in names:
            if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise BadValue("A metric's name is a text that is not empty", got=name)
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise BadValue("A metric's name can be written as UTF-8", got=repr(name)) from error
        full = self._open.get(names)
        if full is not None:
            self._waiting.append(full.block())
            self._waiting_values += full.values.size
            if self._waiting_values > _WAKE_VALUES:
                self._wake.set()
        buffer = _Buffer(names, len(self.runs))
        self._open[names] = buffer
        return buffer

    def _check_values(self, name: str, values: Any) -> NDArray[np.float64]:
        array = np.asarray(values)
        if array.shape != self._shape or array.dtype.kind not in "fiub":
            raise BadValue(
                f"The metric {name} is one real number per run, shape {self._shape}",
                got=f"{type(values).__name__} of shape {array.shape} and type {array.dtype}",
            )
        return array.astype(np.float64)

    def flush(self) -> None:
        """Make everything that was written so far durable now.

        Raises:
            StoreFailed: where the disk refuses; the metrics stay in memory and the next call tries again.
        """
        if self._process != os.getpid():
            raise NotPermitted(
                "A metric writer belongs to the process that made it", got=f"process {os.getpid()}"
            )
        with self._disk:
            with self._memory:
                self._waiting += [buffer.block() for buffer in self._open.values() if buffer.count]
                self._open.clear()
                blocks = tuple(self._waiting)
            if not blocks:
                return
            try:
                write_segment(self._folder, self._written + 1, self.cohort, self.runs, blocks)
            except OSError as error:
                self._trouble = disk_failure(error, self._folder, "write metrics")
                raise self._trouble from error
            except Exception as error:
                # A thread has nobody to raise to: whatever it is, the caller's next call must tell.
                self._trouble = StoreFailed("Metrics can be written as a segment", got=repr(error))
                raise self._trouble from error
            self._written += 1
            with self._memory:
                del self._waiting[: len(blocks)]
                self._waiting_values = sum(block.values.size for block in self._waiting)
                self._trouble = None

    def _keep_flushing(self) -> None:
        while self._state != "closed":
            self._wake.wait(self._flush_seconds)
            self._wake.clear()
            with contextlib.suppress(StoreFailed):  # kept in _trouble
                self.flush()

    def _close(self) -> None:
        self._state = "closed"
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def finish(self) -> dict[str, MetricFile]:
        """Write everything, turn the segments into one metric file, and return each run's part of it.

        Raises:
            NotPermitted: after `finish` or `abandon`.
            StoreFailed: where the disk refuses; segments stay, and `finish` may be called again.
            Corrupted: where a segment was damaged meanwhile; segments stay.
        """
        with self._memory:
            if self._state not in ("open", "finishing"):
                raise NotPermitted("A writer is finished once", got=f"writer {self._state}")
            self._state = "finishing"
        self.flush()
        files = self._compact()
        self._close()
        return files

    def abandon(self) -> None:
        """Write everything and stop, leaving the segments.

        Does nothing after `finish` or `abandon`, and in a forked child: what it holds is its parent's.

        Raises:
            StoreFailed: where the last metrics cannot be written; the writer is closed all the same.
        """
        if self._state == "closed" or self._process != os.getpid():
            return
        try:
            self.flush()
        finally:
            self._close()

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()
