"""Loops of a program around a line, and whether a schedule counts the turns of an outer one."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from modelwright.doctor.watch.place import Place

__all__ = ["counts_outer_turns", "horizon_named"]

_BEYOND_HORIZON = frozenset(
    {"optimizer", "last_epoch", "gamma", "eta_min", "factor", "start_factor", "end_factor", "power"}
)
_LIBRARIES = frozenset({"math", "np", "numpy", "torch", "min", "max", "int", "float", "round", "range"})


def horizon_named(made: Place | None, kind: str) -> tuple[str, int] | None:
    """Return the only name, with its value, that the settings of a scheduler count by; None where none is.

    To be asked while the scheduler is being made.

    Args:
        made: Where.
        kind: Its class.
    """
    tree = _tree(made)
    named = _named(tree, made.line, kind) if tree is not None and made is not None else set[str]()
    if len(named) != 1 or made is None:
        return None
    name = next(iter(named))
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and (frame.f_code.co_filename, frame.f_lineno) != (made.file, made.line):
        frame = frame.f_back
    value = _value(name, frame)
    return (name, value) if isinstance(value, int) and value > 1 else None


def counts_outer_turns(name: str, made: Place | None, stepped: Place | None) -> bool:
    """Return whether a name is what the `range` of an outer loop ends at, and the inner one has a line.

    Args:
        name: As it is written.
        made: Where a scheduler is made whose settings have the name.
        stepped: Where it is stepped.
    """
    tree = _tree(stepped)
    if tree is None or made is None or stepped is None or made.file != stepped.file:
        return False
    return name in [_end_of(loop) for loop in _loops_around(tree, stepped.line)[:-1]]


def _tree(place: Place | None) -> ast.AST | None:
    try:
        return ast.parse(Path(place.file).read_text("utf-8")) if place is not None else None
    except (OSError, SyntaxError, ValueError):
        return None


def _value(name: str, frame: FrameType | None) -> Any:
    """Return what a name stands for, attributes and plain keys included; None where that is not plain."""
    if frame is None:
        return None
    node: Any = ast.parse(name, mode="eval").body
    path: list[Any] = []
    while not isinstance(node, ast.Name):
        path.append(node)
        node = node.value
    found = frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    for each in reversed(path):
        if isinstance(each, ast.Attribute):
            found = getattr(found, "__dict__", {}).get(each.attr)
        else:
            found = found.get(each.slice.value) if isinstance(found, dict) else None
    return found


def _loops_around(tree: ast.AST, line: int) -> list[ast.For | ast.While]:
    """Return the loops of one function that a line is in, the outermost first."""
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.For | ast.While) and node.body[0].lineno <= line <= (node.end_lineno or 0)
    ]
    within = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.Lambda) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    around = [loop for loop in around if loop.lineno >= max(within, default=0)]
    return sorted(around, key=lambda loop: loop.lineno)


def _end_of(loop: ast.For | ast.While) -> str:
    """Return what a loop over a range ends at, as it is written, without an added 1."""
    call: Any = loop.iter if isinstance(loop, ast.For) else None
    while isinstance(call, ast.Call) and call.args:
        name = ast.unparse(call.func).split(".")[-1]
        if name in ("range", "trange"):
            end = call.args[1] if len(call.args) > 1 else call.args[0]
            if isinstance(end, ast.BinOp) and isinstance(end.op, ast.Add) and _is_one(end.right):
                end = end.left
            return ast.unparse(end) if _is_name(end) else ""
        call = call.args[0]
    return ""


def _named(tree: ast.AST, line: int, kind: str) -> set[str]:
    """Return the names that the settings of a scheduler are made of, but its optimizer and plain factors."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.lineno <= line <= (call.end_lineno or 0):
            continue
        if ast.unparse(call.func).split(".")[-1] != kind:
            continue
        named = [each.value for each in call.keywords if each.arg not in _BEYOND_HORIZON]
        settings = [_function(tree, each) or each for each in (*call.args[1:], *named)]
        if any(_is_multiple(node) for each in settings for node in ast.walk(each)):
            return set()  # of turns by batches, perhaps
        return {name for each in settings for name in _names_in(each)}
    return set()


def _function(tree: ast.AST, setting: ast.expr) -> ast.AST | None:
    """Return the function of a program that a setting names."""
    if not isinstance(setting, ast.Name):
        return None
    return next((f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f.name == setting.id), None)


def _names_in(node: ast.AST) -> Iterator[str]:
    own = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    waiting: list[ast.AST] = [*ast.iter_child_nodes(node)] if isinstance(node, ast.FunctionDef) else [node]
    while waiting:
        each = waiting.pop()
        if _is_name(each):
            written = ast.unparse(each)
            if written not in own and written.split(".")[0] not in _LIBRARIES:
                yield written
        else:
            waiting += ast.iter_child_nodes(each)


def _is_name(node: ast.AST) -> bool:
    """Return whether it is a name, or a part of what a name stands for."""
    while isinstance(node, ast.Attribute) or (
        isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    ):
        node = node.value
    return isinstance(node, ast.Name)


def _is_multiple(node: ast.AST) -> bool:
    """Return whether something is multiplied by a whole number above 1."""
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) else ()
    values = [each.value for each in sides if isinstance(each, ast.Constant)]
    return any(isinstance(each, int) and each > 1 for each in values)


def _is_one(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1
