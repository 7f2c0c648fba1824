"""Every probe, in the order in which they run: what others build on comes first."""

from collections.abc import Sequence

from modelwright.doctor.probes.batch_rows import BatchRows
from modelwright.doctor.probes.causality import Causality
from modelwright.doctor.probes.estimators.answering import Answering
from modelwright.doctor.probes.estimators.repeated import RepeatedFit
from modelwright.doctor.probes.estimators.rows_and_targets import RowsAndTargets
from modelwright.doctor.probes.estimators.watched_fit import WatchedFit
from modelwright.doctor.probes.finite_differences import FiniteDifferences
from modelwright.doctor.probes.first_loss import FirstLoss
from modelwright.doctor.probes.first_pass import FirstPass
from modelwright.doctor.probes.learning_rates import LearningRates
from modelwright.doctor.probes.loss_rows import LossRows
from modelwright.doctor.probes.modes import Modes
from modelwright.doctor.probes.output_range import OutputRange
from modelwright.doctor.probes.probe import Probe
from modelwright.doctor.probes.reload import Reload
from modelwright.doctor.probes.signal import Signal
from modelwright.doctor.probes.two_rows import TwoRows
from modelwright.doctor.probes.watched_loop import WatchedLoop

__all__ = ["make_probes"]

_KINDS: tuple[type[Probe], ...] = (
    FirstPass,
    LossRows,
    OutputRange,
    FirstLoss,
    Modes,
    BatchRows,
    Causality,
    FiniteDifferences,
    WatchedLoop,
    TwoRows,
    LearningRates,
    Signal,
    Reload,
    Answering,
    RepeatedFit,
    RowsAndTargets,
    WatchedFit,
)


def make_probes() -> Sequence[Probe]:
    """Return one of each kind."""
    return [kind() for kind in _KINDS]
