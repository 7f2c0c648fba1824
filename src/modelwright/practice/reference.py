"""What the working program does at each seed; run once on a machine and remembered beside the journal."""

import contextlib
import dataclasses
import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modelwright.base.fingerprint import canonical_json, sha256_hex
from modelwright.practice.execution import Execution, Task
from modelwright.practice.trace import Failure, Trace

__all__ = ["LONGEST_SECONDS", "Reference"]

LONGEST_SECONDS = 900.0
"""A working program is given so long."""

_LIBRARIES = ("torch", "numpy", "scikit-learn", "gymnasium", "pandas")


class Reference:
    """Runs of a working program, remembered by its text, its seed and the versions of what it uses.

    Args:
        folder: Where they are kept; what cannot be kept there is run again.
        source: Text of the program.
        execution: Runs it.
    """

    def __init__(self, folder: Path, source: bytes, execution: Execution) -> None:
        self._folder = folder
        self._source = source
        self._execution = execution
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)

    def wanting(self, seeds: Iterable[int]) -> list[Task]:
        """Return what has to be run before `trace` can answer for these seeds."""
        return [
            Task(
                name="sound program",
                source=self._source,
                seed=seed,
                limit=LONGEST_SECONDS,
                states=self.states(seed),
            )
            for seed in seeds
            if self.trace(seed) is None
        ]

    def trace(self, seed: int) -> Trace | None:
        """Return the run at a seed; None where it was not run yet."""
        return self._read("own", seed)

    def keep(self, trace: Trace) -> None:
        """Remember a run."""
        self._write("own", trace)

    def measured(self, seed: int) -> Trace | None:
        """Return the run with its own last weights from the beginning; None where it was not run yet."""
        return self._read("measured", seed)

    def keep_measured(self, trace: Trace) -> None:
        """Remember a run with its own last weights."""
        self._write("measured", trace)

    def states(self, seed: int) -> Path:
        """Return where the weights with which it ends are."""
        return self._folder / f"{self._key('own', seed)}.pt"

    def _key(self, what: str, seed: int) -> str:
        told = {
            "what": what,
            "seed": seed,
            "source": sha256_hex(self._source),
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in _LIBRARIES},
        }
        return sha256_hex(canonical_json(told).encode())[:32]

    def _read(self, what: str, seed: int) -> Trace | None:
        try:
            record: dict[str, Any] = json.loads((self._folder / f"{self._key(what, seed)}.json").read_text())
            record["lines"], record["shapes"] = tuple(record["lines"]), tuple(record["shapes"])
            return Trace(**record)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, what: str, trace: Trace) -> None:
        if isinstance(trace.failure, Failure):
            return
        target = self._folder / f"{self._key(what, trace.seed)}.json"
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(dataclasses.asdict(trace)))
            temporary.replace(target)
        with contextlib.suppress(OSError):
            temporary.unlink()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
