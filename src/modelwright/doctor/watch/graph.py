"""What torch recorded on the way to a tensor: the graph that backward goes through."""

from typing import Any

__all__ = ["leaves_of", "nodes_near"]

_MOST_NODES = 50_000


def leaves_of(tensor: Any) -> list[Any]:
    """Return the leaf tensors that gradients of a tensor reach; its graph is read and not held.

    Of a graph of more than 50,000 functions, those among the first.
    """
    if tensor.grad_fn is None:
        return [tensor] if tensor.requires_grad else []
    leaves: dict[int, Any] = {}
    seen, waiting = {tensor.grad_fn}, [tensor.grad_fn]
    while waiting and len(seen) < _MOST_NODES:
        node = waiting.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            leaves[id(leaf)] = leaf
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return list(leaves.values())


def nodes_near(tensor: Any, most: int) -> set[Any]:
    """Return the functions that a tensor came from, nearest first, at most so many."""
    seen: set[Any] = set()
    waiting = [tensor.grad_fn] if tensor.grad_fn is not None else []
    while waiting and len(seen) < most:
        node = waiting.pop(0)
        if node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions if following is not None]
    return seen
