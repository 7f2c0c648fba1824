"""Source where there is no git."""

import gzip
import hashlib
import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright.base.errors import Corrupted, SourceMissing
from modelwright.base.fingerprint import sha256_hex
from modelwright.lab.lineage.archive import unpack_files
from modelwright.lab.lineage.package import package_identity, record_package
from modelwright.lab.lineage.source import SourceRecord, restore_source, snapshot_source


@pytest.fixture(autouse=True)
def no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "no programs"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


FILES = {"train.py": "print(1)\n", "conf/a b.yaml": "k: 1\n", "lib/größe.py": "x\n", "Makefile": "all:\n"}


def test_source_without_git_is_packed_and_put_back(tmp_path: Path) -> None:
    top = write(tmp_path / "project", FILES)
    (top / "train.py").chmod(0o755)
    (top / "link.py").symlink_to("train.py")
    (top / "shortcut").symlink_to("lib")
    record = snapshot_source(top)
    assert record.kind == "archive"
    assert "git program" in record.reason
    assert (record.commit, record.tree, record.dirty) == (None, None, None)
    assert record.archive is not None
    assert sha256_hex(record.archive) == record.archive_sha256
    for name, content in FILES.items():
        assert record.files[name] == hashlib.sha256(content.encode()).hexdigest()
    back = restore_source(record, tmp_path / "again", archive=record.archive, root=tmp_path)
    for name, content in FILES.items():
        assert (back / name).read_text() == content
    assert os.readlink(back / "link.py") == "train.py"
    assert os.readlink(back / "shortcut") == "lib"
    assert os.access(back / "train.py", os.X_OK)
    assert not os.access(back / "Makefile", os.X_OK)


def test_the_record_leaves_the_bytes_out_and_comes_back_equal(tmp_path: Path) -> None:
    record = snapshot_source(write(tmp_path / "project", FILES))
    plain = record.record()
    assert "archive" not in plain
    assert SourceRecord.from_record(plain) == record
    assert SourceRecord.from_record(plain).identity == record.identity


def test_the_archive_depends_on_names_and_contents_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write(tmp_path / "one", FILES)
    two = write(tmp_path / "elsewhere" / "two", dict(reversed(FILES.items())))
    for name in FILES:
        os.utime(two / name, (1, 1))
        (two / name).chmod(0o600)
    first = snapshot_source(one)
    monkeypatch.setattr("time.time", lambda: 86_400.0)
    second = snapshot_source(two)
    assert first.archive == second.archive
    assert first.identity == second.identity
    write(two, {"train.py": "print(2)\n"})
    assert snapshot_source(two).identity != first.identity


def test_only_source_is_packed(tmp_path: Path) -> None:
    noise = [
        ".venv/lib/a.py", "env/bin/b.py", "__pycache__/c.py", ".modelwright/d.json", "node_modules/e.js",
        "conda/conda-meta/f.json", "conda/lib/f.py", "model.pt", "data.csv",
        ".git/config.toml", "own/journal/g.json",
    ]  # fmt: skip
    top = write(tmp_path / "project", FILES | dict.fromkeys(noise, "x"))
    write(top, {"env/pyvenv.cfg": "home = /usr"})
    os.mkfifo(top / "pipe.py")
    record = snapshot_source(top, skip=[top / "own" / "journal"])
    assert set(record.files) == set(FILES)


def test_a_link_is_never_followed_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "outside", {"secret.py": "s"})
    top = write(tmp_path / "project", FILES)
    (top / "way out").symlink_to(tmp_path / "outside")
    (top / "loop").symlink_to(top)
    record = snapshot_source(top)
    assert not any("secret" in name for name in record.files)
    assert record.files["way out"].startswith("link ")


def test_large_files_are_left_out_by_name_and_hash(tmp_path: Path) -> None:
    top = write(tmp_path / "project", FILES | {"table.json": "1" * 2000})
    record = snapshot_source(top, largest_file=1000)
    assert [(file.path, file.sha256) for file in record.left_out] == [
        ("table.json", hashlib.sha256(b"1" * 2000).hexdigest())
    ]
    assert set(record.files) == set(FILES)


def test_an_empty_folder_has_an_empty_archive_that_can_be_restored(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    record = snapshot_source(tmp_path / "project")
    assert record.files == {}
    restore_source(record, tmp_path / "again", archive=record.archive, root=tmp_path)
    assert list((tmp_path / "again").iterdir()) == []


def test_a_missing_and_a_wrong_archive_are_told_apart(tmp_path: Path) -> None:
    record = snapshot_source(write(tmp_path / "project", FILES))
    with pytest.raises(SourceMissing, match="needs its archive"):
        restore_source(record, tmp_path / "again", archive=None, root=tmp_path)
    assert record.archive is not None
    with pytest.raises(Corrupted, match="the recorded one"):
        restore_source(record, tmp_path / "again", archive=record.archive[:-1], root=tmp_path)


def packed(entries: list[tuple[str, bytes | str]]) -> tuple[bytes, dict[str, str]]:
    raw = io.BytesIO()
    files: dict[str, str] = {}
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
                files[name] = f"link {hashlib.sha256(content.encode()).hexdigest()}"
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
                files[name] = hashlib.sha256(content).hexdigest()
    return gzip.compress(raw.getvalue()), files


@pytest.mark.parametrize("name", ["../escaped.py", "/tmp/escaped.py", "a/../../escaped.py"])
def test_an_archive_that_reaches_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive, files = packed([(name, b"x")])
    (tmp_path / "again").mkdir()
    with pytest.raises(Corrupted, match="stay inside"):
        unpack_files(archive, files, tmp_path / "again")
    assert not (tmp_path / "escaped.py").exists()


def test_nothing_is_written_through_a_link_in_an_archive(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "again").mkdir()
    archive, files = packed([("way", str(outside)), ("way/in.py", b"x")])
    with pytest.raises((Corrupted, OSError)):
        unpack_files(archive, files, tmp_path / "again")
    assert list(outside.iterdir()) == []


def test_other_content_more_files_fewer_files_and_garbage_are_corrupt(tmp_path: Path) -> None:
    archive, files = packed([("a.py", b"1"), ("b.py", b"2")])
    (tmp_path / "again").mkdir()
    for wrong in (files | {"a.py": "0" * 64}, {"a.py": files["a.py"]}, files | {"c.py": "0" * 64}):
        with pytest.raises(Corrupted, match="exactly the recorded files"):
            unpack_files(archive, wrong, tmp_path / "again")
    for garbage in (b"", b"not gzip", archive[: len(archive) // 2]):
        with pytest.raises(Corrupted):
            unpack_files(garbage, files, tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@settings(max_examples=40)
@given(st.dictionaries(NAMES.map(lambda name: f"{name}.py"), st.binary(max_size=300), max_size=6))
def test_any_names_and_contents_come_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    top = tmp_path_factory.mktemp("any")
    for name, content in files.items():
        (top / name).write_bytes(content)
    record = snapshot_source(top)
    again = tmp_path_factory.mktemp("again")
    restore_source(record, again, archive=record.archive, root=top)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == files


def test_the_packages_identity_covers_its_own_files() -> None:
    package = record_package()
    assert package_identity() == package.identity
    assert "base/metric.py" in package.files
    assert "lab/lineage/package.py" in package.files
    assert not any("__pycache__" in name for name in package.files)
    here = Path(__file__).parents[2] / "src" / "modelwright"
    for name, content in package.files.items():
        assert hashlib.sha256((here / name).read_bytes()).hexdigest() == content
    assert replace(package, files=dict(package.files) | {"base/metric.py": "0"}).identity != package.identity
