"""The clipped objective of PPO: which way round the ratio is, which bound is taken, how wide they are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.policy.policy_updates import PolicyUpdates
from modelwright.doctor.watch.graph import leaves_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["Surrogate"]

_ENOUGH = 3
_DIFFERENCES = ("sub", "__sub__", "rsub", "__rsub__")
_CHOOSES = {"min": -1.0, "minimum": -1.0, "max": 1.0, "maximum": 1.0}


@dataclass(slots=True)
class _Ratio:
    """The exponential of a difference of log-probabilities."""

    exponent: Any
    result: Any
    place: Place | None
    bounds: list[tuple[Any, Any, Place | None]] = field(default_factory=list[tuple[Any, Any, Place | None]])


@dataclass(slots=True)
class _Count:
    """How often something was seen, how often it was wrong, and where it was wrong."""

    seen: int = 0
    wrong: int = 0
    place: Place | None = None
    evidence: dict[str, Any] = field(default_factory=dict[str, Any])


class Surrogate(Sensor):
    """Asks torch for slopes between log-probabilities, ratio, objective and loss."""

    closely = frozenset({"on_backward", "on_step_end"})
    operations = PolicyUpdates.operations | {*_DIFFERENCES, "exp", "clamp", "clip", *_CHOOSES}

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._updates = PolicyUpdates()
        self._differences: list[tuple[Any, Place | None]] = []
        self._ratios: list[_Ratio] = []
        self._choices: list[tuple[str, Any, Any, Any, Place | None]] = []
        self._clipped: list[tuple[Any, Any]] = []
        self._counts = {what: _Count() for what in ("inverted", "choice", "bounds", "sum", "values")}

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if what == "log_prob":
            self._updates.hear_distribution(result, None, 0, place)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        self._updates.hear_operation(operation, 0)
        name, result = operation.name, operation.result
        if operation.inside or not self._updates.heard or not getattr(result, "requires_grad", False):
            return
        if name in _DIFFERENCES:
            self._differences.append((result, operation.place))
        elif name == "exp":
            given = operation.argument(0, "input")
            made = [place for each, place in self._differences if each is given]
            # Without environments, as of models of text, only what is plainly new less old.
            if result.numel() > 1 and (made or self.scene.environments):
                self._ratios.append(_Ratio(given, result, made[-1] if made else operation.place))
        elif name in ("clamp", "clip"):
            for ratio in self._ratios:
                if operation.argument(0, "input") is ratio.result:
                    bounds = operation.argument(1, "min"), operation.argument(2, "max")
                    ratio.bounds.append((*bounds, operation.place))
            if any(operation.argument(0, "input") is each for each, _ in self._differences):
                self._clipped.append((operation.argument(0, "input"), result))
        elif name in _CHOOSES and (self._ratios or self._clipped):
            one, other = operation.argument(0, "input"), operation.argument(1, "other")
            if hasattr(one, "requires_grad") and hasattr(other, "requires_grad"):
                self._choices.append((name, result, one, other, operation.place))

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._forget()

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._forget()

    def _forget(self) -> None:
        self._updates.forget()
        self._differences, self._ratios, self._choices, self._clipped = [], [], [], []

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if self._ratios and loss.requires_grad and loss.numel() == 1:
            try:
                self._look(loss)
            except RuntimeError:
                self._forget()  # a graph that was changed in place

    def _look(self, loss: Any) -> None:
        heard = self._updates.heard
        log_probabilities = [each.tensor for each in heard]
        for ratio in self._ratios:
            found = zip(heard, _slopes(ratio.exponent.sum(), log_probabilities), strict=True)
            slopes = [each.sign * slope for each, slope in found if slope is not None]
            if not slopes or not ratio.bounds or not _moves(loss, ratio.result):
                continue
            self._look_at_slope(ratio, slopes[0])
            low, high, place = ratio.bounds[-1]
            if isinstance(low, int | float) and isinstance(high, int | float):
                count = self._counts["bounds"]
                count.evidence = {"lowest": float(low), "highest": float(high)}
                self._note(count, low < 0.0, place)
            for name, result, one, other, place in self._choices:
                if _moves(one, ratio.result) and _moves(other, ratio.result):
                    (slope,) = _slopes(loss, [result])
                    if slope is None or not bool(slope.count_nonzero()):
                        continue
                    if bool((slope >= 0).all()) or bool((slope <= 0).all()):
                        rises = 1.0 if bool((slope >= 0).all()) else -1.0
                        count = self._counts["choice"]
                        count.evidence = {"function": name, "loss_rises_with_it": rises > 0}
                        self._note(count, rises != _CHOOSES[name], place)
        self._look_at_values(loss, log_probabilities)

    def _look_at_values(self, loss: Any, log_probabilities: list[Any]) -> None:
        """Take note of which error is taken: that of a value, or of one that is kept near to its old one."""
        for name, result, one, other, place in self._choices:
            for difference, clipped in self._clipped:
                if any(each is not None for each in _slopes(difference, log_probabilities)):
                    continue
                free = [each for each in (one, other) if not _moves(each, clipped)]
                if len(free) != 1 or one.shape != other.shape or not _share(free[0], difference):
                    continue
                (slope,) = _slopes(loss, [result])
                if slope is not None and bool(slope.count_nonzero()) and bool((slope >= 0).all()):
                    count = self._counts["values"]
                    count.evidence = {"function": name}
                    self._note(count, _CHOOSES[name] < 0, place)

    def _look_at_slope(self, ratio: _Ratio, slope: Any) -> None:
        nonzero = slope[slope != 0]
        if not nonzero.numel():
            return
        self._note(self._counts["inverted"], bool((nonzero < 0).all()), ratio.place)
        if self.scene.place_of("ratio inverted") is None and bool((nonzero < 0).all()):
            self.scene.saw("ratio inverted", ratio.place)
        transitions = self.scene.experience.transitions
        numbers = len(transitions[-1].action) if transitions else 1
        if numbers > 1 and slope.dim() > 1 and slope.shape[-1] == numbers:
            count = self._counts["sum"]
            count.evidence = {"numbers_of_an_action": numbers, "shape_of_the_ratio": list(ratio.result.shape)}
            apart = ratio.result.numel() == slope.numel()
            mean = float((slope.abs() * numbers - 1.0).abs().max()) < 1e-4
            self._note(count, apart or mean, ratio.place)

    def _note(self, count: _Count, wrong: bool, place: Place | None) -> None:
        count.seen += 1
        count.wrong += wrong
        count.place = place if wrong else count.place

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return what holds for every objective that was seen."""
        for what, kind, title, fault, check in _TOLD:
            count = self._counts[what]
            if count.wrong < _ENOUGH or count.wrong < count.seen:
                continue
            if what == "choice" and self.scene.place_of("policy loss against"):
                continue  # the loss as a whole is turned round
            yield Finding(
                kind=kind,
                severity=Severity.WARNING if what == "bounds" else Severity.SEVERE,
                title=title,
                evidence={"losses": count.seen, **count.evidence},
                causes=tuple(_causes(what, fault, count.place)),
                next_check=check,
            )


def _causes(what: str, fault: str, place: Place | None) -> Iterator[Any]:
    yield cause(fault, place)
    if what == "choice":
        yield cause("policy-loss-sign", place)


def _slopes(of: Any, tensors: list[Any]) -> Any:
    import torch

    if not of.requires_grad:
        return [None] * len(tensors)
    return torch.autograd.grad(of.sum(), tensors, retain_graph=True, allow_unused=True)


def _share(one: Any, other: Any) -> bool:
    """Return whether two results depend on the same parameters."""
    return bool({id(leaf) for leaf in leaves_of(one)} & {id(leaf) for leaf in leaves_of(other)})


def _moves(result: Any, tensor: Any) -> bool:
    """Return whether a result depends on a tensor."""
    return result is tensor or _slopes(result, [tensor])[0] is not None


_TOLD = (
    (
        "inverted",
        "ratio-of-old-to-new",
        "The ratio falls where the new log-probability rises: it is old over new.",
        "ratio-inverted",
        "ratio = exp(new_log_prob - old_log_prob)",
    ),
    (
        "choice",
        "hopeful-bound",
        "Of the clipped and the unclipped objective the loss takes the more hopeful one.",
        "clip-wrong-side",
        "objective: the smaller of both; loss: the larger of their negatives",
    ),
    (
        "values",
        "hopeful-bound",
        "Of the error of a value and of that of the value kept near to its old one, the loss takes the "
        "smaller: values that are far off need not be learnt.",
        "clip-wrong-side",
        "values: the larger of both errors, as PPO has it; or no clipping at all",
    ),
    (
        "bounds",
        "ratio-never-clipped",
        "The lower bound of the ratio is below zero, where no ratio is: it is never clipped there.",
        "clip-coefficient-too-large",
        "clip the ratio to 1 - c and 1 + c with c of 0.1 to 0.3",
    ),
    (
        "sum",
        "ratio-for-each-number",
        "An action of several numbers has several ratios, or that of their mean log-probability.",
        "log-prob-not-summed",
        "sum log-probabilities over the last axis before the ratio",
    ),
)
