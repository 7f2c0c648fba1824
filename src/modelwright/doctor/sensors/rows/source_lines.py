"""Lines of a program that call what cannot be heard, found in its source."""

import ast
from collections.abc import Container, Iterator
from pathlib import Path

from modelwright.doctor.watch.place import Place

__all__ = ["assigned_at", "only_line_of", "prepares"]

_MEANS = frozenset({"mean", "nanmean", "average", "median", "nanmedian", "min", "amin", "nanmin"})
_SPREADS = frozenset(
    {"std", "nanstd", "var", "nanvar", "std_mean", "var_mean", "max", "amax", "ptp", "svd", "eigh"}
)


def prepares(place: Place | None) -> Place | None:
    """Return the line that computes statistics of rows in the file of a place.

    NumPy's arithmetic is not heard. A statement that asks both for a mean and for a deviation, or for the
    least and the largest value, is the one meant where there is only one; else the one that asks for a
    deviation along the rows.

    Args:
        place: A line of the program.

    Returns:
        The line; None where none, or several, might be meant.
    """
    asked = list(_calls_in(place))
    both = [line for line, names in asked if names & _MEANS and names & _SPREADS]
    spread = [line for line, names in asked if names & _SPREADS - {"max", "amax"}]
    return _only(place, both) or _only(place, spread)


def only_line_of(place: Place | None, names: Container[str]) -> Place | None:
    """Return the only line that calls a function of these names, in the file of a place; None else."""
    return _only(place, [line for line, called in _calls_in(place) if any(each in names for each in called)])


def assigned_at(place: Place | None) -> Place | None:
    """Return the only line that assigns the name that a call at a place is given; None where none is."""
    tree = _tree_of(place)
    if tree is None or place is None:
        return None
    given = {
        call.args[0].id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and call.lineno == place.line
        and len(call.args) == 1
        and isinstance(call.args[0], ast.Name)
    }
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(each, ast.Name) and each.id in given for each in node.targets)
    ]
    return _only(place, lines) if len(given) == 1 else None


def _only(place: Place | None, lines: list[int]) -> Place | None:
    return Place(place.file, lines[0]) if place is not None and len(set(lines)) == 1 else None


def _calls_in(place: Place | None) -> Iterator[tuple[int, set[str]]]:
    """Yield the line of each simple statement, with the names of what it calls."""
    tree = _tree_of(place)
    if tree is None:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return | ast.Expr):
            called = {
                each.func.attr if isinstance(each.func, ast.Attribute) else each.func.id
                for each in ast.walk(node)
                if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute | ast.Name)
            }
            yield node.lineno, called


def _tree_of(place: Place | None) -> ast.AST | None:
    if place is None:
        return None
    try:
        return ast.parse(Path(place.file).read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
