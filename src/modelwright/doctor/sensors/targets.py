"""Targets of value learning, held to what the environment did: rewards, ends, next observations, discount.

A batch's rows are found among the transitions that the environments really made. Then every way in which a
target could have been computed, right or wrong, is tried on the same numbers; what does not fit is out for
good. What is left at the end says what the program computes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["Targets"]

_ENOUGH = 3
_FEWEST_ROWS = 8
_TOLERANCE = 2e-4
_COMPARES = ("mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss", "sub", "__sub__", "rsub", "__rsub__")

_MASKS = {
    "": "right",
    "terminal-mask-missing": "bootstraps from where an episode had ended",
    "truncation-as-terminal": "takes an episode that was cut for one that ended",
    "done-mask-inverted": "bootstraps only from where an episode had ended",
    "bootstrap-missing": "never bootstraps",
}
_REWARDS = {"": "right", "reward-sign-flipped": "takes rewards with the wrong sign"}

Way = tuple[str, str, str]
"""Faults of mask, reward and value; empty where right."""


@dataclass(slots=True)
class _Batch:
    """Rows of one update, as found among the transitions (row,)."""

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


@dataclass(slots=True)
class _Record:
    """Of the targets compared at one place.

    Attributes:
        left: Ways that fitted every time -> discounts that they fitted with.
        looks: Batches that were compared.
        ends, cuts: Rows that ended, or were cut, among them.
    """

    left: dict[Way, list[float]] = field(default_factory=dict[Way, list[float]])
    looks: int = 0
    ends: int = 0
    cuts: int = 0


class Targets(Sensor):
    """Looks at updates of critics, once rows of their batches are known."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._calls: list[Call] = []
        self._pairs: list[tuple[Any, Any, Place | None]] = []
        self._records: dict[Place | None, _Record] = {}

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or not self.scene.environments or not call.args:
            return
        shape = getattr(call.args[0], "shape", ())
        if len(shape) >= 2 and shape[0] >= _FEWEST_ROWS:
            self._calls.append(call)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if operation.name not in _COMPARES or not self._calls:
            return
        one, other = operation.argument(0, "input"), operation.argument(1, "target")
        if not (hasattr(one, "requires_grad") and hasattr(other, "requires_grad")):
            return
        if one.shape != other.shape or one.numel() < _FEWEST_ROWS:
            return
        if one.requires_grad == other.requires_grad:
            return
        prediction, target = (one, other) if one.requires_grad else (other, one)
        self._pairs.append((prediction, target, operation.place))

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._calls, self._pairs = [], []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._calls, self._pairs = [], []

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if not self.scene.close or not self._pairs or not self.scene.environments:
            return
        calls, pairs = self._calls, self._pairs
        self._calls, self._pairs = [], []
        for prediction, target, place in pairs:
            self._compare(calls, int(prediction.numel()), target, place)

    def _compare(self, calls: list[Call], rows: int, target: Any, place: Place | None) -> None:
        found = self._match(calls, rows)
        if found is None:
            return
        batch, outputs = found
        values = dict(_values(outputs))
        if not values:
            return
        y = target.detach().double().cpu().numpy().reshape(-1)
        record = self._records.setdefault(place, _Record())
        fits = dict(_fits(y, batch, values))
        left = record.left if record.looks else dict.fromkeys(fits, ())
        record.left = {}
        for way, seen in left.items():
            if way in fits:
                discounts = [*seen, *fits[way]]
                if not discounts or max(discounts) - min(discounts) < 1e-3:
                    record.left[way] = discounts
        record.looks += 1
        record.ends += int(batch.terminated.sum())
        record.cuts += int((batch.truncated & ~batch.terminated).sum())

    def _match(self, calls: list[Call], rows: int) -> tuple[_Batch, list[NDArray[np.float64]]] | None:
        """Return the batch's transitions, and what was computed of the observations that followed."""
        experience = self.scene.experience
        given = [call for call in calls if call.args[0].shape[0] == rows]
        begins: list[set[int]] | None = None
        for call in given:
            keys = experience.from_observations(_rows(call))
            if call.grad and all(keys):
                begins = [set(each) for each in keys]
        if begins is None:
            return None
        outputs: list[NDArray[np.float64]] = []
        both: list[set[int]] | None = None
        for call in given:
            ends = experience.to_observations(_rows(call))
            shared = [one & set(other) for one, other in zip(begins, ends, strict=True)]
            if not all(shared):
                continue
            both = shared if both is None else [one & other for one, other in zip(both, shared, strict=True)]
            for output in _outputs(call):
                outputs.append(output)
        if both is None or not all(both):
            return None
        chosen = [experience.transitions[min(each)] for each in both]
        if any(not _same(experience.transitions[at] for at in each) for each in both):
            return None
        batch = _Batch(
            reward=np.array([each.reward for each in chosen]),
            terminated=np.array([each.terminated for each in chosen]),
            truncated=np.array([each.truncated for each in chosen]),
        )
        return batch, outputs

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return what no right way of computing these targets explains, and one wrong way does."""
        for place, record in self._records.items():
            if record.looks < _ENOUGH or not record.left or ("", "", "") in record.left:
                continue
            way = min(record.left, key=lambda each: sum(bool(fault) for fault in each))
            faults = [fault for fault in way if fault]
            cut_only = faults == ["truncation-as-terminal"]
            yield Finding(
                kind="targets-differ-from-experience",
                severity=Severity.WARNING if cut_only else Severity.SEVERE,
                title=f"Targets of values are not what the environment's answers give: {_words(faults[0])}.",
                evidence={
                    "batches": record.looks,
                    "rows_that_ended": record.ends,
                    "rows_that_were_cut": record.cuts,
                    "discount": record.left[way][-1] if record.left[way] else None,
                    "fits_every_row": [list(each) for each in record.left][:5],
                },
                causes=tuple(cause(fault, place) for fault in faults),
                next_check="compute the target of one row that ended and of one that did not by hand",
                subject=str(place or ""),
            )


def _words(fault: str) -> str:
    known = {**_MASKS, **_REWARDS}
    return known.get(fault, fault.replace("-", " "))


def _rows(call: Call) -> NDArray[np.float32]:
    return call.args[0].detach().cpu().numpy()


def _same(transitions: Iterator[Any]) -> bool:
    """Return whether transitions gave the same reward and end."""
    return len({(each.reward, each.terminated, each.truncated) for each in transitions}) == 1


def _outputs(call: Call) -> Iterator[NDArray[np.float64]]:
    given = call.output if isinstance(call.output, list | tuple) else (call.output,)
    for each in given:
        if hasattr(each, "detach") and each.dim() == 2 and each.shape[0] == call.args[0].shape[0]:
            yield each.detach().double().cpu().numpy()


def _values(outputs: list[NDArray[np.float64]]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield a fault, empty where right, and the value of what follows (row,) that it gives."""
    discrete = [each for each in outputs if each.shape[1] > 1]
    continuous = [each[:, 0] for each in outputs if each.shape[1] == 1]
    for at, each in enumerate(discrete):
        yield "" if at == 0 else f"right {at}", each.max(axis=1)
        yield f"smallest-in-place-of-largest {at}", each.min(axis=1)
        yield f"mean-in-place-of-largest {at}", each.mean(axis=1)
        for other_at, other in enumerate(discrete):
            if other_at != at:
                chosen = each[np.arange(len(each)), other.argmax(axis=1)]
                yield f"right double {at} {other_at}", chosen
    if len(continuous) == 1:
        yield "", continuous[0]
    elif len(continuous) == 2:
        yield "", np.minimum(*continuous)
        yield "twin-minimum-missing mean", (continuous[0] + continuous[1]) / 2
        yield "twin-minimum-missing largest", np.maximum(*continuous)


def _fits(
    y: NDArray[np.float64], batch: _Batch, values: dict[str, NDArray[np.float64]]
) -> Iterator[tuple[Way, list[float]]]:
    """Yield every way that gives the targets of all rows, with its discount where any row bootstraps."""
    ended, cut = batch.terminated, batch.terminated | batch.truncated
    masks = {
        "": ~ended,
        "terminal-mask-missing": np.ones_like(ended),
        "truncation-as-terminal": ~cut,
        "done-mask-inverted": ended,
        "bootstrap-missing": np.zeros_like(ended),
    }
    for mask_fault, mask in masks.items():
        for reward_fault, sign in (("", 1.0), ("reward-sign-flipped", -1.0)):
            rest = y - sign * batch.reward
            for value_fault, value in values.items():
                known = mask & (np.abs(value) > 1e-3)
                # Where no row bootstraps, any discount fits.
                discount = float(np.median(rest[known] / value[known])) if known.any() else 1.0
                if not 0.05 < discount <= 1.0 + 1e-6:
                    continue
                if np.all(np.abs(rest - discount * mask * value) <= _TOLERANCE * (1.0 + np.abs(y))):
                    fault = "" if value_fault.startswith("right") else value_fault.split(" ")[0]
                    yield (mask_fault, reward_fault, fault), [discount] if known.any() else []
