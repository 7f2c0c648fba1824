"""A sigmoid of a sigmoid, or a softmax of a softmax."""

from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.losses.output_range import last_operation
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["Squashing"]

_ENOUGH = 3
_CAUSES = {"Sigmoid": "sigmoid-twice", "Softmax": "softmax-twice"}
_ON = {"sigmoid": "Sigmoid", "softmax": "Softmax", "log_softmax": "Softmax", "logsumexp": "Softmax"}


class Squashing(Sensor):
    """Reads from the graph what the input of each came out of."""

    operations = frozenset(_ON)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._counts: dict[tuple[Place | None, str], list[bool]] = {}

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        given: Any = operation.args[0] if operation.args else operation.argument(0, "input")
        if not getattr(given, "requires_grad", False) or given.grad_fn is None:
            return
        kind = _ON[operation.name]
        told = self._counts.setdefault((operation.place, kind), [])
        if len(told) < 100:
            told.append(last_operation(given) == kind)

    def findings(self) -> Iterable[Finding]:
        """Return a finding for each place where it is so mostly."""
        for (place, kind), told in self._counts.items():
            # Several may run at one place, inside of a model: half of them may be the second.
            if sum(told) < _ENOUGH or 2 * sum(told) < len(told):
                continue
            yield Finding(
                kind="squashed-twice",
                severity=Severity.SEVERE,
                title=f"A {kind.lower()} is given what came out of a {kind.lower()}.",
                evidence={"calls": len(told), "calls_on_its_own_output": sum(told)},
                causes=(cause(_CAUSES[kind], place),),
                next_check="keep one of the two",
                subject=str(place or ""),
            )
