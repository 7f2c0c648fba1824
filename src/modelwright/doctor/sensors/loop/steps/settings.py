"""Settings that keep a program from learning: each is changed alone, on copies of the first weights."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["Settings"]

_FEWEST_STEPS = 60
"""Steps that a program must have taken before what it reached is compared."""

_TWIN_STEPS = 200
_FEWEST_TWIN_STEPS = 40
_PATIENCE = 4.0
"""A trial that takes so many times as long as the first one is given up."""

_LOSS = 0.8
"""A change counts where it brings the loss below this share of the program's own best ..."""

_HARDLY, _LOSS_OF_LESS = 0.05, 0.9
"""The same for smaller rates where the program gained less than such a share of its first loss."""

_GAIN = 0.5
"""... and the program gained less than this share of what the change gained."""

_LOW_GAIN = 0.35
"""The same for what is left out."""

_EARLY_GAIN = 0.15
"""The same for larger rates and scaled inputs: a program that is stopped early is nothing wrong."""

_NEAR = 0.8
"""A change that removes something is named before a better rate, if it gains at least this share as much."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """One change, what it is called, and what came of it."""

    cause: str
    words: str
    gain: float
    change: Any
    plain: bool = False
    loss: float = math.inf
    steps: int = 0


class Settings(Sensor):
    """Collects first weights and batches, and learns anew from them once the program has ended."""

    closely = frozenset({"on_backward", "on_step_end", "on_zero"})
    unless_acting = frozenset(
        {"on_backward", "on_call", "on_clip", "on_operation", "on_step_begin", "on_step_end", "on_zero"}
    )

    by_phase: ClassVar[bool] = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._capture: Any = None
        self._clips: list[float] = []
        self._clipped = 0
        self._first = (scene.steps, len(scene.losses))
        self._before = tuple(scene.roots)
        self._began = time.perf_counter()
        self._found: list[Finding] = []

    def _captured(self) -> Any:
        if self._capture is None:
            from modelwright.doctor.watch.capture import Capture

            self._capture = Capture()
        return self._capture

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.grad:
            self._captured().hear(call)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if self._capture is not None or operation.inside:
            self._captured().hear(operation)

    def on_zero(self, optimizers: Sequence[Any]) -> None:
        """See `Sensor`."""
        if self._capture is not None:
            self._capture.clear()

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if self._capture is not None:
            self._capture.backward(loss)

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if self._capture is not None:
            if self.scene.close:
                self._capture.step(optimizer)
            self._capture.note_rates(optimizer)

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if self._capture is not None:
            self._capture.forget()

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        if self._capture is not None:
            self._capture.forget()

    def on_clip(self, parameters: Any, limit: float, norm: Any) -> None:
        """See `Sensor`."""
        if norm is not None and self.scene.close:
            self._clips.append(limit)
            self._clipped += bool(float(norm) > limit)

    # ---- at the end ----

    def on_end(self) -> None:
        """See `Sensor`."""
        capture, scene = self._capture, self.scene
        steps = scene.steps - self._first[0]
        if scene.environments or capture is None or capture.reason or steps < _FEWEST_STEPS:
            return
        if len(capture.steps) < 6 or not any(capture.rates) or "closure" in _step_words(capture.recipe):
            return
        if any(group.get("maximize") for group in capture.recipe.groups):
            return  # what is made larger is no loss
        from modelwright.doctor.probes.twin import Twins

        twins = Twins(capture, float(np.median(self._clips)) if self._clips else None, scene.scale)
        try:
            first = min(twins.first_loss(), self.scene.constant_loss)
        except Exception as error:  # whatever a stranger's __deepcopy__ raises once its program is over
            capture.reason = f"the model cannot be copied at the end: {error}"
            return
        values = np.array([value for _, value in scene.losses[self._first[1] :]])
        last = float(np.median(values[-max(5, len(values) // 10) :])) if len(values) else math.inf
        last = last if math.isfinite(last) else math.inf
        own = min(last, twins.last_loss())
        spent = time.perf_counter() - self._began
        least, most, share = scene.patience
        seconds = min(most, max(least, share * spent))
        self._try(twins, first, own, steps, seconds)

    def _try(self, twins: Any, first: float, own: float, steps: int, seconds: float) -> None:
        from modelwright.doctor.probes.twin import Change

        trials = list(self._trials(Change, twins))
        each = seconds / (len(trials) + 1)
        try:
            as_is, taken = twins.train(Change(), min(steps, _TWIN_STEPS), each)
        except RuntimeError as error:  # a framework may forbid a backward pass that it did not begin
            self._capture.reason = f"copies of the model cannot learn: {error}"
            return
        if taken < min(_FEWEST_TWIN_STEPS, steps) or not math.isfinite(first):
            return
        own = min(own, as_is)
        helped: list[_Trial] = []
        words = "first weights, or the best constant"
        losses = {"as it is": as_is, "the program at its end": own, words: first}
        for trial in trials:
            loss, count = twins.train(trial.change, taken, _PATIENCE * each)
            losses[trial.words] = loss
            if count == taken and self._is_better(trial, loss, own, first):
                helped.append(_Trial(**{**_fields(trial), "loss": loss, "steps": count}))
        if helped:
            self._found.append(self._finding(helped, losses, first, own, taken))

    def _trials(self, change: Any, twins: Any) -> Iterable[_Trial]:
        if self._clips and self._clipped >= 0.9 * len(self._clips):
            yield _Trial("clip-norm-tiny", "without clipping", _LOW_GAIN, change(clip=False), True)
        if any(group.get("weight_decay") for group in self._capture.recipe.groups):
            yield _Trial("weight-decay-too-high", "without weight decay", _GAIN, change(decay=False), True)
        if any("Dropout" in type(part).__name__ for m in self._capture.models for part in m.modules()):
            yield _Trial("dropout-too-high", "without dropout", _LOW_GAIN, change(dropout=False), True)
        for factor in (0.1, 0.01):
            yield _Trial("learning-rate-too-high", f"rate x {factor}", _GAIN, change(rate=factor))
        models = self._capture.models
        before = {id(p) for model in self._before for p in model.parameters()}
        held = [p for model in models for p in model.parameters()]
        if any(id(p) in before or self.scene.is_loaded(p) for p in held):
            return  # what was learnt before may only be refined
        if twins.can_scale:
            yield _Trial(
                "inputs-not-scaled", "with inputs brought to scale", _EARLY_GAIN, change(scaled=True)
            )
        for factor in (10.0, 100.0, 1000.0):
            yield _Trial("learning-rate-too-low", f"rate x {factor:.0f}", _EARLY_GAIN, change(rate=factor))

    @staticmethod
    def _is_better(trial: _Trial, loss: float, own: float, first: float) -> bool:
        if not math.isfinite(loss) or loss >= first:
            return False
        if not math.isfinite(own) or own >= first:
            return loss < _LOSS * first if first > 0 else True
        if first - own >= trial.gain * (first - loss):
            return False
        less = trial.cause == "learning-rate-too-high" and first - own < _HARDLY * first
        return loss < (_LOSS_OF_LESS if less else _LOSS) * own if own > 0 else loss < own

    def _finding(
        self, helped: list[_Trial], losses: dict[str, float], first: float, own: float, steps: int
    ) -> Finding:
        most = max(first - trial.loss for trial in helped)
        near = [trial for trial in helped if first - trial.loss >= _NEAR * most]
        near.sort(key=lambda trial: (not trial.plain, trial.loss))
        place = self.scene.place_of("on_optimizer")
        places = {
            "clip-norm-tiny": self.scene.place_of("clip"),
            "dropout-too-high": None,
            "inputs-not-scaled": None,
        }
        names = list(dict.fromkeys(trial.cause for trial in [*near, *sorted(helped, key=lambda t: t.loss)]))
        return Finding(
            kind="learns-better-otherwise",
            severity=Severity.WARNING,
            title=f"Learning anew from the first weights, {near[0].words} and else unchanged, brings the "
            f"loss to {near[0].loss:.4g} in {steps} steps; the program's best is {own:.4g}.",
            evidence={
                "loss_after_learning_anew": {
                    words: loss if math.isfinite(loss) else "not finite" for words, loss in losses.items()
                },
                "steps_of_each": steps,
            },
            causes=tuple(cause(name, places.get(name, place)) for name in names),
            next_check=f"run the program {near[0].words} (learning rate, clipping and decay are "
            "where the optimizer is made)",
            subject="",
        )

    def findings(self) -> Iterable[Finding]:
        """Return what was found at the end."""
        return self._found


def _fields(trial: _Trial) -> dict[str, Any]:
    return {name: getattr(trial, name) for name in trial.__slots__}


def _step_words(recipe: Any) -> str:
    return "closure" if recipe.kind.__name__ == "LBFGS" else ""
