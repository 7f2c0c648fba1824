"""Pages are written whole or not at all."""

import contextlib
import os
from pathlib import Path

from modelwright.base.errors import StoreFailed

__all__ = ["write_whole"]


def write_whole(content: str, target: Path, *, what: str, next_step: str) -> Path:
    """Write a page as UTF-8 and return its file, which appears whole or not at all.

    Args:
        content: The page.
        target: Its file; folders above it are made.
        what: What it is, for the message: `the report`.
        next_step: What to do where the disk refuses it.

    Raises:
        StoreFailed: where the disk refuses the file.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.encode("utf-8", "replace"))
        temporary.replace(target)
    except OSError as error:
        raise StoreFailed(
            f"The disk lets Modelwright write {what}",
            got=f"{target}: {error.strerror or error}",
            next_step=next_step,
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return target
