"""What a sensor can hear, and what all sensors know."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from modelwright.base.finding import Finding
from modelwright.doctor.watch.experience import Experience
from modelwright.doctor.watch.origins import Origins
from modelwright.doctor.watch.place import Place

__all__ = ["Call", "Estimation", "Operation", "Scene", "Sensor"]

_UNREAD = 100

_SOME_STEPS = 24


@dataclass(slots=True)
class Call:
    """One call of a module, heard while the watch looks closely.

    Attributes:
        module: The module.
        args: What it was called with, what was given by name last.
        keywords: Names of those.
        output: What it gave.
        depth: Modules that it was called inside of; 0 for a model as a whole.
        root: The outermost module of this call, the module itself at depth 0.
        training: Whether the module was in training mode.
        grad: Whether gradients were being recorded.
        place: Of the user's line that led here; None but at depth 0.
        step: Optimizer steps taken before.
    """

    module: Any
    args: tuple[Any, ...]
    output: Any
    depth: int
    root: Any
    training: bool
    grad: bool
    place: Place | None
    step: int
    keywords: tuple[str, ...] = ()


@dataclass(slots=True)
class Operation:
    """One call of a function or method of torch, heard while the watch looks closely.

    Attributes:
        name: For example `cross_entropy`, `sub`, `softmax`, `detach`.
        args: Positional arguments.
        kwargs: The others.
        result: What it gave.
        place: Of the user's line that led here.
        inside: Whether it ran inside of a module's forward.
        step: Optimizer steps taken before.
        root: The outermost module that it ran inside of.
        function: What was called.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any
    place: Place | None
    inside: bool
    step: int
    root: Any = None
    function: Callable[..., Any] | None = None

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument, given by position or by name."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)


@dataclass(slots=True)
class Estimation:
    """One call of an estimator, a metric or a splitter, as the user made it.

    Attributes:
        what: `fit`, `transform`, `predict`, `score`, `resample`, `metric`, `split` or `splitter` (one is
            made); of pandas as `PandasWatch` says.
        name: The method's or function's own.
        by: The estimator or splitter, or what pandas was asked of; None for functions.
        given: The rows; of a metric what is true.
        target: The targets; of a metric what was predicted.
        output: What it gave.
        place: Of the user's line that led here; of a splitter the line that made it.
        groups: Group of each row, where it was told.
    """

    what: str
    name: str
    by: Any
    given: Any
    target: Any
    output: Any
    place: Place | None
    groups: Any = None


@dataclass(slots=True)
class Scene:
    """What every sensor knows.

    Attributes:
        steps: Optimizer steps taken.
        asked: Steps before which a model was called without gradients, since the step before.
        close: Whether the watch looks closely: modules and operations are heard now.
        resting: Whether environments, and what models say meanwhile, are not heard now.
        begins: Whether no model was called since the last step of an optimizer or of an environment.
        optimizers: Those that took a step or were made, in order; of many, the newest.
        let_go: Weak references to the parameters of the others.
        roots: Models that were called as a whole, in order.
        changes: (step, size) of steps that were looked at: change of the parameters over their size.
        constant_loss: The loss of the best constant prediction, where the loss is such that it is known.
        environments: Whether the program steps environments.
        experience: What the environments did.
        estimations: How many calls of scikit-learn were heard.
        estimating: Whether the program is inside of one of them now.
        loaded: ids of parameters that got their values from a state that was loaded.
        drawn: ids of parameters whose values were seen to be drawn -> a weak reference to each.
        origins: Lines at which tensors were made, of operations that were heard.
        places: What happened -> places of the user's code, the most frequent first seen.
        measured: What a scheduler was last given to judge progress by.
        passes: Passes over measured rows of the present phase, with what the model said of them.
        scale: What a gradient scaler multiplied the loss by last; 1 without one.
        patience: Least and most seconds for what is tried on copies at the end, and their share of the
            program's own time.
    """

    steps: int = 0
    asked: int = 0
    close: bool = False
    resting: bool = False
    begins: bool = False
    optimizers: list[Any] = field(default_factory=list[Any])
    let_go: list[Any] = field(default_factory=list[Any])
    roots: list[Any] = field(default_factory=list[Any])
    changes: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    constant_loss: float = math.inf
    environments: bool = False
    experience: Experience = field(default_factory=Experience)
    estimations: int = 0
    estimating: bool = False
    loaded: set[int] = field(default_factory=set[int])
    drawn: dict[int, Any] = field(default_factory=dict[int, Any])
    origins: Origins = field(default_factory=Origins)
    places: dict[str, dict[Place, int]] = field(default_factory=dict[str, dict[Place, int]])
    measured: Any = None
    passes: list[Any] = field(default_factory=list[Any])
    scale: float = 1.0
    patience: tuple[float, float, float] = (8.0, 20.0, 0.3)
    _losses: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    _unread: list[tuple[int, Any]] = field(default_factory=list[tuple[int, Any]])

    @property
    def losses(self) -> list[tuple[int, float]]:
        """(step, value) of each scalar that `backward` was called on."""
        self._losses += [(step, float(value)) for step, value in self._unread]
        self._unread.clear()
        return self._losses

    def hear_loss(self, loss: Any) -> None:
        """Keep the value of a loss; on a GPU it is read later, since to read it is to wait for it."""
        if loss.device.type == "cpu":
            self.losses.append((self.steps, float(loss.detach())))
            return
        self._unread.append((self.steps, loss.detach().clone()))
        if len(self._unread) >= _UNREAD:
            _ = self.losses

    def saw(self, what: str, place: Place | None) -> None:
        """Count a place at which something happened."""
        if place is not None:
            counts = self.places.setdefault(what, {})
            counts[place] = counts.get(place, 0) + 1

    def learning(self) -> list[Any]:
        """Return the parameters that optimizers hold, or held before they were let go."""
        groups = [group for each in self.optimizers for group in each.param_groups]
        held = [parameter for group in groups for parameter in group["params"]]
        return [*held, *(each for each in (reference() for reference in self.let_go) if each is not None)]

    def owned(self) -> set[int]:
        """Return the ids of these parameters."""
        return {id(parameter) for parameter in self.learning()}

    @property
    def asks_often(self) -> bool:
        """Whether models are called without gradients before most steps: to learn, rather than to measure."""
        return self.steps >= _SOME_STEPS and 2 * self.asked >= self.steps

    @property
    def maximizes(self) -> bool:
        """Whether an optimizer makes larger what it is given; signs of slopes then say nothing."""
        groups = (group for optimizer in self.optimizers for group in optimizer.param_groups)
        return any(group.get("maximize") for group in groups)

    def place_of(self, what: str) -> Place | None:
        """Return where it happened most often."""
        counts = self.places.get(what)
        return max(counts, key=counts.__getitem__) if counts else None

    def newest_place_of(self, what: str) -> Place | None:
        """Return the place that was seen last for the first time."""
        counts = self.places.get(what)
        return list(counts)[-1] if counts else None

    def place_of_loss(self, loss: Any) -> Place | None:
        """Return the line that computed a loss, or else the one that asked for its gradients."""
        return self.origins.of(loss) or self.newest_place_of("backward")

    def is_drawn(self, parameter: Any) -> bool:
        """Return whether a parameter's first values were drawn at random, and none were loaded since."""
        known = self.drawn.get(id(parameter))
        return known is not None and known() is parameter and not self.is_loaded(parameter)

    def is_loaded(self, parameter: Any) -> bool:
        """Return whether a parameter's values were loaded; Transformers marks those of its own."""
        return id(parameter) in self.loaded or bool(getattr(parameter, "_is_hf_initialized", False))

    def name_of(self, parameter: Any) -> str:
        """Return a parameter's name, with its model's class; its shape where no model has it."""
        for root in self.roots:
            for name, each in root.named_parameters():
                if each is parameter:
                    return f"{type(root).__name__}.{name}"
        return f"a parameter of shape {tuple(parameter.shape)}"


class Sensor:
    """Hears events and tells findings; each event does nothing unless a sensor overrides it.

    A sensor reads. It changes no tensor, draws no random number, and keeps no tensor of more than a few
    thousand numbers. Where it raises, the watch goes on without it and says so.

    Args:
        scene: What all sensors know.
    """

    by_phase: ClassVar[bool] = False
    """Whether it begins anew where a program does: when an optimizer is made after another one stepped."""

    holds_models: ClassVar[bool] = False
    """Whether it holds models or optimizers while it lives: it begins anew where a program makes many."""

    closely: ClassVar[Collection[str]] = ()
    """Events that it is told of only while the watch looks closely."""

    while_acting: ClassVar[Collection[str]] = ()
    """Events that it is told of only where the program steps environments, and these are heard."""

    unless_acting: ClassVar[Collection[str]] = ()
    """Events that it is told of only where it steps none."""

    operations: ClassVar[Collection[str] | None] = None
    """Names of the operations that it is told of; None for all."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def findings(self) -> Iterable[Finding]:
        """Return what is wrong, as far as is known now; called often, and once at the end."""
        return ()

    # ---- heard at every step ----

    def on_zero(self, optimizers: Sequence[Any]) -> None:
        """Hear that gradients of these optimizers were cleared."""

    def on_backward(self, loss: Any) -> None:
        """Hear that gradients of a tensor are about to be computed and added to parameters."""

    def on_step_begin(self, optimizer: Any) -> None:
        """Hear that an optimizer is about to step."""

    def on_step_end(self, optimizer: Any) -> None:
        """Hear that an optimizer stepped; `scene.steps` counts it."""

    def on_clip(self, parameters: Any, limit: float, norm: Any) -> None:
        """Hear that gradients were clipped; `norm` is their norm before, None where values were clipped."""

    def on_schedule(self, scheduler: Any) -> None:
        """Hear that a learning rate scheduler stepped."""

    def on_scheduler(self, scheduler: Any) -> None:
        """Hear that a learning rate scheduler was made."""

    def on_optimizer(self, optimizer: Any) -> None:
        """Hear that an optimizer was made."""

    def on_load(self, module: Any, state: Mapping[str, Any]) -> None:
        """Hear that a state is about to be loaded into a module."""

    def on_batch(self, loader: Any, batch: Any) -> None:
        """Hear that a data loader gave a batch."""

    def on_part(self, part: Any) -> None:
        """Hear that a data loader, or a subset of a data set, was made."""

    def on_scaler(self, what: str, optimizer: Any) -> None:
        """Hear that a gradient scaler did `unscale` or `step`."""

    def on_acting(self, environment: Any) -> None:
        """Hear that an environment stepped, the first time after a step of an optimizer.

        While the watch looks closely, each step is told.
        """

    def on_environment_step(self, environment: Any, action: Any, answer: tuple[Any, ...]) -> None:
        """Hear each step of environments; `Experience` has it, as the newest.

        As the program sees it, inside of a vector environment too.
        """

    def on_environment_reset(self, environment: Any, observation: Any) -> None:
        """Hear that an environment was reset."""

    def on_episode_end(self, ends: Sequence[tuple[Any, bool, bool]]) -> None:
        """Hear how an episode ended: (environment, terminated, truncated), innermost first, then wrappers."""

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """Hear that a model was called as a whole, also while the watch does not look closely."""

    def on_estimation(self, estimation: Estimation) -> None:
        """Hear that an estimator of scikit-learn, a metric or a splitter was called."""

    # ---- heard while the watch looks closely ----

    def on_call(self, call: Call) -> None:
        """Hear that a module was called."""

    def on_operation(self, operation: Operation) -> None:
        """Hear that torch computed something."""

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """Hear that a distribution gave its `entropy` or a `log_prob`."""

    def on_sample(self, distribution: Any, result: Any, place: Place | None) -> None:
        """Hear, while gradients are recorded, what was drawn from a distribution without one."""

    def on_log_prob(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """Hear that a distribution is asked how likely a value is, and what it answers."""

    def on_close(self, begins: bool) -> None:
        """Hear that the watch begins or ends to look closely."""

    # ---- heard once ----

    def on_end(self) -> None:
        """Hear that the program came to its end: from now on its copies may be tried out."""
