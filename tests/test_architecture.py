"""The rooms' order, what each room may import, and the size of files; `docs/architecture.md` says why.

The checker reads source text and runs nothing, so an import counts wherever it stands: at the top, in a
function, under TYPE_CHECKING, relative, or as a module's name in a string (`import_module`, a registry,
`python -m`). Each rule is broken on purpose below, in a copy, and has to name the file and the line.
"""

import ast
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "modelwright"
NAME = "modelwright"

LINES = (
    ("base",),
    ("data",),
    ("experiment", "algorithms", "doctor", "journal", "experiments", "faults", "findings"),
    ("lab", "release", "practice", "portfolio"),
)
"""From the ground up. `experiments` holds the YAML of shipped designs, `faults` programs to break and how,
`findings` a page for each kind of finding."""
HEIGHT = {room: height for height, line in enumerate(LINES) for room in line}

MOST_LINES = 400
TEXT = {".py", ".j2", ".html", ".css", ".js", ".yaml"}
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers"}

# fmt: off
PURE = {
    "abc", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "difflib", "enum",
    "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "numbers", "operator", "re",
    "statistics", "string", "textwrap", "time", "types", "typing",
}
# fmt: on
ONLY = {"base": PURE | {"numpy", "sklearn"}, "experiment": PURE | {"numpy", "scipy"}}
"""Rooms that do no input or output: all that they may import. (`base` takes metrics from scikit-learn.)"""
NEVER = {
    "data": {"torch"},
    "algorithms": {"logging", "argparse", "matplotlib", "rich", "sqlite3", "subprocess"},
    "journal": {"torch", "sklearn", "scipy"},
    "portfolio": {"torch"},
}
HOMES = {
    "hydra": "lab/compose.py",
    "omegaconf": "lab/compose.py",
    "ray": "lab/executor/ray_*.py",
    "mlflow": "lab/export/*mlflow*.py",
}
"""Libraries that a few files keep to themselves."""
SPEAKING = {"open", "print", "input"}


@dataclass(frozen=True, order=True)
class Breach:
    """A broken rule, at its place."""

    file: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}"


def breaches_of(package: Path) -> list[Breach]:
    """Return every broken rule in the package in this folder, by file and line."""
    found: set[Breach] = set()
    for path in package.rglob("*"):
        if path.suffix in TEXT and path.is_file() and "__pycache__" not in path.parts:
            place = PurePosixPath(path.relative_to(package).as_posix())
            found.update(breaches_in(place, path.read_text("utf-8")))
    return sorted(found)


def breaches_in(file: PurePosixPath, text: str) -> Iterator[Breach]:
    """Yield the rules that one file breaks.

    Args:
        file: Its place in the package: `lab/run.py`.
        text: Its content.
    """
    if len(text.splitlines()) > MOST_LINES:
        yield Breach(str(file), MOST_LINES + 1, f"a file has at most {MOST_LINES} lines")
    for part in file.with_suffix("").parts:
        if EMPTY_NAMES & set(part.lower().split("_")):
            yield Breach(str(file), 1, f"a file is named for what it holds, not {part}")
    if file.suffix != ".py":
        return
    room = file.parts[0] if len(file.parts) > 1 else None
    if is_top(file):
        room = None
    elif room not in HEIGHT:
        yield Breach(str(file), 1, f"{room or file} is no room")
        return
    tree = ast.parse(text)
    for line, module in imports_of(tree, file):
        for rule in rules_broken(file, room, module):
            yield Breach(str(file), line, rule)
    if room in ONLY:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SPEAKING:
                yield Breach(str(file), node.lineno, f"{room} does no input or output ({node.func.id})")


def is_top(file: PurePosixPath) -> bool:
    """Say whether the file stands above all rooms."""
    name = file.parts[0].removesuffix(".py")
    return name in ("__init__", "__main__", "cli") or (name.startswith("cli_") and len(file.parts) == 1)


def imports_of(tree: ast.Module, file: PurePosixPath) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of every module that the file imports or names."""
    here = (NAME, *file.parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else ()
            base = ".".join((*above, *((node.module,) if node.module else ())))
            yield from (
                (alias.lineno, f"{base}.{alias.name}" if base else alias.name) for alias in node.names
            )
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
            *("import_module", "__import__", "find_spec", "run_module"),
        ):
            for name in (item.value for item in node.args[:1] if isinstance(item, ast.Constant)):
                level = len(str(name)) - len(str(name).lstrip("."))
                above = ".".join(here[: len(here) - level + 1]) + "." if level else ""
                yield node.lineno, above + str(name)[level:]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Registries and `python -m` name modules in strings; f-strings begin with such a piece.
            named = re.fullmatch(rf"{NAME}\.(\w+)(\.\w+)*\.?", node.value)
            if named and named[1] in (*HEIGHT, "cli"):
                yield node.lineno, node.value


def rules_broken(file: PurePosixPath, room: str | None, module: str) -> Iterator[str]:
    """Yield what is wrong with importing `module` in this file."""
    library, _, rest = module.partition(".")
    if library in HOMES and not file.match(HOMES[library]):
        yield f"only {HOMES[library]} imports {library}"
    if room is None:
        return
    if library != NAME:
        if room in ONLY and library not in ONLY[room]:
            yield f"{room} does not import {library}"
        if library in NEVER.get(room, ()):
            yield f"{room} does not import {library}"
        return
    other = rest.split(".")[0]
    if other == room:
        return
    if other not in HEIGHT:
        yield f"{room} stands below {NAME}{'.' if other else ''}{other}"
    elif HEIGHT[other] == HEIGHT[room]:
        yield f"{room} and {other} are strangers"
    elif HEIGHT[other] > HEIGHT[room]:
        yield f"{room} stands below {other}"


# ---- the package as it is ----


def test_the_package_keeps_the_order_of_its_rooms() -> None:
    found = breaches_of(PACKAGE)
    assert not found, "\n".join(map(str, found))


def test_the_checker_reads_every_source_file_and_knows_every_room_there_is() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert rooms - {"cli"} <= set(HEIGHT)
    seen = [
        (path, module)
        for path in PACKAGE.rglob("*.py")
        for _, module in imports_of(
            ast.parse(path.read_text("utf-8")), PurePosixPath(path.relative_to(PACKAGE).as_posix())
        )
    ]
    # Each room below the shell is used by some room above it; a checker that saw nothing would pass all.
    for room in ("base", "data", "experiment", "algorithms", "journal"):
        assert any(
            module.startswith(f"{NAME}.{room}.") and path.relative_to(PACKAGE).parts[0] == "lab"
            for path, module in seen
        ), room


def test_exactly_one_file_imports_hydra() -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for _, module in imports_of(ast.parse(path.read_text("utf-8")), PurePosixPath(path.name))
        if module.split(".")[0] in ("hydra", "omegaconf")
    }
    assert users == {"lab/compose.py"}


def test_benchmarks_keep_to_the_size_of_files_too() -> None:
    long = {
        path.name: count
        for path in (REPOSITORY / "benchmarks").glob("*.py")
        if (count := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert not long


# ---- the same with a fault planted ----

# fmt: off
SAMPLE = (
    "base/errors.py", "data/split.py", "experiment/rule.py", "algorithms/mlp.py", "journal/ledger.py",
    "lab/project.py", "lab/lineage/source.py", "__main__.py",
)
# fmt: on

PLANTED = """
data/split.py         | import modelwright.lab.run                 | data stands below lab
base/errors.py        | from modelwright.data.split import Split   | base stands below data
data/split.py         | import modelwright.lab.run as tidy         | data stands below lab
journal/ledger.py     | from modelwright import lab                | journal stands below lab
journal/ledger.py     | from modelwright import (base, // lab)     | journal stands below lab
lab/project.py        | import modelwright.cli                     | lab stands below modelwright.cli
lab/project.py        | from modelwright import run                | lab stands below modelwright.run
experiment/rule.py    | import modelwright                         | experiment stands below modelwright
experiment/rule.py    | from modelwright.journal.journal import J  | experiment and journal are strangers
lab/project.py        | import modelwright.release.gate            | lab and release are strangers
algorithms/mlp.py     | late: import modelwright.lab.run           | algorithms stands below lab
algorithms/mlp.py     | late: from modelwright.experiment import x | algorithms and experiment are strangers
journal/ledger.py     | typed: from modelwright.lab.run import R   | journal stands below lab
journal/ledger.py     | typed: import modelwright.algorithms       | journal and algorithms are strangers
algorithms/mlp.py     | from ..lab.run import run_design           | algorithms stands below lab
algorithms/mlp.py     | from .. import journal                     | algorithms and journal are strangers
data/split.py         | late: from ..lab import run                | data stands below lab
lab/lineage/source.py | from ...cli import main                    | lab stands below modelwright.cli
data/split.py         | string: "modelwright.lab.run"              | data stands below lab
data/split.py         | string: "..lab.run", __package__           | data stands below lab
journal/ledger.py     | HOMES = {"run": "modelwright.lab.run"}     | journal stands below lab
journal/ledger.py     | f"modelwright.lab.{1}"                     | journal stands below lab
base/errors.py        | late: import torch                         | base does not import torch
base/errors.py        | from pathlib import Path                   | base does not import pathlib
base/errors.py        | late: open("x")                            | base does no input or output (open)
experiment/rule.py    | import subprocess                          | experiment does not import subprocess
experiment/rule.py    | open(1)                                    | experiment does no input or output (open)
data/split.py         | late: import torch.nn                      | data does not import torch
algorithms/mlp.py     | import logging                             | algorithms does not import logging
journal/ledger.py     | from scipy import stats                    | journal does not import scipy
lab/project.py        | from hydra import compose                  | only lab/compose.py imports hydra
__main__.py           | import omegaconf                           | only lab/compose.py imports omegaconf
lab/project.py        | late: import ray                           | only lab/executor/ray_*.py imports ray
lab/project.py        | string: "ray"                              | only lab/executor/ray_*.py imports ray
journal/ledger.py     | late: from mlflow import MlflowClient     | only lab/export/*mlflow*.py imports mlflow
"""
"""Where, the text (its last line is the breach), and the rule that it breaks."""
FORMS = {
    "late": "def late() -> None:\n    {}",
    "typed": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}",
    "string": "from importlib import import_module\nimport_module({})",
}
ROWS = [[cell.strip() for cell in row.split(" | ")] for row in PLANTED.strip().splitlines()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a package of a few real files, which breaks no rule."""
    for file in SAMPLE:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / file, tmp_path / file)
    assert not breaches_of(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("file", "text", "rule"), ROWS)
def test_a_planted_breach_is_named_with_its_file_and_line(
    copy: Path, file: str, text: str, rule: str
) -> None:
    form, _, inner = text.partition(": ")
    added = FORMS[form].format(inner) if form in FORMS else text.replace(" // ", "\n    ")
    grown = f"{(copy / file).read_text('utf-8')}{added}"
    (copy / file).write_text(grown, "utf-8")
    (found,) = breaches_of(copy)
    place = len(grown.splitlines())
    assert str(found) == f"{file}:{place}: {rule}"


def test_a_breach_among_all_files_is_the_only_one_named(tmp_path: Path) -> None:
    whole = shutil.copytree(PACKAGE, tmp_path / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    before = breaches_of(whole)
    file = whole / "journal" / "deep.py"
    file.write_text(
        '"""Deep."""\n\n\nclass Deep:\n    def go(self) -> None:\n        from ..lab import run\n'
    )
    assert set(breaches_of(whole)) - set(before) == {Breach("journal/deep.py", 6, "journal stands below lab")}


@pytest.mark.parametrize("file", ["lab/long.py", "lab/page/templates/long.html.j2"])
def test_a_file_of_401_lines_is_named_and_one_of_400_is_not(copy: Path, file: str) -> None:
    (copy / file).parent.mkdir(parents=True, exist_ok=True)
    (copy / file).write_text("# a line\n" * 400)
    assert breaches_of(copy) == []
    (copy / file).write_text("# a line\n" * 401)
    assert breaches_of(copy) == [Breach(file, 401, "a file has at most 400 lines")]


@pytest.mark.parametrize(
    "file", ["lab/utils.py", "data/table_helpers.py", "journal/common/rows.py", "lab/run_manager.py"]
)
def test_a_file_named_for_nothing_is_named(copy: Path, file: str) -> None:
    (copy / file).parent.mkdir(parents=True, exist_ok=True)
    (copy / file).write_text('"""Anything."""\n')
    (found,) = breaches_of(copy)
    assert (found.file, found.line) == (file, 1)
    assert found.rule.startswith("a file is named for what it holds")


@pytest.mark.parametrize("file", ["tools/run.py", "stray.py"])
def test_a_file_outside_all_rooms_is_named(copy: Path, file: str) -> None:
    (copy / file).parent.mkdir(parents=True, exist_ok=True)
    (copy / file).write_text('"""Anything."""\n')
    (found,) = breaches_of(copy)
    assert (found.file, found.line) == (file, 1)
    assert found.rule.endswith("is no room")


@pytest.mark.parametrize("file", ["cli.py", "cli_run.py", "cli/run.py", "__init__.py"])
def test_the_files_on_top_may_import_every_room(copy: Path, file: str) -> None:
    (copy / file).parent.mkdir(parents=True, exist_ok=True)
    (copy / file).write_text("from modelwright.lab import run\nfrom modelwright.base import errors\n")
    assert breaches_of(copy) == []


@pytest.mark.parametrize(
    "text",
    [
        "from modelwright.base.errors import BadValue",
        "from .spending import spend",
        "from ..data.split import Split",
        "import modelwright.base.errors",
        "NOTE = 'modelwright.experiment is a room; see modelwright.lab'",
        "TAGS = ('modelwright.run', 'modelwright.seed')",
        "OPENED = open",
    ],
)
def test_an_import_that_points_down_or_stays_in_its_room_is_no_breach(copy: Path, text: str) -> None:
    with (copy / "experiment" / "rule.py").open("a") as file:
        file.write(text + "\n")
    assert breaches_of(copy) == []
