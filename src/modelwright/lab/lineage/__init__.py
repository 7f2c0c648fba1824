"""Where a number comes from: source, configuration, data, environment and hardware, recorded and compared."""

from modelwright.lab.lineage.environment import Distribution, EnvironmentRecord, record_environment
from modelwright.lab.lineage.files import LeftOut
from modelwright.lab.lineage.hardware import Blas, Gpu, HardwareRecord, record_hardware
from modelwright.lab.lineage.package import PackageRecord, package_identity, record_package
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.source import SourceRecord, Submodule, restore_source, snapshot_source
from modelwright.lab.lineage.threads import PinnedThreads, pinned_environment, pinned_threads

__all__ = [
    "Blas",
    "Distribution",
    "EnvironmentRecord",
    "Gpu",
    "HardwareRecord",
    "LeftOut",
    "Lineage",
    "PackageRecord",
    "PinnedThreads",
    "SourceRecord",
    "Submodule",
    "package_identity",
    "pinned_environment",
    "pinned_threads",
    "record_environment",
    "record_hardware",
    "record_package",
    "restore_source",
    "snapshot_source",
]
