"""What a newcomer reads and types first: links, targets, commands, pinned versions."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from modelwright.cli import COMMANDS

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for path in (
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("benchmarks/**/*.md"),
    )
)


def normal(name: str) -> str:
    """Return a distribution's name as packaging compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Return the pinned version of each distribution in the constraints file."""
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    found: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==([\w.!]+)( ; .*)?", line)
            assert match, f"not a plain pin: {line}"
            assert normal(match[1]) not in found, f"pinned twice: {line}"
            found[normal(match[1])] = match[2]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    text = re.sub(r"```.*?```", "", (REPOSITORY / page).read_text("utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link and link[0] != "#"]
    missing = [link for link in links if not (REPOSITORY / page).parent.joinpath(link.split("#")[0]).exists()]
    assert not missing


def test_bare_make_prints_every_target_with_a_line() -> None:
    shown = subprocess.run(["make", "-C", REPOSITORY], capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "lint", "bench", "docs"):
        assert re.search(rf"^make {target}\t\S.{{10,}}$", shown, re.MULTILINE), target


def test_the_readme_lists_every_command_and_no_other() -> None:
    table = (REPOSITORY / "README.md").read_text("utf-8").partition("## Commands")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)", table, re.MULTILINE)) == sorted(COMMANDS)


def test_the_constraints_pin_everything_that_the_project_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    asked = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(item for extra in project["project"]["optional-dependencies"].values() for item in extra),
    ]
    names = {normal(re.split(r"[\[<>=! ]", item)[0]) for item in asked} - {"modelwright"}
    assert len(names) > 25
    assert names <= set(pins())


def test_what_is_installed_here_is_what_the_constraints_pin() -> None:
    from importlib.metadata import distributions

    pinned = pins()
    other = {
        name: (item.version, pinned[name])
        for item in distributions()
        # pip, setuptools and wheel come with the environment; torch's build follows a plus sign.
        if (name := normal(item.metadata["Name"])) in pinned and name not in ("setuptools", "wheel")
        if item.version.partition("+")[0] != pinned[name]
    }
    if other and not (REPOSITORY / ".venv" / ".dev").exists():
        pytest.skip(f"this environment was not made by make: {sorted(other)}")
    assert not other


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_of_continuous_integration_can_be_run() -> None:
    script = REPOSITORY / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
