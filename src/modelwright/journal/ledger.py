"""The append-only, hash-chained table of entries."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from modelwright.base.clock import Clock, timestamp
from modelwright.base.errors import Corrupted
from modelwright.journal.database import Database
from modelwright.journal.entry import (
    ENTRY_COLUMNS,
    GENESIS,
    Entry,
    body_text,
    check_name,
    entry_hash,
    read_entry,
    wrong_entry,
)
from modelwright.journal.head import Head
from modelwright.journal.projection import apply_entry

__all__ = ["Ledger"]


class Ledger:
    """Entries in order. Appending happens inside a write transaction of the caller.

    Args:
        database: Where the table is.
        clock: Dates the entries.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @staticmethod
    def head(connection: sqlite3.Connection) -> Head:
        """Return number and hash of the newest entry as stored; number 0 in an empty ledger."""
        row = connection.execute("SELECT sequence, hash FROM entry ORDER BY sequence DESC LIMIT 1").fetchone()
        return Head(sequence=row[0], hash=row[1]) if row else Head(sequence=0, hash=GENESIS)

    def append(
        self,
        connection: sqlite3.Connection,
        kind: str,
        body: Mapping[str, Any],
        *,
        design: str | None = None,
        run: str | None = None,
    ) -> Entry:
        """Write one entry and what follows from it; `connection` is inside a write transaction."""
        check_name("kind of entry", kind)
        for what, name in (("design hash", design), ("run", run)):
            if name is not None:
                check_name(what, name)
        text = body_text(body)
        head = self.head(connection)
        time = timestamp(self._clock.now())
        digest = entry_hash(
            sequence=head.sequence + 1,
            time=time,
            kind=kind,
            design=design,
            run=run,
            body=text,
            previous=head.hash,
        )
        row = (head.sequence + 1, time, kind, design, run, text, head.hash, digest)
        connection.execute(f"INSERT INTO entry ({ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        entry = read_entry(row)
        apply_entry(connection, entry)
        return entry

    def entries(
        self, *, kind: str | None = None, design: str | None = None, run: str | None = None
    ) -> list[Entry]:
        """Return the entries that fit every given field, oldest first."""
        wanted = [
            (column, value) for column, value in (("kind", kind), ("design", design), ("run", run)) if value
        ]
        where = " WHERE " + " AND ".join(f"{column} = ?" for column, _ in wanted) if wanted else ""
        rows = self._database.rows(
            f"SELECT {ENTRY_COLUMNS} FROM entry{where} ORDER BY sequence", tuple(value for _, value in wanted)
        )
        return [read_entry(row) for row in rows]

    def check_head(self) -> None:
        """Make sure that the newest entry is what its hash says, before anything is chained to it.

        Raises:
            Corrupted: where it is not.
        """
        rows = self._database.rows(f"SELECT {ENTRY_COLUMNS} FROM entry ORDER BY sequence DESC LIMIT 1")
        if not rows:
            return
        wrong = wrong_entry(rows[0])
        if wrong is not None:
            raise Corrupted(
                "The newest entry matches its own hash",
                got=f"entry {rows[0][0]}: {wrong}",
                next_step="run modelwright verify, and restore the folder from a copy; nothing was appended",
            )
