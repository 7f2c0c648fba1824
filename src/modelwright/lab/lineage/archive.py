"""Source where there is no git: a list of files with their hashes, and the files in one archive."""

import gzip
import io
import os
import tarfile
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath

from modelwright.base.errors import Corrupted
from modelwright.lab.lineage.files import (
    SKIPPED_FOLDERS,
    SOURCE_NAMES,
    SOURCE_SUFFIXES,
    LeftOut,
    Selection,
    leave_out,
    shown_name,
)

__all__ = ["list_source_files", "pack_files", "unpack_files"]


def list_source_files(top: Path, *, skip: Collection[str] = ()) -> list[str]:
    """Return the source files under `top`, relative and sorted; see `SOURCE_SUFFIXES` and `SKIPPED_FOLDERS`.

    Symbolic links are listed and never followed. Environments (`pyvenv.cfg`, `conda-meta`) are skipped.

    Args:
        top: The folder.
        skip: More folders to skip, relative to `top`.
    """
    found: list[str] = []
    for folder, folders, files in os.walk(top):
        here = Path(folder).relative_to(top)
        if here != Path() and ("pyvenv.cfg" in files or "conda-meta" in folders):
            folders.clear()
            continue
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [
            name
            for name in folders
            if name not in SKIPPED_FOLDERS and name not in linked and (here / name).as_posix() not in skip
        ]
        found += [(here / name).as_posix() for name in files if _is_source(Path(folder) / name)]
        found += [(here / name).as_posix() for name in linked if name not in SKIPPED_FOLDERS]
    return sorted(found)


def _is_source(path: Path) -> bool:
    named = path.name in SOURCE_NAMES or path.suffix.lower() in SOURCE_SUFFIXES
    return named and (path.is_symlink() or path.is_file())


def pack_files(top: Path, selection: Selection) -> tuple[dict[str, str], tuple[LeftOut, ...], bytes]:
    """Read the source files under `top` once, and return hashes, what was left out, and a `.tar.gz`.

    The archive's bytes depend on names and contents alone: names are sorted, and times, owners and
    permissions (but for the executable bit) are levelled.

    Returns:
        Path -> sha256 (of the target for a symbolic link, after `link `), files left out, archive.
    """
    paths = list_source_files(top, skip=selection.skipped(top))
    kept, left_out = leave_out(top, paths, selection)
    files: dict[str, str] = {}
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=6, mtime=0) as zipped,
        tarfile.open(
            fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
        ) as archive,
    ):
        for path in sorted(kept):
            try:
                entry, content = _entry(top, path)
            except FileNotFoundError:
                continue  # it vanished since it was listed
            archive.addfile(entry, io.BytesIO(content or b""))
            files[shown_name(os.fsencode(path))] = _content(entry, content)
    return files, left_out, packed.getvalue()


def _entry(top: Path, path: str) -> tuple[tarfile.TarInfo, bytes | None]:
    entry = tarfile.TarInfo(path)
    full = top / path
    if full.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(full)
        return entry, None
    content = full.read_bytes()
    entry.size = len(content)
    entry.mode = 0o755 if os.access(full, os.X_OK) else 0o644
    return entry, content


def _content(entry: tarfile.TarInfo, content: bytes | None) -> str:
    if content is None:
        return f"link {sha256(os.fsencode(entry.linkname)).hexdigest()}"
    return sha256(content).hexdigest()


def unpack_files(archive: bytes, files: Mapping[str, str], destination: Path) -> None:
    """Write the archive's files into the empty folder `destination`.

    Each file is compared with its recorded hash first, and links are made last, so that nothing is
    ever written through one.

    Raises:
        Corrupted: where the archive cannot be read, holds a file that is not recorded or has another
            content, or lacks one.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz", errors="surrogateescape") as opened:
            entries = [(entry, _read(opened, entry)) for entry in opened.getmembers()]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Corrupted("A source archive must be a readable .tar.gz", got=str(error)) from error
    found = {shown_name(os.fsencode(entry.name)): _content(entry, content) for entry, content in entries}
    if found != dict(files):
        wrong = sorted(path for path in found.keys() | files.keys() if found.get(path) != files.get(path))
        raise Corrupted(
            "A source archive must hold exactly the recorded files",
            got=f"{len(wrong)} of them differ, the first is {wrong[0]}",
            next_step="verify the journal; the artefact is not the one that was stored",
        )
    for entry, content in sorted(entries, key=lambda pair: pair[1] is None):
        name = PurePosixPath(entry.name)
        if name.is_absolute() or ".." in name.parts:
            raise Corrupted("A source archive must stay inside its folder", got=entry.name)
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            target.symlink_to(entry.linkname)
        else:
            target.write_bytes(content)
            target.chmod(entry.mode & 0o777)


def _read(opened: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes | None:
    if entry.issym():
        return None
    stream = opened.extractfile(entry)
    if stream is None:
        raise Corrupted("A source archive holds files and symbolic links only", got=entry.name)
    return stream.read()
