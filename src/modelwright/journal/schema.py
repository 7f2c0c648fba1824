"""Versions of the database, and the way forward from each to the next.

A migration is a plain function that is never edited once released. A new file runs through all of them,
so that a new and a migrated file cannot differ.
"""

import sqlite3
from collections.abc import Callable

from modelwright.base.errors import BadValue, Corrupted, StoreFailed

__all__ = ["MIGRATIONS", "VERSION", "fresh_database", "migrate", "read_version", "schema_objects"]


def m001_ledger(connection: sqlite3.Connection) -> None:
    """Make the ledger, the registrations and the list of runs."""
    for statement in (
        "CREATE TABLE schema_version (version INTEGER NOT NULL, time TEXT NOT NULL) STRICT",
        """CREATE TABLE entry (
            sequence INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, design TEXT, run TEXT,
            body TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE) STRICT""",
        """CREATE TABLE registration (
            sequence INTEGER PRIMARY KEY REFERENCES entry (sequence), time TEXT NOT NULL, name TEXT NOT NULL,
            design TEXT NOT NULL, amends TEXT, reason TEXT, body TEXT NOT NULL) STRICT""",
        """CREATE TABLE run (
            run TEXT NOT NULL UNIQUE, trial TEXT NOT NULL, design TEXT NOT NULL, experiment TEXT NOT NULL,
            variant TEXT NOT NULL, seed_index INTEGER NOT NULL, status TEXT NOT NULL, score REAL,
            started TEXT NOT NULL, finished TEXT,
            started_sequence INTEGER PRIMARY KEY REFERENCES entry (sequence),
            finished_sequence INTEGER REFERENCES entry (sequence)) STRICT""",
        # REPLACE would delete without firing the delete trigger; this one fires before it can.
        """CREATE TRIGGER entry_follows BEFORE INSERT ON entry BEGIN
            SELECT RAISE(ABORT, 'an entry follows the newest one')
            WHERE NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM entry); END""",
        """CREATE TRIGGER registration_new BEFORE INSERT ON registration BEGIN
            SELECT RAISE(ABORT, 'a registration is never replaced')
            WHERE EXISTS (SELECT 1 FROM registration WHERE sequence = NEW.sequence); END""",
    ):
        connection.execute(statement)
    for table in ("entry", "registration"):
        for verb in ("UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the table {table} is append-only'); END"
            )


def m002_cohorts_artefacts_and_listing(connection: sqlite3.Connection) -> None:
    """Add cohorts, the list of artefacts, and the indices that make listing quick."""
    for statement in (
        "ALTER TABLE run ADD COLUMN cohort TEXT",
        """CREATE TABLE artefact (
            sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL,
            sequence INTEGER NOT NULL REFERENCES entry (sequence)) STRICT""",
        """CREATE TABLE cohort (
            cohort TEXT PRIMARY KEY, started_sequence INTEGER NOT NULL REFERENCES entry (sequence),
            stored_sequence INTEGER REFERENCES entry (sequence), path TEXT, sha256 TEXT,
            rows INTEGER) STRICT""",
        "CREATE INDEX entry_kind ON entry (kind)",
        "CREATE INDEX entry_design ON entry (design) WHERE design IS NOT NULL",
        "CREATE INDEX entry_run ON entry (run) WHERE run IS NOT NULL",
        "CREATE INDEX registration_name ON registration (name)",
        "CREATE INDEX run_experiment ON run (experiment, variant, status)",
        "CREATE INDEX run_design ON run (design)",
        "CREATE INDEX run_trial ON run (trial)",
        "CREATE INDEX run_status ON run (status)",
        "CREATE INDEX run_cohort ON run (cohort)",
    ):
        connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_ledger,
    m002_cohorts_artefacts_and_listing,
)
"""Number `n` (from 1) brings version `n - 1` to version `n`."""

VERSION = len(MIGRATIONS)

_NEEDED = {"schema_version", "entry", "registration", "run"}


def read_version(connection: sqlite3.Connection) -> int:
    """Return the version of the database, 0 for an empty one.

    Raises:
        BadValue: where it is a database of something else.
        StoreFailed: where it is newer than this Modelwright.
        Corrupted: where a table is missing or its version is not on record.
    """
    tables = {
        str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    if not tables:
        return 0
    missing = sorted(_NEEDED - tables)
    if missing and len(missing) <= len(_NEEDED) // 2:
        raise Corrupted(
            "A journal's database has its tables",
            got=f"{', '.join(missing)} missing",
            next_step="copy the folder away, then restore journal.db from a backup (see backups/)",
        )
    if missing:
        raise BadValue(
            "journal.db is a journal's database",
            got=f"a database with the tables {', '.join(sorted(tables)[:8])}",
            next_step="choose another folder",
        )
    version = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0]
    if not isinstance(version, int) or version < 1:
        raise Corrupted(
            "A journal's database knows its version", got=version, next_step="restore it from a backup"
        )
    if version > VERSION:
        raise StoreFailed(
            f"This Modelwright reads journals up to version {VERSION}",
            got=f"version {version}",
            next_step="upgrade modelwright; nothing was changed",
        )
    return version


def migrate(connection: sqlite3.Connection, version: int, time: str) -> None:
    """Bring the database from `version` to `VERSION`, inside the caller's transaction."""
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        step(connection)
        connection.execute("INSERT INTO schema_version VALUES (?, ?)", (number, time))


def fresh_database() -> sqlite3.Connection:
    """Return an empty database in memory with the present version's tables, indices and triggers."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, 0, "")
    return connection


def schema_objects(connection: sqlite3.Connection) -> dict[str, tuple[object, object]]:
    """Return each table, index, trigger and view, e.g. `trigger entry_no_update`, with its table and SQL."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {
        # How a statement is broken into lines means nothing; indices of SQLite's own have none.
        f"{kind} {name}": (table, " ".join(str(sql).split()))
        for kind, name, table, sql in rows
        if not str(name).startswith("sqlite_stat")  # made by ANALYZE
    }
