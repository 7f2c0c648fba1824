"""Results on disk: a file of JSON lines, sorted, so that a second run does only what is missing."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

__all__ = ["Row", "Rows"]

Row = dict[str, Any]


class Rows:
    """Rows of one file, told apart by some of their fields.

    Several processes may put rows at the same time.

    Args:
        file: The file; it need not exist.
        fields: Names of the fields that tell rows apart.
    """

    def __init__(self, file: Path, fields: Sequence[str]) -> None:
        self._file = file
        self._fields = tuple(fields)
        self._lock = FileLock(str(file.with_name(f".{file.stem}.lock")))

    def load(self) -> dict[tuple[Any, ...], Row]:
        """Return what is stored, by the fields that tell rows apart."""
        if not self._file.exists():
            return {}
        rows = [json.loads(line) for line in self._file.read_text("utf-8").splitlines() if line]
        return {self.mark(row): row for row in rows}

    def mark(self, row: Row) -> tuple[Any, ...]:
        """Return the fields that tell this row apart."""
        return tuple(row[field] for field in self._fields)

    def put(self, row: Row) -> None:
        """Store a row, in place of one with the same fields."""
        self.change(self.mark(row), lambda _: row)

    def change(self, mark: tuple[Any, ...], change: Callable[[Row], Row]) -> None:
        """Replace the row of these fields by what `change` makes of it; it gets {} where there is none."""
        with self._lock:
            found = self.load()
            found[mark] = change(found.get(mark, {}))
            ordered = [found[each] for each in sorted(found)]
            lines = [json.dumps(row, separators=(",", ":"), allow_nan=False) for row in ordered]
            fresh = self._file.with_suffix(".new")
            fresh.write_text("\n".join(lines) + "\n", "utf-8")
            fresh.replace(self._file)
