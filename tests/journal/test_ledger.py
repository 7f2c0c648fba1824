import hashlib
import json
import sqlite3

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwright.base.errors import BadValue, NotPermitted
from modelwright.base.fingerprint import canonical_json
from modelwright.journal.entry import GENESIS, entry_hash
from modelwright.journal.journal import Journal

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
BODIES = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=3), inner)
    ),
    max_size=5,
)


def naive_hash(record):
    """The hash as docs/journal.md words it, written again without the code under test."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_an_entry_carries_what_was_given_and_is_found_by_each_field(journal):
    first = journal.append("note", {"text": "hello"}, design="d1", run="r1")
    second = journal.append("look", {"n": 3}, design="d1")
    third = journal.append("note", {}, run="r2")
    assert [entry.sequence for entry in (first, second, third)] == [1, 2, 3]
    assert first.body == {"text": "hello"}
    assert first.time == "2026-01-31T09:05:00.000002Z"  # making the journal looked once
    assert journal.entries() == [first, second, third]
    assert journal.entries(kind="note") == [first, third]
    assert journal.entries(design="d1") == [first, second]
    assert journal.entries(run="r2") == [third]
    assert journal.entries(kind="note", design="d1", run="r1") == [first]
    assert journal.entries(kind="never") == []


def test_each_entry_is_chained_to_the_one_before_by_the_documented_hash(journal):
    entries = [
        journal.append("note", {"i": i, "ü": [1.5, None, "é\n"]}, design="d", run="r") for i in range(5)
    ]
    previous = GENESIS
    for entry in entries:
        fields = ("sequence", "time", "kind", "design", "run", "body", "previous")
        assert entry.previous == previous
        assert entry.hash == naive_hash({name: getattr(entry, name) for name in fields})
        previous = entry.hash
    assert journal.head().hash == previous


@given(body=BODIES, kind=st.sampled_from(["note", "a.b"]), run=st.none() | st.just("r"))
def test_the_quick_hash_equals_the_hash_of_the_whole_canonical_record(body, kind, run):
    record = {
        "sequence": 7,
        "time": "2026",
        "kind": kind,
        "design": None,
        "run": run,
        "body": body,
        "previous": GENESIS,
    }
    expected = hashlib.sha256(canonical_json(record).encode()).hexdigest()
    assert entry_hash(**{**record, "body": canonical_json(body)}) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(body=BODIES)
def test_any_body_comes_back_as_it_was_and_verifies(journal, body):
    written = journal.append("note", body)
    read = journal.entries()[-1]
    assert read == written
    assert canonical_json(read.body) == canonical_json(body)


def test_any_body_leaves_a_journal_that_verifies(journal):
    for body in (
        {"x": 1e300},
        {"x": -0.0},
        {"x": 2**70},
        {"\u2028": "\x00"},
        {"x": 1e16},
        {"x": np.float32(0.1)},
    ):
        journal.append("note", body)
    assert journal.verify().ok


@pytest.mark.parametrize(
    "body",
    [{"x": float("nan")}, {"x": [float("inf")]}, {1: 2}, {"x": object()}, {"x": "\ud800"}, [1], "text", None],
    ids=["nan", "infinity", "key", "object", "surrogate", "list", "text", "none"],
)
def test_a_body_without_a_canonical_form_is_refused_and_nothing_is_written(journal, body):
    with pytest.raises(BadValue):
        journal.append("note", body)
    assert journal.entries() == []
    assert journal.append("note", {}).sequence == 1


@pytest.mark.parametrize("kind", ["", " note", "no te", "../x", "ä", 3, None, "x" * 201])
def test_a_kind_that_is_no_name_is_refused(journal, kind):
    with pytest.raises(BadValue, match="kind of entry"):
        journal.append(kind, {})


@pytest.mark.parametrize("kind", ["run.started", "run.finished", "design.registered", "metrics.stored"])
def test_the_journals_own_kinds_cannot_be_forged_by_append(journal, kind):
    with pytest.raises(BadValue, match="own kinds"):
        journal.append(kind, {})


def test_a_clock_that_jumps_back_changes_neither_order_nor_soundness(journal, clock):
    journal.append("note", {"i": 0})
    clock.move(-3600)
    journal.append("note", {"i": 1})
    clock.move(7200)
    journal.append("note", {"i": 2})
    assert [entry.body["i"] for entry in journal.entries()] == [0, 1, 2]
    found = journal.verify()
    assert found.ok
    assert len(found.notes) == 1
    assert "entry 2" in found.notes[0]


@pytest.mark.parametrize("table", ["entry", "registration"])
@pytest.mark.parametrize(
    "verb",
    [
        "UPDATE {} SET body = '{{}}'",
        "DELETE FROM {}",
        "INSERT OR REPLACE INTO {} SELECT * FROM {} WHERE sequence = 1",
        "REPLACE INTO {} SELECT * FROM {}",
        "UPDATE OR REPLACE {} SET sequence = 9",
    ],
)
def test_the_database_itself_refuses_to_change_a_record(journal, folder, table, verb):
    journal.register("digits", "a" * 64, {"q": 1})
    journal.append("note", {})
    before = journal.entries()
    raw = sqlite3.connect(folder / "journal.db")
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(verb.format(table, table))
    raw.close()
    assert journal.entries() == before
    assert journal.verify().ok


def test_an_entry_out_of_order_is_refused_by_the_database(journal, folder):
    journal.append("note", {})
    raw = sqlite3.connect(folder / "journal.db")
    with pytest.raises(sqlite3.IntegrityError, match="follows the newest"):
        raw.execute("INSERT INTO entry VALUES (5, 't', 'k', NULL, NULL, '{}', 'p', 'h')")
    raw.close()


def test_text_in_a_number_column_is_refused_by_the_strict_table(journal, folder, start):
    start(journal, "r1")
    raw = sqlite3.connect(folder / "journal.db")
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        raw.execute("UPDATE run SET seed_index = 'many'")
    raw.close()


def test_appending_is_durable_by_the_settings_of_the_connection(journal):
    with journal._database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_closed_journal_says_so(folder):
    journal = Journal.open(folder)
    journal.close()
    journal.close()
    with pytest.raises(NotPermitted, match="open"):
        journal.append("note", {})


def test_threads_take_turns_on_one_journal(journal):
    import threading

    def work(name):
        for i in range(25):
            journal.append("note", {"thread": name, "i": i})

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.entries()) == 100
    assert journal.verify().ok
