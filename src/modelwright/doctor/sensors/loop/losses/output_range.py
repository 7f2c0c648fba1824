"""Whether a model can give what it is asked for: bounds of its last operation beside the targets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["BOUNDS", "OutputRange", "last_operation"]

_ENOUGH = 5
_MANY = 0.05
BOUNDS = {
    "Relu": (0.0, float("inf")),
    "Sigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Softplus": (0.0, float("inf")),
    "Exp": (0.0, float("inf")),
    "Hardtanh": (-1.0, 1.0),
}
_OF_NUMBERS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_OF_LOGITS = ("cross_entropy", "binary_cross_entropy_with_logits")
_SHAPES = (
    "View",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "UnsafeView",
    "Transpose",
    "T0",
    "TBackward",
    "Alias",
    "Select",
    "Slice",
    "Gather",
    "Index",
)


@dataclass(slots=True)
class _Seen:
    """Of the losses at one place."""

    batches: int = 0
    outside: int = 0
    targets: int = 0
    unreachable: int = 0
    last: str = ""
    low: float = float("inf")
    high: float = float("-inf")


class OutputRange(Sensor):
    """Reads the last operation before a loss from the graph, and the targets' range."""

    operations = frozenset({*_OF_NUMBERS, *_OF_LOGITS})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._seen: dict[tuple[Place | None, str], _Seen] = {}

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        given, target = operation.argument(0, "input"), operation.argument(1, "target")
        if not given.requires_grad or given.grad_fn is None or getattr(target, "requires_grad", True):
            return
        last = last_operation(given)
        seen = self._seen.setdefault((operation.place, operation.name), _Seen())
        seen.batches += 1
        if operation.name in _OF_LOGITS:
            if last == "Relu" and given.dim() >= 2:
                seen.outside, seen.last = seen.outside + 1, last
            return
        if last not in BOUNDS:
            return
        low, high = BOUNDS[last]
        values = target.detach()
        beyond = int(((values < low - 1e-6) | (values > high + 1e-6)).sum())
        seen.targets += values.numel()
        seen.unreachable += beyond
        seen.low = min(seen.low, float(values.min()))
        seen.high = max(seen.high, float(values.max()))
        seen.outside, seen.last = seen.outside + (beyond > 0), last

    def findings(self) -> Iterable[Finding]:
        """Return targets that the last operation cannot give, and logits that cannot be negative."""
        for (place, name), seen in self._seen.items():
            if not seen.outside or seen.batches < _ENOUGH:
                continue
            if name in _OF_LOGITS and seen.outside == seen.batches:
                yield self._logits(place, seen)
            elif name in _OF_NUMBERS and seen.unreachable >= _MANY * max(1, seen.targets):
                yield self._numbers(place, seen)

    def _logits(self, place: Place | None, seen: _Seen) -> Finding:
        return Finding(
            kind="targets-out-of-reach",
            severity=Severity.WARNING,
            title="Logits come out of a relu: none can be negative, and where all are zero none is learnt.",
            evidence={"batches": seen.batches, "last_operation": seen.last.lower()},
            causes=(cause("relu-on-output", place),),
            next_check="remove the relu after the last layer",
            subject=str(place or ""),
        )

    def _numbers(self, place: Place | None, seen: _Seen) -> Finding:
        low, high = BOUNDS[seen.last]
        share = seen.unreachable / seen.targets
        return Finding(
            kind="targets-out-of-reach",
            severity=Severity.SEVERE,
            title=f"{share:.0%} of the targets cannot be reached: the output ends in {seen.last.lower()}, "
            f"and targets go from {seen.low:.3g} to {seen.high:.3g}.",
            evidence={
                "targets": seen.targets,
                "out_of_reach": seen.unreachable,
                "lowest_target": seen.low,
                "highest_target": seen.high,
                "reach": [low, high if high != float("inf") else "without end"],
            },
            causes=(cause("relu-on-output" if seen.last == "Relu" else "output-bounded", place),),
            next_check="let the last layer be linear, or bring the targets into the range of its activation",
            subject=str(place or ""),
        )


def last_operation(tensor: Any) -> str:
    """Return the name of the operation that gave a tensor; changes of shape and choices are left out."""
    node = tensor.grad_fn
    for _ in range(6):
        name = type(node).__name__.removesuffix("0").removesuffix("Backward")
        if not name.startswith(_SHAPES) and name != "T":
            return name.lstrip("_")
        node = node.next_functions[0][0] if node.next_functions else None
        if node is None:
            return ""
    return ""
