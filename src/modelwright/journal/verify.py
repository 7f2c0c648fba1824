"""Recomputing everything that the journal holds, and saying what does not hold.

The ledger comes first: each entry's hash from its own fields, each link to the entry before, the file
`head`. Then the tables that follow from the ledger, by replaying it. Then every file by its sha256.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

from modelwright.base.errors import ModelwrightError
from modelwright.base.fingerprint import canonical_json
from modelwright.journal.artefacts import file_sha256
from modelwright.journal.database import Database
from modelwright.journal.entry import ENTRY_COLUMNS, GENESIS, entry_hash
from modelwright.journal.head import Head, read_head
from modelwright.journal.projection import PROJECTIONS, replay
from modelwright.journal.schema import migrate
from modelwright.journal.segment import read_segments
from modelwright.journal.verification import Damage, Part, Verification

__all__ = ["verify_journal"]

_MOST_NOTES = 20
_ATTEMPTS = 3


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
        # One after another, each on its own: damage in one must not hide damage in the next.
        parts = (_check_chain, _check_pages, _check_head, _check_projections)
        for part in (*parts, _check_metrics, _check_artefacts) if files else parts:
            try:
                part(check)
            except sqlite3.Error as error:
                check.damage("database", "journal.db", str(error))
            except (ModelwrightError, OSError) as error:
                check.damage("database", "journal.db", f"{part.__name__.removeprefix('_check_')}: {error}")
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
    # Broken UTF-8 must show as a wrong hash of its entry, not end the reading.
    check.connection.text_factory = lambda text: text.decode(errors="replace")
    try:
        _walk(check)
    except sqlite3.Error as error:
        if check.first_broken is None:
            check.first_broken = check.entries + 1
            check.damage("entry", check.first_broken, f"cannot be read: {error}")
        raise
    finally:
        check.connection.text_factory = str


def _walk(check: _Check) -> None:
    expected, previous, last_time = 1, GENESIS, ""
    for row in check.connection.execute(f"SELECT {ENTRY_COLUMNS} FROM entry ORDER BY sequence"):
        check.entries += 1
        if check.first_broken is None:
            wrong = _wrong_entry(row, expected, previous)
            if wrong is not None:
                check.first_broken = expected
                check.damage("entry", expected, wrong)
        sequence, time = row[0], row[1]
        if isinstance(time, str):
            if time < last_time:
                check.notes.append(
                    f"entry {sequence} is dated {time}, before the entry that it follows: {last_time}"
                )
            last_time = time
        expected, previous = sequence + 1, row[7]
    check.head = previous


def _wrong_entry(row: tuple[Any, ...], expected: int, previous: str) -> str | None:
    sequence, time, kind, design, run, body, link, digest = row
    if sequence != expected:
        return f"is missing; the next one is entry {sequence}"
    found = entry_hash(
        sequence=sequence, time=time, kind=kind, design=design, run=run, body=body, previous=link
    )
    if found != digest:
        return f"its content gives the hash {found[:12]}..., stored is {str(digest)[:12]}..."
    if link != previous:
        return f"it follows {str(link)[:12]}..., but the entry before has the hash {previous[:12]}..."
    try:
        if canonical_json(json.loads(body)) != body:
            return "its body is not canonical JSON"
    except (ValueError, RecursionError, ModelwrightError) as error:
        return f"its body is not JSON: {error}"
    return None


def _check_pages(check: _Check) -> None:
    for row in check.connection.execute("PRAGMA integrity_check(20)"):
        if row[0] != "ok":
            check.damage("database", "journal.db", str(row[0]))
    for row in check.connection.execute("PRAGMA foreign_key_check"):
        check.damage(
            "database", "journal.db", f"a row of {row[0]} refers to a row of {row[2]} that is not there"
        )


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
            "head", "head", f"names another entry {told.sequence}: {told.hash[:12]}..., not {row[0][:12]}..."
        )
    elif told.sequence < check.entries:
        check.notes.append(f"the file head lags behind: it names entry {told.sequence} of {check.entries}")


def _check_projections(check: _Check) -> None:
    rebuilt = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(rebuilt, 0, "")
        rebuilt.execute("PRAGMA foreign_keys = OFF")
        try:
            replay(check.connection, rebuilt, registrations=True)
        except (ModelwrightError, sqlite3.Error) as error:
            check.damage("entry", check.first_broken or "unknown", f"the ledger cannot be replayed: {error}")
            return
        for table in PROJECTIONS:
            _compare(check, rebuilt, table)
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
    for kind, body in check.connection.execute(
        "SELECT kind, body FROM entry WHERE kind IN ('metrics.started', 'metrics.stored') ORDER BY sequence"
    ):
        record = json.loads(body)
        if kind == "metrics.started":
            started[record["cohort"]] = record["runs"]
        else:
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
    except OSError as error:
        check.damage("metrics", record["path"], f"cannot be read: {error.strerror}")
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
    known: dict[str, int] = {}
    for (body,) in check.connection.execute("SELECT body FROM entry WHERE kind = 'artefact.stored'"):
        record = json.loads(body)
        known[record["sha256"]] = record["size"]
    for sha256 in known:
        try:
            found = file_sha256(folder / sha256[:2] / sha256[2:])
        except OSError as error:
            check.damage("artefact", sha256, f"cannot be read: {error.strerror}")
            continue
        check.counts["artefacts"] += 1
        if found != sha256:
            check.damage("artefact", sha256, f"its content has {found[:12]}...")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name + path.name not in known:
            check.notes.append(f"{path.relative_to(check.folder).as_posix()} is not in the ledger")
