"""Every sensor of a watch."""

from collections.abc import Sequence

from modelwright.doctor.sensors.activations import Activations
from modelwright.doctor.sensors.batches import Batches
from modelwright.doctor.sensors.checkpoints import Checkpoints
from modelwright.doctor.sensors.class_weights import ClassWeights
from modelwright.doctor.sensors.estimators import Estimators
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

__all__ = ["make_sensors", "watch_words"]


_KINDS = {
    Estimators: "rows and columns of estimators",
    GradientOrder: "order of gradients and steps",
    ParameterUse: "parameters, gradients and optimizers",
    LossInputs: "what losses are given",
    Modes: "modes",
    Schedules: "schedules",
    Checkpoints: "states that are loaded",
    FirstValues: "first values",
    Batches: "scale of inputs, order of labels",
    Splits: "rows learnt and measured",
    ClassWeights: "weights of classes",
    Activations: "units",
    Numbers: "losses",
    Learning: "whether anything is learnt",
    Targets: "targets of values",
    TargetNetworks: "target networks",
    PolicyGradient: "entropy and ratios",
}
_OF_ACTING = (Targets, TargetNetworks, PolicyGradient)
_OF_ROWS = (Batches, Splits, Learning)


def make_sensors(scene: Scene) -> Sequence[Sensor]:
    """Return one of each kind."""
    return [kind(scene) for kind in _KINDS]


def watch_words(scene: Scene) -> Sequence[str]:
    """Return what was looked at in a program, in words."""
    left_out = _OF_ROWS if scene.environments else _OF_ACTING
    heard = [words for kind, words in _KINDS.items() if kind not in left_out and kind is not Estimators]
    return [
        *((_KINDS[Estimators],) if scene.estimations else ()),
        *(heard if scene.steps else ()),
    ]
