"""What is installed and which variables of the environment change numbers."""

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from modelwright.base.fingerprint import fingerprint, jsonable

__all__ = ["Distribution", "EnvironmentRecord", "record_environment", "steers_numbers"]

_PREFIXES = (
    "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_", "NUMEXPR_", "NUMBA_", "NPY_",
    "DNNL_", "ONEDNN_", "ATEN_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "CUBLAS_", "CUDA_", "CUDNN_",
    "NCCL_", "HIP_", "XLA_", "JAX_", "TF_ENABLE_", "TF_DETERMINISTIC_", "TF_CUDNN_", "TF_NUM_",
)  # fmt: skip
_NAMES = (
    *(
        "PYTHONHASHSEED",
        "PYTHONOPTIMIZE",
        "PYTHONPATH",
        "LD_PRELOAD",
        "GLIBC_TUNABLES",
        "TZ",
        "LC_ALL",
        "LC_NUMERIC",
    ),
    *("NVIDIA_TF32_OVERRIDE", "ARM_DEFAULT_FPMATH"),
)
_IDLE = re.compile(
    # Where something is cached, and what is printed, traced or dumped.
    r"CACHE_(DIR|PATH|ROOT|MAXSIZE)|CUDA_CACHE_DISABLE|TORCH_HOME|TORCH_EXTENSIONS_DIR|TORCH_COMPILE_DEBUG_DIR"
    r"|_(LOGS?|TRACE|VERBOSE|WARNINGS|LOG_LEVEL|LOG_PATH|LOGS_OUT|LOGS_FORMAT|DUMP_PATH)$"
    r"|OMP_DISPLAY_(ENV|AFFINITY)|OMP_AFFINITY_FORMAT|KMP_SETTINGS|NCCL_DEBUG|TORCH_SHOW_CPP_STACKTRACES"
    # What scikit-learn and torch set themselves when they are imported.
    r"|^(KMP_INIT_AT_FORK|KMP_DUPLICATE_LIB_OK|CUDA_MODULE_LOADING)$"
)
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY")
_INSTALLERS_OWN = frozenset({"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One installed distribution.

    Attributes:
        name: Normalised: lower case, with single hyphens.
        version: As it states it.
        content: The sha256 over the file hashes in its RECORD; None where there are none. It covers
            what was installed: a file edited afterwards in place does not change it.
        note: `editable`, `no RECORD`, a version control commit, or empty.
    """

    name: str
    version: str
    content: str | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecord:
    """The software around the code.

    Attributes:
        python: Version, e.g. `3.12.4`.
        implementation: E.g. `CPython`.
        compiler: What Python was built with.
        system: Operating system and release of its kernel.
        libc: C library and version, empty where unknown.
        distributions: What is installed, by name.
        variables: Variables of the environment that change numbers, as they are set.
    """

    python: str
    implementation: str
    compiler: str
    system: str
    libc: str
    distributions: tuple[Distribution, ...]
    variables: Mapping[str, str]

    @property
    def identity(self) -> str:
        """The sha256 over everything in the record."""
        return fingerprint(self)

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return jsonable(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "EnvironmentRecord":
        """Return the object that `record` was made from."""
        parts = dict(record)
        parts["distributions"] = tuple(Distribution(**item) for item in record["distributions"])
        return EnvironmentRecord(**parts)


def record_environment() -> EnvironmentRecord:
    """Return what this process runs in. Distributions are read once a process, variables each time."""
    return EnvironmentRecord(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        compiler=platform.python_compiler(),
        system=f"{platform.system()} {platform.release()}",
        libc=" ".join(platform.libc_ver()).strip(),
        # What Ray carries for itself inside its own package is on the path of its workers alone.
        distributions=_installed(tuple(entry for entry in sys.path if "thirdparty_files" not in entry)),
        variables=_telling_variables(),
    )


def _telling_variables() -> dict[str, str]:
    return {
        name: value.encode(errors="surrogateescape").decode(errors="backslashreplace")
        for name, value in sorted(os.environ.items())
        if steers_numbers(name)
    }


def steers_numbers(name: str) -> bool:
    """Return whether a variable of this name can change a number, and is no secret.

    Left out are those that name places of caches or only print, and those that libraries set when they are
    imported: they differ between a launcher and its workers, and from one machine to the next, for nothing.
    """
    known = name in _NAMES or name.startswith(_PREFIXES)
    return known and not _IDLE.search(name) and not _SECRET.search(name.upper())


@cache
def _installed(path: tuple[str, ...]) -> tuple[Distribution, ...]:
    found: dict[str, Distribution] = {}
    for entry in metadata.distributions(path=list(path)):
        distribution = _read(entry)
        if distribution is not None:
            found.setdefault(distribution.name, distribution)  # the first on the path is the one imported
    return tuple(found[name] for name in sorted(found))


def _read(entry: metadata.Distribution) -> Distribution | None:
    head = (entry.read_text("METADATA") or entry.read_text("PKG-INFO") or "").split("\n\n", 1)[0]
    fields = dict(re.findall(r"^(Name|Version):\s*(.+?)\s*$", head, re.MULTILINE))
    if "Name" not in fields:
        return None  # a folder left behind by a broken uninstall
    name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
    version = fields.get("Version", "unknown")
    note = _origin(entry.read_text("direct_url.json"))
    if note == "editable":
        return Distribution(name=name, version=version, content=None, note=note)
    content = _content(entry.read_text("RECORD") or "")
    return Distribution(
        name=name, version=version, content=content, note=note or ("" if content else "no RECORD")
    )


def _origin(direct_url: str | None) -> str:
    if not direct_url:
        return ""
    try:
        told = json.loads(direct_url)
    except ValueError:
        return "unreadable direct_url.json"
    if told.get("dir_info", {}).get("editable"):
        return "editable"
    commit = told.get("vcs_info", {}).get("commit_id")
    return f"commit {commit}" if commit else ""


def _content(record: str) -> str | None:
    """Hash the lines that name a file of the distribution with its hash.

    Left out are files outside of site-packages (scripts hold the environment's own path), and those
    that the installer writes about itself.
    """
    lines = [
        line
        for line in record.splitlines()
        if ",sha256=" in line
        and not line.startswith(("..", '"..'))
        and line.split(",", 1)[0].rsplit("/", 1)[-1] not in _INSTALLERS_OWN
        and "__pycache__/" not in line
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() if lines else None
