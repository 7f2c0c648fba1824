"""Every sensor of a watch."""

from collections.abc import Sequence

from modelwright.doctor.sensors.accumulators import Accumulators
from modelwright.doctor.sensors.activations import Activations
from modelwright.doctor.sensors.advantages import Advantages
from modelwright.doctor.sensors.annealing import Annealing
from modelwright.doctor.sensors.batches import Batches
from modelwright.doctor.sensors.checkpoints import Checkpoints
from modelwright.doctor.sensors.class_weights import ClassWeights
from modelwright.doctor.sensors.clipped_losses import ClippedLosses
from modelwright.doctor.sensors.dependence import Dependence
from modelwright.doctor.sensors.detachment import Detachment
from modelwright.doctor.sensors.drawn_actions import DrawnActions
from modelwright.doctor.sensors.environment_copies import EnvironmentCopies
from modelwright.doctor.sensors.episode_ends import EpisodeEnds
from modelwright.doctor.sensors.estimators import Estimators
from modelwright.doctor.sensors.exploration import Exploration
from modelwright.doctor.sensors.first_values import FirstValues
from modelwright.doctor.sensors.gradient_order import GradientOrder
from modelwright.doctor.sensors.learning import Learning
from modelwright.doctor.sensors.loss_inputs import LossInputs
from modelwright.doctor.sensors.loss_sign import LossSign
from modelwright.doctor.sensors.measured_rows import MeasuredRows
from modelwright.doctor.sensors.measures import Measures
from modelwright.doctor.sensors.modes import Modes
from modelwright.doctor.sensors.network_rows import NetworkRows
from modelwright.doctor.sensors.numbers import Numbers
from modelwright.doctor.sensors.output_range import OutputRange
from modelwright.doctor.sensors.parameter_use import ParameterUse
from modelwright.doctor.sensors.policy_gradient import PolicyGradient
from modelwright.doctor.sensors.replay import Replay
from modelwright.doctor.sensors.schedules import Schedules
from modelwright.doctor.sensors.settings import Settings
from modelwright.doctor.sensors.shared_modules import SharedModules
from modelwright.doctor.sensors.splits import Splits
from modelwright.doctor.sensors.surrogate import Surrogate
from modelwright.doctor.sensors.target_networks import TargetNetworks
from modelwright.doctor.sensors.targets import Targets
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["make_sensors", "watch_words"]


_KINDS = {
    Estimators: "rows and columns of estimators",
    GradientOrder: "order of gradients and steps",
    ParameterUse: "parameters, gradients and optimizers",
    LossInputs: "what losses are given",
    LossSign: "signs of losses",
    OutputRange: "reach of outputs",
    ClippedLosses: "losses cut off",
    SharedModules: "layers that are one",
    Dependence: "rows and tokens that depend on each other",
    Measures: "what is measured",
    MeasuredRows: "rows of one evaluation and the next",
    Accumulators: "sums over batches",
    Modes: "modes",
    Schedules: "schedules",
    Annealing: "learning rates of zero",
    Checkpoints: "states that are loaded",
    FirstValues: "first values",
    Batches: "scale of inputs, order of labels",
    Splits: "rows learnt and measured",
    NetworkRows: "rows and columns of networks",
    ClassWeights: "weights of classes",
    Activations: "units",
    Numbers: "losses",
    Settings: "settings, each changed alone on copies",
    Learning: "whether anything is learnt",
    Targets: "targets of values",
    TargetNetworks: "target networks",
    PolicyGradient: "entropy and ratios",
    EpisodeEnds: "ends of episodes",
    EnvironmentCopies: "environments side by side",
    DrawnActions: "actions as they were drawn",
    Exploration: "random and greedy actions",
    Replay: "what is drawn from memory",
    Surrogate: "clipped objectives",
    Detachment: "gradients through advantages and targets",
    Advantages: "advantages, returns and targets of values",
}
_OF_ACTING = (
    Targets,
    TargetNetworks,
    PolicyGradient,
    EpisodeEnds,
    EnvironmentCopies,
    DrawnActions,
    Exploration,
    Replay,
    Surrogate,
    Detachment,
    Advantages,
)
_OF_ROWS = (Batches, Splits, MeasuredRows, NetworkRows, Learning, Settings)


def make_sensors(scene: Scene) -> Sequence[Sensor]:
    """Return one of each kind."""
    return [kind(scene) for kind in _KINDS]


def watch_words(scene: Scene) -> Sequence[str]:
    """Return what was looked at in a program, in words."""
    left_out = _OF_ROWS if scene.environments else _OF_ACTING
    heard = [words for kind, words in _KINDS.items() if kind not in left_out and kind is not Estimators]
    return [
        *((_KINDS[Estimators],) if scene.estimations else ()),
        *(heard if scene.steps and (scene.roots or scene.losses) else ()),
    ]
