"""What losses are given as inputs: probabilities for logits, a softmax over rows, shapes that spread."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.losses.spread import spread_finding
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["LossInputs"]

_ENOUGH = 3
_ROUNDING = 1e-4
_FEWEST_ROWS, _MOST_LOOKED_AT = 8, 64
_MOST_PARTS = 3
"""Products of a column and a row that add to rewards and masked values of what follows."""

_ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_DIFFERENCES = ("sub", "__sub__", "rsub", "__rsub__", *_ELEMENTWISE)
_PRODUCTS, _SUMS = ("mul", "__mul__"), ("add", "__add__", "__radd__")
_ARITHMETIC = (*_DIFFERENCES, *_PRODUCTS, *_SUMS)


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
            "gather",
        }
    )

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._counts: dict[tuple[str, Place | None], _Count] = {}
        self._softmax: tuple[Operation, int] | None = None
        self._said: deque[Any] = deque(maxlen=4)
        self._looks: dict[str, Callable[[Operation], None]] = {
            "cross_entropy": self._cross_entropy,
            "nll_loss": self._nll,
            "binary_cross_entropy_with_logits": self._logits,
            **dict.fromkeys(("softmax", "log_softmax"), self._axis),
            "gather": self._gather,
            **dict.fromkeys(_ARITHMETIC, self._shapes),
        }

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if not call.depth:
            columns = (each for each in tensors_in(call.output) if each.dim() == 2 and each.shape[1] == 1)
            self._said.extend(each.detach() for each in columns if each.shape[0] > 1)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if getattr(operation.argument(0, "input"), "numel", lambda: 1)():
            self._looks[operation.name](operation)

    def _note_axis(self, given: Any) -> None:
        """Elsewhere, in attention for example, a softmax over axis 0 is nothing wrong."""
        if self._softmax is not None and given.dim() == 2 and _is_of(given, self._softmax[0].result):
            operation, axis = self._softmax
            self._note("axis", operation, axis == 0, shape=list(given.shape), axis=0, read_along=1)
        self._softmax = None

    def _gather(self, operation: Operation) -> None:
        """One number of each row is chosen of what a softmax gave, along the axis that it ran over."""
        given, along, index = operation.args[0], operation.argument(1, "dim"), operation.argument(2, "index")
        if self._softmax is None or self._softmax[0].result is not given or not isinstance(along, int):
            return
        softmax, axis = self._softmax
        along %= given.dim()
        if index.dim() == given.dim() and index.shape[along] == 1 < given.shape[along]:
            wrong = axis != along and given.shape[axis] > 1
            self._note("axis", softmax, wrong, shape=list(given.shape), axis=axis, read_along=along)

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
        """Keep a softmax until it is seen whether a loss of classes takes it, or one number of each row."""
        given, axis = operation.argument(0, "input"), operation.argument(1, "dim")
        if not given.requires_grad or given.dim() < 2 or min(given.shape) < 1 or not isinstance(axis, int):
            return
        self._softmax = (operation, axis % given.dim())

    def _nll(self, operation: Operation) -> None:
        given = operation.argument(0, "input")
        self._note_axis(given)
        if not given.requires_grad or given.dim() < 2 or given.shape[1] < 2:
            return
        total = given.detach().double().logsumexp(dim=1)
        if not bool(total.isfinite().all()):
            return  # once learning has broken down it says nothing
        wrong = not bool((total.abs() < 1e-2).all())
        self._note(
            "nll",
            operation,
            wrong,
            smallest_log_total=float(total.min()),
            largest_log_total=float(total.max()),
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
        if not bool(values.isfinite().all()):
            return
        self._note("sigmoid", operation, wrong, smallest=float(values.min()), largest=float(values.max()))

    def _shapes(self, operation: Operation) -> None:
        """(N, 1) with (N,) spreads to (N, N): every prediction meets every target."""
        one, other = (
            operation.argument(0, "input"),
            operation.argument(1, "target" if operation.name in _ELEMENTWISE else "other"),
        )
        shapes = getattr(one, "shape", None), getattr(other, "shape", None)
        if shapes[0] is None or shapes[1] is None:
            return
        if len(shapes[0]) == len(shapes[1]) and operation.name not in _ELEMENTWISE:
            return
        long, short = sorted((tuple(map(int, shapes[0])), tuple(map(int, shapes[1]))), key=len, reverse=True)
        if operation.name in _ELEMENTWISE and len(long) == len(short) == 2:
            self._square(operation, long, short)
        if len(long) != 2 or len(short) != 1:
            return
        # A row may be added to a column by intent; rewards are not, nor are advantages a square.
        acts = self.scene.environments
        of_policies = acts and operation.name in _PRODUCTS
        if long == (*short, *short) and (operation.name in _DIFFERENCES or of_policies):
            self._square_and_row(operation, one, other)
        if operation.name in _SUMS and (not acts or (one if one.dim() == 1 else other).requires_grad):
            return
        rows = long[0]
        if rows < 2 or long[1] != 1 or short[0] != rows:
            return
        if not (one.requires_grad or other.requires_grad or self._is_said(one) or self._is_said(other)):
            return
        self._note(
            "spread",
            operation,
            True,
            shapes=[list(shapes[0]), list(shapes[1])],
            result=list(operation.result.shape),
            function=operation.name,
        )

    def _square(self, operation: Operation, one: tuple[int, ...], other: tuple[int, ...]) -> None:
        """A column is compared with a square of as many rows, which a column and a row made before."""
        column, square = (one, other) if one[1] == 1 else (other, one)
        if column[1] == 1 < column[0] == square[0] == square[1]:
            self._note(
                "spread",
                operation,
                True,
                shapes=[list(column), list(square)],
                result=list(square),
                function=operation.name,
            )

    def _square_and_row(self, operation: Operation, one: Any, other: Any) -> None:
        """A row of predictions meets a square of targets, or of advantages, that a column and a row made."""
        square, row = (one, other) if one.dim() == 2 else (other, one)
        if not row.requires_grad or square.requires_grad:
            return
        if operation.name in _PRODUCTS and not _varies_both_ways(square):
            return  # a mask, or weights that are the same for all
        if _is_of_column_and_row(square):
            self._note(
                "spread",
                operation,
                True,
                shapes=[list(square.shape), list(row.shape)],
                result=list(operation.result.shape),
                function=operation.name,
            )

    def _is_said(self, given: Any) -> bool:
        """Return whether a column is what a model gave lately, cut off from its graph."""
        return given.dim() == 2 and any(given.data_ptr() == each.data_ptr() for each in self._said)

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
        title=f"A softmax of shape {tuple(count.evidence['shape'])} runs over axis "
        f"{count.evidence['axis']}, and classes are read along axis {count.evidence['read_along']}: "
        "what one row gets depends on the others.",
        evidence={**count.evidence, "calls": count.seen},
        causes=(cause("softmax-over-wrong-axis", place),),
        next_check="run it over the classes: dim=-1",
        subject=str(place or ""),
    )


def _is_of(given: Any, whole: Any) -> bool:
    """Return whether a tensor is another one, or some of its rows."""
    node = given.grad_fn
    if given is whole or node is None or whole.dim() != 2 or given.shape[1:] != whole.shape[1:]:
        return given is whole
    taken = node.name().startswith(("Index", "Slice")) and node.next_functions
    return bool(taken) and node.next_functions[0][0] is whole.grad_fn


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


def _is_of_column_and_row(square: Any) -> bool:
    """Return whether a square is a column and a row, added and multiplied: two or three numbers make each.

    Measured squares, of as many numbers a row as rows, are not so.
    """
    numbers = square.detach()[:_MOST_LOOKED_AT, :_MOST_LOOKED_AT].double()
    if len(numbers) < _FEWEST_ROWS or not bool(numbers.isfinite().all()):
        return False
    import torch

    sizes = torch.linalg.svdvals(numbers)
    return bool(numbers.any()) and bool(sizes[_MOST_PARTS] <= 1e-5 * sizes[0])


def _varies_both_ways(square: Any) -> bool:
    return bool((square != square[:1]).any()) and bool((square != square[:, :1]).any())


def _spread(place: Place | None, count: _Count) -> Finding:
    told = count.evidence
    return spread_finding(place, told["shapes"], told["result"], told["function"], count.seen)
