"""A git work tree as it is, kept as a tree object, with nothing of the user's changed.

The user's index is copied, the copy is brought up to date with the work tree, and the tree is written
from the copy. The index, the work tree, HEAD, branches and reflogs are only read. What is added to
the repository: the objects, and one ref `refs/modelwright/<tree>` that keeps them from garbage collection.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelwright.base.errors import SourceMissing
from modelwright.lab.lineage.files import (
    SKIPPED_FOLDERS,
    LeftOut,
    Selection,
    environment_folders,
    leave_out,
    shown_name,
)

__all__ = ["GitTree", "Repository", "find_repository", "restore_tree", "write_work_tree"]

_ATTEMPTS = 3
"""A file that changes while git reads it makes git fail; it is asked this often."""

_SETTINGS = (
    "core.hooksPath=/dev/null",  # no hook runs
    "core.fsmonitor=false",  # nor a file watcher, which is a hook too
    "core.untrackedCache=false",
    "core.sparseCheckout=false",  # entries that are absent on purpose are handled one by one
    "core.splitIndex=false",  # else the copy would write a second half into the user's repository
    "index.sparse=false",
    "core.safecrlf=false",  # a warning about line ends must not stop a snapshot
    "core.logAllRefUpdates=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.addEmbeddedRepo=false",
)

_KEPT_VARIABLES = frozenset(
    {
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CEILING_DIRECTORIES",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM",
        "GIT_EXEC_PATH",
    }
)
"""Variables that say where git and its configuration lie. Every other GIT_* may be a calling hook's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git repository with a work tree.

    Attributes:
        git: Path of the git program.
        top: Top folder of the work tree.
        git_dir: The (linked) work tree's own git folder.
    """

    git: str
    top: Path
    git_dir: Path

    def run(self, *words: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> bytes:
        """Run one git command from the top of the work tree and return what it printed.

        Raises:
            SourceMissing: where git fails, with its message.
        """
        return _run(self.git, self.top, words, stdin, variables)

    def ask(self, *words: str) -> str | None:
        """Return the one line that a command printed, None where it failed or printed nothing."""
        try:
            return os.fsdecode(self.run(*words).removesuffix(b"\n")) or None
        except SourceMissing:
            return None


def _run(
    git: str,
    folder: Path,
    words: Sequence[str],
    stdin: bytes = b"",
    variables: Mapping[str, str] | None = None,
) -> bytes:
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    done = subprocess.run(
        [git, *settings, *words],
        cwd=folder,
        env=_clean_environment() | dict(variables or {}),
        input=stdin,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = shown_name(done.stderr).strip() or f"exit status {done.returncode}"
        raise SourceMissing(f"`git {words[0]}` must succeed", got=said)
    return done.stdout


def _clean_environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT_VARIABLES
    }
    kept |= {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
    }
    return kept


def find_repository(folder: Path) -> Repository:
    """Return the repository whose work tree holds `folder`.

    Raises:
        SourceMissing: where there is no git program, no repository, no work tree, or git refuses.
    """
    git = shutil.which("git")
    if git is None:
        raise SourceMissing("A git snapshot needs the git program", got="none on the PATH")
    top = os.fsdecode(_run(git, folder, ("rev-parse", "--show-toplevel")).removesuffix(b"\n"))
    git_dir = os.fsdecode(_run(git, folder, ("rev-parse", "--absolute-git-dir")).removesuffix(b"\n"))
    return Repository(git=git, top=Path(top), git_dir=Path(git_dir))


@dataclass(frozen=True, slots=True, kw_only=True)
class GitTree:
    """What `write_work_tree` wrote.

    Attributes:
        tree: Name of the tree object.
        files: Path -> object name; a symbolic link's starts with `link `.
        links: Path -> commit of each submodule that the tree names.
        nested: Paths of untracked repositories inside the work tree.
        left_out: Untracked files that were too large or unreadable.
    """

    tree: str
    files: Mapping[str, str]
    links: Mapping[str, str]
    nested: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def write_work_tree(repository: Repository, selection: Selection) -> GitTree:
    """Write tracked and untracked, not ignored files as a tree object, and a ref that keeps it.

    Args:
        repository: Where.
        selection: Which untracked files to keep.

    Raises:
        SourceMissing: where git cannot read the work tree or write the objects.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _write_once(repository, selection)
        except SourceMissing:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError


def _write_once(repository: Repository, selection: Selection) -> GitTree:
    with tempfile.TemporaryDirectory(prefix="modelwright-") as folder:
        index = Path(folder) / "index"
        original = repository.git_dir / "index"
        if original.exists():
            shutil.copy2(original, index)  # with its time: git tells by it which entries it must read again
        variables = {"GIT_INDEX_FILE": str(index)}
        _believe_the_disk(repository, variables)
        repository.run("add", "--update", variables=variables)
        untracked, nested = _untracked(repository, selection.skipped(repository.top), variables)
        kept, left_out = leave_out(repository.top, untracked, selection)
        _feed(repository, ("update-index", "--add", "--remove"), kept, variables)
        tree = repository.run("write-tree", "--missing-ok", variables=variables).decode().strip()
    files, links = _list_tree(repository, tree)
    _keep(repository, tree)
    return GitTree(tree=tree, files=files, links=links, nested=nested, left_out=left_out)


def _believe_the_disk(repository: Repository, variables: Mapping[str, str]) -> None:
    """Clear the marks that make git look away from a file, but not where a sparse checkout hides it."""
    assumed: list[str] = []
    hidden: list[str] = []
    for line in repository.run("ls-files", "-v", "-z", variables=variables).split(b"\0"):
        mark, path = line[:1], os.fsdecode(line[2:])
        if mark.islower():
            assumed.append(path)
        if mark.upper() == b"S" and os.path.lexists(repository.top / path):
            hidden.append(path)
    _feed(repository, ("update-index", "--no-assume-unchanged"), assumed, variables)
    _feed(repository, ("update-index", "--no-skip-worktree"), hidden, variables)


def _feed(
    repository: Repository, words: Sequence[str], paths: Iterable[str], variables: Mapping[str, str]
) -> None:
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if listed:
        repository.run(*words, "-z", "--stdin", stdin=listed, variables=variables)


def _untracked(
    repository: Repository, skip: Sequence[str], variables: Mapping[str, str]
) -> tuple[list[str], tuple[str, ...]]:
    patterns = [f"--exclude={name}/" for name in SKIPPED_FOLDERS]
    patterns += [f"--exclude=/{_escaped(path)}/" for path in skip]
    words = ("ls-files", "--others", "--exclude-standard", "-z", *patterns)
    listed = [os.fsdecode(name) for name in repository.run(*words, variables=variables).split(b"\0") if name]
    environments = environment_folders(listed)
    files = [path for path in listed if not path.endswith("/") and not path.startswith(environments)]
    return files, tuple(path.rstrip("/") for path in listed if path.endswith("/"))


def _escaped(path: str) -> str:
    return "".join("\\" + letter if letter in "\\*?[ !#" else letter for letter in path)


def _list_tree(repository: Repository, tree: str) -> tuple[dict[str, str], dict[str, str]]:
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    for line in repository.run("ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0"):
        if not line:
            continue
        about, name = line.split(b"\t", 1)
        mode, kind, object_name = about.decode().split()
        if kind == "commit":
            links[os.fsdecode(name)] = object_name
        else:
            files[shown_name(name)] = f"link {object_name}" if mode == "120000" else object_name
    return files, links


def _keep(repository: Repository, tree: str) -> None:
    ref = f"refs/modelwright/{tree}"
    if repository.ask("rev-parse", "--verify", "--quiet", ref):
        return
    head = repository.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    parent = ("-p", head) if head else ()
    who = {"NAME": "Modelwright", "EMAIL": "modelwright@localhost"}
    variables = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    message = b"Source of a Modelwright launch: the work tree as it was\n"
    commit = repository.run("commit-tree", tree, *parent, stdin=message, variables=variables).decode().strip()
    repository.run("update-ref", ref, commit)


def restore_tree(repository: Repository, tree: str, destination: Path) -> None:
    """Check `tree` out into the empty folder `destination`, as git would, touching nothing else.

    Raises:
        SourceMissing: where the repository does not hold the tree, or git fails.
    """
    if repository.ask("rev-parse", "--verify", "--quiet", f"{tree}^{{tree}}") is None:
        raise SourceMissing(
            "The repository must hold the recorded tree",
            got=f"no tree {tree} in {repository.top}",
            next_step="run this in the repository in which the run was recorded, "
            f"or fetch refs/modelwright/{tree} from it",
        )
    with tempfile.TemporaryDirectory(prefix="modelwright-") as folder:
        variables = {
            "GIT_INDEX_FILE": str(Path(folder) / "index"),
            "GIT_DIR": str(repository.git_dir),
            "GIT_WORK_TREE": str(destination),
        }
        _run(repository.git, destination, ("read-tree", "--reset", "-u", tree), variables=variables)
