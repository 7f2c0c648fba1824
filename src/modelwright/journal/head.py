"""The newest entry's number and hash, kept beside the database.

A hash chain shows every change inside it, but not that its newest entries are gone. This small file
does, unless whoever removed them rewrote the file too; against that, note the head's hash elsewhere.
It may lag behind the ledger (a crash between the two writes) and is never ahead of it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Head", "advance_head", "read_head", "write_head"]

_FORM = re.compile(rb"(\d{20}) ([0-9a-f]{64})\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest entry: its number (0 in an empty ledger) and hash."""

    sequence: int
    hash: str


def read_head(path: Path) -> Head | None:
    """Return what the file says; None where it is missing or unreadable as a head."""
    try:
        match = _FORM.fullmatch(path.read_bytes())
    except OSError:
        return None
    return Head(sequence=int(match[1]), hash=match[2].decode()) if match else None


def write_head(path: Path, head: Head) -> None:
    """Overwrite the file in one write of fixed length."""
    content = f"{head.sequence:020d} {head.hash}\n".encode()
    with path.open("r+b" if path.exists() else "wb", buffering=0) as file:
        file.write(content)
        file.truncate(len(content))


def advance_head(path: Path, head: Head) -> None:
    """Overwrite the file unless another process has already written a newer head."""
    known = read_head(path)
    if known is None or known.sequence < head.sequence:
        write_head(path, head)
