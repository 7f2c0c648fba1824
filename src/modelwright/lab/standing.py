"""Which entries of a design stand: those after its last promise.

An amendment of data or code leaves the design and its hash as they are. Looks, findings and verdicts from
before it speak of other trials; they stay on record and stand no longer.
"""

from modelwright.journal.entry import Entry
from modelwright.journal.journal import Journal

__all__ = ["AMENDMENT", "standing_entries"]

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
