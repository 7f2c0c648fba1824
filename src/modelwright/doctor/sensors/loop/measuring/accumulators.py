"""Sums over batches that are no sums, read from the source text of the program."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Sensor

__all__ = ["Accumulators", "overwritten_sums"]

_MOST_BYTES = 400_000


class Accumulators(Sensor):
    """Looks through the files in which a model was called."""

    def findings(self) -> Iterable[Finding]:
        """Return names that begin at zero, are overwritten in a loop, and are divided after it."""
        files = {place.file for places in self.scene.places.values() for place in places}
        for file in sorted(files):
            for place, name in _found_in(file):
                yield Finding(
                    kind="sum-overwritten",
                    severity=Severity.WARNING,
                    title=f"{name} begins at zero, is overwritten at each turn of a loop and divided after "
                    "it: only the last turn counts.",
                    evidence={"name": name},
                    causes=(cause("metric-over-last-batch-only", place),),
                    next_check=f"write {name} += ... where it says {name} = ...",
                    subject=name,
                )


def _found_in(file: str) -> tuple[tuple[Place, str], ...]:
    try:
        known = Path(file).stat()
    except OSError:
        return ()
    return _read(file, known.st_mtime_ns) if known.st_size <= _MOST_BYTES else ()


@lru_cache(maxsize=256)
def _read(file: str, changed: int) -> tuple[tuple[Place, str], ...]:
    """Return what a file has; it is read again once it was changed."""
    try:
        tree = ast.parse(Path(file).read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple((Place(file, line), name) for line, name in overwritten_sums(tree))


def overwritten_sums(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of each sum that is overwritten where it was to be added to.

    Such a name is set to zero, then in a loop of the same block assigned without being read, and after the
    loop, in the same block, divided.
    """
    for node in ast.walk(tree):
        for block in (getattr(node, field, None) for field in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                yield from _in_block(block)


def _in_block(block: Sequence[ast.stmt]) -> Iterator[tuple[int, str]]:
    zero: set[str] = set()
    for at, statement in enumerate(block):
        inner = [statement]
        while len(inner) == 1 and isinstance(inner[0], ast.With):
            inner = inner[0].body
        for each in inner:
            if isinstance(each, ast.For):
                for name in sorted(zero):
                    line = _overwritten(each, name)
                    after = [*inner[inner.index(each) + 1 :], *block[at + 1 :]]
                    if line and _is_divided(after, name):
                        yield line, name
        zero |= {name for name, value in _assigned(statement) if _is_zero(value)}


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if not isinstance(statement, ast.Assign):
        return
    for target in statement.targets:
        if isinstance(target, ast.Name):
            yield target.id, statement.value
        elif isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
            for name, value in zip(target.elts, statement.value.elts, strict=False):
                if isinstance(name, ast.Name):
                    yield name.id, value


def _is_zero(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and type(value.value) in (int, float) and value.value == 0


def _overwritten(loop: ast.For, name: str) -> int:
    """Return the line that assigns a name in a loop that never reads it; 0 where there is none."""
    line = 0
    for node in ast.walk(loop):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return 0
        if isinstance(node, ast.Name) and node.id == name:
            if isinstance(node.ctx, ast.Load):
                return 0
            line = node.lineno
    direct = {target for statement in loop.body for target, _ in _assigned(statement)}
    return line if name in direct else 0


def _is_divided(statements: Sequence[ast.stmt], name: str) -> bool:
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_name(node.left, name):
                return True
        if any(target == name for target, _ in _assigned(statement)):
            return False
    return False


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
