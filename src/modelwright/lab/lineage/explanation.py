"""What differs between two lineages, the likeliest reason for another number first."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypeVar, cast

from modelwright.base.fingerprint import canonical_json
from modelwright.lab.lineage.difference import Difference, Side, difference, shown
from modelwright.lab.lineage.files import SOURCE_SUFFIXES
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.source import SourceRecord, Submodule
from modelwright.lab.lineage.surroundings import environment_differences, hardware_differences

__all__ = ["explain"]

_DOCUMENTS = (".md", ".rst", ".txt")
_SETTING_FILES = (".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".lock")


def explain(recorded: Lineage, now: Lineage) -> tuple[Difference, ...]:
    """Return what differs, the likeliest to explain a numeric difference first; empty where nothing does.

    Compared is what can change a number. Commit and branch of the same files, times, free memory and
    names of machines cannot, and are left out.
    """
    found = [
        *_mappings(Side.CONFIG, recorded.config, now.config),
        *_mappings(Side.DATA, recorded.data, now.data),
        *_sources(recorded.source, now.source),
        *_package(recorded.package.files, now.package.files),
        *environment_differences(recorded.environment, now.environment),
        *hardware_differences(recorded.hardware, now.hardware),
    ]
    return tuple(sorted(found, key=lambda one: (one.rank, one.what)))


_ABSENT = object()
_T = TypeVar("_T")


def _mappings(side: Side, recorded: object, now: object, path: str = "") -> Iterator[Difference]:
    """Walk two JSON values together and yield each place at which they part."""
    if isinstance(recorded, Mapping) and isinstance(now, Mapping):
        was, is_now = cast("Mapping[str, object]", recorded), cast("Mapping[str, object]", now)
        for key in sorted(was.keys() | is_now.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _mappings(side, was.get(key, _ABSENT), is_now.get(key, _ABSENT), inner)
    elif _are_lists(recorded, now):
        was, is_now = cast("Sequence[object]", recorded), cast("Sequence[object]", now)
        for place, (one, other) in enumerate(zip(was, is_now, strict=True)):
            yield from _mappings(side, one, other, f"{path}[{place}]")
    elif recorded is _ABSENT or now is _ABSENT:
        missing = recorded is _ABSENT
        value = now if missing else recorded
        sentence = f"{path} {'is new' if missing else 'is gone'}: {shown(value)}"
        was, is_now = (None, value) if missing else (value, None)
        yield difference(side, _kind(side, path), path, was, is_now, sentence=sentence)
    elif canonical_json(recorded) != canonical_json(now):
        yield difference(side, _kind(side, path), path, recorded, now)


def _are_lists(recorded: object, now: object) -> bool:
    return isinstance(recorded, list | tuple) and isinstance(now, list | tuple) and len(recorded) == len(now)


def _kind(side: Side, path: str) -> str:
    if side is Side.CONFIG:
        return "config"
    if path == "identity" or path.endswith(".identity"):
        return "data identity"
    return "split" if "split" in path else "data"


def _package(recorded: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Difference]:
    for path, was, is_now in _changes(recorded, now):
        yield _changed_file("package", f"modelwright/{path}", was, is_now)


def _changes(recorded: Mapping[str, _T], now: Mapping[str, _T]) -> Iterator[tuple[str, _T | None, _T | None]]:
    for key in sorted(recorded.keys() | now.keys()):
        was, is_now = recorded.get(key), now.get(key)
        if was != is_now or (key in recorded) != (key in now):
            yield key, was, is_now


def _sources(recorded: SourceRecord, now: SourceRecord, prefix: str = "") -> Iterator[Difference]:
    """Compare files; `prefix` is the path of the submodule that they are in, empty for the project's own."""
    if recorded.identity == now.identity:
        return
    was_files, now_files = recorded.files, now.files
    if recorded.kind != now.kind:
        sentence = (
            f"the source was recorded as {recorded.kind} and is now as {now.kind}: only names can be compared"
        )
        kinds = recorded.kind, now.kind
        yield difference(Side.CODE, "code elsewhere", f"{prefix}way of recording", *kinds, sentence=sentence)
        was_files, now_files = _names(was_files), _names(now_files)
    folder = f"{now.folder}/" if now.folder else ""
    for path, was, is_now in _changes(was_files, now_files):
        yield _changed_file(_file_kind(path, folder, prefix), prefix + path, was, is_now)
    was_out = {file.path: file.sha256 for file in recorded.left_out}
    now_out = {file.path: file.sha256 for file in now.left_out}
    for path, was, is_now in _changes(was_out, now_out):
        yield _changed_file("left out", prefix + path, was, is_now)
    modules = {module.path: module for module in recorded.submodules}
    modules_now = {module.path: module for module in now.submodules}
    for path, was, is_now in _changes(modules, modules_now):
        if was is not None and is_now is not None and was.source is not None and is_now.source is not None:
            yield from _sources(was.source, is_now.source, f"{prefix}{path}/")
        else:
            states = [None if module is None else _state(module) for module in (was, is_now)]
            yield difference(Side.CODE, "submodule", prefix + path, *states)


def _names(files: Mapping[str, str]) -> dict[str, str]:
    """Keep the names that both ways of recording list."""
    return {path: "" for path in files if path.lower().endswith(SOURCE_SUFFIXES)}


def _state(module: Submodule) -> str:
    commit = module.commit or "no commit"
    return commit if module.source is not None else f"{commit}, not checked out"


def _file_kind(path: str, folder: str, prefix: str) -> str:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _DOCUMENTS:
        return "document"
    if prefix:
        return "submodule"
    if not path.startswith(folder):
        return "code elsewhere"
    return "setting file" if suffix in _SETTING_FILES else "code"


def _changed_file(kind: str, path: str, recorded: str | None, now: str | None) -> Difference:
    word = "is new" if recorded is None else "is gone" if now is None else "changed"
    return difference(Side.CODE, kind, path, recorded, now, sentence=f"file {path} {word}")
