"""Drills and the journal: read what is on record, write what happens."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelwright.base.errors import BadValue, SourceMissing, UnknownName
from modelwright.journal.journal import Journal
from modelwright.practice.drill import Drill, read_drills

__all__ = ["MARK", "drills_on_record", "find_drill", "marked_journal"]

MARK = "drill.json"
"""File in a drill's folder that says which drill it is and where its journal lies."""

_KINDS = ("drill.begun", "drill.hinted", "drill.checked", "drill.solved", "drill.given-up")


def drills_on_record(journal: Journal) -> list[Drill]:
    """Return all drills of the journal, the oldest first."""
    entries = [entry for kind in _KINDS for entry in journal.entries(kind=kind)]
    return read_drills(sorted(entries, key=lambda entry: entry.sequence))


def read_mark(folder: Path) -> Mapping[str, Any]:
    """Return what the mark in a folder, or in one above it, says; empty where there is none."""
    for place in (folder, *folder.parents):
        try:
            mark = json.loads((place / MARK).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(mark, dict) and isinstance(mark.get("drill"), str):
            return mark
    return {}


def marked_journal(word: str | None) -> Path | None:
    """Return the journal of the drill whose folder is named, or in which one stands; None for none.

    Args:
        word: What was given for the drill.
    """
    place = Path.cwd() if word is None else Path(word)
    if word is not None and os.sep not in word and not place.is_dir():
        return None
    named = read_mark(place.resolve()).get("journal")
    return Path(named) if isinstance(named, str) and Path(named).is_dir() else None


def find_drill(drills: Sequence[Drill], word: str | None, *, open_only: bool = True) -> Drill:
    """Return the drill that is meant, by its name, its folder, the folder we are in, or the only open one.

    Args:
        drills: All on record.
        word: What was given; None for nothing.
        open_only: Whether it has to be open still.

    Raises:
        SourceMissing: where there is none.
        UnknownName: where no drill has this name.
        BadValue: where it could be several, or is over.
    """
    if not drills:
        raise SourceMissing(
            "A drill is begun first", got="no drill on record", next_step="modelwright practice start"
        )
    named = {drill.name: drill for drill in drills}
    place = Path.cwd() if word is None else Path(word)
    mark = read_mark(place.resolve()).get("drill") if word not in named else word
    if word is not None and mark not in named:
        raise UnknownName("drill", word, named)
    if mark in named:
        drill = named[str(mark)]
        if open_only and not drill.is_open:
            how = "solved" if drill.solved else "given up"
            raise BadValue(
                "A drill is worked on until it is solved or given up",
                got=f"{drill.name} is {how}",
                next_step="modelwright practice start begins another",
            )
        return drill
    waiting = [drill for drill in drills if drill.is_open]
    if len(waiting) != 1:
        names = ", ".join(drill.name for drill in waiting) or "none is open"
        raise BadValue(
            "Where not exactly one drill is open, one is named",
            got=names,
            nearest=waiting[-1].name if waiting else None,
            next_step="modelwright practice check NAME" if waiting else "modelwright practice start",
        )
    return waiting[0]
