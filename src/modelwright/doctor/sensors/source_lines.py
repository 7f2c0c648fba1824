"""Lines of a program that call what cannot be heard, found in its source."""

import ast
from collections.abc import Container, Iterator
from pathlib import Path

from modelwright.doctor.watch.place import Place

__all__ = ["only_line_of", "prepares"]

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


def _only(place: Place | None, lines: list[int]) -> Place | None:
    return Place(place.file, lines[0]) if place is not None and len(set(lines)) == 1 else None


def _calls_in(place: Place | None) -> Iterator[tuple[int, set[str]]]:
    """Yield the line of each simple statement, with the names of what it calls."""
    if place is None:
        return
    try:
        tree = ast.parse(Path(place.file).read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return | ast.Expr):
            called = {
                each.func.attr if isinstance(each.func, ast.Attribute) else each.func.id
                for each in ast.walk(node)
                if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute | ast.Name)
            }
            yield node.lineno, called
