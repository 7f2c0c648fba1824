"""What a run used: time, processor, memory, accelerators, energy."""

import contextlib
import os
import resource
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from modelwright.base.errors import Misuse
from modelwright.base.fingerprint import jsonable
from modelwright.lab.lineage.energy import Counter, Energy, estimate_energy, gpu_counter, processor_counter

__all__ = ["Meter", "Usage"]

_POLL_SECONDS = 60.0
"""How often counters of energy are read; the smallest of them wrap after some ten minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a stretch of work used.

    Attributes:
        wall_seconds: Of a clock that cannot be set.
        cpu_seconds: User and system time of this process, all its threads, and the processes it started.
        peak_memory: Bytes of main memory that this process held at most, its children not included.
        peak_memory_basis: `during the run` where the kernel's high-water mark could be reset at the
            start, else `since the process started`, which may be larger.
        gpu_seconds: Wall seconds x GPUs on which this process holds memory through torch, busy or not.
        energy: The processor's, measured or estimated, and the GPUs' where they are held and counted.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_memory: int
    peak_memory_basis: str
    gpu_seconds: float
    energy: tuple[Energy, ...]

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return jsonable(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Usage":
        """Return the object that `record` was made from."""
        parts = dict(record)
        parts["energy"] = tuple(Energy.from_record(item) for item in record["energy"])
        return Usage(**parts)


class _HighWater:
    """The peak of resident memory per meter, though the kernel keeps one mark for the whole process.

    Resetting the mark for a new meter would lose what an outer one has seen, so the mark is first
    added to every meter that is running.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._peaks: dict[int, int] = {}

    def start(self, meter: int) -> bool:
        """Begin for `meter`; say whether the mark could be reset."""
        with self._lock:
            self._fold()
            try:
                Path("/proc/self/clear_refs").write_text("5")
            except OSError:
                return False
            self._peaks[meter] = 0
            return True

    def peak(self, meter: int) -> int:
        with self._lock:
            self._fold()
            return self._peaks[meter]

    def stop(self, meter: int) -> None:
        with self._lock:
            self._peaks.pop(meter, None)

    def _fold(self) -> None:
        if not self._peaks:
            return
        now = _high_water_mark()
        for meter, peak in self._peaks.items():
            self._peaks[meter] = max(peak, now)


_HIGH_WATER = _HighWater()


def _high_water_mark() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _process_high_water() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _cpu_seconds() -> float:
    """Return seconds of this process, of its children that ended, and of those that run."""
    import psutil

    mine = os.times()
    total = mine.user + mine.system + mine.children_user + mine.children_system
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            spent = child.cpu_times()
            total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def _gpus_held() -> int:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return sum(torch.cuda.memory_reserved(place) > 0 for place in range(torch.cuda.device_count()))


class Meter:
    """Measures what a block uses.

        with Meter() as meter:
            train()
        meter.usage.wall_seconds

    Meters may be nested and may overlap in threads of one process; each then counts the whole process.
    """

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._running = False

    def __enter__(self) -> "Meter":
        if self._running or self._usage is not None:
            raise Misuse("A meter measures once", next_step="make another one")
        self._running = True
        self._reset = _HIGH_WATER.start(id(self))
        self._gpus = _gpus_held()
        self._processor = processor_counter()
        self._gpu = gpu_counter()
        self._done = threading.Event()
        if self._processor is not None:
            threading.Thread(target=self._poll, name="energy", daemon=True).start()
        self._cpu = _cpu_seconds()
        self._wall = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._usage = self._read()
        self._running = False
        self._done.set()
        _HIGH_WATER.stop(id(self))

    @property
    def usage(self) -> Usage:
        """What was used: until now while the block runs, in all once it has ended.

        Raises:
            Misuse: before the block begins.
        """
        if self._usage is not None:
            return self._usage
        if not self._running:
            raise Misuse("A meter is read while or after its block runs", next_step="use it with `with`")
        return self._read()

    def _poll(self) -> None:
        while not self._done.wait(_POLL_SECONDS):
            if self._processor is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._processor.joules()

    def _read(self) -> Usage:
        wall = time.monotonic() - self._wall
        cpu = max(_cpu_seconds() - self._cpu, 0.0)
        gpus = max(self._gpus, _gpus_held())
        return Usage(
            wall_seconds=wall,
            cpu_seconds=cpu,
            peak_memory=_HIGH_WATER.peak(id(self)) if self._reset else _process_high_water(),
            peak_memory_basis="during the run" if self._reset else "since the process started",
            gpu_seconds=wall * gpus,
            energy=self._energy(cpu, gpus),
        )

    def _energy(self, cpu_seconds: float, gpus: int) -> tuple[Energy, ...]:
        used = _measured(self._processor) or estimate_energy(cpu_seconds)
        on_gpus = _measured(self._gpu) if gpus else None
        return (used,) if on_gpus is None else (used, on_gpus)


def _measured(counter: Counter | None) -> Energy | None:
    if counter is None:
        return None
    try:
        return Energy(joules=counter.joules(), label="measured", basis=counter.basis)
    except (OSError, ValueError):
        return None
