"""Memories that prefer some transitions: whether priorities are brought up to date, and draws weighted.

Priorities are what a program calls so (a name with `prio`), or the leaves of a sum tree: a vector with one
number for each stored transition. They are read after some of the updates, and never written.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.tabular.tables import users_frames
from modelwright.doctor.watch.place import Place, is_users, place_of_caller
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["Priorities"]

_FIRST, _GROWTH = 16, 1.3
"""Updates after which priorities are looked at, and growth of their number up to the next look."""

_LOOKS = 6
_FEWEST, _MOST = 64, 2_000_000
_DEPTH = 3
_UNEQUAL = 1.5
"""Ratio of the 90% quantile of priorities to the 10% quantile, from which on draws are unequal."""

_LOSSES = ("mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss")
_ERRORS = ("Pow", "Huber", "SmoothL1", "Mse", "Abs")
_WEIGHED = ("Mul", "Div")


@dataclass(slots=True)
class _Vector:
    """Priorities under one name.

    Attributes:
        filled: How many there were, look by look.
        unequal: Ratio of their quantiles, look by look.
        updates: Updates before each look.
    """

    filled: list[int] = field(default_factory=list[int])
    unequal: list[float] = field(default_factory=list[float])
    updates: list[int] = field(default_factory=list[int])


class Priorities(Sensor):
    """Finds priorities among a program's variables, and losses that are plain means over rows."""

    operations = frozenset({*_LOSSES, "mean", "sum"})
    while_acting = frozenset({"on_step_end"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._vectors: dict[str, _Vector] = {}
        self._next = float(_FIRST)
        self._plain: list[Place | None] = []
        self._weighed = 0
        self._place: Place | None = None

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if self.scene.steps < self._next:
            return
        self._next = max(self.scene.steps + 1, _GROWTH * self.scene.steps)
        for name, value in _variables():
            numbers = _priorities(name, value)
            if numbers is None:
                continue
            vector = self._vectors.setdefault(name, _Vector())
            if vector.updates and vector.updates[-1] == self.scene.steps:
                continue  # another one of the same name
            low, high = np.quantile(numbers, [0.1, 0.9])
            vector.filled.append(len(numbers))
            vector.unequal.append(float(high / low) if numbers.min() < numbers.max() else 1.0)
            vector.updates.append(self.scene.steps)
            self._place = place_of_caller(2)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        result = operation.result
        if not self.scene.environments or not getattr(result, "requires_grad", False) or result.dim():
            return
        if operation.name in _LOSSES:
            given = [operation.argument(0, "input"), operation.argument(1, "target")]
            if all(getattr(each, "ndim", 0) and each.shape[0] > 1 for each in given):
                self._heard(any(_is(each, _WEIGHED) for each in given), operation.place)
            return
        whole = operation.argument(0, "input")
        if whole.dim() and whole.shape[0] > 1:
            if _is(whole, _WEIGHED):
                self._heard(True, operation.place)
            elif _is(whole, _ERRORS):
                self._heard(_is_of_weighed(whole), operation.place)

    def _heard(self, weighed: bool, place: Place | None) -> None:
        if weighed:
            self._weighed += 1
        else:
            self._plain.append(place)

    def findings(self) -> Iterable[Finding]:
        """Return priorities that are as they were when rows came in, and draws by them without weights."""
        for name, vector in self._vectors.items():
            if len(vector.updates) < _LOOKS or len(set(vector.filled)) < 3:
                continue
            evidence = {
                "updates": vector.updates,
                "priorities": vector.filled,
                "upper_over_lower_decile": vector.unequal,
            }
            if max(vector.unequal) == 1.0:
                yield Finding(
                    kind="priorities-never-change",
                    severity=Severity.SEVERE,
                    title=f"After {vector.updates[-1]} updates all {vector.filled[-1]} numbers of `{name}` "
                    "are the same.",
                    evidence=evidence,
                    causes=(cause("priorities-not-updated", self._place),),
                    next_check="print priorities of the rows of a batch before and after its update",
                )
            elif np.median(vector.unequal) >= _UNEQUAL and len(self._plain) >= _LOOKS and not self._weighed:
                yield Finding(
                    kind="draws-by-priority-not-weighted",
                    severity=Severity.WARNING,
                    title=f"Rows are drawn by `{name}`, which differ, and count alike in the loss.",
                    evidence=evidence | {"losses": len(self._plain)},
                    causes=(cause("importance-weights-missing", self._plain[-1]),),
                    next_check="multiply each row's loss by (rows * probability) ** -beta",
                )


def _variables() -> Iterator[tuple[str, Any]]:
    """Yield names and values of variables, and of attributes of the user's objects inside of each other."""
    seen: set[int] = set()
    for frame in users_frames():
        spaces = [frame.f_locals] if frame.f_code.co_name != "<module>" else []
        for space in (*spaces, frame.f_globals):
            if id(space) in seen:
                continue
            seen.add(id(space))
            for name, value in list(space.items()):
                yield from _inside(name, value, seen, _DEPTH)


def _inside(name: str, value: Any, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    yield name, value
    if not depth or id(value) in seen or isinstance(value, type):
        return
    try:
        held: Any = value.__dict__
    except Exception:  # the user's own __getattr__ may raise anything
        return
    if not isinstance(held, dict):
        return
    module = getattr(sys.modules.get(type(value).__module__), "__file__", None)
    if not isinstance(module, str) or not is_users(module):
        return
    seen.add(id(value))
    tree = "tree" in type(value).__name__.lower()
    for attribute, inner in list(held.items()):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if tree and isinstance(inner, np.ndarray) and "tree" in str(attribute).lower():  # pyright: ignore[reportUnknownArgumentType]
            yield "priorities of the tree", inner[-((len(inner) + 1) // 2) :]
        else:
            yield from _inside(str(attribute), inner, seen, depth - 1)  # pyright: ignore[reportUnknownArgumentType]


def _priorities(name: str, value: Any) -> NDArray[np.float64] | None:
    """Return the numbers above 0 of what holds priorities; None where it does not."""
    if "prio" not in name.lower():
        return None
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray) and not (isinstance(value, Sequence) or hasattr(value, "maxlen")):
        return None
    if isinstance(value, str) or not _FEWEST <= len(value) <= _MOST:
        return None
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    filled = numbers[np.isfinite(numbers) & (numbers > 0)] if numbers.ndim == 1 else numbers[:0]
    return filled if len(filled) >= _FEWEST else None


def _is(tensor: Any, names: Sequence[str]) -> bool:
    """Return whether a tensor is what one of these functions gave, reshaped at most."""
    node = getattr(tensor, "grad_fn", None)
    while node is not None and type(node).__name__.startswith(("View", "Squeeze", "Unsqueeze", "Reshape")):
        node = node.next_functions[0][0]
    return node is not None and type(node).__name__.startswith(tuple(names))


def _is_of_weighed(errors: Any) -> bool:
    """Return whether differences were weighted before they were squared."""
    before = [node for node, _ in errors.grad_fn.next_functions if node is not None]
    return any(type(node).__name__.startswith(_WEIGHED) for node in before)
