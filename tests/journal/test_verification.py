"""Each kind of damage, done by hand to a sound journal, is found and called by its right name."""

import contextlib
import json
import random
import shutil
import sqlite3

import numpy as np
import pytest

from modelwright.base.errors import Corrupted
from modelwright.journal.entry import entry_hash
from modelwright.journal.journal import Journal

FIELDS = ("sequence", "time", "kind", "design", "run", "body", "previous")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A closed journal with everything in it: 14 entries."""
    folder = tmp_path_factory.mktemp("sound") / "journal"
    with Journal.open(folder) as journal:
        journal.register("digits", "d" * 64, {"q": 1})
        for run in ("r0", "r1", "r2", "r3"):
            journal.start_run(run, trial="t", design="d", experiment="e", variant="v", seed_index=0, body={})
        writer = journal.metric_writer(["r0", "r1"])
        for update in range(1, 50):
            writer.write(update, {"loss": np.array([1.0, 2.0]) / update})
        files = writer.finish()
        journal.finish_run("r0", status="finished", score=0.5, body={}, metrics=files["r0"])
        live = journal.metric_writer(["r2", "r3"])
        for update in (1, 2, 3):
            live.write(update, {"loss": np.ones(2)})
            live.flush()
        journal.artefacts.put(b"a report")
        journal.append("note", {"text": "one"})
        journal.append("note", {"text": "two"})
        journal.append("note", {"text": "three"})
        journal.finish_run("r1", status="failed", score=None, body={})
        assert journal.verify().ok
        assert journal.head().sequence == 14
    return folder


@pytest.fixture
def sound(template, folder):
    shutil.copytree(template, folder)
    return folder


class Raw:
    """The database without its triggers, which a careful forger puts back."""

    def __init__(self, folder):
        self.connection = sqlite3.connect(folder / "journal.db", isolation_level=None)
        self.triggers = self.connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in self.triggers:
            self.connection.execute(f"DROP TRIGGER {name}")

    def __enter__(self):
        return self.connection

    def __exit__(self, *_):
        for _, sql in self.triggers:
            with contextlib.suppress(sqlite3.OperationalError):  # its table may be gone
                self.connection.execute(sql)
        self.connection.close()


def verify(folder):
    with Journal.open(folder, read_only=True) as journal:
        found = journal.verify()
    assert json.loads(json.dumps(found.record()))["ok"] == found.ok
    return found


def parts(found):
    return [(damage.part, damage.subject) for damage in found.damages]


def rehash(connection, sequence):
    row = connection.execute(
        f"SELECT {', '.join(FIELDS)} FROM entry WHERE sequence = ?", (sequence,)
    ).fetchone()
    digest = entry_hash(**dict(zip(FIELDS, row, strict=True)))
    connection.execute("UPDATE entry SET hash = ? WHERE sequence = ?", (digest, sequence))


@pytest.mark.parametrize("column", ["time", "kind", "design", "run", "body", "previous", "hash"])
@pytest.mark.parametrize("sequence", [1, 5, 12, 14])
def test_any_edited_field_of_any_entry_names_that_entry(sound, column, sequence):
    with Raw(sound) as connection:
        value = '{"x":1}' if column == "body" else "changed"
        connection.execute(f"UPDATE entry SET {column} = ? WHERE sequence = ?", (value, sequence))
    found = verify(sound)
    assert found.first_broken == sequence
    assert parts(found)[0] == ("entry", str(sequence))
    assert "hash" in found.damages[0].what


def test_an_edited_entry_with_a_new_hash_is_betrayed_by_the_next(sound):
    with Raw(sound) as connection:
        connection.execute('UPDATE entry SET body = \'{"text":"forged"}\' WHERE sequence = 12')
        rehash(connection, 12)
    found = verify(sound)
    assert parts(found) == [("entry", "13")]
    assert "the entry before has the hash" in found.damages[0].what


def test_an_edited_newest_entry_with_a_new_hash_is_betrayed_by_the_head(sound):
    with Raw(sound) as connection:
        connection.execute("UPDATE entry SET time = 'long ago' WHERE sequence = 13")
        connection.execute("UPDATE entry SET body = '{}' WHERE sequence = 14")
        for sequence in (13, 14):
            digest = connection.execute(
                "SELECT hash FROM entry WHERE sequence = ?", (sequence - 1,)
            ).fetchone()[0]
            connection.execute("UPDATE entry SET previous = ? WHERE sequence = ?", (digest, sequence))
            rehash(connection, sequence)
    found = verify(sound)
    assert found.first_broken is None
    assert ("head", "head") in parts(found)


def test_a_deleted_entry_is_missed(sound):
    with Raw(sound) as connection:
        connection.execute("DELETE FROM entry WHERE sequence = 11")
    found = verify(sound)
    assert found.first_broken == 11
    assert "missing" in found.damages[0].what


def test_a_deleted_first_entry_is_missed(sound):
    with Raw(sound) as connection:
        connection.execute("DELETE FROM entry WHERE sequence = 1")
    assert verify(sound).first_broken == 1


@pytest.mark.parametrize("gone", [1, 3])
def test_deleted_newest_entries_are_betrayed_by_the_head_and_opening_refuses(sound, gone):
    with Raw(sound) as connection:
        connection.execute("DELETE FROM entry WHERE sequence > ?", (14 - gone,))
    found = verify(sound)
    assert found.first_broken is None  # the chain alone cannot show it
    assert ("head", "head") in parts(found)
    assert ("run", "r1") in parts(found)
    with pytest.raises(Corrupted, match="head"):
        Journal.open(sound)


def test_deleted_newest_entries_with_a_rewritten_head_pass_as_documented(sound):
    with Raw(sound) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM entry WHERE sequence > 12")
        connection.execute(
            "UPDATE run SET status='running', finished=NULL, finished_sequence=NULL WHERE run='r1'"
        )
    (sound / "head").unlink()
    found = verify(sound)
    assert found.ok  # only a hash noted elsewhere shows it: docs/journal.md says so
    assert "head is missing" in found.notes[0]


def test_two_swapped_entries_name_the_first(sound):
    with Raw(sound) as connection:
        connection.execute("UPDATE entry SET sequence = 99 WHERE sequence = 12")
        connection.execute("UPDATE entry SET sequence = 12 WHERE sequence = 13")
        connection.execute("UPDATE entry SET sequence = 13 WHERE sequence = 99")
    assert verify(sound).first_broken == 12


def test_an_inserted_entry_is_found(sound):
    with Raw(sound) as connection:
        connection.execute(
            "INSERT INTO entry SELECT 15, time, kind, design, run, body, hash, 'x' FROM entry LIMIT 1"
        )
    assert verify(sound).first_broken == 15


def test_a_body_that_is_not_canonical_is_found_even_with_the_right_hashes(folder):
    with Journal.open(folder) as journal:
        journal.append("note", {"a": 1, "b": 2})
    (folder / "head").unlink()
    with Raw(folder) as connection:
        connection.execute('UPDATE entry SET body = \'{"b":2,"a":1}\'')
        rehash(connection, 1)
    found = verify(folder)
    assert found.first_broken == 1
    assert "canonical" in found.damages[0].what


def test_bytes_that_are_no_text_name_their_entry(sound):
    with Raw(sound) as connection:
        connection.execute("UPDATE entry SET body = CAST(x'7BFF7D' AS TEXT) WHERE sequence = 12")
    assert verify(sound).first_broken == 12


BODIES = ["{}", "{", "[]", "null", "1", '"text"', "[" * 100_000]
OWN_KINDS = ["run.started", "run.finished", "metrics.started", "metrics.stored", "artefact.stored"]


@pytest.mark.parametrize("body", BODIES, ids=["empty", "cut", "list", "null", "number", "text", "deep"])
@pytest.mark.parametrize("kind", [*OWN_KINDS, "design.registered"])
def test_a_body_that_lacks_everything_names_its_entry(sound, kind, body):
    with Raw(sound) as connection:
        (sequence,) = connection.execute("SELECT min(sequence) FROM entry WHERE kind = ?", (kind,)).fetchone()
        connection.execute("UPDATE entry SET body = ? WHERE sequence = ?", (body, sequence))
    found = verify(sound)
    assert parts(found)[0] == ("entry", str(sequence))
    assert not [damage for damage in found.damages if damage.part == "database"]
    assert "1 entry that does not hold went unread" in found.notes[-1]


@pytest.mark.parametrize("kind", OWN_KINDS)
@pytest.mark.parametrize("body", ["{}", "[]", "null"])
def test_a_forged_body_with_the_right_hashes_names_its_entry_too(sound, kind, body):
    (sound / "head").unlink()
    with Raw(sound) as connection:
        (first,) = connection.execute("SELECT min(sequence) FROM entry WHERE kind = ?", (kind,)).fetchone()
        connection.execute("UPDATE entry SET body = ? WHERE sequence = ?", (body, first))
        for sequence in range(first, 15):
            before = "SELECT hash FROM entry WHERE sequence = ?"
            digest = connection.execute(before, (sequence - 1,)).fetchone()
            if digest:
                connection.execute("UPDATE entry SET previous = ? WHERE sequence = ?", (*digest, sequence))
            rehash(connection, sequence)
    found = verify(sound)
    assert found.first_broken is None
    assert any(
        damage.part == "entry" and f"{first}" in (damage.subject + damage.what) for damage in found.damages
    )


def test_a_number_too_large_for_a_column_is_damage_and_no_crash(folder):
    with Journal.open(folder) as journal:
        journal.artefacts.put(b"x")
    (folder / "head").unlink()
    with Raw(folder) as connection:
        body = json.dumps({"sha256": "a" * 64, "size": 10**30}, separators=(",", ":"))
        connection.execute("UPDATE entry SET body = ?", (body,))
        rehash(connection, 1)
    assert any("replayed" in damage.what for damage in verify(folder).damages)


def test_a_flipped_byte_in_the_name_of_a_field_names_its_entry(sound):
    path = sound / "journal.db"
    content = path.read_bytes()
    place = content.index(b'"sha256":', content.index(b"artefact.stored")) + 1
    path.write_bytes(content[:place] + b"L" + content[place + 1 :])
    found = verify(sound)
    assert parts(found)[0][0] == "entry"


@pytest.mark.parametrize(
    "trigger",
    [
        *("entry_no_update", "entry_no_delete", "entry_follows"),
        *("registration_no_update", "registration_no_delete", "registration_new"),
    ],
)
def test_a_missing_or_changed_trigger_is_named(sound, trigger):
    connection = sqlite3.connect(sound / "journal.db")
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (trigger,)).fetchone()
    connection.execute(f"DROP TRIGGER {trigger}")
    connection.commit()
    assert parts(verify(sound)) == [("schema", f"trigger {trigger}")]
    connection.execute(sql.split("BEGIN")[0] + "BEGIN SELECT 1; END")
    connection.commit()
    connection.close()
    (damage,) = verify(sound).damages
    assert (damage.part, damage.subject) == ("schema", f"trigger {trigger}")
    assert "not defined as" in damage.what


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ("DROP INDEX run_status", "index run_status"),
        ("ALTER TABLE run ADD COLUMN more TEXT", "table run"),
        ("CREATE TABLE other (x)", "table other"),
        ("CREATE VIEW other AS SELECT 1", "view other"),
        ("CREATE TRIGGER other AFTER INSERT ON run BEGIN DELETE FROM run; END", "trigger other"),
        ("DELETE FROM schema_version WHERE version = 1", "table schema_version"),
    ],
)
def test_anything_that_a_new_journal_has_otherwise_is_named(sound, change, subject):
    with Raw(sound) as connection:
        connection.execute(change)
    assert ("schema", subject) in parts(verify(sound))


def test_statistics_that_sqlite_keeps_are_no_damage(sound):
    with Raw(sound) as connection:
        connection.execute("ANALYZE")
    assert verify(sound).ok


@pytest.mark.parametrize("read_only", [True, False])
def test_a_version_that_is_not_on_record_is_damage_and_no_full_disk(sound, read_only):
    with Raw(sound) as connection:
        connection.execute("DELETE FROM schema_version WHERE version = 2")
    with pytest.raises(Corrupted, match="duplicate column name") as caught:
        Journal.open(sound, read_only=read_only)
    assert "free space" not in str(caught.value)
    with Raw(sound) as connection:
        connection.execute("DELETE FROM schema_version")
    with pytest.raises(Corrupted, match="knows its version"):
        Journal.open(sound, read_only=read_only)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_table_whose_name_is_no_text_is_refused(sound, read_only):
    path = sound / "journal.db"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE TABLE entry", b"CREATE TABLE ent\xffy"))
    with pytest.raises(Corrupted, match="malformed database schema"):
        Journal.open(sound, read_only=read_only)
    path.write_bytes(content.replace(b"tableentryentry", b"table\xffntryentry"))
    with pytest.raises(Corrupted):
        Journal.open(sound, read_only=read_only)


@pytest.mark.parametrize("table", ["entry", "registration", "run", "schema_version"])
def test_a_journal_without_one_of_its_tables_is_damaged_and_no_other_database(sound, table):
    with Raw(sound) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(f"ALTER TABLE {table} RENAME TO other")
    with pytest.raises(Corrupted, match=f"{table} missing"):
        Journal.open(sound, read_only=True)


@pytest.mark.parametrize("body", ["{", '"', "[" * 100_000])
def test_a_registration_that_is_no_json_is_damage_wherever_it_is_read(sound, body):
    with Raw(sound) as connection:
        connection.execute("UPDATE registration SET body = ?", (body,))
        connection.execute("UPDATE entry SET body = ? WHERE sequence = 3", (body,))
    with Journal.open(sound, read_only=True) as journal:
        with pytest.raises(Corrupted, match="registration 1"):
            journal.registrations()
        with pytest.raises(Corrupted, match="entry 3"):
            journal.entries()


def test_a_trigger_whose_text_is_no_text_is_named(sound):
    path = sound / "journal.db"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"entry is append-only", b"entry is append\xffonly"))
    found = verify(sound)
    assert set(parts(found)) == {("schema", "trigger entry_no_update"), ("schema", "trigger entry_no_delete")}


def contents(folder):
    with Journal.open(folder, read_only=True) as journal:
        return journal.entries(), journal.runs(), journal.registrations()


def test_any_flipped_byte_is_named_or_without_effect(sound):
    """300 flips anywhere: damage by name, `Corrupted`, or nothing that can be read differs."""
    path = sound / "journal.db"
    content, before = path.read_bytes(), contents(sound)
    draw = random.Random(20)
    outcomes = {"named": 0, "refused": 0, "nothing": 0}
    used = [place for place in range(len(content)) if content[place]]  # most of the file is empty space
    for flip in range(300):
        place = draw.choice(used) if flip % 4 else draw.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        try:
            found = verify(sound)
        except Corrupted:
            outcomes["refused"] += 1
            continue
        outcomes["nothing" if found.ok else "named"] += 1
        if found.ok:
            assert contents(sound) == before, place
    assert outcomes["named"] > 150
    assert outcomes["refused"] > 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE run SET score = 0.9 WHERE run = 'r0'", "score is 0.9, by the ledger 0.5"),
        ("UPDATE run SET status = 'finished' WHERE run = 'r2'", "status"),
        ("UPDATE run SET cohort = NULL WHERE run = 'r0'", "cohort"),
        ("UPDATE run SET started = 'x' WHERE run = 'r0'", "started"),
        ("DELETE FROM run WHERE run = 'r0'", "the ledger has it"),
        ("UPDATE run SET run = 'r9' WHERE run = 'r0'", "the ledger has it"),
    ],
)
def test_a_changed_row_of_a_run_is_named_and_can_be_rebuilt(sound, change, says):
    with Raw(sound) as connection:
        connection.execute(change)
    found = verify(sound)
    name = "r2" if "'r2'" in change else "r0"
    (damage,) = [damage for damage in found.damages if damage.subject == name]
    assert damage.part == "run"
    assert says in damage.what
    with Journal.open(sound) as journal:
        journal.rebuild()
        assert journal.verify().ok


def test_an_invented_run_is_named(sound):
    with Raw(sound) as connection:
        columns = "trial, design, experiment, variant, seed_index, status, score, started, finished, cohort"
        values = f"SELECT 'fake', 12, {columns} FROM run WHERE run = 'r0'"
        connection.execute(f"INSERT INTO run (run, started_sequence, {columns}) {values}")
    assert parts(verify(sound)) == [("run", "fake")]


@pytest.mark.parametrize("change", ["UPDATE registration SET design = 'e'", "DELETE FROM registration"])
def test_a_changed_registration_is_named(sound, change):
    with Raw(sound) as connection:
        connection.execute(change)
    assert parts(verify(sound)) == [("registration", "1")]


@pytest.mark.parametrize("table", ["cohort", "artefact"])
def test_a_changed_list_of_files_is_named_and_the_files_are_still_checked(sound, table):
    with Raw(sound) as connection:
        connection.execute(f"DELETE FROM {table}")
    (metrics,) = (sound / "metrics").rglob("*.parquet")
    metrics.unlink()
    found = verify(sound)
    assert table in {damage.part for damage in found.damages}
    assert ("metrics", metrics.relative_to(sound).as_posix()) in parts(found)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_flipped_byte_in_a_metric_file_is_named_and_not_read(sound, place):
    (path,) = (sound / "metrics").rglob("*.parquet")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    name = path.relative_to(sound).as_posix()
    assert parts(verify(sound)) == [("metrics", name)]
    with Journal.open(sound) as journal, pytest.raises(Corrupted, match=path.name):
        journal.read_metrics("r1")


def test_a_missing_metric_file_is_named_and_not_read(sound):
    (path,) = (sound / "metrics").rglob("*.parquet")
    path.unlink()
    assert parts(verify(sound)) == [("metrics", path.relative_to(sound).as_posix())]
    with Journal.open(sound) as journal, pytest.raises(Corrupted, match=path.name):
        journal.read_metrics("r0")


def test_a_truncated_segment_is_named_and_what_comes_before_can_be_read(sound):
    path = sorted((sound / "segments").rglob("*.segment"))[1]
    path.write_bytes(path.read_bytes()[:-10])
    name = path.relative_to(sound).as_posix()
    assert parts(verify(sound)) == [("segment", name)]
    with Journal.open(sound) as journal:
        with pytest.raises(Corrupted, match=path.name):
            journal.read_metrics("r2")
        assert journal.read_metrics("r2", prefix=True)["update"].to_pylist() == [1]


def test_a_missing_segment_is_named(sound):
    sorted((sound / "segments").rglob("*.segment"))[0].unlink()
    assert [subject[-14:] for _, subject in parts(verify(sound))] == ["000001.segment"]


def test_missing_segments_of_a_whole_cohort_are_named(sound):
    (cohort,) = (sound / "segments").iterdir()
    shutil.rmtree(cohort)
    assert parts(verify(sound)) == [("segment", f"segments/{cohort.name}")]
    with Journal.open(sound) as journal, pytest.raises(Corrupted, match=cohort.name):
        journal.read_metrics("r2")


@pytest.mark.parametrize("change", ["delete", "edit"])
def test_a_lost_or_changed_artefact_is_named(sound, change):
    (path,) = [path for path in (sound / "artefacts").rglob("*") if path.is_file()]
    if change == "delete":
        path.unlink()
    else:
        path.write_bytes(b"another report")
    assert parts(verify(sound)) == [("artefact", path.parent.name + path.name)]


def test_damage_in_several_places_is_all_told(sound):
    with Raw(sound) as connection:
        connection.execute("UPDATE entry SET body = '{}' WHERE sequence = 13")
        connection.execute("UPDATE run SET score = 1.0 WHERE run = 'r0'")
    for path in (sound / "artefacts").rglob("*"):
        if path.is_file():
            path.unlink()
    assert {damage.part for damage in verify(sound).damages} == {"entry", "run", "artefact"}


def test_a_page_of_the_database_that_was_overwritten_is_damage_and_no_crash(sound):
    path = sound / "journal.db"
    content = bytearray(path.read_bytes())
    for start in range(4096 * 2, len(content), 4096 * 3):
        content[start : start + 64] = b"\xa5" * 64
    path.write_bytes(content)
    found = verify(sound)
    assert not found.ok
    assert found.first_broken is not None or "database" in {damage.part for damage in found.damages}


def test_a_sound_journal_is_counted_whole(sound):
    found = verify(sound)
    assert (found.ok, found.entries, found.metric_files, found.segments, found.artefacts) == (
        True,
        14,
        1,
        3,
        1,
    )
    assert found.first_broken is None
    assert found.notes == ()
    with Journal.open(sound, read_only=True) as journal:
        assert found.head == journal.head().hash


def test_rebuilding_a_sound_journal_changes_nothing(sound):
    with Journal.open(sound) as journal:
        before = (
            journal.runs(),
            journal.registrations(),
            journal.query("SELECT * FROM metric").values.tolist(),
        )
        journal.rebuild()
        assert (
            journal.runs(),
            journal.registrations(),
            journal.query("SELECT * FROM metric").values.tolist(),
        ) == before
        assert journal.verify().ok


def test_the_tests_own_forgery_needs_the_triggers_gone(sound):
    connection = sqlite3.connect(sound / "journal.db")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE entry SET body = '{}'")
    connection.close()


def test_what_another_process_writes_during_the_check_is_no_damage(sound, monkeypatch):
    from modelwright.journal import verify as module

    real = module.replay

    def replay_and_be_interrupted(*arguments, **words):
        real(*arguments, **words)
        with Journal.open(sound) as other:
            other.start_run("late", trial="t", design="d", experiment="e", variant="v", seed_index=0, body={})
            other.artefacts.put(b"late")

    monkeypatch.setattr(module, "replay", replay_and_be_interrupted)
    with Journal.open(sound) as journal:
        found = journal.verify()
        assert (found.ok, found.entries) == (True, 14), found.damages
        assert len(journal.entries()) == 16


def test_segments_that_another_process_compacts_during_the_check_are_no_damage(sound, monkeypatch):
    from modelwright.journal import verify as module

    real = module.read_segments

    def compact_first(folder, runs):
        with Journal.open(sound) as other:
            other._metrics.compact(folder.name, ["r2", "r3"])
        return (
            real(folder, runs)
            if folder.is_dir()
            else ([], Corrupted("planted", got=f"{folder.name}/x: gone"))
        )

    monkeypatch.setattr(module, "read_segments", compact_first)
    with Journal.open(sound) as journal:
        found = journal.verify()
        assert found.ok, found.damages
