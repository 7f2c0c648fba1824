"""The source as it is at this moment, recorded so that it can be put back.

In a git work tree: a tree object of tracked and untracked, not ignored files (see `git.py`). Elsewhere:
a list of files with their hashes and an archive of them (see `archive.py`).
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from modelwright.base.errors import BadValue, Corrupted, SourceMissing
from modelwright.base.fingerprint import fingerprint, jsonable, sha256_hex
from modelwright.lab.lineage.archive import pack_files, unpack_files
from modelwright.lab.lineage.files import (
    LARGEST_FILE,
    LARGEST_TOTAL,
    LeftOut,
    Selection,
    relative_path,
    shown_name,
)
from modelwright.lab.lineage.git import GitTree, Repository, find_repository, restore_tree, write_work_tree

__all__ = ["SourceRecord", "Submodule", "restore_source", "snapshot_source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A repository inside the work tree: a submodule, or an untracked clone.

    Attributes:
        path: Relative to the top of the work tree that holds it.
        commit: The commit that the outer tree names; None for an untracked clone.
        source: Its own work tree as it was; None for a submodule that is not checked out.
    """

    path: str
    commit: str | None
    source: "SourceRecord | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """The source of a launch.

    Attributes:
        kind: `git` (restored from the repository) or `archive` (restored from an artefact).
        commit: HEAD, None before the first commit or without git.
        branch: The branch, None where HEAD is detached or without git.
        dirty: Whether the work tree differs from the commit, left-out files and submodules included;
            None without git.
        tree: Name of the git tree object, kept by `refs/modelwright/<tree>`; None without git.
        folder: The folder that was asked for, relative to the top of the work tree; empty for the top.
        files: Path -> git object name or sha256; `link ` and the hash of the target for a symbolic link.
        left_out: Files too large to keep, with their hashes.
        submodules: Repositories inside the work tree.
        archive_sha256: Hash of the archive; None with git.
        reason: Why git was not used; empty with git.
        archive: The archive's bytes, for the caller to store. Not part of `record()`.
    """

    kind: Literal["git", "archive"]
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    tree: str | None = None
    folder: str = ""
    files: Mapping[str, str]
    left_out: tuple[LeftOut, ...] = ()
    submodules: tuple[Submodule, ...] = ()
    archive_sha256: str | None = None
    reason: str = ""
    archive: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def identity(self) -> str:
        """The sha256 that two sources share exactly when they hold the same files with the same contents.

        Commit, branch and the archive's compression play no part. A source in git and the same files
        outside of it have two identities, because git decides differently what is source.
        """
        return fingerprint(
            {
                "kind": self.kind,
                "source": self.tree or self.files,
                "left_out": {file.path: file.sha256 for file in self.left_out},
                "submodules": {
                    module.path: module.source.identity if module.source else None
                    for module in self.submodules
                },
            }
        )

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types, without the archive's bytes."""
        plain = jsonable(dataclasses.replace(self, archive=None, submodules=()))
        del plain["archive"]
        plain["submodules"] = [
            {
                "path": module.path,
                "commit": module.commit,
                "source": module.source.record() if module.source else None,
            }
            for module in self.submodules
        ]
        return plain

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "SourceRecord":
        """Return the object that `record` was made from, without the archive's bytes."""
        parts = dict(record)
        parts["left_out"] = tuple(LeftOut.from_record(file) for file in record["left_out"])
        parts["submodules"] = tuple(
            Submodule(
                path=module["path"],
                commit=module["commit"],
                source=SourceRecord.from_record(module["source"]) if module["source"] else None,
            )
            for module in record["submodules"]
        )
        return SourceRecord(**parts)


def snapshot_source(
    root: Path,
    *,
    skip: Sequence[Path] = (),
    largest_file: int = LARGEST_FILE,
    largest_total: int = LARGEST_TOTAL,
) -> SourceRecord:
    """Record the source in which `root` lies, without changing anything that the user sees.

    With git, the whole work tree is recorded, whichever folder of it `root` is. Where git cannot
    answer (no program, no repository, a refusal, a repository above that ignores `root`), the source
    files under `root` are packed, and `reason` says why.

    Args:
        root: The project's folder.
        skip: Folders whose untracked files are not source, such as the journal's own.
        largest_file: Bytes above which an untracked file is left out, by name and hash.
        largest_total: Bytes of untracked files to keep; the largest are left out first.

    Raises:
        SourceMissing: where `root` is not a folder.
    """
    if not root.is_dir():
        raise SourceMissing(
            "The source folder must exist", got=str(root), next_step="give the project's folder"
        )
    selection = Selection(skip=tuple(skip), largest_file=largest_file, largest_total=largest_total)
    return _snapshot(root.resolve(), selection)


def _snapshot(root: Path, selection: Selection) -> SourceRecord:
    try:
        repository = find_repository(root)
        folder = relative_path(root, repository.top) or ""
        written = write_work_tree(repository, selection)
        if folder and not any(path.startswith(f"{folder}/") for path in written.files):
            raise SourceMissing("The repository above must know the folder", got=f"it ignores {folder}")
    except SourceMissing as refusal:
        return _pack(root, selection, reason=str(refusal))
    return _describe(repository, written, folder, selection)


def _pack(root: Path, selection: Selection, *, reason: str) -> SourceRecord:
    files, left_out, archive = pack_files(root, selection)
    return SourceRecord(
        kind="archive",
        files=files,
        left_out=left_out,
        archive=archive,
        archive_sha256=sha256_hex(archive),
        reason=reason,
    )


def _describe(repository: Repository, written: GitTree, folder: str, selection: Selection) -> SourceRecord:
    modules: list[Submodule] = []
    for path, commit in {**written.links, **dict.fromkeys(written.nested)}.items():
        inner = repository.top / path
        source = _snapshot(inner, selection) if (inner / ".git").exists() else None
        modules.append(Submodule(path=shown_name(os.fsencode(path)), commit=commit, source=source))
    head_tree = repository.ask("rev-parse", "--verify", "--quiet", "HEAD^{tree}")
    return SourceRecord(
        kind="git",
        commit=repository.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
        branch=repository.ask("symbolic-ref", "--quiet", "--short", "HEAD"),
        dirty=written.tree != head_tree
        or bool(written.left_out or written.nested)
        or any(module.source is not None and module.source.dirty is not False for module in modules),
        tree=written.tree,
        folder=folder,
        files=written.files,
        left_out=written.left_out,
        submodules=tuple(modules),
    )


def restore_source(record: SourceRecord, destination: Path, *, archive: bytes | None, root: Path) -> Path:
    """Put the recorded source into a folder of its own.

    Files that were left out, and submodules that were not checked out, are not there to be put back.

    Args:
        record: What `snapshot_source` returned.
        destination: A folder that is empty or does not exist yet.
        archive: The stored archive where `record.kind` is `archive`, else ignored.
        root: A folder of the repository that holds the tree where `record.kind` is `git`.

    Returns:
        The folder inside `destination` that corresponds to the one that was recorded.

    Raises:
        BadValue: where the destination holds something.
        SourceMissing: where the tree or the archive is not there.
        Corrupted: where the archive is not the recorded one.
    """
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise BadValue("The destination must be an empty folder", got=str(destination))
    destination.mkdir(parents=True, exist_ok=True)
    destination = destination.resolve()
    if record.kind == "archive":
        if archive is None:
            raise SourceMissing(
                "Source that was recorded without git needs its archive",
                got="none",
                next_step=f"pass the artefact {record.archive_sha256}",
            )
        if sha256_hex(archive) != record.archive_sha256:
            raise Corrupted("The archive must be the recorded one", got=f"sha256 {sha256_hex(archive)}")
        unpack_files(archive, record.files, destination)
        return destination
    repository = find_repository(root)
    if record.tree is None:
        raise BadValue("A git source names its tree", got=None)
    restore_tree(repository, record.tree, destination)
    for module in record.submodules:
        if module.source is not None:
            restore_source(
                module.source,
                destination / module.path,
                archive=module.source.archive,
                root=repository.top / module.path,
            )
    return destination / record.folder
