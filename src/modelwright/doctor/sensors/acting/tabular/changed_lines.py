"""The line at which a program changes a table, found in its text."""

import ast
import linecache
from collections.abc import Iterator
from functools import cache

from modelwright.doctor.sensors.acting.tabular.tables import Table
from modelwright.doctor.watch.place import Place

__all__ = ["place_of_change"]


def place_of_change(table: Table) -> Place | None:
    """Return the first line that adds to a value of a table, or else the first that sets one."""
    found: list[tuple[bool, Place]] = []
    for file in table.files:
        for line, function, name, adds in _changes(file):
            if name in table.names:
                found.append((not adds, Place(file, line, function)))
    return min(found)[1] if found else None


@cache
def _changes(file: str) -> tuple[tuple[int, str, str, bool], ...]:
    """Return lines that change values: line, function, name, and whether the value is made of itself."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ()
    return tuple(_within(tree, "<module>"))


def _within(tree: ast.AST, function: str) -> Iterator[tuple[int, str, str, bool]]:
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(node, ast.Assign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                whole = isinstance(node, ast.AugAssign)  # with traces, all values change
                name = _name(target) if whole or isinstance(target, ast.Subscript) else ""
                if name:
                    read = ast.unparse(target) in ast.unparse(node.value)
                    yield node.lineno, inside, name, isinstance(node, ast.AugAssign) or read
        yield from _within(node, inside)


def _name(node: ast.AST | None) -> str:
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
