"""What losses are given: probabilities for logits, a softmax over rows, shapes that spread."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["LossInputs"]

_ENOUGH = 3
_ROUNDING = 1e-4

_ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_ARITHMETIC = ("sub", "__sub__", "rsub", "__rsub__", "mul", "__mul__", *_ELEMENTWISE)


@dataclass(slots=True)
class _Count:
    """How often a loss was seen at a place, and how often it was given what it should not be."""

    seen: int = 0
    wrong: int = 0
    evidence: dict[str, Any] = field(default_factory=dict[str, Any])


class LossInputs(Sensor):
    """Looks at each call of a loss while gradients are recorded."""

    operations = frozenset(
        {
            *_ARITHMETIC,
            "cross_entropy",
            "nll_loss",
            "binary_cross_entropy_with_logits",
            "softmax",
            "log_softmax",
        }
    )

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._counts: dict[tuple[str, Place | None], _Count] = {}
        self._softmax: tuple[Operation, bool] | None = None
        self._looks: dict[str, Callable[[Operation], None]] = {
            "cross_entropy": self._cross_entropy,
            "nll_loss": self._nll,
            "binary_cross_entropy_with_logits": self._logits,
            **dict.fromkeys(("softmax", "log_softmax"), self._axis),
            **dict.fromkeys(_ARITHMETIC, self._shapes),
        }

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if getattr(operation.argument(0, "input"), "numel", lambda: 1)():
            self._looks[operation.name](operation)

    def _note_axis(self, given: Any) -> None:
        """Elsewhere, in attention for example, a softmax over axis 0 is nothing wrong."""
        if self._softmax is not None and self._softmax[0].result is given:
            operation, wrong = self._softmax
            self._note("axis", operation, wrong, shape=list(given.shape))
        self._softmax = None

    def _note(self, what: str, operation: Operation, wrong: bool, **evidence: Any) -> None:
        count = self._counts.setdefault((what, operation.place), _Count())
        count.seen += 1
        count.wrong += wrong
        if wrong:
            count.evidence = evidence

    def _cross_entropy(self, operation: Operation) -> None:
        given = operation.argument(0, "input")
        self._note_axis(given)
        if not given.requires_grad or given.dim() < 2 or given.shape[1] < 2:
            return
        values = given.detach()
        sums = values.sum(dim=1)
        wrong = bool((values >= 0).all()) and bool(((sums - 1).abs() < _ROUNDING * given.shape[1]).all())
        classes = int(given.shape[1])
        self._note(
            "softmax",
            operation,
            wrong,
            classes=classes,
            smallest_sum=float(sums.min()),
            largest_sum=float(sums.max()),
        )

    def _axis(self, operation: Operation) -> None:
        """Keep a softmax of (row, class) until it is seen whether a loss of classes takes it."""
        given, axis = operation.argument(0, "input"), operation.argument(1, "dim")
        if not given.requires_grad or given.dim() != 2 or min(given.shape) < 2:
            return
        self._softmax = (operation, axis in (0, -2))

    def _nll(self, operation: Operation) -> None:
        given = operation.argument(0, "input")
        self._note_axis(given)
        if not given.requires_grad or given.dim() < 2 or given.shape[1] < 2:
            return
        total = given.detach().double().exp().sum(dim=1)
        wrong = not bool(((total - 1).abs() < 1e-2).all())
        self._note(
            "nll", operation, wrong, smallest_total=float(total.min()), largest_total=float(total.max())
        )

    def _logits(self, operation: Operation) -> None:
        given = operation.argument(0, "input")
        if not given.requires_grad:
            return
        node: Any = given.grad_fn
        name = ""
        for _ in range(4):  # through changes of shape
            name = type(node).__name__
            if not name.startswith(("View", "Squeeze", "Unsqueeze", "Reshape", "Select", "Transpose", "T")):
                break
            node = node.next_functions[0][0] if node.next_functions else None
        wrong = name.startswith("Sigmoid")
        values = given.detach()
        self._note("sigmoid", operation, wrong, smallest=float(values.min()), largest=float(values.max()))

    def _shapes(self, operation: Operation) -> None:
        """(N, 1) with (N,) spreads to (N, N): every prediction meets every target."""
        one, other = (
            operation.argument(0, "input"),
            operation.argument(1, "target" if operation.name in _ELEMENTWISE else "other"),
        )
        shapes = getattr(one, "shape", None), getattr(other, "shape", None)
        if shapes[0] is None or shapes[1] is None or len(shapes[0]) == len(shapes[1]):
            return
        long, short = sorted((tuple(map(int, shapes[0])), tuple(map(int, shapes[1]))), key=len, reverse=True)
        if len(long) != 2 or len(short) != 1:
            return
        rows = long[0]
        if rows < 2 or long[1] != 1 or short[0] != rows:
            return
        if not (one.requires_grad or other.requires_grad):
            return
        self._note(
            "spread",
            operation,
            True,
            shapes=[list(shapes[0]), list(shapes[1])],
            result=list(operation.result.shape),
            function=operation.name,
        )

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return a finding for each place where it was wrong every time."""
        makers = {"softmax": _softmax, "nll": _nll, "sigmoid": _sigmoid, "spread": _spread, "axis": _axis}
        for (what, place), count in self._counts.items():
            if count.wrong >= min(_ENOUGH, count.seen) and count.wrong == count.seen:
                yield makers[what](place, count)


def _softmax(place: Place | None, count: _Count) -> Finding:
    classes = count.evidence["classes"]
    return Finding(
        kind="probabilities-into-cross-entropy",
        severity=Severity.SEVERE,
        title="cross_entropy is given probabilities; it takes logits and does the softmax itself.",
        evidence={**count.evidence, "calls": count.seen, "calls_with_rows_that_sum_to_1": count.wrong},
        causes=(cause("softmax-before-cross-entropy", place),),
        next_check="remove the softmax before the loss; with it no loss below "
        f"{_floor(classes):.3f} can be reached",
        subject=str(place or ""),
    )


def _floor(classes: int) -> float:
    """Loss of a one-hot softmax that is put through softmax again."""
    import math

    return math.log(math.e + classes - 1) - 1


def _axis(place: Place | None, count: _Count) -> Finding:
    return Finding(
        kind="softmax-over-rows",
        severity=Severity.SEVERE,
        title=f"A softmax of shape {tuple(count.evidence['shape'])} runs over axis 0, the rows of the batch: "
        "what one row gets depends on the others.",
        evidence={**count.evidence, "calls": count.seen},
        causes=(cause("softmax-over-wrong-axis", place),),
        next_check="run it over the classes: dim=-1",
        subject=str(place or ""),
    )


def _nll(place: Place | None, count: _Count) -> Finding:
    return Finding(
        kind="no-log-probabilities-into-nll",
        severity=Severity.SEVERE,
        title="nll_loss is given numbers that are no log-probabilities: their exponentials do not sum to 1.",
        evidence={**count.evidence, "calls": count.seen},
        causes=(cause("log-softmax-missing", place),),
        next_check="use cross_entropy on the logits, or log_softmax before nll_loss",
        subject=str(place or ""),
    )


def _sigmoid(place: Place | None, count: _Count) -> Finding:
    return Finding(
        kind="probabilities-into-logit-loss",
        severity=Severity.SEVERE,
        title="binary_cross_entropy_with_logits is given what came out of a sigmoid, and does one itself.",
        evidence={**count.evidence, "calls": count.seen},
        causes=(cause("sigmoid-twice", place),),
        next_check="remove the sigmoid before the loss, or use binary_cross_entropy",
        subject=str(place or ""),
    )


def _spread(place: Place | None, count: _Count) -> Finding:
    one, other = count.evidence["shapes"]
    return Finding(
        kind="shapes-spread",
        severity=Severity.SEVERE,
        title=f"Shapes {tuple(one)} and {tuple(other)} spread to {tuple(count.evidence['result'])}: "
        "every prediction meets every target.",
        evidence={**count.evidence, "calls": count.seen},
        causes=(cause("silent-broadcast", place),),
        next_check="bring both to one shape: squeeze the predictions' last axis, or add one to the targets",
        subject=str(place or ""),
    )
