import hashlib
import json
import shutil
import sqlite3

import pytest

from modelwright.base.errors import NotPermitted
from modelwright.journal.journal import Journal
from modelwright.journal.schema import MIGRATIONS, VERSION

DESIGN = "d" * 64

VERSION_ONE = """
CREATE TABLE schema_version (version INTEGER NOT NULL, time TEXT NOT NULL) STRICT;
INSERT INTO schema_version VALUES (1, '2025-12-24T18:00:00.000000Z');
CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, design TEXT, run TEXT,
    body TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE registration (
    sequence INTEGER PRIMARY KEY REFERENCES entry (sequence), time TEXT NOT NULL, name TEXT NOT NULL,
    design TEXT NOT NULL, amends TEXT, reason TEXT, body TEXT NOT NULL) STRICT;
CREATE TABLE run (
    run TEXT NOT NULL UNIQUE, trial TEXT NOT NULL, design TEXT NOT NULL, experiment TEXT NOT NULL,
    variant TEXT NOT NULL, seed_index INTEGER NOT NULL, status TEXT NOT NULL, score REAL,
    started TEXT NOT NULL, finished TEXT,
    started_sequence INTEGER PRIMARY KEY REFERENCES entry (sequence),
    finished_sequence INTEGER REFERENCES entry (sequence)) STRICT;
CREATE TRIGGER entry_follows BEFORE INSERT ON entry BEGIN
    SELECT RAISE(ABORT, 'an entry follows the newest one')
    WHERE NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM entry); END;
CREATE TRIGGER registration_new BEFORE INSERT ON registration BEGIN
    SELECT RAISE(ABORT, 'a registration is never replaced')
    WHERE EXISTS (SELECT 1 FROM registration WHERE sequence = NEW.sequence); END;
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'the table entry is append-only'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'the table entry is append-only'); END;
CREATE TRIGGER registration_no_update BEFORE UPDATE ON registration
    BEGIN SELECT RAISE(ABORT, 'the table registration is append-only'); END;
CREATE TRIGGER registration_no_delete BEFORE DELETE ON registration
    BEGIN SELECT RAISE(ABORT, 'the table registration is append-only'); END;
PRAGMA journal_mode = WAL;
"""

OLD_ENTRIES = [
    ("design.registered", DESIGN, None, {"name": "digits", "amends": None, "reason": None, "body": {"q": 1}}),
    (
        "run.started",
        DESIGN,
        "r0",
        {"trial": "t0", "experiment": "digits", "variant": "v", "seed_index": 0, "body": {}},
    ),
    ("run.finished", None, "r0", {"status": "finished", "score": 0.5, "metrics": None, "body": {}}),
    ("note", None, None, {"text": "from the old days"}),
]


@pytest.fixture
def old(folder):
    """A version-1 file made by hand, with hashes that this test computes itself."""
    folder.mkdir()
    raw = sqlite3.connect(folder / "journal.db")
    raw.executescript(VERSION_ONE)
    previous = "0" * 64
    for sequence, (kind, design, run, body) in enumerate(OLD_ENTRIES, start=1):
        record = {
            "sequence": sequence,
            "time": f"2025-12-24T18:00:0{sequence}.000000Z",
            "kind": kind,
            "design": design,
            "run": run,
            "body": body,
            "previous": previous,
        }
        text = json.dumps(record, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        body_text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        values = (sequence, record["time"], kind, design, run, body_text, previous, digest)
        raw.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        previous = digest
    registration = (1, "2025-12-24T18:00:01.000000Z", "digits", DESIGN, None, None, '{"q":1}')
    raw.execute("INSERT INTO registration VALUES (?, ?, ?, ?, ?, ?, ?)", registration)
    raw.execute(
        "INSERT INTO run VALUES ('r0', 't0', ?, 'digits', 'v', 0, 'finished', 0.5, "
        "'2025-12-24T18:00:02.000000Z', '2025-12-24T18:00:03.000000Z', 2, 3)",
        (DESIGN,),
    )
    raw.commit()
    raw.close()
    return folder


def version(folder):
    raw = sqlite3.connect(folder / "journal.db")
    found = raw.execute("SELECT max(version) FROM schema_version").fetchone()[0]
    raw.close()
    return found


def test_an_old_file_is_migrated_after_a_backup_and_its_chain_still_verifies(old):
    with Journal.open(old) as journal:
        assert journal.verify().ok
        assert journal.entries(kind="note")[0].body == {"text": "from the old days"}
        assert (journal.run("r0").score, journal.run("r0").cohort) == (0.5, None)
        assert journal.registrations("digits")[0].design == DESIGN
        journal.artefacts.put(b"new")
        journal.append("note", {})
        assert journal.verify().ok
    assert version(old) == VERSION
    (backup,) = (old / "backups").iterdir()
    kept = sqlite3.connect(backup)
    assert kept.execute("SELECT max(version) FROM schema_version").fetchone() == (1,)
    assert kept.execute("SELECT count(*) FROM entry").fetchone() == (4,)
    kept.close()


def test_a_migrated_and_a_new_file_have_the_same_schema(old, tmp_path):
    Journal.open(old).close()
    Journal.open(tmp_path / "new").close()

    def schema(folder):
        raw = sqlite3.connect(folder / "journal.db")
        tables = {
            name: raw.execute(f"PRAGMA table_info({name})").fetchall()
            for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        }
        indices = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
        raw.close()
        return tables, indices

    assert schema(old) == schema(tmp_path / "new")


def test_an_old_file_can_be_read_without_being_changed(old):
    before = (old / "journal.db").read_bytes()
    with Journal.open(old, read_only=True) as journal:
        assert len(journal.entries()) == 4
        assert journal.runs()[0].cohort is None
        assert journal.verify().ok
        with pytest.raises(NotPermitted):
            journal.append("note", {})
    assert (old / "journal.db").read_bytes() == before
    assert version(old) == 1


def test_a_migration_that_fails_leaves_the_old_file(old, monkeypatch):
    def broken(connection):
        connection.execute("ALTER TABLE run ADD COLUMN half TEXT")
        raise RuntimeError("planted")

    monkeypatch.setattr("modelwright.journal.schema.MIGRATIONS", (MIGRATIONS[0], broken))
    with pytest.raises(RuntimeError):
        Journal.open(old)
    monkeypatch.undo()
    assert version(old) == 1
    raw = sqlite3.connect(old / "journal.db")
    assert "half" not in [row[1] for row in raw.execute("PRAGMA table_info(run)")]
    raw.close()
    with Journal.open(old) as journal:
        assert journal.verify().ok


def test_several_processes_may_migrate_or_make_a_journal_at_once(old, tmp_path, python):
    code = """
import sys
from pathlib import Path
from modelwright.journal.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    journal.append("note", {})
"""
    for folder, count in ((old, 4), (tmp_path / "new", 0)):
        processes = [python(code, folder) for _ in range(4)]
        for process in processes:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
        with Journal.open(folder) as journal:
            assert len(journal.entries()) == count + 4
            assert journal.verify().ok
    assert len(list((old / "backups").iterdir())) == 1


def test_a_copied_journal_is_a_journal(folder, tmp_path):
    with Journal.open(folder) as journal:
        journal.append("note", {})
    shutil.copytree(folder, tmp_path / "copy")
    with Journal.open(tmp_path / "copy") as journal:
        assert journal.verify().ok
        journal.append("note", {})
