"""Which files decide what a learner or an environment computes: the imports of its own file, followed."""

import ast
from functools import lru_cache
from pathlib import Path

import modelwright.base.errors

__all__ = ["imported_files"]

_PACKAGE = Path(modelwright.base.errors.__file__).parents[1]


def imported_files(start: Path, *, root: Path) -> tuple[Path, ...]:
    """Return `start` and every Python file that it imports, directly or not, sorted.

    Followed are files of Modelwright, files under `root` and files beside the importing file; what is
    installed belongs to the environment and is left out, and so is Modelwright's own front door, which names
    everything. Imports inside functions count.

    Args:
        start: The first file.
        root: The project's directory.
    """
    found: set[Path] = set()
    waiting = [start.resolve()]
    while waiting:
        file = waiting.pop()
        if file in found or (file != start.resolve() and not _is_ours(file, root)):
            continue
        found.add(file)
        for parts, level in _imports(file.read_bytes(), str(file)):
            waiting.extend(_locate(list(parts), level, file, root))
    return tuple(sorted(found))


def _is_ours(file: Path, root: Path) -> bool:
    if "site-packages" in file.parts or file == _PACKAGE / "__init__.py":
        return False
    return file.is_relative_to(_PACKAGE) or file.is_relative_to(root.resolve())


@lru_cache(maxsize=512)
def _imports(content: bytes, name: str) -> frozenset[tuple[tuple[str, ...], int]]:
    # Kept by content: the files are asked about before every job, and seldom change.
    tree = ast.parse(content, filename=name)
    return frozenset((tuple(parts), level) for node in ast.walk(tree) for parts, level in _imported(node))


def _imported(node: ast.AST) -> list[tuple[list[str], int]]:
    """Return the dotted names that a statement may import, with their level of relative import."""
    if isinstance(node, ast.Import):
        return [(alias.name.split("."), 0) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module.split(".") if node.module else []
        return [(base, node.level), *(([*base, alias.name], node.level) for alias in node.names)]
    return []


def _locate(parts: list[str], level: int, file: Path, root: Path) -> list[Path]:
    homes = (
        [file.parents[level - 1]]
        if level
        else [_PACKAGE.parent, root.resolve(), root.resolve() / "src", file.parent]
    )
    for home in homes:
        place = home.joinpath(*parts)
        hits = [
            path for path in (place.with_suffix(".py"), place / "__init__.py") if parts and path.is_file()
        ]
        if hits:
            # Importing a.b.c runs a and a.b first.
            above = [home.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts))]
            return [path.resolve() for path in [*hits, *above] if path.is_file()]
    return []
