"""Metrics on disk while a run lasts: small files, each written whole and checked by a sha256 of its own.

    8 bytes   magic and version of the format
    8 bytes   length of the header, little-endian
    header    JSON (cohort, number, runs, blocks), padded with spaces to a multiple of 8
    blocks    for each: updates int64 (row,), then values float64 (row, metric, seed), little-endian
    32 bytes  sha256 of everything before

A segment appears under its name only after it is durable, so a crash leaves no half segment. Damage that
comes later (a truncated file, a flipped bit, a missing number) is detected when the segments are read.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import Corrupted
from modelwright.journal.artefacts import sync_folder

__all__ = ["Block", "read_segment", "read_segments", "write_segment"]

_MAGIC = b"MWSEG\x00\x00\x01"
_DIGEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Calls that named the same metrics.

    Attributes:
        names: The metrics, in the caller's order.
        updates: (row,) int64, the update of each call.
        values: (row, metric, seed) float64.
    """

    names: tuple[str, ...]
    updates: NDArray[np.int64]
    values: NDArray[np.float64]


def write_segment(
    folder: Path, number: int, cohort: str, runs: Sequence[str], blocks: Sequence[Block]
) -> Path:
    """Write one segment so that it is durable and whole when this returns.

    Raises:
        OSError: where the disk refuses; nothing is left behind then.
    """
    described = [{"names": block.names, "rows": len(block.updates)} for block in blocks]
    record = {"cohort": cohort, "number": number, "runs": list(runs), "blocks": described}
    header = json.dumps(record, ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    digest = hashlib.sha256()
    target = folder / f"{number:06d}.segment"
    temporary = folder / f".{number:06d}.tmp"
    try:
        with temporary.open("wb") as file:
            parts: list[Any] = [_MAGIC, len(header).to_bytes(8, "little"), header]
            for block in blocks:
                parts.append(np.ascontiguousarray(block.updates, "<i8").reshape(-1).view(np.uint8))
                parts.append(np.ascontiguousarray(block.values, "<f8").reshape(-1).view(np.uint8))
            for part in parts:
                digest.update(part)
                file.write(part)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _damaged(path: Path, what: str) -> Corrupted:
    return Corrupted(
        "A metric segment is whole and matches its sha256",
        got=f"{path.parent.name}/{path.name}: {what}",
        next_step="read what comes before with read_metrics(run, prefix=True), or restore the file",
    )


def read_segment(path: Path, runs: int) -> list[Block]:
    """Return a segment's blocks, mapped from the file, after checking all of it.

    Args:
        path: The segment.
        runs: How many runs the cohort has.

    Raises:
        Corrupted: where it is damaged; the message names it.
    """
    try:
        content = cast("NDArray[np.uint8]", np.memmap(path, dtype=np.uint8, mode="r"))
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if len(content) < len(_MAGIC) + 8 + _DIGEST:
        raise _damaged(path, f"truncated to {len(content)} bytes")
    if content[:8].tobytes() != _MAGIC:
        raise _damaged(path, "does not begin as a segment")
    if hashlib.sha256(content[:-_DIGEST].data).digest() != content[-_DIGEST:].tobytes():
        raise _damaged(path, "content does not match its sha256 (truncated or changed)")
    place = 16 + int.from_bytes(content[8:16].tobytes(), "little")
    try:
        return _read_blocks(path, content, place, runs)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        # Whoever writes a wrong segment can give it the right sha256.
        raise _damaged(path, f"is not laid out as a segment: {error}") from error


def _read_blocks(path: Path, content: NDArray[np.uint8], place: int, runs: int) -> list[Block]:
    header = json.loads(content[16:place].tobytes())
    if len(header["runs"]) != runs or path.name != f"{header['number']:06d}.segment":
        raise _damaged(
            path, f"belongs to number {header['number']} of a cohort of {len(header['runs'])} runs"
        )
    blocks: list[Block] = []
    for described in header["blocks"]:
        shape = (described["rows"], len(described["names"]), runs)
        middle = place + 8 * described["rows"]
        end = middle + 8 * math.prod(shape)
        blocks.append(
            Block(
                names=tuple(described["names"]),
                updates=content[place:middle].view("<i8"),
                values=content[middle:end].view("<f8").reshape(shape),
            )
        )
        place = end
    return blocks


def read_segments(folder: Path, runs: int) -> tuple[list[Block], Corrupted | None]:
    """Return the blocks of a cohort in the order of writing, up to the first damage, and that damage."""
    blocks: list[Block] = []
    paths = sorted(folder.glob("*.segment"), key=lambda path: (len(path.name), path.name))
    for number, path in enumerate(paths, start=1):
        expected = f"{number:06d}.segment"
        if path.name != expected:
            return blocks, _damaged(folder / expected, "missing")
        try:
            blocks += read_segment(path, runs)
        except Corrupted as damage:
            return blocks, damage
    return blocks, None
