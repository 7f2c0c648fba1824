"""Environment, hardware, threads and usage, as this machine has them and as planted ones would."""

import ctypes
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_info

from modelwright.base.errors import BadValue, Misuse
from modelwright.lab.lineage import environment as environment_module
from modelwright.lab.lineage import hardware as hardware_module
from modelwright.lab.lineage import usage as usage_module
from modelwright.lab.lineage.energy import WATTS_PER_CORE, Energy, NvmlCounter, RaplCounter, estimate_energy
from modelwright.lab.lineage.environment import EnvironmentRecord, record_environment
from modelwright.lab.lineage.hardware import HardwareRecord, record_hardware
from modelwright.lab.lineage.threads import pinned_environment, pinned_threads
from modelwright.lab.lineage.usage import Meter, Usage

# --- environment


def own_path() -> list[str]:
    return [entry for entry in sys.path if "thirdparty_files" not in entry]


def test_what_ray_carries_inside_itself_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "mine", "carried", "1.0", None)
    install(tmp_path / "ray" / "thirdparty_files", "carried", "9.0", None)
    path = [str(tmp_path / "ray" / "thirdparty_files"), str(tmp_path / "mine"), *sys.path]
    monkeypatch.setattr(sys, "path", path)
    listed = {item.name: item.version for item in record_environment().distributions}
    assert listed["carried"] == "1.0"


def test_every_installed_distribution_is_listed_with_its_version() -> None:
    record = record_environment()
    listed = {item.name: item.version for item in record.distributions}
    assert listed["numpy"] == importlib.metadata.version("numpy")
    assert listed["scikit-learn"] == importlib.metadata.version("scikit-learn")
    expected = {
        (name or "").lower().replace("_", "-").replace(".", "-")
        for name in (found.metadata["Name"] for found in importlib.metadata.distributions(path=own_path()))
    }
    assert set(listed) == expected
    assert all(item.content or item.note for item in record.distributions)


def test_the_environments_record_comes_back_equal() -> None:
    record = record_environment()
    assert record.python == platform.python_version()
    assert EnvironmentRecord.from_record(json.loads(json.dumps(record.record()))) == record


def test_distributions_are_read_quickly_and_once_a_process() -> None:
    record_environment()
    environment_module._installed.cache_clear()
    start = time.process_time()
    record_environment()
    assert time.process_time() - start < 0.5
    start = time.process_time()
    record_environment()
    assert time.process_time() - start < 0.05


def install(folder: Path, name: str, version: str, record: str | None, direct_url: object = None) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this\n"
    )
    if record is not None:
        (info / "RECORD").write_text(record)
    if direct_url is not None:
        (info / "direct_url.json").write_text(
            direct_url if isinstance(direct_url, str) else json.dumps(direct_url)
        )


def read(folder: Path) -> dict[str, tuple[str, str | None, str]]:
    found = environment_module._installed((str(folder),))
    environment_module._installed.cache_clear()
    return {item.name: (item.version, item.content, item.note) for item in found}


RECORD = "pkg/a.py,sha256=AAA,1\npkg/b.py,sha256=BBB,2\n"


def test_a_distributions_content_is_that_of_its_files_not_of_its_installation(tmp_path: Path) -> None:
    install(tmp_path / "one", "Some.Pkg", "1.0", RECORD)
    other = "\n".join(
        [
            "pkg/b.py,sha256=BBB,2",
            "pkg/a.py,sha256=AAA,1",
            "../../../bin/pkg,sha256=CCC,3",
            "pkg/__pycache__/a.cpython-311.pyc,,",
            "Some.Pkg-1.0.dist-info/INSTALLER,sha256=DDD,4",
            "Some.Pkg-1.0.dist-info/RECORD,,",
        ]
    )
    install(tmp_path / "two", "Some.Pkg", "1.0", other)
    install(tmp_path / "three", "Some.Pkg", "1.0", RECORD.replace("BBB", "XXX"))
    one, two, three = (read(tmp_path / name)["some-pkg"] for name in ("one", "two", "three"))
    assert one == two
    assert one[1] is not None
    assert three[1] != one[1]
    assert one[0] == three[0] == "1.0"


def test_editable_unrecorded_and_version_controlled_installs_are_flagged(tmp_path: Path) -> None:
    install(tmp_path, "editable", "1", RECORD, {"url": "file:///x", "dir_info": {"editable": True}})
    install(tmp_path, "unrecorded", "2", None)
    install(tmp_path, "empty", "2", "")
    install(
        tmp_path, "versioned", "3", RECORD, {"url": "git+x", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    )
    install(tmp_path, "broken", "4", RECORD, "{not json")
    (tmp_path / "leftover-1.dist-info").mkdir()
    found = read(tmp_path)
    assert found["editable"] == ("1", None, "editable")
    assert found["unrecorded"] == ("2", None, "no RECORD")
    assert found["empty"] == ("2", None, "no RECORD")
    assert found["versioned"][2] == "commit abc"
    assert found["broken"][2] == "unreadable direct_url.json"
    assert "leftover" not in found


def test_variables_that_change_numbers_are_recorded_and_secrets_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {
        "OMP_NUM_THREADS": "3",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONHASHSEED": "7",
        "MKL_CBWR": "AVX2",
    }
    untold = {
        "TORCH_API_TOKEN": "s3cret",
        "HOSTNAME": "box",
        "EDITOR": "vi",
        "MKL_LICENSE_KEY_SECRET": "s3cret",
    }
    for name, value in (told | untold).items():
        monkeypatch.setenv(name, value)
    variables = record_environment().variables
    assert told.items() <= dict(variables).items()
    assert not set(untold) & set(variables)


@pytest.mark.parametrize(
    ("name", "steers"),
    [
        *((name, True) for name in pinned_environment(1)),
        ("PYTHONHASHSEED", True),
        ("MKL_CBWR", True),
        ("OPENBLAS_CORETYPE", True),
        ("CUBLAS_WORKSPACE_CONFIG", True),
        ("CUDA_VISIBLE_DEVICES", True),
        ("NVIDIA_TF32_OVERRIDE", True),
        ("ATEN_CPU_CAPABILITY", True),
        ("TORCHINDUCTOR_CPP_GEMM_CACHE_BLOCKING", True),
        ("NCCL_ALGO", True),
        ("TORCHINDUCTOR_CACHE_DIR", False),
        ("NUMBA_CACHE_DIR", False),
        ("JAX_COMPILATION_CACHE_DIR", False),
        ("CUDA_CACHE_PATH", False),
        ("CUDA_CACHE_MAXSIZE", False),
        ("TORCH_HOME", False),
        ("TORCH_LOGS", False),
        ("TORCH_TRACE", False),
        ("TORCH_CPP_LOG_LEVEL", False),
        ("MKL_VERBOSE", False),
        ("ONEDNN_VERBOSE", False),
        ("OMP_DISPLAY_ENV", False),
        ("NCCL_DEBUG", False),
        ("NCCL_DEBUG_FILE", False),
        ("KMP_INIT_AT_FORK", False),
        ("KMP_DUPLICATE_LIB_OK", False),
        ("CUDA_MODULE_LOADING", False),
        ("TORCH_API_TOKEN", False),
        ("PATH", False),
        ("HOME", False),
        ("TMPDIR", False),
    ],
)
def test_variables_that_only_name_places_or_print_are_left_out(
    name: str, steers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert (name in record_environment().variables) is steers


@pytest.mark.slow
def test_importing_libraries_changes_no_recorded_variable() -> None:
    code = (
        "import os\n"
        "from modelwright.lab.lineage.environment import record_environment\n"
        "before, light = dict(os.environ), record_environment()\n"
        "import torch, sklearn.ensemble\n"
        "parameter = torch.nn.Parameter(torch.zeros(2))\n"
        "optimizer = torch.optim.Adam([parameter])\n"
        "parameter.sum().backward()\n"
        "optimizer.step()\n"
        "assert dict(os.environ) != before, 'libraries set nothing any more: drop the exceptions'\n"
        "assert record_environment().variables == light.variables\n"
    )
    source = Path(__file__).parents[2] / "src"
    # What this process imported has left its traces already.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KMP_", "TORCH"))}
    subprocess.run([sys.executable, "-c", code], check=True, env=clean | {"PYTHONPATH": str(source)})


# --- hardware


def test_the_processor_is_told_as_the_system_tells_it() -> None:
    record = record_hardware()
    assert record.architecture == platform.machine()
    assert record.logical_cores == psutil.cpu_count()
    assert record.memory == psutil.virtual_memory().total
    table = Path("/proc/cpuinfo")
    if table.exists() and "model name" in table.read_text():
        assert record.cpu in table.read_text()
        assert len(record.flags) > 10
        assert record.flags == tuple(sorted(set(record.flags)))
    assert HardwareRecord.from_record(json.loads(json.dumps(record.record()))) == record


def test_loaded_linear_algebra_is_listed_with_its_threads() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    blas = [library for library in record_hardware().blas if library.library in ("openblas", "mkl", "blis")]
    assert blas
    assert {library.file for library in blas} <= {Path(item["filepath"]).name for item in threadpool_info()}
    assert all(library.threads >= 1 for library in blas)


def test_nothing_is_loaded_to_find_out() -> None:
    code = (
        "import sys\n"
        "from modelwright.lab.lineage.environment import record_environment\n"
        "from modelwright.lab.lineage.hardware import record_hardware\n"
        "from modelwright.lab.lineage.usage import Meter\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'scipy', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "with Meter(): record = record_hardware()\n"
        "record_environment()\n"
        "assert record.torch is None\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    source = Path(__file__).parents[2] / "src"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(source)})


def test_torchs_settings_are_recorded_where_it_is_loaded() -> None:
    torch = pytest.importorskip("torch")
    told = record_hardware().torch
    assert told is not None
    assert told["version"] == torch.__version__
    assert told["threads"] == torch.get_num_threads()
    assert told["deterministic"] is torch.are_deterministic_algorithms_enabled()
    assert told["matmul_precision"] == torch.get_float32_matmul_precision()


def test_the_drivers_gpus_are_read_from_its_own_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 80GB HBM3, 550.54.15, 81559'\necho 'Tiny, 1.0, [N/A]'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    hardware_module._driver_gpus.cache_clear()
    try:
        gpus = record_hardware().gpus
    finally:
        hardware_module._driver_gpus.cache_clear()
    assert [(gpu.name, gpu.driver, gpu.memory) for gpu in gpus] == [
        ("NVIDIA H100, 80GB HBM3", "550.54.15", 81559),
        ("Tiny", "1.0", 0),
    ]


# --- threads


def counts() -> dict[str, int]:
    return {library["filepath"]: library["num_threads"] for library in threadpool_info()}


def test_threads_are_pinned_inside_and_put_back_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    before, environment = counts(), dict(os.environ)
    with pinned_threads(1) as pinned:
        assert set(counts().values()) == {1}
        assert torch.get_num_threads() == 1
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
        assert pinned.not_held == ()
        assert pinned.torch_threads == 1
        assert pinned.torch_interop_threads == torch.get_num_interop_threads()
        assert set(pinned.libraries) == {os.path.basename(path) for path in before}
        assert {library.threads for library in record_hardware().blas} == {1}
        with pinned_threads(2):
            assert torch.get_num_threads() == 2
        assert set(counts().values()) == {1}
    assert counts() == before
    assert torch.get_num_threads() == 2
    assert dict(os.environ) == environment


def test_threads_are_put_back_after_an_error() -> None:
    before, environment = counts(), dict(os.environ)
    with pytest.raises(RuntimeError, match="learner"), pinned_threads(1):
        raise RuntimeError("learner")
    assert counts() == before
    assert dict(os.environ) == environment


@pytest.mark.slow
def test_a_library_that_is_first_loaded_inside_starts_pinned_and_is_let_go_after() -> None:
    code = (
        "import os\nos.environ.pop('OMP_NUM_THREADS', None)\n"
        "from modelwright.lab.lineage.threads import pinned_threads\n"
        "with pinned_threads(1):\n"
        "    import torch\n"
        "    assert torch.get_num_threads() == 1\n"
        "assert torch.get_num_threads() == len(os.sched_getaffinity(0)), torch.get_num_threads()\n"
    )
    source = Path(__file__).parents[2] / "src"
    environment = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment | {"PYTHONPATH": str(source)})


def test_a_child_process_uses_the_pinned_number() -> None:
    code = (
        "import numpy; from threadpoolctl import threadpool_info\n"
        "print({library['num_threads'] for library in threadpool_info()})"
    )
    for count in (1, 2):
        environment = os.environ | pinned_environment(count)
        told = subprocess.run(
            [sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True
        )
        assert told.stdout.strip() == str({count})


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_a_senseless_number_of_threads_is_refused(count: object) -> None:
    with pytest.raises(BadValue, match="at least 1"):
        pinned_environment(count)
    with pytest.raises(BadValue, match="at least 1"), pinned_threads(count):
        pass


# --- usage


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_wall_and_cpu_seconds_are_told_apart() -> None:
    with Meter() as meter:
        time.sleep(0.2)
    assert 0.2 <= meter.usage.wall_seconds < 2
    assert meter.usage.cpu_seconds < 0.15
    with Meter() as meter:
        burn(0.3)
    assert 0.28 <= meter.usage.cpu_seconds < 0.8


@pytest.mark.parametrize("wait", [True, False])
def test_a_child_process_counts_whether_it_has_ended_or_not(wait: bool) -> None:
    code = "import time\nwhile time.process_time() < 0.4: pass\nprint('done', flush=True)\ntime.sleep(30)"
    with Meter() as meter:
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        if wait:
            child.kill()
            child.wait()
    child.kill()
    child.wait()
    child.stdout.close()
    assert 0.35 <= meter.usage.cpu_seconds < 1.5


def test_a_child_that_ran_before_counts_only_from_the_start_of_the_meter() -> None:
    code = "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ntime.sleep(30)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    with Meter() as meter:
        child.kill()
        child.wait()
    child.stdout.close()
    assert meter.usage.cpu_seconds < 0.3


MEGABYTE = 2**20


def test_peak_memory_is_that_of_the_run() -> None:
    np.ones(200 * MEGABYTE // 8).sum()  # a peak before the meter, given back
    with Meter() as small:
        pass
    with Meter() as large:
        np.ones(120 * MEGABYTE // 8).sum()
    if small.usage.peak_memory_basis != "during the run":
        pytest.skip("this kernel does not let the high-water mark be reset")
    assert large.usage.peak_memory - small.usage.peak_memory > 100 * MEGABYTE
    held = psutil.Process().memory_info().rss
    assert abs(small.usage.peak_memory - held) < 60 * MEGABYTE


def test_a_meter_inside_another_does_not_take_its_peak_away() -> None:
    with Meter() as outer:
        np.ones(120 * MEGABYTE // 8).sum()
        with Meter() as inner:
            pass
    if outer.usage.peak_memory_basis == "during the run":
        assert outer.usage.peak_memory - inner.usage.peak_memory > 100 * MEGABYTE


def test_where_the_mark_cannot_be_reset_the_label_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        return False

    monkeypatch.setattr(usage_module._HIGH_WATER, "start", refuse)
    with Meter() as meter:
        pass
    assert meter.usage.peak_memory_basis == "since the process started"
    assert meter.usage.peak_memory == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_meters_in_threads_do_not_disturb_one_another() -> None:
    found: list[Usage] = []

    def work() -> None:
        with Meter() as meter:
            burn(0.05)
        found.append(meter.usage)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(usage.peak_memory > MEGABYTE for usage in found)
    assert usage_module._HIGH_WATER._peaks == {}


def test_a_meter_can_be_read_while_it_runs_and_measures_once() -> None:
    meter = Meter()
    with pytest.raises(Misuse, match="while or after"):
        _ = meter.usage
    with meter:
        first = meter.usage.wall_seconds
        time.sleep(0.02)
        assert meter.usage.wall_seconds > first
    assert meter.usage == meter.usage
    with pytest.raises(Misuse, match="once"), meter:
        pass


def test_a_meter_stops_after_an_error() -> None:
    meter = Meter()
    with pytest.raises(RuntimeError), meter:
        raise RuntimeError
    assert meter.usage.wall_seconds >= 0
    assert usage_module._HIGH_WATER._peaks == {}


def test_usage_comes_back_equal_from_its_record() -> None:
    with Meter() as meter:
        burn(0.01)
    assert Usage.from_record(json.loads(json.dumps(meter.usage.record()))) == meter.usage


def test_without_a_gpu_no_gpu_seconds_are_told() -> None:
    with Meter() as meter:
        pass
    assert meter.usage.gpu_seconds == 0


# --- energy


def zone(folder: Path, place: str, name: str, microjoules: int, span: int = 1000) -> Path:
    path = folder / place
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text(f"{span}\n")
    return path


@pytest.mark.parametrize("label", ["", "guessed", None])
def test_energy_without_a_label_cannot_be_made(label: object) -> None:
    with pytest.raises(BadValue, match="measured or estimated"):
        Energy(joules=1.0, label=label, basis="a counter")


def test_energy_without_a_basis_or_with_a_senseless_number_cannot_be_made() -> None:
    with pytest.raises(BadValue, match="on what basis"):
        Energy(joules=1.0, label="measured", basis="")
    for joules in (-1.0, float("nan"), float("inf")):
        with pytest.raises(BadValue, match="at least 0"):
            Energy(joules=joules, label="measured", basis="a counter")


def test_where_no_counter_can_be_read_energy_is_an_estimate_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage_module, "processor_counter", lambda: None)
    with Meter() as meter:
        burn(0.05)
    (energy,) = meter.usage.energy
    assert energy.label == "estimated"
    assert energy.joules == pytest.approx(meter.usage.cpu_seconds * WATTS_PER_CORE)
    assert "7 W per busy core" in energy.basis
    assert estimate_energy(0.0).joules == 0


def test_a_counter_of_the_processor_is_read_and_labelled_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 10_000_000, span=2**60)
    monkeypatch.setattr(usage_module, "processor_counter", lambda: RaplCounter(tmp_path))
    with Meter() as meter:
        (package / "energy_uj").write_text("35000000")
    (energy,) = meter.usage.energy
    assert (energy.label, energy.joules) == ("measured", pytest.approx(25.0))
    assert "whole machine" in energy.basis


def test_packages_and_memory_are_added_and_what_they_hold_is_not_counted_twice(tmp_path: Path) -> None:
    zones = {
        "intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram",
        "intel-rapl:1": "package-1", "intel-rapl:2": "psys",
    }  # fmt: skip
    paths = [zone(tmp_path, place, name, 0, span=2**60) for place, name in zones.items()]
    counter = RaplCounter(tmp_path)
    for path in paths:
        (path / "energy_uj").write_text("1000000")
    assert counter.joules() == pytest.approx(3.0)


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 900, span=1000)
    counter = RaplCounter(tmp_path)
    (package / "energy_uj").write_text("100")
    assert counter.joules() == pytest.approx(200e-6)
    (package / "energy_uj").write_text("150")
    assert counter.joules() == pytest.approx(250e-6)


def test_a_machine_without_zones_has_no_counter(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no processor package"):
        RaplCounter(tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 0).joinpath("energy_uj").unlink()
    with pytest.raises(OSError, match="energy_uj"):
        RaplCounter(tmp_path)


class FakeNvml:
    """Two GPUs as NVIDIA's library shows them, one of which may lack the counter."""

    def __init__(self, *, supported: bool = True) -> None:
        self.millijoules = [1000, 5000]
        self.supported = supported

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: object) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint))[0] = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, place: ctypes.c_uint, device: object) -> int:
        ctypes.cast(device, ctypes.POINTER(ctypes.c_void_p))[0] = place.value + 1
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, device: ctypes.c_void_p, value: object) -> int:
        if not self.supported:
            return 3
        ctypes.cast(value, ctypes.POINTER(ctypes.c_ulonglong))[0] = self.millijoules[(device.value or 0) - 1]
        return 0


def test_the_counters_of_gpus_are_added_up() -> None:
    library = FakeNvml()
    counter = NvmlCounter(library)
    library.millijoules = [3500, 5500]
    assert counter.joules() == pytest.approx(3.0)
    assert "2 GPUs" in counter.basis
    with pytest.raises(OSError, match="status 3"):
        NvmlCounter(FakeNvml(supported=False))


def test_gpus_in_use_are_counted_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeNvml()
    monkeypatch.setattr(usage_module, "_gpus_held", lambda: 2)
    monkeypatch.setattr(usage_module, "processor_counter", lambda: None)
    monkeypatch.setattr(usage_module, "gpu_counter", lambda: NvmlCounter(library))
    with Meter() as meter:
        library.millijoules = [2000, 6000]
        time.sleep(0.05)
    assert meter.usage.gpu_seconds == pytest.approx(2 * meter.usage.wall_seconds)
    assert [(energy.label, energy.joules) for energy in meter.usage.energy[1:]] == [
        ("measured", pytest.approx(2.0))
    ]
    assert meter.usage.energy[0].label == "estimated"
