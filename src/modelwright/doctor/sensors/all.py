"""Every sensor of a watch."""

from collections.abc import Sequence

from modelwright.doctor.sensors.acting.advantages.advantages import Advantages
from modelwright.doctor.sensors.acting.environment_copies import EnvironmentCopies
from modelwright.doctor.sensors.acting.episode_ends import EpisodeEnds
from modelwright.doctor.sensors.acting.exploration import Exploration
from modelwright.doctor.sensors.acting.memories.priorities import Priorities
from modelwright.doctor.sensors.acting.memories.replay import Replay
from modelwright.doctor.sensors.acting.memories.unfilled_rows import UnfilledRows
from modelwright.doctor.sensors.acting.memory import Memory
from modelwright.doctor.sensors.acting.policy.action_masks import ActionMasks
from modelwright.doctor.sensors.acting.policy.action_reach import ActionReach
from modelwright.doctor.sensors.acting.policy.detachment import Detachment
from modelwright.doctor.sensors.acting.policy.drawn_actions import DrawnActions
from modelwright.doctor.sensors.acting.policy.first_ratios import FirstRatios
from modelwright.doctor.sensors.acting.policy.policy_gradient import PolicyGradient
from modelwright.doctor.sensors.acting.policy.surrogate import Surrogate
from modelwright.doctor.sensors.acting.policy.unlearnt_rows import UnlearntRows
from modelwright.doctor.sensors.acting.seeing.observation_statistics import ObservationStatistics
from modelwright.doctor.sensors.acting.seeing.overwritten_inputs import OverwrittenInputs
from modelwright.doctor.sensors.acting.seeing.rows_apart import RowsApart
from modelwright.doctor.sensors.acting.seeing.stale_observations import StaleObservations
from modelwright.doctor.sensors.acting.tabular.tabular import Tabular
from modelwright.doctor.sensors.acting.target_networks import TargetNetworks
from modelwright.doctor.sensors.acting.targets import Targets
from modelwright.doctor.sensors.loop.activations import Activations
from modelwright.doctor.sensors.loop.adversaries import Adversaries
from modelwright.doctor.sensors.loop.batches import Batches
from modelwright.doctor.sensors.loop.dependence import Dependence
from modelwright.doctor.sensors.loop.first_values import FirstValues
from modelwright.doctor.sensors.loop.losses.class_weights import ClassWeights
from modelwright.doctor.sensors.loop.losses.clipped_losses import ClippedLosses
from modelwright.doctor.sensors.loop.losses.loss_inputs import LossInputs
from modelwright.doctor.sensors.loop.losses.loss_sign import LossSign
from modelwright.doctor.sensors.loop.losses.output_range import OutputRange
from modelwright.doctor.sensors.loop.losses.squashing import Squashing
from modelwright.doctor.sensors.loop.losses.summed_terms import SummedTerms
from modelwright.doctor.sensors.loop.losses.target_codes import TargetCodes
from modelwright.doctor.sensors.loop.measuring.accumulators import Accumulators
from modelwright.doctor.sensors.loop.measuring.carrying_over import CarryingOver
from modelwright.doctor.sensors.loop.measuring.checkpoints import Checkpoints
from modelwright.doctor.sensors.loop.measuring.functional_dropout import FunctionalDropout
from modelwright.doctor.sensors.loop.measuring.idle_copies import IdleCopies
from modelwright.doctor.sensors.loop.measuring.kept_states import KeptStates
from modelwright.doctor.sensors.loop.measuring.measured_rows import MeasuredRows
from modelwright.doctor.sensors.loop.measuring.measures import Measures
from modelwright.doctor.sensors.loop.measuring.modes import Modes
from modelwright.doctor.sensors.loop.measuring.splits import Splits
from modelwright.doctor.sensors.loop.padding import Padding
from modelwright.doctor.sensors.loop.samples import Samples
from modelwright.doctor.sensors.loop.shared_modules import SharedModules
from modelwright.doctor.sensors.loop.steps.annealing import Annealing
from modelwright.doctor.sensors.loop.steps.displacement import Displacement
from modelwright.doctor.sensors.loop.steps.gradient_order import GradientOrder
from modelwright.doctor.sensors.loop.steps.half_precision import HalfPrecision
from modelwright.doctor.sensors.loop.steps.learning import Learning
from modelwright.doctor.sensors.loop.steps.numbers import Numbers
from modelwright.doctor.sensors.loop.steps.parameter_use import ParameterUse
from modelwright.doctor.sensors.loop.steps.plateaus import Plateaus
from modelwright.doctor.sensors.loop.steps.schedules import Schedules
from modelwright.doctor.sensors.loop.steps.settings import Settings
from modelwright.doctor.sensors.rows.estimators import Estimators
from modelwright.doctor.sensors.rows.network_rows import NetworkRows
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["make_sensors", "watch_words"]


_KINDS = {
    Estimators: "rows and columns of estimators",
    GradientOrder: "order of gradients and steps",
    ParameterUse: "parameters, gradients and optimizers",
    LossInputs: "what losses are given",
    TargetCodes: "codes of targets",
    Padding: "tokens that fill up",
    LossSign: "signs of losses",
    Squashing: "what is squashed twice",
    SummedTerms: "how terms of losses are reduced",
    HalfPrecision: "gradients in half precision",
    Adversaries: "networks against each other",
    Samples: "draws and their gradients",
    OutputRange: "reach of outputs",
    ClippedLosses: "losses cut off",
    SharedModules: "layers that are one",
    Dependence: "rows and tokens that depend on each other",
    Measures: "what is measured",
    MeasuredRows: "rows of one evaluation and the next",
    CarryingOver: "classes of rows learnt and measured",
    Accumulators: "sums over batches",
    Modes: "modes",
    FunctionalDropout: "dropout in evaluation mode",
    Schedules: "schedules",
    Annealing: "learning rates of zero",
    Plateaus: "schedules that wait for progress",
    Checkpoints: "states that are loaded",
    IdleCopies: "copies that are measured",
    KeptStates: "the state that is measured last",
    FirstValues: "first values",
    Displacement: "what was learnt before",
    Batches: "scale of inputs, order of labels",
    Splits: "rows learnt and measured",
    NetworkRows: "rows and columns of networks",
    ClassWeights: "weights of classes",
    Activations: "units",
    Numbers: "losses",
    Learning: "whether anything is learnt",
    Settings: "settings, each changed alone on copies",
    Targets: "targets of values",
    Tabular: "tables of action values",
    TargetNetworks: "target networks",
    PolicyGradient: "entropy and ratios",
    EpisodeEnds: "ends of episodes",
    EnvironmentCopies: "environments side by side",
    DrawnActions: "actions as they were drawn",
    ActionReach: "reach of actions",
    Exploration: "random and greedy actions",
    Replay: "what is drawn from memory",
    UnfilledRows: "places of memories that are empty",
    Priorities: "priorities of what is stored",
    RowsApart: "observations that depend on each other",
    Memory: "states of policies with memory",
    ActionMasks: "masks of actions",
    OverwrittenInputs: "observations that are overwritten",
    ObservationStatistics: "what observations are scaled by",
    FirstRatios: "ratios before the first step",
    StaleObservations: "what models are asked while acting",
    Surrogate: "clipped objectives",
    UnlearntRows: "rows that updates leave out",
    Detachment: "gradients through advantages and targets",
    Advantages: "advantages, returns and targets of values",
}
_OF_ACTING = (
    Targets,
    Tabular,
    TargetNetworks,
    PolicyGradient,
    EpisodeEnds,
    EnvironmentCopies,
    DrawnActions,
    ActionReach,
    Exploration,
    Replay,
    UnfilledRows,
    Priorities,
    RowsApart,
    Memory,
    ActionMasks,
    OverwrittenInputs,
    ObservationStatistics,
    FirstRatios,
    StaleObservations,
    Surrogate,
    UnlearntRows,
    Detachment,
    Advantages,
)
_OF_ROWS = (Batches, CarryingOver, Splits, MeasuredRows, KeptStates, NetworkRows, Learning, Settings)


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
        *((_KINDS[Tabular],) if scene.environments and not scene.steps else ()),
    ]
