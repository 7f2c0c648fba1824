"""The journal's one SQLite connection: how it is opened, how it writes, how its failures read.

One connection belongs to one `Journal` object. Calls from several threads take turns on it; a forked
child must open the journal again, because SQLite connections do not survive a fork.
"""

import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelwright.base.errors import Corrupted, ModelwrightError, NotPermitted, StoreFailed

__all__ = ["Database", "disk_failure", "sqlite_failure", "sqlite_words"]

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FORBIDDEN = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH)
_DISAGREES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CONSTRAINT)


def sqlite_words(error: sqlite3.Error | UnicodeDecodeError) -> str:
    """Return what SQLite said; where it quotes a damaged name, Python raises UnicodeDecodeError instead."""
    return error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else str(error)


def sqlite_failure(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> ModelwrightError:
    """Return the error of ours that says what `error` means for the journal at `path`."""
    unreadable = isinstance(error, UnicodeDecodeError | sqlite3.OperationalError)  # text that is no UTF-8
    unknown = sqlite3.SQLITE_CORRUPT if unreadable else sqlite3.SQLITE_MISUSE
    code = getattr(error, "sqlite_errorcode", unknown) & 0xFF
    words = sqlite_words(error)
    if code in _BUSY:
        return StoreFailed(
            "The journal is free to write within the busy time",
            got=f"{path}: {words}",
            next_step="wait for the other process that writes to it, or end it, and try again",
        )
    if code in _DAMAGED:
        return Corrupted(
            "The journal's database is whole",
            got=f"{path}: {words}",
            next_step="copy the folder away, then restore journal.db from a backup (see backups/)",
        )
    if code in _DISAGREES:
        # Every statement here is the journal's own, so a database that refuses one is not as it was made.
        return Corrupted(
            "The journal's database has the tables of its version and holds what fits them",
            got=f"{path}: {words}",
            next_step="copy the folder away, then restore journal.db from a backup (see backups/)",
        )
    if code in _FORBIDDEN:
        return StoreFailed(
            "The journal's folder and database can be read and written",
            got=f"{path}: {words}",
            next_step="check owner and permissions of the folder, or open it with read_only=True",
        )
    return StoreFailed(
        "The journal can be written and read",
        got=f"{path}: {words}",
        next_step="free space on this disk (or raise the file size limit) and try again; "
        "everything that was written before is safe",
    )


def disk_failure(error: OSError, path: Path, doing: str) -> StoreFailed:
    """Return the error for a file operation that failed: what was being done, and what to do now."""
    return StoreFailed(
        f"The disk lets Modelwright {doing}",
        got=f"{path}: {error.strerror or error}",
        next_step="free space on this disk or check its permissions and limits, then try again; "
        "everything that was written before is safe",
    )


_LEFT_TO_THE_PARENT: list[sqlite3.Connection] = []
# Closing an inherited connection in a forked child could end the write-ahead log under its parent.


class Database:
    """One connection to `journal.db`.

    Args:
        path: The database file.
        read_only: Refuse to write. Where no other process is at work, the file is opened as immutable,
            so that not even SQLite's own side files appear.
        busy_seconds: How long to wait for another process's write.
    """

    def __init__(self, path: Path, *, read_only: bool, busy_seconds: float) -> None:
        self.path = path
        self.read_only = read_only
        self._busy_seconds = busy_seconds
        self._turn = threading.RLock()
        self._process = os.getpid()
        self._seen: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None
        self._connect()

    def _connect(self) -> None:
        wal = self.path.with_name(self.path.name + "-wal")
        if not self.read_only:
            target = self.path.absolute().as_uri() + "?mode=rwc"
        elif wal.exists():
            target, self._seen = self.path.absolute().as_uri() + "?mode=ro", None
        else:
            target, self._seen = self.path.absolute().as_uri() + "?mode=ro&immutable=1", self._stamp()
        try:
            connection = sqlite3.connect(
                target, uri=True, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise sqlite_failure(error, self.path) from error
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA recursive_triggers = ON")
            if self.read_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA fullfsync = ON")
        except (sqlite3.Error, UnicodeDecodeError) as error:
            connection.close()
            raise sqlite_failure(error, self.path) from error
        self._connection = connection

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size

    def _ready(self) -> sqlite3.Connection:
        if self._process != os.getpid():
            raise NotPermitted(
                "A journal belongs to the process that opened it",
                got=f"process {os.getpid()}, opened by {self._process}",
                next_step="call Journal.open in the child process",
            )
        if self._connection is None:
            raise NotPermitted(
                "The journal is open while it is used", next_step="open it again with Journal.open"
            )
        if self._seen is not None and (self.disturbed()):
            # Someone writes now: an immutable connection would not see it.
            self._connection.close()
            self._connect()
        return self._connection

    def disturbed(self) -> bool:
        """Return whether another process has written since this connection opened the file as immutable."""
        if self._seen is None:
            return False
        return self._seen != self._stamp() or self.path.with_name(self.path.name + "-wal").exists()

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """Lend the connection for reading; SQLite's errors come out as ours."""
        with self._turn:
            try:
                yield self._ready()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise sqlite_failure(error, self.path) from error

    @contextmanager
    def snapshot(self) -> Generator[sqlite3.Connection, None, None]:
        """Lend the connection inside one read transaction: every query sees the same state."""
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection, None, None]:
        """Lend the connection inside one write transaction, durable when the block ends.

        Raises:
            NotPermitted: where the journal was opened to read only.
            StoreFailed: where another process writes for longer than the busy time, or the disk fails;
                nothing of the transaction is kept then.
        """
        if self.read_only:
            raise NotPermitted(
                "A journal that is opened to read is not written", next_step="open it without read_only=True"
            )
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def use_write_ahead_log(self) -> None:
        """Make the file a WAL database, once it is known to be a journal's."""
        with self.reading() as connection:
            connection.execute("PRAGMA journal_mode = WAL")

    def backup(self, target: Path) -> None:
        """Write a whole copy of the database to `target`, through SQLite's own backup."""
        with self.reading() as connection:
            copy = sqlite3.connect(target)
            try:
                connection.backup(copy)
            finally:
                copy.close()

    def leave_for_memory(self) -> sqlite3.Connection:
        """Go on with a copy in memory, which may be changed freely; for reading old versions."""
        with self.reading() as connection:
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.backup(copy)
            connection.close()
            self._connection, self._seen = copy, None
            return copy

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Return every row of one query."""
        with self.reading() as connection:
            return connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        with self._turn:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            elif self._connection is not None:
                _LEFT_TO_THE_PARENT.append(self._connection)
            self._connection = None
