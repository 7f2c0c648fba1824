"""Every sensor of a watch."""

from collections.abc import Sequence

from modelwright.doctor.sensors.activations import Activations
from modelwright.doctor.sensors.batches import Batches
from modelwright.doctor.sensors.checkpoints import Checkpoints
from modelwright.doctor.sensors.class_weights import ClassWeights
from modelwright.doctor.sensors.first_values import FirstValues
from modelwright.doctor.sensors.gradient_order import GradientOrder
from modelwright.doctor.sensors.learning import Learning
from modelwright.doctor.sensors.loss_inputs import LossInputs
from modelwright.doctor.sensors.modes import Modes
from modelwright.doctor.sensors.numbers import Numbers
from modelwright.doctor.sensors.parameter_use import ParameterUse
from modelwright.doctor.sensors.policy_gradient import PolicyGradient
from modelwright.doctor.sensors.schedules import Schedules
from modelwright.doctor.sensors.splits import Splits
from modelwright.doctor.sensors.target_networks import TargetNetworks
from modelwright.doctor.sensors.targets import Targets
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["make_sensors"]


_KINDS = (
    GradientOrder,
    ParameterUse,
    LossInputs,
    Modes,
    Schedules,
    Checkpoints,
    FirstValues,
    Batches,
    Splits,
    ClassWeights,
    Activations,
    Numbers,
    Learning,
    Targets,
    TargetNetworks,
    PolicyGradient,
)


def make_sensors(scene: Scene) -> Sequence[Sensor]:
    """Return one of each kind."""
    return [kind(scene) for kind in _KINDS]
