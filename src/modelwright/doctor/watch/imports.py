"""Be told when a library has been imported, so that what is not used is not loaded."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

__all__ = ["ImportNotice"]


class ImportNotice(importlib.abc.MetaPathFinder):
    """Calls a function once for each of some libraries, when it is wholly imported.

    Args:
        then: Name of a library -> what to call.
    """

    def __init__(self, then: Mapping[str, Callable[[], None]]) -> None:
        self._then = dict(then)

    def start(self) -> None:
        """Call for what is imported already, and wait for the rest."""
        for name in list(self._then):
            if name in sys.modules:
                self._then.pop(name)()
        sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Wait no more."""
        self._then.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec that others find, with a loader that calls afterwards."""
        then = self._then.pop(fullname, None)
        if then is None:
            return None
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        spec.loader = _Loader(spec.loader, then)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, then: Callable[[], None]) -> None:
        self._loader = loader
        self._then = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        self._loader.exec_module(module)
        self._then()
