"""Which files decide what a learner or an environment computes: the imports of its own file, followed."""

import ast
import os
from functools import cache, lru_cache
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
    root = root.resolve()
    first = os.path.realpath(start)
    homes = (str(_PACKAGE.parent), str(root), str(root / "src"))
    locate = cache(_locate)  # most files of a room import the same
    found: set[str] = set()
    waiting = [first]
    while waiting:
        file = waiting.pop()
        if file in found or (file != first and not _is_ours(Path(file), root)):
            continue
        found.add(file)
        folder = os.path.dirname(file)
        for parts, level in _imports(Path(file).read_bytes(), file):
            for home in (_above(folder, level - 1),) if level else (*homes, folder):
                hits = locate(home, parts)
                if hits:
                    waiting.extend(hits)
                    break
    return tuple(sorted(map(Path, found)))


def _is_ours(file: Path, root: Path) -> bool:
    if "site-packages" in file.parts or file == _PACKAGE / "__init__.py":
        return False
    return file.is_relative_to(_PACKAGE) or file.is_relative_to(root)


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


def _above(folder: str, levels: int) -> str:
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder


def _locate(home: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files in a folder that importing a dotted name runs; none where it is not there."""
    if not parts:
        return ()
    place = os.path.join(home, *parts)
    hits = [path for path in (f"{place}.py", os.path.join(place, "__init__.py")) if os.path.isfile(path)]
    if not hits:
        return ()
    # Importing a.b.c runs a and a.b first.
    above = [os.path.join(home, *parts[:end], "__init__.py") for end in range(1, len(parts))]
    return tuple(os.path.realpath(path) for path in [*hits, *above] if os.path.isfile(path))
