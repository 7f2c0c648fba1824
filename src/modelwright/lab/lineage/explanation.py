"""What differs between two lineages, the likeliest reason for another number first."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TypeVar, cast

from modelwright.base.fingerprint import canonical_json
from modelwright.lab.lineage.difference import RANKS, Difference, Side, difference, shown
from modelwright.lab.lineage.executed import Executed
from modelwright.lab.lineage.files import SOURCE_SUFFIXES
from modelwright.lab.lineage.package import PackageRecord
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.source import SourceRecord, Submodule
from modelwright.lab.lineage.surroundings import environment_differences, hardware_differences
from modelwright.lab.lineage.threads import THREAD_VARIABLES

__all__ = ["explain"]

_PACKAGE_FILES = 4
"""How many files of Modelwright are named one by one."""

_DOCUMENTS = (".md", ".rst", ".txt")
_SETTING_FILES = (".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".lock")


def explain(recorded: Lineage, now: Lineage, *, executed: Executed | None = None) -> tuple[Difference, ...]:
    """Return what differs, the likeliest to explain a numeric difference first; empty where nothing does.

    Compared is what can change a number. Commit and branch of the same files, times, free memory and
    names of machines cannot, and are left out.

    Args:
        recorded: Then.
        now: Now.
        executed: What ran now. Where it is known, files and distributions that were not executed rank
            behind those that were.
    """
    unused: Collection[str] = ()
    if executed is not None and recorded.environment.distributions != now.environment.distributions:
        unused = executed.unused_distributions()
    found = [
        *_mappings(Side.CONFIG, recorded.config, now.config),
        *_data(recorded.data, now.data),
        *_sources(recorded.source, now.source, executed=executed, data=_data_file(now)),
        *_package(recorded.package, now.package, executed),
        *environment_differences(recorded.environment, now.environment, unused=unused),
    ]
    # A library that counts the threads that it was told is no second difference.
    told = {(one.recorded, one.now) for one in found if one.what in ("threads", *THREAD_VARIABLES)}
    for one in hardware_differences(recorded.hardware, now.hardware):
        if one.rank != RANKS["threads"] or (str(one.recorded), str(one.now)) not in told:
            found.append(one)
    return tuple(sorted(found, key=lambda one: (one.rank, one.what)))


def _data(recorded: Mapping[str, object], now: Mapping[str, object]) -> Iterator[Difference]:
    same_rows = "identity" in recorded and recorded["identity"] == now.get("identity")
    acts = "evaluation" in recorded  # in an environment, whose source and versions are told as such
    for one in _mappings(Side.DATA, recorded, now):
        if same_rows and one.what.startswith("origin"):
            # Another file, and every cell of it the same.
            yield replace(one, rank=RANKS["data origin"])
        elif one.what == "identity" and acts:
            was, is_now = shown(one.recorded), shown(one.now)
            sentence = f"the identity of the simulated environment was {was} and is {is_now}"
            yield replace(one, rank=RANKS["data origin"], sentence=sentence)
        elif one.what == "identity":
            was, is_now = shown(one.recorded), shown(one.now)
            yield replace(one, sentence=f"the identity of the data's rows was {was} and is {is_now}")
        else:
            yield one


def _data_file(lineage: Lineage) -> str | None:
    """Return the path of the data's file as the source record would list it."""
    origin = lineage.data.get("origin")
    path = cast("Mapping[str, object]", origin).get("path") if isinstance(origin, Mapping) else None
    if not isinstance(path, str) or not path:
        return None
    folder = lineage.source.folder
    return os.path.normpath(f"{folder}/{path}" if folder else path)


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
    elif not _same_number(recorded, now) and canonical_json(recorded) != canonical_json(now):
        yield difference(side, _kind(side, path), path, recorded, now)


def _same_number(recorded: object, now: object) -> bool:
    """Return whether both are one number, written as 1 or as 1.0; true is no number."""
    numbers = [value for value in (recorded, now) if type(value) in (int, float)]
    return len(numbers) == 2 and numbers[0] == numbers[1]


def _are_lists(recorded: object, now: object) -> bool:
    return isinstance(recorded, list | tuple) and isinstance(now, list | tuple) and len(recorded) == len(now)


def _kind(side: Side, path: str) -> str:
    if side is Side.CONFIG:
        return "config"
    if path == "identity" or path.endswith(".identity"):
        return "data identity"
    return "split" if "split" in path else "data"


def _package(recorded: PackageRecord, now: PackageRecord, executed: Executed | None) -> Iterator[Difference]:
    found: dict[str, list[Difference]] = {"package": [], "package elsewhere": []}
    for path, was, is_now in _changes(recorded.files, now.files):
        idle = executed is not None and is_now is not None and path not in executed.package
        kind = "package elsewhere" if idle else "package"
        found[kind].append(_changed_file(kind, f"modelwright/{path}", was, is_now))
    for kind, changed in found.items():
        if len(changed) <= _PACKAGE_FILES:
            yield from changed
            continue
        # Another release is one difference.
        names = ", ".join(one.what for one in changed[:_PACKAGE_FILES])
        versions = f"{recorded.version} to {now.version}, " if recorded.version != now.version else ""
        ran = " that did not run" if kind == "package elsewhere" else ""
        sentence = f"Modelwright itself changed, {versions}{len(changed)} files{ran}: {names}, ..."
        yield difference(Side.CODE, kind, "modelwright", recorded.identity, now.identity, sentence=sentence)


def _changes(recorded: Mapping[str, _T], now: Mapping[str, _T]) -> Iterator[tuple[str, _T | None, _T | None]]:
    for key in sorted(recorded.keys() | now.keys()):
        was, is_now = recorded.get(key), now.get(key)
        if was != is_now or (key in recorded) != (key in now):
            yield key, was, is_now


def _sources(
    recorded: SourceRecord,
    now: SourceRecord,
    prefix: str = "",
    *,
    executed: Executed | None = None,
    data: str | None = None,
) -> Iterator[Difference]:
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
        if prefix + path == data:
            continue  # its rows are compared as data
        kind = _file_kind(path, folder, prefix)
        if kind == "code" and executed is not None and is_now is not None and path not in executed.files:
            kind = "code elsewhere"
        yield _changed_file(kind, prefix + path, was, is_now)
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
