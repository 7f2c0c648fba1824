"""Where a number comes from: source, configuration, data, environment and hardware, recorded and compared."""

from modelwright.lab.lineage.answer import RerunAnswer, judge_rerun, repetition_interval
from modelwright.lab.lineage.comparison import MetricComparison, MetricPoint, Sameness, compare_metrics
from modelwright.lab.lineage.difference import Difference, Side
from modelwright.lab.lineage.energy import Energy, estimate_energy
from modelwright.lab.lineage.environment import Distribution, EnvironmentRecord, record_environment
from modelwright.lab.lineage.executed import Executed, record_executed
from modelwright.lab.lineage.explanation import explain
from modelwright.lab.lineage.files import LeftOut
from modelwright.lab.lineage.hardware import Blas, Gpu, HardwareRecord, record_hardware
from modelwright.lab.lineage.learnt import LearntComparison, compare_learnt
from modelwright.lab.lineage.package import PackageRecord, package_identity, record_package
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.source import SourceRecord, Submodule, restore_source, snapshot_source
from modelwright.lab.lineage.threads import PinnedThreads, pinned_environment, pinned_threads
from modelwright.lab.lineage.usage import Meter, Usage

__all__ = [
    "Blas",
    "Difference",
    "Distribution",
    "Energy",
    "EnvironmentRecord",
    "Executed",
    "Gpu",
    "HardwareRecord",
    "LearntComparison",
    "LeftOut",
    "Lineage",
    "Meter",
    "MetricComparison",
    "MetricPoint",
    "PackageRecord",
    "PinnedThreads",
    "RerunAnswer",
    "Sameness",
    "Side",
    "SourceRecord",
    "Submodule",
    "Usage",
    "compare_learnt",
    "compare_metrics",
    "estimate_energy",
    "explain",
    "judge_rerun",
    "package_identity",
    "pinned_environment",
    "pinned_threads",
    "record_environment",
    "record_executed",
    "record_hardware",
    "record_package",
    "repetition_interval",
    "restore_source",
    "snapshot_source",
]
