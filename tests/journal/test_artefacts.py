import hashlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwright.base.errors import BadValue, Corrupted, NotPermitted, SourceMissing, StoreFailed, UnknownName
from modelwright.journal.journal import Journal


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=5000))
def test_any_content_comes_back_under_its_sha256(journal, content):
    name = journal.artefacts.put(content)
    assert name == hashlib.sha256(content).hexdigest()
    assert journal.artefacts.get(name) == content


def test_a_file_larger_than_the_reading_window_is_stored_whole(journal, tmp_path, folder):
    source = tmp_path / "model.bin"
    source.write_bytes(os.urandom(3 * (1 << 20) + 7))
    name = journal.artefacts.put_file(source)
    assert journal.artefacts.path(name) == folder / "artefacts" / name[:2] / name[2:]
    assert journal.artefacts.get(name) == source.read_bytes()


def test_the_same_content_is_stored_and_entered_once(journal, tmp_path, folder):
    (tmp_path / "f").write_bytes(b"same")
    names = {
        journal.artefacts.put(b"same"),
        journal.artefacts.put(b"same"),
        journal.artefacts.put_file(tmp_path / "f"),
    }
    assert len(names) == 1
    assert len(journal.entries(kind="artefact.stored")) == 1
    assert len([path for path in (folder / "artefacts").rglob("*") if path.is_file()]) == 1


def test_a_changed_artefact_is_not_handed_out_and_storing_it_again_mends_it(journal):
    name = journal.artefacts.put(b"content")
    path = journal.artefacts.path(name)
    path.write_bytes(b"Content")
    with pytest.raises(Corrupted, match="matches its name"):
        journal.artefacts.get(name)
    assert [damage.subject for damage in journal.verify().damages] == [name]
    assert journal.artefacts.put(b"content") == name
    assert journal.artefacts.get(name) == b"content"
    assert journal.verify().ok


def test_an_unknown_artefact_and_a_wrong_name_are_told_apart(journal):
    with pytest.raises(UnknownName, match="artefact"):
        journal.artefacts.get("0" * 64)
    for name in ("", "abc", "G" * 64, "../" + "a" * 61, "A" * 64):
        with pytest.raises(BadValue, match="64"):
            journal.artefacts.get(name)


def test_a_file_that_is_not_there_is_told(journal, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SourceMissing):
            journal.artefacts.put_file(path)


def test_a_refused_disk_leaves_no_half_artefact(journal, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFailed, match="free space"):
        journal.artefacts.put(b"content")
    monkeypatch.undo()
    assert [path for path in (folder / "artefacts").rglob("*") if path.is_file()] == []
    assert journal.verify().ok


def test_a_crash_between_file_and_entry_is_mended_by_storing_again(journal, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(journal.artefacts, "_record", crash)
    with pytest.raises(KeyboardInterrupt):
        journal.artefacts.put(b"content")
    monkeypatch.undo()
    found = journal.verify()
    assert found.ok
    assert "not in the ledger" in found.notes[0]
    name = journal.artefacts.put(b"content")
    assert journal.verify().notes == ()
    assert journal.entries(kind="artefact.stored")[0].body == {"sha256": name, "size": 7}


def test_a_journal_opened_to_read_stores_nothing(journal, folder):
    name = journal.artefacts.put(b"x")
    with Journal.open(folder, read_only=True) as reader:
        assert reader.artefacts.get(name) == b"x"
        with pytest.raises(NotPermitted):
            reader.artefacts.put(b"y")
