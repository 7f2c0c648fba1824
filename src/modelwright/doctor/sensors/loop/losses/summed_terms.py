"""A loss of several terms, of which one is summed over the rows of a batch and another is averaged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["SummedTerms"]

_ENOUGH = 4
_FEWEST_ROWS = 8
_FACTOR, _COUNTED = 0.2, 2.0
"""Least factor of a sum that nobody weighed down; and times that it must count more than a mean would."""

_MOST_NODES, _MOST_KEPT = 300, 64
_LOSSES = (
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "cross_entropy", "nll_loss"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits"),
)
_MEAN, _SUM = 1, 2
_THROUGH = ("ViewBackward", "ReshapeAlias", "SqueezeBackward", "ToCopyBackward", "CloneBackward")
_OF_ROWS = ("Addmm", "MmBackward", "Bmm", "Convolution", "Embedding", "NativeBatchNorm", "NativeLayerNorm")


@dataclass(frozen=True, slots=True)
class _Term:
    """A term of a loss.

    Attributes:
        node: That reduces it.
        rows: Along its first axis.
        summed: Whether rows are summed, and not averaged.
        factor: That it is multiplied by.
    """

    node: Any
    rows: int
    summed: bool
    factor: float


class SummedTerms(Sensor):
    """Reads off the graph of each loss how its terms were reduced."""

    operations = frozenset(("sum", *_LOSSES))
    closely = frozenset({"on_backward", "on_step_end"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._places: list[tuple[Any, Place | None]] = []
        self._losses = self._apart = 0
        self._evidence: dict[str, float] = {}
        self._place: Place | None = None

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        node = getattr(operation.result, "grad_fn", None)
        if node is not None and len(self._places) < _MOST_KEPT:
            self._places.append((node, operation.place))

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        places, self._places = self._places, []
        if self.scene.environments or loss.grad_fn is None or loss.numel() != 1:
            return
        try:
            terms = list(_terms(loss.grad_fn))
        except (RuntimeError, TypeError, ValueError, AttributeError):  # saved numbers were let go
            return
        if len(terms) < 2:
            return
        self._losses += 1
        pair = _apart(terms)
        if pair is not None:  # nothing of the graph is kept
            summed, mean = pair
            self._apart += 1
            self._evidence = {
                "rows": summed.rows,
                "factor_of_the_sum": summed.factor,
                "factor_of_the_mean": mean.factor,
            }
            told = [place for node, place in places if node is summed.node]
            self._place = told[-1] if told else place_of_caller()

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._places = []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._places = []

    def findings(self) -> Iterable[Finding]:
        """Return a loss of which one term grows with the batch, and another does not."""
        if not self._evidence or self._apart < max(_ENOUGH, 0.9 * self._losses):
            return
        yield Finding(
            kind="loss-terms-on-two-scales",
            severity=Severity.WARNING,
            title=f"One term of the loss is summed over {self._evidence['rows']:.0f} rows, "
            "another is averaged over them.",
            evidence={**self._evidence, "losses": self._losses, "of_which_so": self._apart},
            causes=(cause("loss-summed-over-batch", self._place),),
            next_check="average both over the batch (summed over the numbers of a row where that is meant), "
            "and compare the two terms' sizes",
        )


def _apart(terms: list[_Term]) -> tuple[_Term, _Term] | None:
    """Return a summed and an averaged term over the same rows, with no factor that makes up for it."""
    for summed in terms:
        if not summed.summed or abs(summed.factor) < _FACTOR or not _is_of_rows(summed.node):
            continue
        for mean in terms:
            same = not mean.summed and mean.rows == summed.rows
            if same and abs(summed.factor) * summed.rows > _COUNTED * abs(mean.factor) > 0:
                return summed, mean
    return None


def _terms(root: Any) -> Iterator[_Term]:
    """Yield what is added up to a loss.

    Raises:
        ValueError: If a factor is learnt, too, and says how terms are to be weighed.
    """
    waiting, seen = [(root, 1.0)], 0
    while waiting and seen < _MOST_NODES:
        node, factor = waiting.pop()
        seen += 1
        name = node.name()
        children = [child for child, _ in node.next_functions]
        if name.startswith(("AddBackward", "SubBackward")):
            other = float(node._saved_alpha) * (-1 if name.startswith("Sub") else 1)
            weights = (1.0, other) if len(children) == 2 else (1.0,)
            waiting += [
                (child, factor * each)
                for child, each in zip(children, weights, strict=True)
                if child is not None
            ]
        elif name.startswith("NegBackward"):
            waiting.append((children[0], -factor))
        elif name.startswith(("MulBackward", "DivBackward")):
            child, number = _factor(node, children, name.startswith("Div"))
            waiting.append((child, factor * number))
        elif name.startswith(_THROUGH):
            waiting += [(child, factor) for child in children if child is not None]
        else:
            shape, summed = _reduced(node, name)
            if len(shape) and shape[0] >= _FEWEST_ROWS:
                yield _Term(node, int(shape[0]), summed, factor)


def _factor(node: Any, children: list[Any], divides: bool) -> tuple[Any, float]:
    known = [child for child in children if child is not None]
    if len(known) != 1 or (divides and children[0] is None):
        raise ValueError("a factor is learnt")
    saved = node._saved_other if children[0] is not None else node._saved_self
    number = float(saved)
    return known[0], 1 / number if divides else number


def _reduced(node: Any, name: str) -> tuple[tuple[int, ...], bool]:
    """Return the shape of what a node reduces, and whether it sums; an empty shape where it does not."""
    if name.startswith(("SumBackward0", "MeanBackward0")):
        return tuple(node._saved_self_sym_sizes), name.startswith("Sum")
    reduction = getattr(node, "_saved_reduction", None)
    if reduction in (_MEAN, _SUM):
        return tuple(node._saved_self.shape), reduction == _SUM
    return (), False


def _is_of_rows(node: Any) -> bool:
    """Return whether layers lie beneath: what is a penalty on parameters has none."""
    waiting, seen = [node], 0
    while waiting and seen < _MOST_NODES:
        each = waiting.pop()
        seen += 1
        if each.name().startswith(_OF_ROWS):
            return True
        waiting += [child for child, _ in each.next_functions if child is not None]
    return False
