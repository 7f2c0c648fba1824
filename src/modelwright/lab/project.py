"""Where the user works: the project's folder and its journal."""

import os
from dataclasses import dataclass
from pathlib import Path

from modelwright.base.clock import Clock, SystemClock
from modelwright.base.errors import SourceMissing
from modelwright.journal.journal import Journal

__all__ = ["Project"]

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder with the user's code and data, and the journal that belongs to it.

    Attributes:
        root: Paths in designs are relative to it.
        journal_folder: Where the record is kept.
    """

    root: Path
    journal_folder: Path

    @staticmethod
    def find(root: Path | None = None, journal: Path | None = None) -> "Project":
        """Return the project at `root`.

        Args:
            root: The folder; left out, the present one.
            journal: The journal's folder; left out, `$MODELWRIGHT_JOURNAL`, else `.modelwright` in the root.

        Raises:
            SourceMissing: where the folder does not exist.
        """
        place = (root or Path.cwd()).resolve()
        if not place.is_dir():
            raise SourceMissing("The project is a folder", got=str(place))
        named = journal or Path(os.environ.get("MODELWRIGHT_JOURNAL") or ".modelwright")
        return Project(root=place, journal_folder=(place / named).resolve())

    def open_journal(self, *, read_only: bool = False, clock: Clock = _CLOCK) -> Journal:
        """Open the journal; made where it does not exist, unless `read_only`."""
        if read_only and not self.journal_folder.exists():
            raise SourceMissing(
                "The project has a journal once something ran in it",
                got=f"no {self.journal_folder}",
                next_step="modelwright run digits makes one; --journal DIR names one that lies elsewhere",
            )
        return Journal.open(self.journal_folder, clock=clock, read_only=read_only)

    @property
    def reports(self) -> Path:
        """The folder of reports."""
        return self.journal_folder / "reports"
