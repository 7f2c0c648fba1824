"""Recomputing everything that the journal holds, and saying what does not hold.

The ledger comes first: each entry's hash from its own fields, each link to the entry before, the file
`head`. Then the tables that follow from the ledger, by replaying it. Then every file by its sha256.
An entry that does not match its own hash is believed in nothing: what comes after leaves it out.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from modelwright.base.errors import ModelwrightError
from modelwright.journal.artefacts import file_sha256
from modelwright.journal.database import Database, sqlite_words
from modelwright.journal.entry import ENTRY_COLUMNS, GENESIS, wrong_entry
from modelwright.journal.head import Head, read_head
from modelwright.journal.projection import PROJECTIONS, replay
from modelwright.journal.schema import VERSION, fresh_database, schema_objects
from modelwright.journal.segment import read_segments
from modelwright.journal.verification import Damage, Part, Verification

__all__ = ["verify_journal"]

_MOST_NOTES = 20
_ATTEMPTS = 3

_UNREADABLE = (ModelwrightError, OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
# What damaged content raises where it is taken for what it should be: the part is named, the check goes on.


def _readable(text: bytes) -> str:
    return text.decode(errors="replace")


class _Check:
    """What is found on the way."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, told: Head | None) -> None:
        self.folder = folder
        self.connection = connection
        self.told = told
        self.suspects: dict[str, Damage] = {}
        self.damages: list[Damage] = []
        self.notes: list[str] = []
        self.entries = 0
        self.head = GENESIS
        self.first_broken: int | None = None
        self.broken: set[int] = set()
        self.counts = {"metric_files": 0, "segments": 0, "artefacts": 0}

    def damage(self, part: Part, subject: object, what: str) -> None:
        self.damages.append(Damage(part=part, subject=str(subject), what=what))


def verify_journal(folder: Path, database: Database, *, files: bool = True) -> Verification:
    """Check the journal in `folder`; nothing is changed. What cannot be read is damage, not an error.

    Without `files` metric files and artefacts are left out: the ledger and its tables alone are checked.
    Other processes may write meanwhile: the state of one moment is checked.
    """
    found, disturbed = _verify_once(folder, database, files)
    for _ in range(_ATTEMPTS - 1):
        # An immutable connection may have read pages that another process was changing.
        if found.ok or not disturbed:
            break
        found, disturbed = _verify_once(folder, database, files)
    return found


def _verify_once(folder: Path, database: Database, files: bool) -> tuple[Verification, bool]:
    told = read_head(folder / "head")  # before the snapshot, or it could be ahead of it
    with database.snapshot() as connection:
        check = _Check(folder, connection, told)
        # Broken UTF-8 must show as what is damaged there, not end the reading.
        connection.text_factory = _readable
        try:
            # One after another, each on its own: damage in one must not hide damage in the next.
            parts = (_check_chain, _check_pages, _check_schema, _check_head, _check_projections)
            for part in (*parts, _check_metrics, _check_artefacts) if files else parts:
                try:
                    part(check)
                except (sqlite3.Error, UnicodeDecodeError) as error:
                    check.damage("database", "journal.db", sqlite_words(error))
                except _UNREADABLE as error:
                    name = part.__name__.removeprefix("_check_")
                    check.damage("database", "journal.db", f"{name}: {error}")
        finally:
            connection.text_factory = str
    if check.broken:
        left_out = "1 entry that does" if len(check.broken) == 1 else f"{len(check.broken)} entries that do"
        check.notes.append(f"{left_out} not hold went unread when tables and files were checked")
    disturbed = database.disturbed()
    for cohort, damage in check.suspects.items():
        # Segments also go when another process compacts them after the snapshot.
        if not database.rows(
            "SELECT 1 FROM cohort WHERE cohort = ? AND stored_sequence IS NOT NULL", (cohort,)
        ):
            check.damages.append(damage)
    if len(check.notes) > _MOST_NOTES:
        check.notes[_MOST_NOTES:] = [f"and {len(check.notes) - _MOST_NOTES} more notes"]
    found = Verification(
        entries=check.entries,
        head=check.head,
        first_broken=check.first_broken,
        damages=tuple(dict.fromkeys(check.damages)),
        notes=tuple(check.notes),
        **check.counts,
    )
    return found, disturbed


def _check_chain(check: _Check) -> None:
    try:
        _walk(check)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if check.first_broken is None:
            check.first_broken = check.entries + 1
            check.damage("entry", check.first_broken, f"cannot be read: {sqlite_words(error)}")
        raise


def _walk(check: _Check) -> None:
    expected, previous, last_time = 1, GENESIS, ""
    for row in check.connection.execute(f"SELECT {ENTRY_COLUMNS} FROM entry ORDER BY sequence"):
        check.entries += 1
        sequence, time = row[0], row[1]
        wrong = wrong_entry(row)
        if wrong is not None:
            check.broken.add(sequence)
        if check.first_broken is None:
            if sequence != expected:
                wrong = f"is missing; the next one is entry {sequence}"
            elif wrong is None and row[6] != previous:
                wrong = f"it follows {row[6][:12]}..., but the entry before has the hash {previous[:12]}..."
            if wrong is not None:
                check.first_broken = expected
                check.damage("entry", expected, wrong)
        if isinstance(time, str):
            if time < last_time:
                check.notes.append(
                    f"entry {sequence} is dated {time}, before the entry that it follows: {last_time}"
                )
            last_time = time
        expected, previous = sequence + 1, str(row[7])
    check.head = previous


def _check_pages(check: _Check) -> None:
    for row in check.connection.execute("PRAGMA integrity_check(20)"):
        if row[0] != "ok":
            check.damage("database", "journal.db", str(row[0]))
    for row in check.connection.execute("PRAGMA foreign_key_check"):
        check.damage(
            "database", "journal.db", f"a row of {row[0]} refers to a row of {row[2]} that is not there"
        )


def _check_schema(check: _Check) -> None:
    """Hold tables, indices and triggers against those of a new journal: a missing trigger guards nothing."""
    fresh = fresh_database()
    try:
        right, found = schema_objects(fresh), schema_objects(check.connection)
    finally:
        fresh.close()
    for name in sorted({*right, *found}):
        if name not in found:
            check.damage("schema", name, "is missing")
        elif name not in right:
            check.damage("schema", name, "is not a journal's")
        elif found[name] != right[name]:
            check.damage("schema", name, "is not defined as in a new journal")
    versions = [row[0] for row in check.connection.execute("SELECT version FROM schema_version ORDER BY 1")]
    if versions != list(range(1, VERSION + 1)):
        shown = ", ".join(map(str, versions)) or "none"
        check.damage("schema", "table schema_version", f"lists {shown}, not 1 to {VERSION}")


def _check_head(check: _Check) -> None:
    told = check.told
    if told is None:
        if check.entries:
            check.notes.append(
                "the file head is missing or unreadable, so lost newest entries would not show"
            )
        return
    row = check.connection.execute("SELECT hash FROM entry WHERE sequence = ?", (told.sequence,)).fetchone()
    if told.sequence and row is None:
        check.damage("head", "head", f"names entry {told.sequence}, which is gone from the end of the ledger")
    elif told.sequence and row[0] != told.hash:
        check.damage(
            "head",
            "head",
            f"names another entry {told.sequence}: {told.hash[:12]}..., not {str(row[0])[:12]}...",
        )
    elif told.sequence < check.entries:
        check.notes.append(f"the file head lags behind: it names entry {told.sequence} of {check.entries}")


def _check_projections(check: _Check) -> None:
    rebuilt = fresh_database()
    try:
        rebuilt.execute("PRAGMA foreign_keys = OFF")
        try:
            replay(check.connection, rebuilt, registrations=True, without=check.broken)
        except (ModelwrightError, sqlite3.Error) as error:
            check.damage("entry", check.first_broken or "unknown", f"the ledger cannot be replayed: {error}")
            return
        for table in PROJECTIONS:
            try:
                _compare(check, rebuilt, table)
            except sqlite3.Error as error:
                check.damage("database", "journal.db", f"table {table}: {error}")
    finally:
        rebuilt.close()


def _compare(check: _Check, rebuilt: sqlite3.Connection, table: str) -> None:
    columns = [str(row[1]) for row in rebuilt.execute(f"PRAGMA table_info({table})")]
    sql = f"SELECT {', '.join(columns)} FROM {table}"
    right = {row[0]: row for row in rebuilt.execute(sql)}
    found = {row[0]: row for row in check.connection.execute(sql)}
    part: Any = table
    for name in sorted({*right, *found}, key=str):
        if name not in found:
            check.damage(part, name, f"the ledger has it, the table {table} does not")
        elif name not in right:
            check.damage(part, name, f"the table {table} has it, the ledger does not")
        elif right[name] != found[name]:
            pairs = zip(columns, found[name], right[name], strict=True)
            differ = [
                f"{column} is {is_!r}, by the ledger {was!r}" for column, is_, was in pairs if is_ != was
            ]
            check.damage(part, name, "; ".join(differ))


def _check_metrics(check: _Check) -> None:
    # From the ledger, not from the table cohort, which may be what was changed.
    started: dict[str, list[str]] = {}
    stored: dict[str, Any] = {}
    for record in _records(check, "metrics.started", {"cohort": str, "runs": list}):
        started[record["cohort"]] = record["runs"]
    for record in _records(check, "metrics.stored", {"cohort": str, "path": str, "sha256": str}):
        stored[record["cohort"]] = record
    for cohort, runs in started.items():
        segments = check.folder / "segments" / cohort
        if cohort not in stored:
            _check_segments(check, segments, runs)
        else:
            _check_file(check, stored[cohort])
            if segments.is_dir():
                check.notes.append(
                    f"segments/{cohort} is left over and may be deleted: its metric file is stored"
                )
    known = {record["path"] for record in stored.values()}
    for path in sorted((check.folder / "metrics").rglob("*")):
        name = path.relative_to(check.folder).as_posix()
        if path.is_file() and name not in known:
            check.notes.append(
                f"{name} is not in the ledger (an interrupted compaction leaves one); it is not used"
            )


def _records(check: _Check, kind: str, fields: dict[str, type]) -> Iterator[dict[str, Any]]:
    """Yield the bodies of the entries of `kind` that hold, oldest first; one without its fields is damage."""
    rows = check.connection.execute(
        "SELECT sequence, body FROM entry WHERE kind = ? ORDER BY sequence", (kind,)
    )
    for sequence, body in rows.fetchall():
        if sequence in check.broken:
            continue
        record: Any = json.loads(body)
        wrong = [
            name
            for name, type_ in fields.items()
            if not isinstance(record, dict) or type(cast("dict[str, Any]", record).get(name)) is not type_
        ]
        if wrong:
            check.damage("entry", sequence, f"is no {kind}: {', '.join(wrong)} is missing or of another kind")
        else:
            yield record


def _check_segments(check: _Check, folder: Path, runs: list[str]) -> None:
    if not folder.is_dir():
        missing = "is missing, and there is no metric file"
        check.suspects[folder.name] = Damage(part="segment", subject=f"segments/{folder.name}", what=missing)
        return
    check.counts["segments"] += len(list(folder.glob("*.segment")))
    _, damage = read_segments(folder, len(runs))
    if damage is not None:
        place, _, what = str(damage.got).partition(": ")
        check.suspects[folder.name] = Damage(part="segment", subject=f"segments/{place}", what=what)


def _check_file(check: _Check, record: dict[str, Any]) -> None:
    path = check.folder / record["path"]
    try:
        found = file_sha256(path)
    except (OSError, ValueError) as error:
        check.damage(
            "metrics", record["path"], f"cannot be read: {getattr(error, 'strerror', None) or error}"
        )
        return
    check.counts["metric_files"] += 1
    if found != record["sha256"]:
        check.damage(
            "metrics",
            record["path"],
            f"its content has {found[:12]}..., the ledger says {record['sha256'][:12]}...",
        )


def _check_artefacts(check: _Check) -> None:
    folder = check.folder / "artefacts"
    records = _records(check, "artefact.stored", {"sha256": str, "size": int})
    known = dict.fromkeys(record["sha256"] for record in records)
    for sha256 in known:
        try:
            found = file_sha256(folder / sha256[:2] / sha256[2:])
        except (OSError, ValueError) as error:
            check.damage("artefact", sha256, f"cannot be read: {getattr(error, 'strerror', None) or error}")
            continue
        check.counts["artefacts"] += 1
        if found != sha256:
            check.damage("artefact", sha256, f"its content has {found[:12]}...")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name + path.name not in known:
            check.notes.append(f"{path.relative_to(check.folder).as_posix()} is not in the ledger")
