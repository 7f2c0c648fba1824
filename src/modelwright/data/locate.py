"""Classes and functions by name, with the nearest right name where one is wrong."""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from modelwright.base.errors import BadValue, SourceMissing, UnknownName, nearest_name
from modelwright.base.fingerprint import sha256_hex

__all__ = ["locate_class", "locate_function"]

_PACKAGES = ("sklearn", "lightgbm", "xgboost", "catboost", "imblearn", "modelwright")


def locate_class(name: str) -> type:
    """Return the class with this dotted name, e.g. `sklearn.svm.SVC`.

    Raises:
        SourceMissing: where its top-level package is not installed.
        UnknownName: where a later part does not exist, with the nearest.
        BadValue: where the name is no class.
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        raise BadValue("A class has a dotted name such as sklearn.svm.SVC", got=name)
    try:
        found: object = importlib.import_module(parts[0])
    except ModuleNotFoundError as error:
        raise SourceMissing(
            f"The package {parts[0]} must be installed to use {name}",
            got=f"no module {error.name}",
            nearest=nearest_name(parts[0], _PACKAGES),
            next_step=f"install {parts[0]}, or correct the name",
        ) from error
    for place, part in enumerate(parts[1:], start=1):
        found = _inside(found, part, ".".join(parts[:place]))
    if not isinstance(found, type):
        raise BadValue(f"{name} must be a class", got=f"a {type(found).__name__}")
    return found


def _inside(owner: object, part: str, path: str) -> object:
    if hasattr(owner, part):
        return getattr(owner, part)
    if isinstance(owner, ModuleType):
        try:
            return importlib.import_module(f"{path}.{part}")
        except ModuleNotFoundError as error:
            if error.name != f"{path}.{part}":
                raise SourceMissing(
                    f"{path}.{part} needs a package that is not installed", got=f"no module {error.name}"
                ) from error
    names = [each for each in dir(owner) if not each.startswith("_")]
    names += [module.name for module in pkgutil.iter_modules(getattr(owner, "__path__", []))]
    public = list(getattr(owner, "__all__", []))
    raise UnknownName(
        f"class or module in {path}", part, {each for each in [*names, *public] if not each.startswith("_")}
    )


def locate_function(name: str, *, root: Path, what: str = "learner") -> tuple[Callable[..., Any], Path]:
    """Return a function, or a class, and the file that it stands in.

    Args:
        name: `path/to/file.py:function`, the path relative to `root` or absolute, or
            `package.module:function`.
        root: The project's directory.
        what: What it is for, for messages.

    Raises:
        SourceMissing: where the file or module is not there.
        BadValue: where it does not import, or the name is no function.
        UnknownName: where it has no such function, with the nearest.
    """
    where, _, part = name.rpartition(":")
    if not where or not part.isidentifier():
        raise BadValue("A function is named file.py:function or package.module:function", got=name)
    module = _load_file(root / where, what) if where.endswith(".py") else _load_module(where, what)
    found = getattr(module, part, None)
    if found is None:
        functions = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        raise UnknownName(f"function in {where}", part, functions)
    if not callable(found):
        raise BadValue(f"{name} must be a function", got=f"a {type(found).__name__}")
    file = getattr(module, "__file__", None)
    if file is None:
        raise SourceMissing(f"{where} has no file, so that its code cannot be recorded")
    return found, Path(file)


def _load_file(path: Path, what: str) -> ModuleType:
    if not path.is_file():
        near = [each.name for each in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise SourceMissing(
            f"The {what}'s file must exist", got=str(path), nearest=nearest_name(path.name, near)
        )
    content = path.read_bytes()
    # One module per place and content: an edited file is loaded anew, an unchanged one only once.
    label = "modelwright_user_" + sha256_hex(str(path.resolve()).encode() + b"\0" + content)[:16]
    if label in sys.modules:
        return sys.modules[label]
    spec = importlib.util.spec_from_file_location(label, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[label] = module
    home = str(path.resolve().parent)
    if home not in sys.path:
        # Files beside it can be imported, as when Python runs it; also later, from inside its functions.
        sys.path.append(home)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[label]
        raise _import_error(str(path), error, what) from error
    return module


def _load_module(where: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is not None and (where == error.name or where.startswith(error.name + ".")):
            raise SourceMissing(
                f"The module {where} must be importable",
                got=f"no module {error.name}",
                next_step="correct the name, install the package, or name a file: path/to/file.py:function",
            ) from error
        raise _import_error(where, error, what) from error
    except (Exception, SystemExit) as error:
        raise _import_error(where, error, what) from error


def _import_error(where: str, error: BaseException, what: str) -> BadValue:
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames[1:] else ""
    return BadValue(
        f"The {what}'s module {where} must import without an error",
        got=f"{type(error).__name__}: {error}{place}",
        next_step="mend it",
    )
