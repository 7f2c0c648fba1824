"""Along which axis the probabilities of a distribution over classes were brought to a sum of one."""

from typing import Any

__all__ = ["is_over_rows"]

_MOST_NODES = 8
_KEEPS_PLACES = ("Div", "Sub", "Add", "Mul", "Log", "Clamp", "Clone")
_SOFTMAX = ("SoftmaxBackward0", "LogSoftmaxBackward0")


def is_over_rows(distribution: Any) -> bool:
    """Return whether a softmax ran over another axis than the last, along which classes are read.

    Args:
        distribution: One over classes. What it does with probabilities itself moves none of them.
    """
    given = vars(distribution).get("probs", vars(distribution).get("logits"))
    shape = tuple(getattr(given, "shape", ()))
    node = getattr(given, "grad_fn", None)
    for _ in range(_MOST_NODES):
        name = type(node).__name__
        if name in _SOFTMAX and node is not None:
            try:
                found = tuple(node._saved_result.shape)
                axis = int(node._saved_dim)
            except (AttributeError, RuntimeError):
                return False  # another torch, or a graph that was given up
            axis = (axis - 2**64 if axis >= 2**63 else axis) % max(len(found), 1)
            return found == shape and axis < len(shape) - 1 and shape[axis] > 1
        if node is None or not name.startswith(_KEEPS_PLACES) or not node.next_functions:
            return False
        node = node.next_functions[0][0]
    return False
