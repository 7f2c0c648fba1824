"""What torch recorded on the way to a tensor: the graph that backward goes through."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Graph", "walk"]

_MOST_NODES = 50_000


@dataclass(frozen=True, slots=True)
class Graph:
    """A recorded graph.

    Attributes:
        leaves: id -> leaf tensor that gradients reach.
        nodes: Functions in it, the outermost first.
        whole: Whether it was walked to its end.
    """

    leaves: dict[int, Any]
    nodes: list[Any]
    whole: bool


def walk(tensor: Any) -> Graph:
    """Return the graph of a tensor; it is read and not held."""
    leaves: dict[int, Any] = {}
    nodes: list[Any] = []
    first = tensor.grad_fn
    if first is None:
        return Graph({id(tensor): tensor} if tensor.requires_grad else {}, [], True)
    seen, waiting = {first}, [first]
    while waiting and len(nodes) < _MOST_NODES:
        node = waiting.pop(0) if len(waiting) < 64 else waiting.pop()
        nodes.append(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            leaves[id(leaf)] = leaf
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return Graph(leaves, nodes, not waiting)
