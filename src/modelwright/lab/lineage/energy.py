"""Energy, which is either measured by a counter or estimated by a formula, and always says which."""

import ctypes
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import jsonable

__all__ = [
    "WATTS_PER_CORE",
    "Counter",
    "Energy",
    "NvmlCounter",
    "RaplCounter",
    "estimate_energy",
    "gpu_counter",
    "processor_counter",
]

WATTS_PER_CORE = 7.0
"""Watts of one busy core, processor only. Rated powers divided by cores: 4.4 (AMD EPYC 7763, 280 W, 64
cores), 6.8 (Intel Xeon Platinum 8380, 270 W, 40 cores), 10.4 (Intel Core i7-12700K, 125 W, 12 cores)."""

_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy used while something ran.

    Attributes:
        joules: How much.
        label: `measured` where a counter of the machine was read, `estimated` where a formula was used.
        basis: The counter and what it covers, or the formula and where its constant comes from.
    """

    joules: float
    label: Literal["measured", "estimated"]
    basis: str

    def __post_init__(self) -> None:
        if self.label not in ("measured", "estimated") or not self.basis:
            raise BadValue(
                "Energy is labelled measured or estimated, and says on what basis",
                got=f"label {self.label!r}, basis {self.basis!r}",
            )
        if not math.isfinite(self.joules) or self.joules < 0:
            raise BadValue("Energy is a finite number of joules, at least 0", got=self.joules)

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return jsonable(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Energy":
        """Return the object that `record` was made from."""
        return Energy(**record)


def estimate_energy(cpu_seconds: float) -> Energy:
    """Return processor seconds x `WATTS_PER_CORE`, labelled as the estimate that it is."""
    return Energy(
        joules=cpu_seconds * WATTS_PER_CORE,
        label="estimated",
        basis=f"{cpu_seconds:.3g} CPU seconds x {WATTS_PER_CORE:g} W per busy core (rated powers of three "
        "processors divided by their cores are 4.4 to 10.4 W); processor only, without memory, disks, "
        "cooling and accelerators, and possibly wrong by a factor of three",
    )


class Counter(Protocol):
    """A counter of energy in the machine."""

    basis: str

    def joules(self) -> float:
        """Return joules since the counter was made; ask at least every few minutes, because counters wrap."""
        ...


def processor_counter() -> Counter | None:
    """Return the processor's counter, None where the machine has none or this user may not read it."""
    try:
        return RaplCounter()
    except (OSError, ValueError):
        return None


def gpu_counter() -> Counter | None:
    """Return the counter of all NVIDIA GPUs, None where there is none."""
    try:
        return NvmlCounter()
    except (OSError, AttributeError):
        return None


class RaplCounter:
    """The processor packages and memory of a machine with Intel's or AMD's running average power limit.

    Args:
        folder: The kernel's folder of power zones.

    Raises:
        OSError: where there is no such zone, or it may not be read (since 2020 root alone may, by default).
    """

    def __init__(self, folder: Path = _POWERCAP) -> None:
        zones = {zone: (zone / "name").read_text().strip() for zone in sorted(folder.glob("*:*"))}
        # A package holds its cores and graphics already; memory is apart. `psys` holds everything.
        chosen = [zone for zone, name in zones.items() if name.startswith("package") or name == "dram"]
        self._zones = list({zone.resolve(): zone for zone in chosen}.values())
        if not self._zones:
            raise FileNotFoundError("no processor package reports its energy")
        self._ranges = [int((zone / "max_energy_range_uj").read_text()) for zone in self._zones]
        self._last = self._read()
        self._total = 0.0
        self._lock = threading.Lock()
        names = ", ".join(sorted({zones[zone] for zone in self._zones}))
        self.basis = f"RAPL counters ({names}) of the whole machine, other processes included"

    def _read(self) -> list[int]:
        return [int((zone / "energy_uj").read_text()) for zone in self._zones]

    def joules(self) -> float:
        """Return joules since the counter was made."""
        with self._lock:
            now = self._read()
            for was, is_now, span in zip(self._last, now, self._ranges, strict=True):
                self._total += (is_now - was if is_now >= was else is_now - was + span) * 1e-6
            self._last = now
            return self._total


class NvmlCounter:
    """All NVIDIA GPUs of the machine that count their energy (Volta and later), by NVIDIA's own library.

    Args:
        library: The loaded library; opened by its name where left out.

    Raises:
        OSError: where the library, a GPU or the counter is missing.
    """

    def __init__(self, library: Any = None) -> None:
        self._library = library if library is not None else ctypes.CDLL("libnvidia-ml.so.1")
        self._check(self._library.nvmlInit_v2())
        count = ctypes.c_uint()
        self._check(self._library.nvmlDeviceGetCount_v2(ctypes.byref(count)))
        self._devices: list[ctypes.c_void_p] = []
        for place in range(count.value):
            device = ctypes.c_void_p()
            self._check(
                self._library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(place), ctypes.byref(device))
            )
            self._devices.append(device)
        if not self._devices:
            raise FileNotFoundError("no GPU")
        self._first = self._read()
        self.basis = (
            f"NVML energy counters of all {len(self._devices)} GPUs of the machine, other users included"
        )

    @staticmethod
    def _check(status: int) -> None:
        if status != 0:
            raise OSError(f"NVML answers with status {status}")

    def _read(self) -> int:
        total = 0
        for device in self._devices:
            value = ctypes.c_ulonglong()
            self._check(self._library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(value)))
            total += value.value
        return total

    def joules(self) -> float:
        """Return joules since the counter was made; it counts millijoules from when the driver was loaded."""
        return (self._read() - self._first) * 1e-3
