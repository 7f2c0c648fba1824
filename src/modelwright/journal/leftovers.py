"""Files that a killed process was about to put in their place: each a copy that nobody will ask for.

Everything in the journal's folder is written under a temporary name first and then renamed. A kill between
the two leaves the temporary file. It harms nothing, but many kills would fill the disk.
"""

import contextlib
import time
from pathlib import Path

__all__ = ["sweep_leftovers"]

_PLACES = ("artefacts/.*.tmp", "metrics/*/.*.tmp", "segments/*/.*.tmp", "reports/.*.tmp", "locks/*.tmp")
_OLD_SECONDS = 3600.0
"""No write takes so long; a younger file may belong to a process that is at work."""


def sweep_leftovers(folder: Path) -> None:
    """Delete temporary files in a journal's folder that are older than an hour; what refuses to go stays."""
    limit = time.time() - _OLD_SECONDS
    for place in _PLACES:
        for path in folder.glob(place):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < limit:
                    path.unlink()
