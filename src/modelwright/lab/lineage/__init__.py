"""Where a number comes from: source, configuration, data, environment and hardware, recorded and compared.

Names are imported when they are first used, so that a record is shown without what makes one.
"""

from importlib import import_module
from typing import Any

_NAMES = {
    "answer": ("RerunAnswer", "judge_rerun", "repetition_interval"),
    "comparison": ("MetricComparison", "MetricPoint", "Sameness", "compare_metrics"),
    "difference": ("Difference", "Side"),
    "energy": ("Energy", "estimate_energy"),
    "environment": ("Distribution", "EnvironmentRecord", "record_environment"),
    "executed": ("Executed", "record_executed"),
    "explanation": ("explain",),
    "files": ("LeftOut",),
    "hardware": ("Blas", "Gpu", "HardwareRecord", "record_hardware"),
    "learnt": ("LearntComparison", "compare_learnt"),
    "package": ("PackageRecord", "package_identity", "record_package"),
    "record": ("Lineage",),
    "source": ("SourceRecord", "Submodule", "restore_source", "snapshot_source"),
    "threads": ("PinnedThreads", "pinned_environment", "pinned_threads"),
    "usage": ("Meter", "Usage"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
