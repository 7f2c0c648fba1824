"""Which files are source, and how large a file may be before only its hash is kept."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from modelwright.base.errors import BadValue

__all__ = [
    "LARGEST_FILE",
    "LARGEST_TOTAL",
    "SKIPPED_FOLDERS",
    "SOURCE_NAMES",
    "SOURCE_SUFFIXES",
    "Selection",
    "LeftOut",
    "environment_folders",
    "file_sha256",
    "leave_out",
    "relative_path",
    "shown_name",
]

LARGEST_FILE = 8 * 2**20
"""Bytes. A larger untracked file is listed by name and hash, and its content is not kept."""

LARGEST_TOTAL = 64 * 2**20
"""Bytes of untracked files that one snapshot keeps; the largest are left out first."""

SOURCE_SUFFIXES = (
    *(".py", ".pyi", ".pyx", ".pxd", ".ipynb", ".r", ".jl", ".js", ".ts", ".go", ".rs", ".sh", ".sql"),
    *(".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".cu", ".cuh", ".f90", ".proto", ".j2"),
    *(".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".lock", ".txt", ".md", ".rst"),
)
"""What counts as source where there is no git to say so (compared in lower case)."""

SOURCE_NAMES = ("Makefile", "Dockerfile", "Containerfile", "Justfile", ".python-version")
"""Files without a telling suffix that are source all the same."""

SKIPPED_FOLDERS = (
    *(
        ".modelwright",
        ".git",
        ".hg",
        ".svn",
        ".venv",
        ".tox",
        ".nox",
        ".eggs",
        "site-packages",
        "node_modules",
    ),
    *(
        ".cache",
        "__pycache__",
        ".pytest_cache",
        ".ruff_cache",
        ".mypy_cache",
        ".hypothesis",
        ".ipynb_checkpoints",
    ),
)
"""Folders whose untracked files are never source: environments, caches and the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which untracked files a snapshot keeps.

    Attributes:
        skip: Folders besides `SKIPPED_FOLDERS` whose untracked files are not source.
        largest_file: Bytes above which a file is left out, by name and hash.
        largest_total: Bytes of such files to keep; the largest are left out first.
    """

    skip: tuple[Path, ...] = ()
    largest_file: int = LARGEST_FILE
    largest_total: int = LARGEST_TOTAL

    def __post_init__(self) -> None:
        for name in ("largest_file", "largest_total"):
            if getattr(self, name) < 0:
                raise BadValue(f"{name} is a number of bytes", got=getattr(self, name), nearest="0")

    def skipped(self, top: Path) -> list[str]:
        """Return the folders to skip that lie below `top`, relative to it."""
        inside = [relative_path(path, top) for path in self.skip]
        return [path for path in inside if path]


def relative_path(path: Path, top: Path) -> str | None:
    """Return `path` relative to `top` with forward slashes: empty for `top` itself, None outside of it."""
    path, top = path.resolve(), top.resolve()
    if not path.is_relative_to(top):
        return None
    return "" if path == top else path.relative_to(top).as_posix()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that belongs to the source and whose content was not kept.

    Attributes:
        path: Relative to the top of the snapshot, with forward slashes.
        size: Bytes.
        sha256: Hash of its content, None where it could not be read.
        reason: Why it was left out.
    """

    path: str
    size: int
    sha256: str | None
    reason: str

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "LeftOut":
        """Return the object that `record` was made from."""
        return LeftOut(**record)


def file_sha256(path: Path) -> str:
    """Return the sha256 of the file's content, read in pieces."""
    digest = sha256()
    with path.open("rb") as stream:
        while piece := stream.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def shown_name(name: bytes) -> str:
    """Return a file name as text that JSON can hold; bytes that are not UTF-8 appear as `\\xff`."""
    return name.decode("utf-8", "backslashreplace")


def environment_folders(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the folders, each ending in a slash, that a `pyvenv.cfg` among `paths` marks as environments."""
    return tuple(path.removesuffix("pyvenv.cfg") for path in paths if path.endswith("/pyvenv.cfg"))


def leave_out(top: Path, paths: Iterable[str], selection: Selection) -> tuple[list[str], tuple[LeftOut, ...]]:
    """Separate `paths` (relative to `top`) into those to keep and those that are too large or unreadable.

    A file that has vanished since it was listed is in neither.
    """
    sizes: dict[str, int] = {}
    out: dict[str, str] = {}
    for path in paths:
        full = top / path
        try:
            sizes[path] = full.lstat().st_size
        except OSError:
            continue
        if full.is_symlink():
            continue
        if not os.access(full, os.R_OK):
            out[path] = "unreadable"
        elif sizes[path] > selection.largest_file:
            out[path] = f"larger than {selection.largest_file} bytes"
    total = sum(size for path, size in sizes.items() if path not in out)
    for path, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        if total <= selection.largest_total:
            break
        if path not in out:
            out[path] = f"all such files together are larger than {selection.largest_total} bytes"
            total -= size
    left = tuple(_left_out(top, path, sizes[path], reason) for path, reason in sorted(out.items()))
    return [path for path in sizes if path not in out], left


def _left_out(top: Path, path: str, size: int, reason: str) -> LeftOut:
    try:
        content = file_sha256(top / path)
    except OSError:
        content, reason = None, "unreadable"
    return LeftOut(path=shown_name(os.fsencode(path)), size=size, sha256=content, reason=reason)
