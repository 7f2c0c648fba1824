"""What becomes of predictions while a model is measured: those of all batches, or of the last one only."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.losses.spread import spread_finding
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["Measures"]

_ENOUGH = 2
"""Stretches of measuring that must show it."""

_COMPARES = ("eq", "__eq__", "isclose", "ne", "__ne__")
_APART = ("sub", "__sub__", "rsub", "__rsub__")


@dataclass(slots=True)
class _Stretch:
    """Batches that were measured between two steps.

    Attributes:
        model: That was called.
        rows: Rows of each call.
        origin: id of a tensor -> calls that it came from.
        held: Those tensors, so that ids stay theirs.
        compared: Calls whose predictions were compared with labels.
    """

    model: Any = None
    rows: list[int] = field(default_factory=list[int])
    origin: dict[int, frozenset[int]] = field(default_factory=dict[int, frozenset[int]])
    held: list[Any] = field(default_factory=list[Any])
    compared: set[int] = field(default_factory=set[int])
    unknown: bool = False


class Measures(Sensor):
    """Follows outputs of models that are called without gradients to comparisons with labels."""

    closely = frozenset({"on_step_begin"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._now = _Stretch()
        self._last_only: list[int] = []
        self._other = 0
        self._place: Place | None = None
        self._spread: dict[Place | None, tuple[str, list[tuple[int, ...]], list[list[int]]]] = {}

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or call.grad or self.scene.environments:
            return
        now = self._now
        if now.model is not None and call.module is not now.model:
            now.unknown = True
        now.model = call.module
        leaves = list(tensors_in(call.output))
        if not leaves or not leaves[0].dim():
            now.unknown = True
            return
        for leaf in leaves:
            now.origin[id(leaf)] = frozenset((len(now.rows),))
            now.held.append(leaf)
        now.rows.append(int(leaves[0].shape[0]))

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        now = self._now
        if not now.rows or operation.root is not None or len(now.held) > 2000:
            return
        given = [*operation.args, *operation.kwargs.values()]
        given += [item for each in given if isinstance(each, list | tuple) for item in each]
        found = [now.origin[id(each)] for each in given if id(each) in now.origin]
        if not found:
            return
        calls = frozenset[int]().union(*found)
        if operation.name in ("numpy", "tolist", "__array__"):
            now.unknown = True  # what NumPy does with it is not heard
        if operation.name in _COMPARES or operation.name in _APART:
            self._shapes(operation, now)
        if operation.name in _COMPARES:
            now.compared |= calls
            self._place = operation.place
        for leaf in tensors_in(operation.result):
            now.origin[id(leaf)] = calls
            now.held.append(leaf)

    def _shapes(self, operation: Operation, now: _Stretch) -> None:
        """A column of predictions meets a row of labels, or the other way round; other pairs are left."""
        if len(operation.args) != 2 or not all(hasattr(each, "shape") for each in operation.args):
            return
        said = [id(each) in now.origin for each in operation.args]
        shapes = [tuple(map(int, each.shape)) for each in operation.args]
        row, column = sorted(shapes, key=len)
        if said[0] == said[1] or len(row) != 1 or column != (row[0], 1) or row[0] < 2:
            return
        if row[0] == now.rows[-1]:
            known = self._spread.setdefault(operation.place, (operation.name, shapes, []))
            known[2].append(list(map(int, operation.result.shape)))

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if self._now.rows:
            self._judge()

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        if not begins and self._now.rows:
            self._now = _Stretch()  # its end was not heard

    def on_end(self) -> None:
        """See `Sensor`."""
        if self._now.rows:
            self._judge()

    def _judge(self) -> None:
        now, self._now = self._now, _Stretch()
        if now.unknown or len(now.rows) < 2 or not now.compared:
            return
        if now.compared == {len(now.rows) - 1}:
            self._last_only.append(len(now.rows))
        else:
            self._other += 1

    def findings(self) -> Iterable[Finding]:
        """Return columns that met rows, and a warning where every stretch compared the last batch alone."""
        for place, (name, shapes, results) in self._spread.items():
            yield spread_finding(place, shapes, results[0], name, len(results))
        if len(self._last_only) < _ENOUGH or self._other:
            return
        yield Finding(
            kind="last-batch-measured",
            severity=Severity.WARNING,
            title=f"Of {self._last_only[0]} batches that the model predicts, only the last one's predictions "
            "are compared with labels.",
            evidence={"batches_of_each_measurement": self._last_only[:40], "batches_compared": 1},
            causes=(cause("metric-over-last-batch-only", self._place),),
            next_check="add up hits and rows inside of the loop over batches, and divide once after it",
        )
