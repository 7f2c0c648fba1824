"""Files kept by the hash of their content: models, reports, figures, source trees."""

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from modelwright.base.errors import BadValue, Corrupted, NotPermitted, SourceMissing, UnknownName
from modelwright.base.fingerprint import sha256_hex
from modelwright.journal.database import disk_failure

__all__ = ["Artefacts", "file_sha256", "sync_folder"]

_DIGEST = re.compile(r"[0-9a-f]{64}")


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's whole content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (where the system can)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Artefacts:
    """A folder of files named by the sha256 of their content: `artefacts/ab/cdef...`.

    Each first storing is an entry in the ledger, so that a lost file is noticed.

    Args:
        folder: Where they are.
        record: Called with sha256 and size once the file is durable; None for a journal opened to read.
    """

    def __init__(self, folder: Path, record: Callable[[str, int], None] | None) -> None:
        self.folder = folder
        self._record = record

    def path(self, sha256: str) -> Path:
        """Return where the artefact is, or would be.

        Raises:
            BadValue: where `sha256` is not 64 lower-case hexadecimal digits.
        """
        if not _DIGEST.fullmatch(sha256):
            raise BadValue("An artefact is named by 64 lower-case hexadecimal digits", got=sha256)
        return self.folder / sha256[:2] / sha256[2:]

    def put(self, content: bytes) -> str:
        """Store `content` durably and return its sha256. The same content is stored once."""
        return self._store([content], sha256_hex(content))

    def put_file(self, path: Path) -> str:
        """Store the content of a file durably and return its sha256.

        Raises:
            SourceMissing: where it cannot be read.
        """
        try:
            with path.open("rb") as file:
                return self._store(iter(lambda: file.read(1 << 20), b""), None)
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise SourceMissing("The file to store can be read", got=f"{path}: {error.strerror}") from error

    def _store(self, chunks: "Iterator[bytes] | list[bytes]", digest: str | None) -> str:
        if self._record is None:
            raise NotPermitted(
                "A journal that is opened to read is not written", next_step="open it without read_only"
            )
        if digest is not None and self._sound(digest):
            self._record(digest, self.path(digest).stat().st_size)
            return digest
        temporary = self.folder / f".{secrets.token_hex(8)}.tmp"
        found, size = hashlib.sha256(), 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                for chunk in chunks:
                    found.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            sha256 = found.hexdigest()
            target = self.path(sha256)
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)
            sync_folder(target.parent)
            sync_folder(self.folder)
        except OSError as error:
            raise disk_failure(error, temporary, "store an artefact") from error
        finally:
            temporary.unlink(missing_ok=True)
        self._record(sha256, size)
        return sha256

    def _sound(self, sha256: str) -> bool:
        path = self.path(sha256)
        return path.is_file() and file_sha256(path) == sha256

    def get(self, sha256: str) -> bytes:
        """Return an artefact's content, after checking it.

        Raises:
            UnknownName: where there is none of this hash.
            Corrupted: where the file's content does not match its name.
        """
        path = self.path(sha256)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise UnknownName(
                "artefact", sha256, (), next_step="run modelwright verify to see whether one was lost"
            ) from None
        except OSError as error:
            raise disk_failure(error, path, "read an artefact") from error
        found = sha256_hex(content)
        if found != sha256:
            raise Corrupted(
                "An artefact's content matches its name",
                got=f"{path}: content has sha256 {found}",
                next_step="store the original again, or restore the file from a copy",
            )
        return content
