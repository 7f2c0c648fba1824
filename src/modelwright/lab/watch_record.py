"""What the doctor said of a variant's trials, as the journal has it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding
from modelwright.base.fingerprint import jsonable
from modelwright.journal.entry import Entry
from modelwright.journal.journal import Journal

__all__ = ["WATCHED", "WatchRecord", "read_watches"]

WATCHED = "watched"
"""Kind of the entry of what the doctor found in a run so far; the last one of a run counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRecord:
    """What the doctor heard in one run, or in a cohort that is one program.

    Attributes:
        variant: Name of the variant.
        seeds: Numbers of the seeds that it heard.
        ended: Whether the learner came to its end under watch.
        findings: What it found.
        checked: What it looked at, in words.
        unchecked: What it could not look at, and why.
        steps: Steps of optimizers that it heard.
        seconds: What listening took.
    """

    variant: str
    seeds: tuple[int, ...]
    ended: bool
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    steps: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """Return it as JSON types, for the ledger."""
        return jsonable(self)

    @staticmethod
    def from_entry(entry: Entry) -> "WatchRecord":
        """Return what an entry was made from."""
        body = entry.body
        return WatchRecord(
            variant=body["variant"],
            seeds=tuple(body["seeds"]),
            ended=body["ended"],
            findings=tuple(Finding.from_record(each) for each in body["findings"]),
            checked=tuple(body["checked"]),
            unchecked=tuple(body["unchecked"]),
            steps=body["steps"],
            seconds=body["seconds"],
        )


def read_watches(journal: Journal, runs: Collection[str]) -> dict[str, WatchRecord]:
    """Return what the doctor said last of each variant in these runs.

    Args:
        journal: The record.
        runs: Runs that count.
    """
    wanted = frozenset(runs)
    entries = [entry for entry in journal.entries(kind=WATCHED) if entry.run in wanted]
    return {entry.body["variant"]: WatchRecord.from_entry(entry) for entry in entries}
