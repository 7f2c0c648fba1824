"""Settings that messages and pages name: each exists, under the name that it has in a design."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from modelwright.data.source import Source
from modelwright.data.split import SplitPlan

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src/modelwright/data").glob("*.py"))
PAGES = sorted((ROOT / "src/modelwright/findings").glob("*.md"))
KNOWN = {
    "data": {field.name for field in fields(Source)},
    "split": {field.name for field in fields(SplitPlan)},
}


def named(path: Path) -> list[tuple[str, str]]:
    """Return the settings that a page names as code, or that any string of a module names."""
    text = path.read_text()
    if path.suffix == ".md":
        strings = re.findall(r"`([^`\n]+)`", text)
    else:
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
        strings = [node.value for node in nodes if isinstance(node.value, str)]
    # `source` is the class's own name, which no design knows.
    return [
        found
        for string in strings
        for found in re.findall(r"(?<![\w./])(data|split|source)\.([a-z_]+)", string)
    ]


@pytest.mark.parametrize("path", [*MODULES, ROOT / "docs/data.md", *PAGES], ids=lambda path: path.name)
def test_settings_are_named_as_in_a_design(path: Path) -> None:
    for room, name in named(path):
        assert name in KNOWN.get(room, ()), f"{room}.{name}"


def test_the_names_are_looked_for_where_they_are() -> None:
    seen = {".".join(found) for path in MODULES for found in named(path)}
    assert {"data.drop", "data.when_missing", "data.group", "split.kind", "split.test"} <= seen
