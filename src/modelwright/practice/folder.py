"""The folder of a drill: the program, what is asked, and the mark by which commands know it."""

import json
from collections.abc import Mapping
from pathlib import Path

from modelwright.faults.plant import Program
from modelwright.journal.journal import Journal
from modelwright.practice.bookkeeping import MARK
from modelwright.practice.task_page import task_page

__all__ = ["TASK", "fill_folder"]

TASK = "TASK.md"


def fill_folder(
    folder: Path,
    journal: Journal,
    name: str,
    program: Program,
    source: bytes,
    scores: tuple[Mapping[int, float], Mapping[int, float | None]],
) -> Path:
    """Write what is not there yet, and return the program's file.

    Args:
        folder: It; made where it is missing.
        journal: Where the drill is on record.
        name: Of the drill.
        program: The working program.
        source: The program that is to be mended.
        scores: Of the working program and of that one, by seed.
    """
    file = folder / f"{program.name}.py"
    mark = {"drill": name, "journal": str(journal.folder.resolve())}
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in (
        (file, source),
        (folder / MARK, (json.dumps(mark, indent=2) + "\n").encode()),
        (folder / TASK, task_page(name, program, *scores).encode()),
    ):
        if not path.exists():
            path.write_bytes(content)
    return file
