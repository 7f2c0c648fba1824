"""Every kind of finding is in the tables of the docs, and every cause that code names is a known one."""

import re
from collections import Counter
from pathlib import Path

import pytest

from modelwright.doctor.causes import known_causes
from modelwright.doctor.kinds import KINDS

ROOT = Path(__file__).parents[2]
DOCS = "".join((ROOT / "docs" / name).read_text() for name in ("doctor.md", "examine.md"))
FILES = sorted(
    path
    for folder in ("doctor/sensors", "doctor/probes", "doctor/watch", "lab/checkup")
    for path in (ROOT / "src" / "modelwright" / folder).rglob("*.py")
)
_KIND = re.compile(r'Finding\(\s*kind="([a-z0-9-]+)"')
_CAUSE = re.compile(r'\bcause\("([a-z0-9-]+)"')


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_file_finds_is_in_the_docs_and_points_to_known_causes(path: Path) -> None:
    text = path.read_text()
    assert [kind for kind in _KIND.findall(text) if f"`{kind}`" not in DOCS] == []
    assert [name for name in _CAUSE.findall(text) if name not in known_causes()] == []


def test_a_design_can_accept_every_kind_that_the_docs_name() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {kind for row in rows for kind in re.findall(r"`([a-z0-9-]+)`", row)}
    assert named - set(KINDS) == {"program-raised", "program-killed"}, "src/modelwright/doctor/kinds.py"
    assert set(KINDS) <= named


def test_the_docs_name_a_kind_in_one_row() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = Counter(kind for row in rows for kind in re.findall(r"`([a-z0-9-]+)`", row))
    assert [kind for kind, count in named.items() if count > 1] == []


def test_a_cause_is_described_once() -> None:
    folder = ROOT / "src" / "modelwright" / "doctor" / "known"
    lines = [line for path in sorted(folder.glob("*.yaml")) for line in path.read_text().splitlines()]
    named = Counter(line for line in lines if re.fullmatch(r"[a-z0-9-]+:", line))
    assert len(named) > 100
    assert [name for name, count in named.items() if count > 1] == []


def test_kinds_are_found_in_the_text() -> None:
    found = {kind for path in FILES for kind in _KIND.findall(path.read_text())}
    assert len(found) > 60
    assert "`no-such-kind`" not in DOCS
