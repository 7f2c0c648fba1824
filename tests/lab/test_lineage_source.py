"""Snapshots of real git work trees, each compared with a plain walk over the folder."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwright.base.errors import BadValue, SourceMissing
from modelwright.lab.lineage.source import SourceRecord, restore_source, snapshot_source

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs the git program")


@pytest.fixture(autouse=True)
def plain_git(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's own git configuration out."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


def git(folder: Path, *words: str, check: bool = True) -> str:
    who = {
        f"GIT_{role}_{key}": f"{key}@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for key in ("NAME", "EMAIL")
    }
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_INDEX_FILE")
    }
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", *words],
        cwd=folder, env=environment | who, capture_output=True, check=False,
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"git {words}: {done.stderr.decode()}")
    return done.stdout.decode(errors="replace").strip()


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def make(folder: Path, files: dict[str, str | bytes], *, commit: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    write(folder, files)
    if commit:
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        ".gitignore": "*.log\ndata/\n",
        "train.py": "print(1)\n",
        "lib/net.py": "width = 1\n",
        "old.py": "x\n",
    }
    return make(tmp_path / "project", dict(files))


def walk(folder: Path, *, ignored: tuple[str, ...] = ()) -> dict[str, bytes | str]:
    """The naive twin: every file below `folder` but for git's own and the named ones."""
    found: dict[str, bytes | str] = {}
    for here, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        folders[:] = [name for name in folders if name != ".git" and name not in links]
        for name in [*names, *links]:
            path = Path(here) / name
            relative = path.relative_to(folder).as_posix()
            if name == ".git" or any(relative == skip or relative.startswith(f"{skip}/") for skip in ignored):
                continue
            found[relative] = f"-> {os.readlink(path)}" if path.is_symlink() else path.read_bytes()
    return found


def untouched(folder: Path) -> tuple[object, ...]:
    """All that a user could notice, taken without git refreshing the index."""
    git_dir = Path(git(folder, "rev-parse", "--absolute-git-dir"))
    logs = {str(path): path.read_bytes() for path in sorted((git_dir / "logs").rglob("*")) if path.is_file()}
    index = git_dir / "index"
    return (
        index.read_bytes() if index.exists() else None,
        index.stat().st_mtime_ns if index.exists() else None,
        (git_dir / "HEAD").read_bytes(),
        logs,
        [line for line in git(folder, "for-each-ref").splitlines() if "refs/modelwright/" not in line],
        git(folder, "--no-optional-locks", "status", "--porcelain", "--ignored"),
        sorted(path.name for path in git_dir.iterdir()),
        {
            path.relative_to(folder).as_posix(): path.lstat().st_mtime_ns
            for path in sorted(folder.rglob("*"))
            if ".git" not in path.relative_to(folder).parts
        },
    )


def check(project: Path, tmp_path: Path, *, ignored: tuple[str, ...] = ()) -> SourceRecord:
    """Snapshot, see that nothing changed, restore elsewhere, and compare with the folder itself."""
    before = untouched(project)
    record = snapshot_source(project)
    assert untouched(project) == before
    assert record.kind == "git", record.reason
    assert SourceRecord.from_record(record.record()) == record
    again = tmp_path / f"restored-{len(list(tmp_path.iterdir()))}"
    assert restore_source(record, again, archive=None, root=project) == again
    assert walk(again) == walk(project, ignored=ignored)
    assert set(record.files) <= {
        os.fsencode(name).decode("utf-8", "backslashreplace") for name in walk(again)
    }
    return record


def test_a_clean_work_tree_is_the_tree_of_its_commit(project: Path, tmp_path: Path) -> None:
    record = check(project, tmp_path)
    assert record.tree == git(project, "rev-parse", "HEAD^{tree}")
    assert record.commit == git(project, "rev-parse", "HEAD")
    assert record.branch == "main"
    assert record.dirty is False
    assert record.folder == ""


def test_modified_deleted_new_and_staged_files_are_taken_as_they_lie_on_disk(
    project: Path, tmp_path: Path
) -> None:
    write(project, {"train.py": "print(2)\n", "new.py": "n\n", "a/b/deep.yaml": "k: 1\n", "run.log": "noise"})
    write(project, {"data/big.csv": "1,2\n", "lib/net.py": "staged\n", "intended.py": "later\n"})
    git(project, "add", "lib/net.py", "a")
    write(project, {"lib/net.py": "staged, then changed\n"})
    git(project, "add", "--intent-to-add", "intended.py")
    (project / "old.py").unlink()
    record = check(project, tmp_path, ignored=("run.log", "data"))
    assert record.dirty is True
    assert "old.py" not in record.files
    assert "intended.py" in record.files


def test_a_staged_deletion_of_a_file_that_is_on_disk_keeps_the_file(project: Path, tmp_path: Path) -> None:
    git(project, "rm", "-q", "--cached", "train.py")
    record = check(project, tmp_path)
    assert "train.py" in record.files
    assert record.dirty is False


def test_an_intended_file_that_is_gone_and_a_staged_file_that_is_gone_are_not_there(
    project: Path, tmp_path: Path
) -> None:
    write(project, {"intended.py": "1", "staged.py": "2"})
    git(project, "add", "--intent-to-add", "intended.py")
    git(project, "add", "staged.py")
    (project / "intended.py").unlink()
    (project / "staged.py").unlink()
    assert check(project, tmp_path).dirty is False


def test_names_with_spaces_newlines_quotes_and_other_alphabets_survive(project: Path, tmp_path: Path) -> None:
    names = [
        "a b.py",
        "new\nline.py",
        'quo"te.py',
        "tab\t.py",
        "größe.py",
        "模型.py",
        "-dash.py",
        ":(top)x.py",
        "*.py",
    ]
    write(project, dict.fromkeys(names, "x"))
    git(project, "add", "--", "./a b.py", "./模型.py")
    git(project, "commit", "-q", "-m", "names")
    write(project, dict.fromkeys(names, "y"))
    record = check(project, tmp_path)
    assert set(names) <= set(record.files)


def test_a_name_that_is_not_utf8_survives_and_is_shown_escaped(project: Path, tmp_path: Path) -> None:
    try:
        (project / os.fsdecode(b"bad\xff.py")).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert "bad\\xff.py" in check(project, tmp_path).files


def test_symbolic_links_are_kept_as_links_and_never_followed(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, {"secret.py": "s"})
    (project / "link.py").symlink_to("train.py")
    (project / "dangling.py").symlink_to("nowhere")
    (project / "folder").symlink_to(outside)
    record = check(project, tmp_path)
    assert record.files["link.py"].startswith("link ")
    assert not any("secret" in path for path in record.files)


def test_a_folder_that_becomes_a_file_and_a_file_that_becomes_a_folder_or_link(
    project: Path, tmp_path: Path
) -> None:
    shutil.rmtree(project / "lib")
    (project / "lib").write_text("now a file")
    (project / "train.py").unlink()
    write(project, {"train.py/inner.py": "now a folder"})
    (project / "old.py").unlink()
    (project / "old.py").symlink_to("lib")
    check(project, tmp_path)


def test_the_executable_bit_is_restored(project: Path, tmp_path: Path) -> None:
    (project / "train.py").chmod(0o755)
    record = snapshot_source(project)
    restore_source(record, tmp_path / "again", archive=None, root=project)
    assert os.access(tmp_path / "again" / "train.py", os.X_OK)
    assert record.dirty is True


def test_a_repository_without_a_commit_works(tmp_path: Path) -> None:
    project = make(tmp_path / "young", {"train.py": "1", "staged.py": "2"}, commit=False)
    git(project, "add", "staged.py")
    record = check(project, tmp_path)
    assert record.commit is None
    assert record.branch == "main"
    assert record.dirty is True


def test_a_repository_without_any_file_works(tmp_path: Path) -> None:
    assert check(make(tmp_path / "empty", {}, commit=False), tmp_path).files == {}


def test_a_detached_head_has_no_branch(project: Path, tmp_path: Path) -> None:
    git(project, "checkout", "-q", "--detach")
    assert check(project, tmp_path).branch is None


def test_a_sub_folder_records_the_whole_tree_and_itself(project: Path, tmp_path: Path) -> None:
    record = snapshot_source(project / "lib")
    assert record.folder == "lib"
    assert record.tree == snapshot_source(project).tree
    back = restore_source(record, tmp_path / "again", archive=None, root=project / "lib")
    assert back == tmp_path / "again" / "lib"
    assert (back / "net.py").read_text() == "width = 1\n"


def test_a_linked_work_tree_is_recorded_apart_from_the_first(project: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(project, "worktree", "add", "-q", "-b", "side", str(linked))
    write(linked, {"train.py": "side\n", "only here.py": "1"})
    record = check(linked, tmp_path)
    assert record.branch == "side"
    assert "only here.py" not in snapshot_source(project).files
    assert restore_source(record, tmp_path / "from first", archive=None, root=project).exists()


def test_a_change_of_the_same_size_in_the_same_instant_is_seen(tmp_path: Path) -> None:
    project = make(tmp_path / "racy", {"train.py": "aaaa"})
    index = project / ".git" / "index"
    for content in ("bbbb", "cccc"):
        write(project, {"train.py": content})
        os.utime(project / "train.py", ns=(index.stat().st_mtime_ns,) * 2)
        check(project, tmp_path)


def test_a_racily_clean_entry_is_read_again_because_the_copied_index_keeps_its_time(tmp_path: Path) -> None:
    project = make(tmp_path / "racy", {"train.py": "aaaa"}, commit=False)
    git(project, "config", "core.trustctime", "false")
    then = 1_700_000_000
    os.utime(project / "train.py", (then, then))
    git(project, "add", "-A")
    os.utime(project / ".git" / "index", (then, then))
    write(project, {"train.py": "bbbb"})
    os.utime(project / "train.py", (then, then))
    assert git(project, "--no-optional-locks", "status", "--porcelain") == "AM train.py"
    check(project, tmp_path)


def test_marks_that_tell_git_to_look_away_do_not_hide_a_change(project: Path, tmp_path: Path) -> None:
    git(project, "update-index", "--assume-unchanged", "train.py")
    git(project, "update-index", "--skip-worktree", "lib/net.py")
    write(project, {"train.py": "hidden change\n", "lib/net.py": "another\n"})
    assert git(project, "status", "--porcelain") == ""
    record = check(project, tmp_path)
    assert record.dirty is True


@pytest.mark.parametrize("sparse_index", [False, True])
def test_a_sparse_checkout_keeps_what_it_hides_and_takes_what_changed(
    tmp_path: Path, sparse_index: bool
) -> None:
    project = make(tmp_path / "sparse", {"a/x.py": "1", "b/y.py": "2", "b/deep/z.py": "4", "top.py": "3"})
    word = "--sparse-index" if sparse_index else "--no-sparse-index"
    git(project, "sparse-checkout", "init", "--cone", word)
    git(project, "sparse-checkout", "set", "a")
    assert not (project / "b").exists()
    write(project, {"a/x.py": "changed"})
    before = untouched(project)
    record = snapshot_source(project)
    assert untouched(project) == before
    restore_source(record, tmp_path / "again", archive=None, root=project)
    assert walk(tmp_path / "again") == {
        "a/x.py": b"changed",
        "b/y.py": b"2",
        "b/deep/z.py": b"4",
        "top.py": b"3",
    }


def test_a_merge_in_conflict_is_recorded_with_its_markers(project: Path, tmp_path: Path) -> None:
    git(project, "checkout", "-q", "-b", "other")
    write(project, {"train.py": "theirs\n"})
    git(project, "commit", "-q", "-a", "-m", "theirs")
    git(project, "checkout", "-q", "main")
    write(project, {"train.py": "ours\n"})
    git(project, "commit", "-q", "-a", "-m", "ours")
    git(project, "merge", "-q", "other", check=False)
    assert b"<<<<<<<" in (project / "train.py").read_bytes()
    check(project, tmp_path)


def test_a_split_index_is_read_and_not_written(project: Path, tmp_path: Path) -> None:
    git(project, "config", "core.splitIndex", "true")
    git(project, "update-index", "--split-index")
    write(project, {"train.py": "2", "lib/net.py": "3"})
    git(project, "add", "lib/net.py")
    write(project, {f"new{place}.py": "n" for place in range(9)})  # enough to make git start another half
    check(project, tmp_path)


def test_somebody_elses_lock_on_the_index_is_no_obstacle(project: Path, tmp_path: Path) -> None:
    (project / ".git" / "index.lock").write_bytes(b"")
    write(project, {"train.py": "2"})
    check(project, tmp_path)


def test_a_repository_with_sha256_names_works(tmp_path: Path) -> None:
    project = tmp_path / "long"
    project.mkdir()
    git(project, "init", "-q", "--object-format=sha256")
    write(project, {"train.py": "1"})
    record = check(project, tmp_path)
    assert record.tree is not None
    assert len(record.tree) == 64


def test_no_hook_and_no_file_watcher_runs(project: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    hooks = project / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    names = (
        "post-index-change",
        "post-checkout",
        "reference-transaction",
        "pre-auto-gc",
        "post-commit",
        "pre-commit",
    )
    for name in names:
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> '{ran}'\n")
        (hooks / name).chmod(0o755)
    watcher = tmp_path / "watcher"
    watcher.write_text(f"#!/bin/sh\necho watcher >> '{ran}'\n")
    watcher.chmod(0o755)
    git(project, "config", "core.fsmonitor", str(watcher))
    git(project, "update-index", "--fsmonitor")
    assert ran.exists(), "the hooks must be able to run at all"
    write(project, {"train.py": "2"})
    ran.unlink()
    record = snapshot_source(project)
    restore_source(record, tmp_path / "again", archive=None, root=project)
    assert not ran.exists()
    assert (tmp_path / "again" / "train.py").read_text() == "2"


def test_a_filter_runs_for_changed_files_only(project: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    clean = tmp_path / "clean"
    clean.write_text(f"#!/bin/sh\necho \"$1\" >> '{ran}'\nexec tr a-z A-Z\n")
    clean.chmod(0o755)
    git(project, "config", "filter.loud.clean", f"'{clean}' %f")
    write(project, {".gitattributes": "*.txt filter=loud\n", "one.txt": "one", "two.txt": "two"})
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "filtered")
    for name in ("one.txt", "two.txt"):  # make both entries certainly older than the index
        os.utime(project / name, (1, 1))
    git(project, "add", "-A")
    git(project, "status")
    write(project, {"two.txt": "deux"})
    ran.unlink()
    record = snapshot_source(project)
    assert set(ran.read_text().split()) == {"two.txt"}
    assert git(project, "cat-file", "blob", record.files["two.txt"]) == "DEUX"


def test_line_ends_are_kept_as_git_would_and_never_stop_the_snapshot(project: Path) -> None:
    git(project, "config", "core.autocrlf", "input")
    git(project, "config", "core.safecrlf", "true")
    write(project, {"dos.py": "a\r\nb\r\n"})
    record = snapshot_source(project)
    assert record.kind == "git"
    assert git(project, "cat-file", "-s", record.files["dos.py"]) == "4"


def test_variables_of_a_calling_hook_are_ignored(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make(tmp_path / "other", {"wrong.py": "w"})
    before = untouched(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_PREFIX", "lib/")
    monkeypatch.setenv("GIT_NAMESPACE", "elsewhere")
    record = snapshot_source(project)
    for name in (
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_NAMESPACE",
    ):
        monkeypatch.delenv(name)
    assert "train.py" in record.files
    assert untouched(other) == before
    assert git(project, "rev-parse", f"refs/modelwright/{record.tree}")


def test_a_snapshot_inside_a_real_hook_works(project: Path, tmp_path: Path) -> None:
    hook = project / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    source = Path(__file__).parents[2] / "src"
    hook.write_text(
        f"#!/bin/sh\nPYTHONPATH='{source}' '{sys.executable}' -c '"
        "from pathlib import Path; from modelwright.lab.lineage.source import snapshot_source;"
        f'print(snapshot_source(Path(".")).tree, file=open("{tmp_path / "tree"}", "w"))\'\n'
    )
    hook.chmod(0o755)
    write(project, {"train.py": "committed\n", "lib/net.py": "not committed\n"})
    git(project, "commit", "-q", "-m", "only one", "train.py")
    assert git(project, "show", "HEAD:lib/net.py") == "width = 1"
    tree = (tmp_path / "tree").read_text().strip()
    assert git(project, "show", f"{tree}:lib/net.py") == "not committed"
    assert git(project, "show", f"{tree}:train.py") == "committed"


def test_the_tree_survives_garbage_collection_and_shows_in_no_branch(project: Path, tmp_path: Path) -> None:
    write(project, {"untracked.py": "precious\n"})
    record = snapshot_source(project)
    git(project, "reflog", "expire", "--expire=now", "--all")
    git(project, "gc", "-q", "--prune=now")
    (project / "untracked.py").unlink()
    restore_source(record, tmp_path / "again", archive=None, root=project)
    assert (tmp_path / "again" / "untracked.py").read_text() == "precious\n"
    assert git(project, "branch", "--all") == "* main"
    assert git(project, "rev-parse", f"refs/modelwright/{record.tree}^{{tree}}") == record.tree
    git(project, "update-ref", "-d", f"refs/modelwright/{record.tree}")
    git(project, "gc", "-q", "--prune=now")
    with pytest.raises(SourceMissing, match="must hold the recorded tree"):
        restore_source(record, tmp_path / "gone", archive=None, root=project)


def test_the_same_source_has_the_same_identity_and_one_ref(project: Path) -> None:
    write(project, {"new.py": "1"})
    first, second = snapshot_source(project), snapshot_source(project)
    assert first == second
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "the same files, committed")
    third = snapshot_source(project)
    assert third.identity == first.identity
    assert third.commit != first.commit
    assert third.dirty is False
    assert len(git(project, "for-each-ref", "refs/modelwright").splitlines()) == 1
    write(project, {"new.py": "2"})
    assert snapshot_source(project).identity != first.identity


def test_snapshots_taken_at_the_same_time_agree(project: Path) -> None:
    write(project, {f"file{place}.py": str(place) for place in range(50)})
    found: list[str] = []

    def take() -> None:
        found.append(snapshot_source(project).identity)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert found[0] == snapshot_source(project).identity


def test_large_untracked_files_are_left_out_by_name_and_hash(project: Path) -> None:
    big = b"x" * 3000
    write(project, {"big.bin": big, "small.bin": b"y" * 10, "train.py": b"z" * 5000})
    record = snapshot_source(project, largest_file=1000)
    assert [(file.path, file.size, file.sha256) for file in record.left_out] == [
        ("big.bin", 3000, hashlib.sha256(big).hexdigest())
    ]
    assert "big.bin" not in record.files
    assert {"small.bin", "train.py"} <= set(record.files)  # a tracked file is taken whatever its size
    write(project, {"big.bin": b"w" * 3000})
    other = snapshot_source(project, largest_file=1000)
    assert other.tree == record.tree
    assert other.identity != record.identity
    git(project, "checkout", "-q", "--", "train.py")
    (project / "small.bin").unlink()
    record = snapshot_source(project, largest_file=1000)
    assert record.tree == git(project, "rev-parse", "HEAD^{tree}")
    assert record.dirty is True


def test_of_too_much_untracked_content_the_largest_is_left_out_first(project: Path) -> None:
    write(project, {"a.bin": b"a" * 300, "b.bin": b"b" * 200, "c.bin": b"c" * 100})
    assert [file.path for file in snapshot_source(project, largest_total=350).left_out] == ["a.bin"]
    assert [file.path for file in snapshot_source(project, largest_total=100).left_out] == ["a.bin", "b.bin"]
    with pytest.raises(BadValue, match="number of bytes"):
        snapshot_source(project, largest_total=-1)


def test_environments_caches_and_the_journal_are_not_source(project: Path, tmp_path: Path) -> None:
    noise = {
        ".modelwright/ledger.sqlite": "1", "lib/__pycache__/net.pyc": "2", ".venv/lib/site.py": "3",
        "myenv/pyvenv.cfg": "home = /usr", "myenv/lib/x.py": "4", "results/journal/x.parquet": "5",
    }  # fmt: skip
    write(project, dict(noise) | {"results/keep.py": "6"})
    record = snapshot_source(project, skip=[project / "results" / "journal", tmp_path])
    assert not set(noise) & set(record.files)
    assert "results/keep.py" in record.files
    write(project, {".modelwright/ledger.sqlite": "grown"})
    assert snapshot_source(project, skip=[project / "results" / "journal"]).identity == record.identity


def test_a_skipped_folder_with_a_name_full_of_wildcards_is_the_only_one_skipped(project: Path) -> None:
    write(project, {"r[1]*/x.py": "1", "r1/x.py": "2", "#notes/x.py": "3", "!odd /x.py": "4"})
    skip = [project / "r[1]*", project / "#notes", project / "!odd "]
    files = snapshot_source(project, skip=skip).files
    assert "r1/x.py" in files
    assert not {"r[1]*/x.py", "#notes/x.py", "!odd /x.py"} & set(files)


def test_submodules_are_recorded_with_commit_and_work_tree(project: Path, tmp_path: Path) -> None:
    library = make(tmp_path / "library", {"core.py": "1\n"})
    git(project, "submodule", "--quiet", "add", str(library), "vendor/lib")
    git(project, "commit", "-q", "-m", "with submodule")
    git(project, "config", "submodule.recurse", "true")
    clean = check(project, tmp_path)
    assert clean.dirty is False
    (module,) = clean.submodules
    assert module.path == "vendor/lib"
    assert module.commit == git(library, "rev-parse", "HEAD")
    assert module.source is not None
    write(project, {"vendor/lib/core.py": "2\n", "vendor/lib/extra.py": "3\n"})
    inner = untouched(project / "vendor" / "lib")
    dirty = check(project, tmp_path)
    assert untouched(project / "vendor" / "lib") == inner
    assert dirty.tree == clean.tree
    assert dirty.identity != clean.identity
    assert dirty.dirty is True


def test_a_submodule_that_moved_on_and_one_that_is_not_checked_out(project: Path, tmp_path: Path) -> None:
    library = make(tmp_path / "library", {"core.py": "1\n"})
    for name in ("one", "two"):
        git(project, "submodule", "--quiet", "add", str(library), name)
    git(project, "commit", "-q", "-m", "with submodules")
    git(project, "submodule", "--quiet", "deinit", "two")
    write(project, {"one/core.py": "2\n"})
    git(project / "one", "commit", "-q", "-a", "-m", "moved on")
    before = untouched(project)
    record = snapshot_source(project)
    assert untouched(project) == before
    one, two = record.submodules
    assert one.commit == git(project / "one", "rev-parse", "HEAD") != git(library, "rev-parse", "HEAD")
    assert two.source is None
    assert two.commit == git(library, "rev-parse", "HEAD")
    assert record.dirty is True
    restore_source(record, tmp_path / "again", archive=None, root=project)
    assert (tmp_path / "again" / "one" / "core.py").read_text() == "2\n"


@pytest.mark.parametrize("commit", [True, False])
def test_an_untracked_clone_inside_the_work_tree_is_recorded_too(
    project: Path, tmp_path: Path, commit: bool
) -> None:
    make(project / "clone", {"net.py": "1\n"}, commit=commit)
    first = check(project, tmp_path)
    assert [module.path for module in first.submodules] == ["clone"]
    write(project, {"clone/net.py": "2\n"})
    second = check(project, tmp_path)
    assert first.tree == second.tree
    assert first.identity != second.identity


def test_a_folder_that_the_repository_above_ignores_is_packed_instead(project: Path) -> None:
    write(project, {"data/own/train.py": "mine\n"})
    record = snapshot_source(project / "data" / "own")
    assert record.kind == "archive"
    assert "ignores data/own" in record.reason
    assert list(record.files) == ["train.py"]


@pytest.mark.parametrize("break_it", ["bare", "index", "refused"])
def test_where_git_cannot_answer_the_source_is_packed_and_the_reason_is_told(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, break_it: str
) -> None:
    if break_it == "bare":
        git(tmp_path, "init", "-q", "--bare", "bare.git")
        project = tmp_path / "bare.git"
        write(project, {"train.py": "1"})
    elif break_it == "index":
        (project / ".git" / "index").write_bytes(b"DIRC not really an index")
    else:
        program = tmp_path / "bin" / "git"
        write(tmp_path, {"bin/git": "#!/bin/sh\necho 'fatal: detected dubious ownership' >&2\nexit 128\n"})
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
    record = snapshot_source(project)
    assert record.kind == "archive"
    assert record.reason
    assert "train.py" in record.files
    assert record.archive is not None


@pytest.mark.slow
def test_a_file_that_grows_while_it_is_read_does_not_stop_the_snapshot(project: Path) -> None:
    stop = threading.Event()

    def scribble() -> None:
        while not stop.is_set():
            with (project / "growing.txt").open("ab") as stream:
                stream.write(b"x" * 4096)
            (project / "flicker.txt").write_text("1")
            (project / "flicker.txt").unlink()

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        records = [snapshot_source(project) for _ in range(10)]
    finally:
        stop.set()
        thread.join()
    assert all("train.py" in record.files for record in records)
    assert all(record.kind == "git" for record in records), [record.reason for record in records]


def test_a_failure_that_passes_is_tried_again(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = shutil.which("git"), tmp_path / "failed"
    script = f"""#!/bin/sh
for word in "$@"; do
    if [ "$word" = write-tree ] && [ ! -e '{failed}' ]; then touch '{failed}'; exit 128; fi
done
exec '{real}' "$@"
"""
    write(tmp_path, {"bin/git": script})
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert snapshot_source(project).kind == "git"
    assert failed.exists()


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="must exist"):
        snapshot_source(tmp_path / "nowhere")


def test_restoring_into_a_folder_that_holds_something_is_refused(project: Path) -> None:
    record = snapshot_source(project)
    with pytest.raises(BadValue, match="empty folder"):
        restore_source(record, project, archive=None, root=project)


OPERATIONS: dict[str, Callable[[Path, str, str], object]] = {
    "write": lambda top, name, text: write(top, {name: text}),
    "delete": lambda top, name, _: (top / name).unlink(missing_ok=True),
    "stage": lambda top, name, _: git(top, "add", "--", name, check=False),
    "intend": lambda top, name, _: git(top, "add", "-N", "--", name, check=False),
    "unstage": lambda top, name, _: git(top, "reset", "-q", "--", name, check=False),
    "forget": lambda top, name, _: git(top, "rm", "-q", "--cached", "--", name, check=False),
    "assume": lambda top, name, _: git(top, "update-index", "--assume-unchanged", "--", name, check=False),
    "commit": lambda top, _, text: git(top, "commit", "-q", "-m", f"c{text}", check=False),
    "link": lambda top, name, _: None if (top / name).exists() else (top / name).symlink_to("a.py"),
    "chmod": lambda top, name, _: (top / name).chmod(0o755) if (top / name).is_file() else None,
}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(OPERATIONS)),
            st.sampled_from(["a.py", "b c.py", "d/e.py", "ü.py"]),
            st.text("xyz\n"),
        ),
        max_size=12,
    )
)
def test_whatever_was_done_the_snapshot_is_the_work_tree_and_nothing_changes(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    project = make(folder / "project", {"a.py": "a", "d/e.py": "e"})
    for operation, name, text in operations:
        OPERATIONS[operation](project, name, text)
    check(project, folder)
