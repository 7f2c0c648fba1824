"""Every probe, in the order in which they run: what others build on comes first."""

from collections.abc import Sequence

from modelwright.doctor.probes.batch_rows import BatchRows
from modelwright.doctor.probes.first_pass import FirstPass
from modelwright.doctor.probes.loss_rows import LossRows
from modelwright.doctor.probes.probe import Probe

__all__ = ["make_probes"]


def make_probes() -> Sequence[Probe]:
    """Return one of each kind."""
    return [FirstPass(), LossRows(), BatchRows()]
