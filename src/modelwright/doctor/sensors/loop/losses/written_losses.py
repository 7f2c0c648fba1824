"""Losses that a program writes out itself: how steep they are in log-likelihoods and in squared errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.doctor.watch.sensor import Operation

__all__ = ["LIKELIHOODS", "SIZES", "Part", "Slope", "part_of", "slope_of"]

LIKELIHOODS = ("log_softmax", "logsigmoid", "log_sigmoid")
SIZES = ("pow", "__pow__", "square", "abs", "__abs__")
_ALIKE = 1e-3


@dataclass(frozen=True, slots=True)
class Part:
    """What a loss is made of.

    Attributes:
        result: Logarithms of likelihoods, which are to rise, or sizes of errors, which are to fall.
        axis: Of classes, that likelihoods are over; None where there is none.
        rises: Whether it is to rise.
    """

    result: Any
    axis: int | None
    rises: bool


@dataclass(frozen=True, slots=True)
class Slope:
    """How much a loss changes with each row of its parts.

    Attributes:
        each: Change with one row, the same of all rows that count.
        rows: How many count.
        size: How many there are.
        wrong: Whether errors fall, or likelihoods rise, as the loss grows.
    """

    each: float
    rows: int
    size: int
    wrong: bool

    def is_like(self, other: "Slope") -> bool:
        """Return whether another batch has the same weights: of each row, of a mean or of a mean of some."""
        pairs = ((1, 1), (self.rows, other.rows), (self.size, other.size))
        return any(abs(self.each * a - other.each * b) <= _ALIKE * abs(self.each * a) for a, b in pairs)


def part_of(operation: Operation) -> Part | None:
    """Return an operation's result as a part of a loss; None where it is none."""
    result, given = operation.result, operation.argument(0, "input")
    if not getattr(result, "requires_grad", False):
        return None
    if operation.name == "log_softmax":
        axis = operation.argument(1, "dim")
        return Part(result, axis, True) if isinstance(axis, int) else None
    if operation.name in LIKELIHOODS:
        return Part(result, None, True)
    if operation.name.strip("_") == "pow" and operation.argument(1, "exponent") != 2:
        return None
    return Part(result, None, False) if _is_error(given) else None


def _is_error(given: Any) -> bool:
    """Return whether a tensor is what a model says less what has no gradient, or the other way round."""
    node = getattr(given, "grad_fn", None)
    if node is None or node.name() != "SubBackward0":
        return False
    return sum(child is None for child, _ in node.next_functions) == 1


def slope_of(loss: Any, parts: Sequence[Part]) -> Slope | None:
    """Return the slope of a loss in its parts; None where rows have different weights, or it is in none.

    Weights that differ are rewards, margins or other losses. Those that are likelihoods themselves are an
    entropy's.
    """
    import torch

    found: list[Slope] = []
    results = [each.result for each in parts]
    slopes: Any = torch.autograd.grad(loss, results, retain_graph=True, allow_unused=True)
    for part, slope in zip(parts, slopes, strict=True):
        if slope is None or not bool(slope.count_nonzero()):
            continue
        weights = slope if part.axis is None else slope.sum(dim=part.axis)
        counted = weights[weights != 0].double()
        if len(counted) < 2 or float(counted.max() - counted.min()) > _ALIKE * float(counted.abs().max()):
            return None
        each = float(counted.mean())
        if part.axis is not None and torch.allclose(slope / each, part.result.detach().exp(), atol=_ALIKE):
            return None
        found.append(Slope(each, len(counted), weights.numel(), (each > 0) is part.rises))
    if not found or len({each.wrong for each in found}) > 1:
        return None
    return found[0]
