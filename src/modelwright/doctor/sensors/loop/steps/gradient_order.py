"""The order of clearing, computing, clipping and using gradients: exact, step by step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Scene, Sensor
from modelwright.doctor.watch.tensors import any_nonzero

__all__ = ["GradientOrder"]

_PROBED = 8
"""Parameters of an optimizer whose gradients are looked at where the order alone does not decide."""

_ENOUGH = 3
"""Steps that must go wrong: one may be an accident of how a program begins or ends."""


@dataclass(slots=True)
class _State:
    """Of one optimizer.

    Attributes:
        cleared: They ever were, by `zero_grad`.
        used: Its gradients served a step and were not seen to be cleared since.
        stale: New gradients were added to used ones.
        fresh: Gradients were computed since the last step or clearing.
        emptied: They were cleared after they were computed, and not computed again.
        unscaled: Its gradients were unscaled since the last step.
        clipped_scaled: They were clipped since the last backward pass while still scaled.
    """

    cleared: bool = False
    used: bool = False
    stale: bool = False
    fresh: bool = False
    emptied: bool = False
    unscaled: bool = False
    clipped_scaled: bool = False
    steps: int = 0
    stale_steps: int = 0
    empty_steps: int = 0
    late_clips: int = 0
    early_clips: int = 0
    clips: int = 0
    scaled_clips: int = 0
    first_stale: int = 0


class GradientOrder(Sensor):
    """Holds every step to: cleared, computed, unscaled, clipped, used."""

    holds_models = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._states: dict[int, tuple[Any, _State]] = {}

    def _state(self, optimizer: Any) -> _State:
        known = self._states.get(id(optimizer))
        if known is None:
            known = self._states[id(optimizer)] = (optimizer, _State())
        return known[1]

    def on_zero(self, optimizers: Sequence[Any]) -> None:
        """See `Sensor`."""
        for optimizer in optimizers:
            state = self._state(optimizer)
            state.cleared = True
            state.emptied = state.fresh
            state.used = state.stale = state.fresh = False

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        for optimizer, state in self._states.values():
            if state.used and not state.stale:
                if _has_gradients(optimizer):
                    state.stale = True
                else:
                    state.used = False  # cleared by hand
            state.fresh, state.emptied, state.clipped_scaled = True, False, False

    def on_scaler(self, what: str, optimizer: Any) -> None:
        """See `Sensor`."""
        state = self._state(optimizer)
        if what == "unscale":
            state.unscaled = True
        elif state.clipped_scaled and not state.unscaled:
            state.scaled_clips += 1

    def on_clip(self, parameters: Any, limit: float, norm: Any) -> None:
        """See `Sensor`."""
        first = parameters if not isinstance(parameters, list) else next(iter(parameters), None)
        for optimizer, state in self._states.values():
            if not any(first is each for group in optimizer.param_groups for each in group["params"]):
                continue
            state.clips += 1
            if not state.unscaled:
                state.clipped_scaled = True
            if state.used and not state.stale:
                state.late_clips += 1
            elif not state.fresh and state.steps and not _has_gradients(optimizer):
                state.early_clips += 1

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        state = self._state(optimizer)
        state.steps += 1
        if state.stale and state.fresh:
            state.stale_steps += 1
            state.first_stale = state.first_stale or self.scene.steps
        elif state.emptied and not _has_gradients(optimizer):
            state.empty_steps += 1

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        state = self._state(optimizer)
        state.used = True
        state.stale = state.fresh = state.emptied = state.unscaled = state.clipped_scaled = False

    def findings(self) -> Iterable[Finding]:
        """Return what was out of order at least three times."""
        for optimizer, state in self._states.values():
            name = type(optimizer).__name__
            if state.stale_steps >= _ENOUGH:
                yield self._stale(name, state)
            if state.empty_steps >= _ENOUGH:
                yield self._empty(name, state)
            if state.late_clips >= _ENOUGH and state.late_clips >= 0.5 * state.clips:
                yield self._late(name, state)
            if state.early_clips >= _ENOUGH and state.early_clips >= 0.5 * state.clips:
                yield self._early(name, state)
            if state.scaled_clips >= _ENOUGH:
                yield self._scaled(name, state)

    def _stale(self, name: str, state: _State) -> Finding:
        scene = self.scene
        cleared = scene.place_of("zero") if state.cleared else None
        return Finding(
            kind="gradients-kept-across-steps",
            severity=Severity.SEVERE,
            title=f"{name} steps with gradients of earlier steps added in: they are not cleared in between.",
            evidence={
                "steps": state.steps,
                "steps_with_old_gradients": state.stale_steps,
                "first_at_step": state.first_stale,
            },
            causes=(cause("zero-grad-missing", cleared or scene.place_of("backward")),),
            next_check="call zero_grad() once before every backward pass that begins a step",
            subject=name,
        )

    def _empty(self, name: str, state: _State) -> Finding:
        return Finding(
            kind="step-without-gradients",
            severity=Severity.SEVERE,
            title=f"{name} steps after its gradients were cleared: nothing is learnt.",
            evidence={"steps": state.steps, "steps_without_gradients": state.empty_steps},
            causes=(cause("zero-grad-after-backward", self.scene.place_of("zero")),),
            next_check="clear gradients before backward(), or after step(), never between the two",
            subject=name,
        )

    def _late(self, name: str, state: _State) -> Finding:
        return Finding(
            kind="clipped-after-step",
            severity=Severity.SEVERE,
            title=f"Gradients of {name} are clipped after the step that used them, which does nothing.",
            evidence={"clippings": state.clips, "after_the_step": state.late_clips},
            causes=(cause("clip-after-step", self.scene.place_of("clip")),),
            next_check="clip between backward() and step()",
            subject=name,
        )

    def _early(self, name: str, state: _State) -> Finding:
        return Finding(
            kind="clipped-after-step",
            severity=Severity.SEVERE,
            title=f"Gradients of {name} are clipped before they are computed, which does nothing.",
            evidence={"clippings": state.clips, "before_there_were_gradients": state.early_clips},
            causes=(cause("clip-after-step", self.scene.place_of("clip")),),
            next_check="clip between backward() and step()",
            subject=name,
        )

    def _scaled(self, name: str, state: _State) -> Finding:
        return Finding(
            kind="clipped-while-scaled",
            severity=Severity.SEVERE,
            title=f"Gradients of {name} are clipped while the gradient scaler still multiplies them.",
            evidence={"steps": state.steps, "clipped_while_scaled": state.scaled_clips},
            causes=(cause("clip-before-unscale", self.scene.place_of("clip")),),
            next_check="call scaler.unscale_(optimizer) before clipping",
            subject=name,
        )


def _has_gradients(optimizer: Any) -> bool:
    """Return whether any of some parameters has a gradient other than zero."""
    looked = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            if any_nonzero(parameter.grad):
                return True
            looked += 1
            if looked >= _PROBED:
                return False
    return False
