"""One process at a time works on one experiment."""

import contextlib
import json
import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from modelwright.base.clock import Clock, SystemClock, timestamp
from modelwright.base.errors import BadValue, NotPermitted
from modelwright.base.fingerprint import sha256_hex
from modelwright.journal.database import disk_failure

__all__ = ["experiment_lock"]

_CLOCK = SystemClock()


@contextmanager
def experiment_lock(folder: Path, name: str, *, clock: Clock = _CLOCK) -> Generator[None, None, None]:
    """Hold the experiment `name` of the journal in `folder` while the block runs.

    The kernel releases the lock when the process ends, however it ends. Children that were forked while
    it was held keep it until they end too.

    Args:
        folder: The journal's folder.
        name: The experiment.
        clock: Dates the lock for the message to others.

    Raises:
        NotPermitted: at once, where another process (or this one) holds it; the message names it.
        StoreFailed: where the lock's file cannot be made.
    """
    from filelock import FileLock, Timeout

    if not name:
        raise BadValue("A lock is for an experiment with a name", got=name)
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:60] + "-" + sha256_hex(name.encode())[:8]
    path = folder / "locks" / f"{stem}.lock"
    # Beside the lock's own file, which filelock empties whenever somebody tries it.
    note = path.with_suffix(".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout:
        raise NotPermitted(
            f"One process at a time works on the experiment {name}",
            got=_holder(note),
            next_step="wait for it to end, or end it; the lock goes when the process does",
        ) from None
    except OSError as error:
        raise disk_failure(error, path, "lock the experiment") from error
    try:
        record = {"pid": os.getpid(), "since": timestamp(clock.now())}
        temporary = note.with_suffix(f".{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(record))
            temporary.replace(note)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise disk_failure(error, note, "say who holds the experiment") from error
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink()
        lock.release()


def _holder(note: Path) -> str:
    # The holder writes its note just after it took the lock.
    for _ in range(20):
        try:
            record = json.loads(note.read_text())
            return f"held by process {record['pid']} since {record['since']}"
        except (OSError, ValueError, KeyError):
            time.sleep(0.01)
    return "held by another process"
