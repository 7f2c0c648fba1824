"""Whether what a classifier is measured on stays the same from one evaluation to the next."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["MeasuredRows"]

_BATCHES = 4
"""Batches of each evaluation that are compared."""

_FEWEST_ROWS = 16
_CHANGED = 0.1
"""Share of the rows of an evaluation that another one, of the same labels, has not; flips leave half."""

_ALIKE = 0.02
"""Share of them that may come to be what another row was."""

_EVALUATIONS = 8
_LARGEST_ROW = 262_144
_COMPARES = ("eq", "__eq__", "ne", "__ne__", "cross_entropy", "nll_loss", "cross_entropy_loss")


@dataclass(slots=True)
class _Evaluation:
    """What models were called on without gradients, between two steps of an optimizer.

    Attributes:
        rows: Hashes of rows, in order.
        compared: Whole numbers that were compared with something, by the place where: one for each row.
        labels: How many different numbers there are among them, by place.
        batches: Calls that were kept.
        count: Rows in them.
    """

    rows: list[int] = field(default_factory=list[int])
    compared: dict[tuple[Place | None, int], list[int]] = field(
        default_factory=dict[tuple[Place | None, int], list[int]]
    )
    labels: set[int] = field(default_factory=set[int])
    batches: int = 0
    count: int = 0


class MeasuredRows(Sensor):
    """Keeps hashes of the first batches of each evaluation, and of the labels that they are compared with."""

    operations = frozenset(_COMPARES)

    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._now = _Evaluation()
        self._past: list[_Evaluation] = []
        self._root: Any = None
        self._size = 0
        self._place: Place | None = None

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.grad or call.depth or not call.args or self.scene.environments:
            return
        given = call.args[0]
        if self._root is None:
            self._root = call.module  # others may be given what it computed
        if call.module is not self._root or self._now.batches >= _BATCHES or not hasattr(given, "detach"):
            self._size = 0
            return
        if given.dim() < 2 or not len(given) or not 2 <= given[0].numel() <= _LARGEST_ROW:
            return
        self._size = len(given)
        values = given.detach().reshape(len(given), -1).cpu()
        values = values.float().numpy() if values.is_floating_point() else values.numpy()
        self._now.rows += [hash(row.tobytes()) for row in values]
        self._now.batches += 1
        self._now.count += len(given)
        self._place = call.place

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if not self._size or operation.inside:
            return
        for at, name in enumerate(("input", "target")):
            each = operation.argument(at, name)
            if not hasattr(each, "is_floating_point") or each.is_floating_point():
                continue
            if each.dim() == 1 and len(each) == self._size:
                numbers: Any = each.detach().cpu().numpy()
                key = operation.place, at
                self._now.compared.setdefault(key, []).append(hash(numbers.tobytes()))
                self._now.labels.update(numbers.tolist())

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if self._now.batches:
            self._forget()

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._size = 0

    def _forget(self) -> None:
        if len(self._past) < _EVALUATIONS:
            self._past.append(self._now)
        self._now, self._size = _Evaluation(), 0

    def findings(self) -> Iterable[Finding]:
        """Return evaluations with the same labels in the same order, of which rows are not the same."""
        told = [each for each in (*self._past, self._now) if each.count >= _FEWEST_ROWS]
        told = [each for each in told if len(each.labels) > 1 and len(set(each.rows)) > each.count / 2]
        alike = [
            (one, other)
            for at, one in enumerate(told)
            for other in told[at + 1 :]
            if any(other.compared.get(key) == hashes for key, hashes in one.compared.items())
        ]
        changed = [_changed(one.rows, other.rows) for one, other in alike]
        if not changed or min(changed) < _CHANGED:
            return
        stayed = 1 - min(changed)
        words = (
            f"only {stayed:.0%} of the rows are what they were" if stayed else "not one row is what it was"
        )
        yield Finding(
            kind="measured-rows-change",
            severity=Severity.WARNING,
            title=f"Each evaluation has the same labels in the same order, and {words} in "
            "another: rows are changed at random before they are measured.",
            evidence={
                "evaluations": len(told),
                "rows_compared": [each.count for each in told],
                "share_of_rows_that_changed": changed[:40],
            },
            causes=(cause("augmented-in-evaluation", self._place),),
            next_check="load one held-out row twice and compare",
        )


def _changed(one: list[int], other: list[int]) -> float:
    """Return the share of rows that are others at their place; 0 where some only stand at another place."""
    pairs = list(zip(one, other, strict=False))
    stayed = {mine for mine, theirs in pairs if mine == theirs}
    if len((set(one) & set(other)) - stayed) > _ALIKE * len(pairs):
        return 0.0
    return sum(mine != theirs for mine, theirs in pairs) / max(1, len(pairs))
