"""Which entries of a design stand: those after its last promise.

An amendment of data or code leaves the design and its hash as they are. Looks, findings and verdicts from
before it speak of other trials; they stay on record and stand no longer.
"""

from modelwright.base.finding import Finding
from modelwright.journal.entry import Entry
from modelwright.journal.journal import Journal
from modelwright.lab.watch_record import WATCHED, WatchRecord

__all__ = ["AMENDMENT", "standing_entries", "standing_findings"]

AMENDMENT = "amendment"
"""Kind of the entry for an amendment that leaves the design itself as it is."""


def standing_entries(journal: Journal, design: str, kind: str) -> list[Entry]:
    """Return the entries of a kind that stand under a design, oldest first.

    Args:
        journal: The record.
        design: Hash of the design.
        kind: `look`, `checks`, `finding` or `verdict`.
    """
    amendments = journal.entries(kind=AMENDMENT, design=design)
    since = amendments[-1].sequence if amendments else 0
    return [entry for entry in journal.entries(kind=kind, design=design) if entry.sequence > since]


def standing_findings(journal: Journal, design: str) -> list[tuple[str, Finding]]:
    """Return the findings that stand under a design with the time of each, oldest first.

    Those of the doctor in runs that go on, or that ended before their look, are among them.

    Args:
        journal: The record.
        design: Hash of the design.
    """
    found = {
        (entry.body["kind"], entry.body["subject"]): (entry.time, Finding.from_record(entry.body))
        for entry in standing_entries(journal, design, "finding")
    }
    last = {entry.body["variant"]: entry for entry in standing_entries(journal, design, WATCHED)}
    for entry in last.values():
        for finding in WatchRecord.from_entry(entry).findings:
            found.setdefault((finding.kind, finding.subject), (entry.time, finding))
    return list(found.values())
