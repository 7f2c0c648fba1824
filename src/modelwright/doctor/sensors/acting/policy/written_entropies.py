"""Entropies of policies that a program computes itself, without a distribution of torch."""

from collections import deque
from typing import Any

from modelwright.doctor.watch.sensor import Operation

__all__ = ["WrittenEntropies"]

_NEAR = 1e-4
_MOST = 4
_SUMS = ("sum", "mean", "neg", "__neg__", "negative")


class WrittenEntropies:
    """Knows sums that are the entropy of a softmax heard before, by their values."""

    operations = frozenset({"softmax", "log_softmax", *_SUMS})
    """Names of the operations that it hears."""

    def __init__(self) -> None:
        self._known: deque[Any] = deque(maxlen=_MOST)

    def forget(self) -> None:
        """Begin anew."""
        self._known.clear()

    def heard(self, operation: Operation) -> tuple[Any, float] | None:
        """Return the result of an operation where it is an entropy of each row, or their mean, and its sign.

        The sign is -1 for sums that are the negative of it, as they are before they are turned round.
        """
        result = operation.result
        if operation.name not in _SUMS:
            if operation.name in ("softmax", "log_softmax") and result.requires_grad and result.dim() >= 2:
                self._known.append(_entropy(result.detach(), operation.name))
            return None
        if not self._known or not getattr(result, "requires_grad", False):
            return None
        said = result.detach()
        for rows in self._known:
            entropy = rows if rows.shape == said.shape else rows.mean() if not said.dim() else None
            if entropy is None:
                continue
            for sign in (1.0, -1.0):
                near = bool(((sign * said - entropy).abs() <= _NEAR * (1e-3 + entropy.abs())).all())
                if near and not _is_cross_entropy(result):
                    return result, sign
        return None


def _is_cross_entropy(result: Any) -> bool:
    """Whether a sum is of products with something fixed: near-uniform classes give it an entropy's value."""
    node = result.grad_fn
    while node is not None and len(node.next_functions) == 1:
        node = node.next_functions[0][0]
    return node is not None and "Mul" in node.name() and any(each is None for each, _ in node.next_functions)


def _entropy(given: Any, name: str) -> Any:
    logarithms = given if name == "log_softmax" else given.clamp_min(1e-30).log()
    return -(logarithms.exp() * logarithms).sum(dim=-1)
