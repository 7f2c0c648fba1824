"""Opening a folder as a journal: making one, migrating an old one, refusing what is none."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from modelwright.base.clock import Clock, timestamp
from modelwright.base.errors import BadValue, Corrupted, SourceMissing, StoreFailed
from modelwright.journal.artefacts import sync_folder
from modelwright.journal.database import Database, disk_failure
from modelwright.journal.head import advance_head, read_head
from modelwright.journal.ledger import Ledger
from modelwright.journal.leftovers import sweep_leftovers
from modelwright.journal.schema import VERSION, migrate, read_version

__all__ = ["DATABASE", "found_journal"]

DATABASE = "journal.db"
_PARTS = ("head", "segments", "metrics", "artefacts")


def found_journal(folder: Path, *, clock: Clock, read_only: bool, busy_seconds: float) -> Database:
    """Return the open database of the journal in `folder`; see `Journal.open`."""
    path = folder / DATABASE
    try:
        _check_folder(folder, path, read_only)
    except OSError as error:
        raise disk_failure(error, folder, "open the journal's folder") from error
    if read_only:
        database = Database(path, read_only=True, busy_seconds=busy_seconds)
        with _closed_on_error(database), database.reading() as connection:
            version = read_version(connection)
            if version == 0:
                raise SourceMissing("There is a journal in this folder", got=f"{folder}: an empty database")
            if version < VERSION:
                migrate(database.leave_for_memory(), version, timestamp(clock.now()))
        return database
    database = _open_current(folder, path, clock, busy_seconds)
    with _closed_on_error(database):
        Ledger(database, clock).check_head()
        _check_sidecar(folder, database)
    sweep_leftovers(folder)
    return database


@contextmanager
def _closed_on_error(database: Database) -> Generator[None, None, None]:
    try:
        yield
    except BaseException:
        database.close()
        raise


def _check_folder(folder: Path, path: Path, read_only: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadValue(
            "A journal is a folder", got=f"{folder}, which is a file", next_step="choose another place"
        )
    had_head = (folder / "head").exists()  # looked at first: another process may be making the journal now
    if path.is_file():
        if had_head and path.stat().st_size == 0:
            raise _lost(folder, "journal.db is empty")
        return
    names = sorted(item.name for item in folder.iterdir()) if folder.exists() else []
    if path.is_file():
        return
    if DATABASE in names:
        raise BadValue("journal.db is a file", got=f"{path}, which is not", next_step="choose another folder")
    parts = [name for name in names if name in _PARTS]
    if parts:
        raise _lost(folder, f"{', '.join(parts)} without journal.db")
    if read_only:
        raise SourceMissing(
            "There is a journal in this folder", got=f"{folder} has no {DATABASE}", next_step="check the path"
        )
    others = [name for name in names if not name.startswith(".") and name != "locks"]
    if others:
        raise BadValue(
            "A new journal needs an empty folder",
            got=f"{folder} with {', '.join(others[:5])}",
            next_step="choose another folder",
        )
    folder.mkdir(parents=True, exist_ok=True)


def _lost(folder: Path, what: str) -> Corrupted:
    return Corrupted(
        "A journal's database is kept with its files",
        got=f"{folder}: {what}",
        next_step="restore journal.db from a copy or from backups/; to start anew, use another folder",
    )


def _open_current(folder: Path, path: Path, clock: Clock, busy_seconds: float) -> Database:
    if path.is_file() and path.stat().st_size > 0:
        database = Database(path, read_only=False, busy_seconds=busy_seconds)
        with _closed_on_error(database), database.reading() as connection:
            if read_version(connection) == VERSION:
                database.use_write_ahead_log()
                return database
        database.close()
    from filelock import FileLock, Timeout

    # SQLite cannot make several processes wait while a file becomes a WAL database; this lock can.
    try:
        with FileLock(folder / ".founding.lock", timeout=busy_seconds):
            return _bring_forward(folder, path, clock, busy_seconds)
    except Timeout as error:
        raise StoreFailed(
            "One process at a time makes or migrates a journal",
            got=f"{folder} is being made or migrated for more than {busy_seconds:g} s",
            next_step="wait for the other process, or end it",
        ) from error
    except OSError as error:
        raise disk_failure(error, folder, "make or migrate a journal") from error


def _bring_forward(folder: Path, path: Path, clock: Clock, busy_seconds: float) -> Database:
    database = Database(path, read_only=False, busy_seconds=busy_seconds)
    with _closed_on_error(database):
        with database.reading() as connection:
            version = read_version(connection)
        database.use_write_ahead_log()
        if version == VERSION:
            return database
        time = timestamp(clock.now())
        if version > 0:
            backups = folder / "backups"
            backups.mkdir(exist_ok=True)
            copy = backups / f"journal-v{version}-{re.sub('[^0-9TZ]', '', time)}.db"
            database.backup(copy)
            with copy.open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(backups)
        with database.writing() as connection:
            migrate(connection, version, time)
        sync_folder(folder)
    return database


def _check_sidecar(folder: Path, database: Database) -> None:
    told = read_head(folder / "head")
    with database.reading() as connection:
        newest = Ledger.head(connection)
        found = None
        if told is not None:
            found = connection.execute(
                "SELECT hash FROM entry WHERE sequence = ?", (told.sequence,)
            ).fetchone()
    if told is not None and told.sequence > 0 and (found is None or found[0] != told.hash):
        raise Corrupted(
            "The ledger holds the entry that the file head names",
            got=f"entry {told.sequence} with {told.hash[:12]}; the ledger ends with {newest.sequence}"
            + ("" if found is None else f" and has another entry {told.sequence}"),
            next_step="run modelwright verify, and restore the folder from a copy: entries are lost",
        )
    if newest.sequence:
        try:
            advance_head(folder / "head", newest)
        except OSError as error:
            raise disk_failure(error, folder / "head", "note the newest entry") from error
