import os
import sqlite3

import pytest

from modelwright.base.errors import BadValue, Corrupted, NotPermitted, SourceMissing, StoreFailed
from modelwright.journal.journal import Journal
from modelwright.journal.schema import VERSION

DESIGN = "d" * 64


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def test_a_new_journal_is_made_in_a_folder_that_is_not_there(tmp_path):
    with Journal.open(tmp_path / "a" / "b") as journal:
        assert journal.entries() == []
        assert journal.verify().ok
    assert (tmp_path / "a" / "b" / "journal.db").is_file()


def test_a_new_journal_may_share_its_folder_with_hidden_files_and_locks_only(tmp_path):
    (tmp_path / ".gitignore").write_text("*")
    (tmp_path / "locks").mkdir()
    Journal.open(tmp_path).close()
    other = tmp_path / "home"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(BadValue, match=r"letter\.txt"):
        Journal.open(other)
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_a_journal_is_opened_again_with_what_it_held(folder):
    with Journal.open(folder) as journal:
        entry = journal.append("note", {"x": 1})
    with Journal.open(folder) as journal:
        assert journal.entries() == [entry]
        assert journal.append("note", {}).previous == entry.hash


def test_reading_only_changes_no_file(folder, start):
    with Journal.open(folder) as journal:
        journal.register("digits", DESIGN, {})
        start(journal, "r0")
        journal.artefacts.put(b"x")
    before = snapshot(folder)
    with Journal.open(folder, read_only=True) as journal:
        assert len(journal.entries()) == 3
        assert journal.verify().ok
        journal.query("SELECT * FROM run")
        journal.read_metrics("r0")
        for write in (
            lambda: journal.append("note", {}),
            lambda: journal.register("other", DESIGN, {}),
            lambda: start(journal, "r1"),
            lambda: journal.finish_run("r0", status="failed", score=None, body={}),
            lambda: journal.artefacts.put(b"y"),
            lambda: journal.metric_writer(["r0"]),
            lambda: journal.rebuild(),
        ):
            with pytest.raises(NotPermitted):
                write()
    assert snapshot(folder) == before


def test_what_is_no_journal_is_told_apart(tmp_path):
    with pytest.raises(SourceMissing):
        Journal.open(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("x")
    for read_only in (True, False):
        with pytest.raises(BadValue, match="folder"):
            Journal.open(tmp_path / "file", read_only=read_only)
    (tmp_path / "odd" / "journal.db").mkdir(parents=True)
    with pytest.raises(BadValue, match="file"):
        Journal.open(tmp_path / "odd")


def test_another_programs_database_is_refused_untouched(tmp_path):
    raw = sqlite3.connect(tmp_path / "journal.db")
    raw.execute("CREATE TABLE moz_places (id)")
    raw.commit()
    raw.close()
    before = snapshot(tmp_path)
    for read_only in (True, False):
        with pytest.raises(BadValue, match="moz_places"):
            Journal.open(tmp_path, read_only=read_only)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_no_database_is_damage(folder, read_only):
    with Journal.open(folder) as journal:
        journal.append("note", {})
    (folder / "journal.db").write_bytes(b"not a database at all, " * 500)
    with pytest.raises(Corrupted):
        Journal.open(folder, read_only=read_only)


def test_a_truncated_database_is_damage(folder):
    with Journal.open(folder) as journal:
        for index in range(200):
            journal.append("note", {"i": index, "text": "x" * 300})
    path = folder / "journal.db"
    whole = path.read_bytes()
    for size in (0, 50, 4096, len(whole) // 2):
        path.write_bytes(whole[:size])
        try:
            with Journal.open(folder, read_only=True) as journal:
                assert not journal.verify().ok
        except (Corrupted, SourceMissing, BadValue):
            pass
        with pytest.raises((Corrupted, BadValue)):
            Journal.open(folder)
        assert path.read_bytes()[:size] == whole[:size]


def test_a_missing_database_beside_its_files_is_not_made_anew(folder):
    with Journal.open(folder) as journal:
        journal.append("note", {})
    (folder / "journal.db").unlink()
    for read_only in (True, False):
        with pytest.raises(Corrupted, match="without journal"):
            Journal.open(folder, read_only=read_only)
    assert not (folder / "journal.db").exists()


def test_a_head_that_does_not_match_its_own_hash_is_not_appended_to(folder):
    with Journal.open(folder) as journal:
        journal.append("note", {"x": 1})
    raw = sqlite3.connect(folder / "journal.db")
    raw.execute("DROP TRIGGER entry_no_update")
    raw.execute("UPDATE entry SET body = '{\"x\":2}'")
    raw.commit()
    raw.close()
    with pytest.raises(Corrupted, match="own hash"):
        Journal.open(folder)
    with Journal.open(folder, read_only=True) as journal:
        assert journal.verify().first_broken == 1


def test_a_newest_entry_whose_hash_is_no_text_is_not_appended_to(folder):
    with Journal.open(folder) as journal:
        journal.append("note", {"x": 1})
    raw = sqlite3.connect(folder / "journal.db", isolation_level=None)
    raw.execute("PRAGMA writable_schema = ON")
    raw.execute("DROP TRIGGER entry_no_update")
    looser = "replace(replace(sql, 'NOT NULL', ''), 'STRICT', '')"
    raw.execute(f"UPDATE sqlite_master SET sql = {looser} WHERE name = 'entry'")
    raw.close()
    raw = sqlite3.connect(folder / "journal.db", isolation_level=None)
    raw.execute("UPDATE entry SET hash = NULL")
    raw.close()
    with pytest.raises(Corrupted, match="hash is no text"):
        Journal.open(folder)


def test_a_head_file_that_lags_behind_is_caught_up(folder):
    with Journal.open(folder) as journal:
        journal.append("note", {})
        lagging = (folder / "head").read_bytes()
        newest = journal.append("note", {})
    (folder / "head").write_bytes(lagging)
    with Journal.open(folder, read_only=True) as journal:
        found = journal.verify()
        assert found.ok
        assert "lags behind: it names entry 1 of 2" in found.notes[0]
    with Journal.open(folder) as journal:
        assert journal.verify().notes == ()
    assert newest.hash in (folder / "head").read_text()


def test_an_entry_counts_although_the_head_file_cannot_be_written(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with Journal.open(folder) as journal:
        journal.append("note", {})
        monkeypatch.setattr("modelwright.journal.journal.advance_head", full)
        assert journal.append("note", {}).sequence == 2  # an error would make the caller append it twice
        monkeypatch.undo()
        assert journal.append("note", {}).sequence == 3
        assert journal.verify().notes == ()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"9" * 86])
def test_an_unreadable_head_file_is_a_note_and_is_written_anew(folder, content):
    with Journal.open(folder) as journal:
        journal.append("note", {})
    (folder / "head").write_bytes(content)
    with Journal.open(folder, read_only=True) as journal:
        found = journal.verify()
        assert found.ok
        assert "unreadable" in found.notes[0]
    with Journal.open(folder) as journal:
        assert journal.verify().notes == ()


def test_a_journal_newer_than_this_program_is_refused_untouched(folder):
    Journal.open(folder).close()
    raw = sqlite3.connect(folder / "journal.db")
    raw.execute("INSERT INTO schema_version VALUES (?, 'later')", (VERSION + 1,))
    raw.commit()
    raw.close()
    before = (folder / "journal.db").read_bytes()
    for read_only in (True, False):
        with pytest.raises(StoreFailed, match="upgrade"):
            Journal.open(folder, read_only=read_only)
    assert (folder / "journal.db").read_bytes() == before


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)
def test_a_folder_without_permission_is_a_clear_failure(tmp_path, folder, python):
    with Journal.open(folder) as journal:
        journal.append("note", {})
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    code = """
import os, sys
from pathlib import Path
from modelwright.base.errors import StoreFailed
from modelwright.journal.journal import Journal
folder = Path(sys.argv[1])
os.setgid(65534)
os.setuid(65534)
with Journal.open(folder, read_only=True) as journal:
    assert len(journal.entries()) == 1 and journal.verify().ok
for place in (folder, folder / "sub", Path("/proc/nothing")):
    try:
        with Journal.open(place) as journal:
            journal.append("note", {})
    except StoreFailed as error:
        assert "permissions" in str(error), error
        print("refused")
"""
    place = tmp_path
    while place != place.parent and place.stat().st_mode & 0o005 != 0o005:
        place.chmod(place.stat().st_mode | 0o055)
        place = place.parent
    out, errors = python(code, folder).communicate(timeout=60)
    assert out.split() == ["refused"] * 3, errors
