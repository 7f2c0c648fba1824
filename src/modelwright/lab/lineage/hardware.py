"""The machine as far as it changes numbers: processor, accelerators, linear algebra and its threads."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from modelwright.base.fingerprint import fingerprint, jsonable

__all__ = ["Blas", "Gpu", "HardwareRecord", "record_hardware"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One accelerator: `memory` in MiB as its driver tells it."""

    name: str
    driver: str
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blas:
    """One loaded library of linear algebra or threads.

    Attributes:
        library: E.g. `openblas`, `mkl`, `openmp`.
        file: Its file's name, which tells two copies apart.
        version: As it states it, empty where it does not.
        core: The kind of core that it chose its kernels for, empty where it does not say.
        threads: How many it uses at most, at this moment.
        layer: How it threads, e.g. `pthreads`; empty where it does not say.
    """

    library: str
    file: str
    version: str
    core: str
    threads: int
    layer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareRecord:
    """The machine, and how the loaded libraries use it.

    Attributes:
        architecture: E.g. `x86_64`.
        cpu: The processor's model name.
        flags: Its instruction sets, sorted; empty where the system does not tell.
        physical_cores: Cores, 0 where unknown.
        logical_cores: Hardware threads.
        memory: Bytes of main memory.
        gpus: Accelerators that the driver shows.
        blas: Loaded libraries; nothing is loaded to find out.
        torch: Settings of torch that change numbers; None where it is not loaded.
    """

    architecture: str
    cpu: str
    flags: tuple[str, ...]
    physical_cores: int
    logical_cores: int
    memory: int
    gpus: tuple[Gpu, ...]
    blas: tuple[Blas, ...]
    torch: Mapping[str, Any] | None

    @property
    def identity(self) -> str:
        """The sha256 over everything in the record."""
        return fingerprint(self)

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return jsonable(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "HardwareRecord":
        """Return the object that `record` was made from."""
        parts = dict(record)
        parts["flags"] = tuple(record["flags"])
        parts["gpus"] = tuple(Gpu(**gpu) for gpu in record["gpus"])
        parts["blas"] = tuple(Blas(**library) for library in record["blas"])
        return HardwareRecord(**parts)


def record_hardware() -> HardwareRecord:
    """Return the machine as this process sees it now; call it while threads are pinned."""
    import psutil

    cpu, flags = _processor()
    return HardwareRecord(
        architecture=platform.machine(),
        cpu=cpu,
        flags=flags,
        physical_cores=psutil.cpu_count(logical=False) or 0,
        logical_cores=psutil.cpu_count() or 0,
        memory=psutil.virtual_memory().total,
        gpus=_gpus(),
        blas=_loaded_libraries(),
        torch=_torch_settings(),
    )


@cache
def _processor() -> tuple[str, tuple[str, ...]]:
    """Return model name and flags from Linux's table, else from macOS, else the model alone."""
    try:
        table = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n", 1)[0]
    except OSError:
        return _darwin_processor()
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in table.splitlines())
    }
    arm = " ".join(
        f"{key.removeprefix('CPU ')} {fields[key]}" for key in sorted(fields) if key.startswith("CPU ")
    )
    name = fields.get("model name") or arm or platform.processor() or platform.machine()
    return name, tuple(sorted((fields.get("flags") or fields.get("Features") or "").split()))


def _darwin_processor() -> tuple[str, tuple[str, ...]]:
    if sys.platform != "darwin":
        return platform.processor() or platform.machine(), ()
    name = _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    told = _output("sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features")
    return name, tuple(sorted(told.lower().split()))


def _output(*words: str) -> str:
    program = shutil.which(words[0])
    if program is None:
        return ""
    try:
        done = subprocess.run([program, *words[1:]], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@cache
def _driver_gpus() -> tuple[Gpu, ...]:
    told = _output(
        "nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits"
    )
    gpus: list[Gpu] = []
    for line in told.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 2)]
        if len(parts) == 3:
            gpus.append(
                Gpu(name=parts[0], driver=parts[1], memory=int(parts[2]) if parts[2].isdigit() else 0)
            )
    return tuple(gpus)


def _gpus() -> tuple[Gpu, ...]:
    """Ask the driver; ask torch only where it has already started on a GPU, because asking would start it."""
    torch = sys.modules.get("torch")
    found = _driver_gpus()
    if found or torch is None or not torch.cuda.is_initialized():
        return found
    devices = [torch.cuda.get_device_properties(place) for place in range(torch.cuda.device_count())]
    return tuple(Gpu(name=device.name, driver="", memory=device.total_memory // 2**20) for device in devices)


def _loaded_libraries() -> tuple[Blas, ...]:
    from threadpoolctl import threadpool_info

    found = [
        Blas(
            library=str(library.get("internal_api") or library.get("user_api") or ""),
            file=Path(str(library.get("filepath") or "")).name,
            version=str(library.get("version") or ""),
            core=str(library.get("architecture") or ""),
            threads=int(library.get("num_threads") or 0),
            layer=str(library.get("threading_layer") or ""),
        )
        for library in threadpool_info()
    ]
    return tuple(sorted(found, key=lambda library: (library.library, library.file)))


def _torch_settings() -> dict[str, Any] | None:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return None  # absent, or still being imported by another thread
    settings: dict[str, Any] = {
        "version": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "default_dtype": str(torch.get_default_dtype()),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "mkl": torch.backends.mkl.is_available(),
        "onednn": torch.backends.mkldnn.is_available(),
        "cuda": torch.version.cuda,
    }
    if torch.version.cuda is not None:
        settings["cudnn_benchmark"] = torch.backends.cudnn.benchmark
        settings["cudnn_deterministic"] = torch.backends.cudnn.deterministic
    return settings
