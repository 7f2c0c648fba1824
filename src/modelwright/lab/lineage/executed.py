"""What Python executed, so that a changed file that nothing ran is not taken for a cause."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import modelwright.base.errors

__all__ = ["Executed", "record_executed"]

_PACKAGE = Path(modelwright.base.errors.__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """The modules of a process.

    Attributes:
        files: Files of the source, relative to its top folder.
        package: Modelwright's own files, relative to the package.
        modules: Names of all top-level modules.
    """

    files: frozenset[str]
    package: frozenset[str]
    modules: frozenset[str]

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {name: sorted(getattr(self, name)) for name in ("files", "package", "modules")}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Executed":
        """Return the object that `record` was made from."""
        return Executed(**{name: frozenset(record[name]) for name in ("files", "package", "modules")})

    def joined(self, other: "Executed") -> "Executed":
        """Return what either of two processes executed."""
        return Executed(
            files=self.files | other.files,
            package=self.package | other.package,
            modules=self.modules | other.modules,
        )

    def unused_distributions(self) -> frozenset[str]:
        """Return the installed distributions of which no module was imported, by normalised name.

        Distributions that bring no module (libraries of CUDA and the like) are not among them.
        """
        known: dict[str, bool] = {}
        for module, names in metadata.packages_distributions().items():
            for name in names:
                plain = name.replace("_", "-").replace(".", "-").lower()
                known[plain] = known.get(plain, False) or module in self.modules
        return frozenset(name for name, used in known.items() if not used)


def record_executed(top: Path) -> Executed:
    """Return the modules that this process has imported until now.

    Args:
        top: Top folder of the user's source.
    """
    top = top.resolve()
    files: set[str] = set()
    package: set[str] = set()
    for module in list(sys.modules.values()):
        named = getattr(module, "__file__", None)
        if not isinstance(named, str):
            continue
        path = Path(named).resolve()
        if path.is_relative_to(_PACKAGE):
            package.add(path.relative_to(_PACKAGE).as_posix())
        if path.is_relative_to(top) and not _is_installed(path):
            files.add(path.relative_to(top).as_posix())
    modules = frozenset(name.partition(".")[0] for name in sys.modules)
    return Executed(files=frozenset(files), package=frozenset(package), modules=modules)


def _is_installed(path: Path) -> bool:
    """Return whether a file belongs to an environment rather than to anybody's source."""
    return "site-packages" in path.parts or path.is_relative_to(Path(sys.prefix).resolve())
