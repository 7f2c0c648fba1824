"""Each kind of finding that any code can make has a page, whole and reachable; no page is about nothing.

What to do where it fails is in CONTRIBUTING.md, "A kind of finding".
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelwright.base.finding import Finding, Severity
from modelwright.cli import COMMANDS, main
from modelwright.cli.settings import TOPICS
from modelwright.data.checks import KINDS
from modelwright.doctor.causes import known_causes
from modelwright.lab.finding_page import FOLDER, HEADINGS, find_page, finding_kinds

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "modelwright"
ROOMS = ("data", "doctor", "experiment", "lab")
COMPUTED = {
    "f'class-missing-from-{side}'": {"class-missing-from-train", "class-missing-from-test"},
    "f'{what}-differ-from-experience'": {
        "advantages-differ-from-experience",
        "values-differ-from-experience",
    },
    "f'first-weights-{word}'": {"first-weights-large", "first-weights-small"},
    "fault": {"policy-loss-sign", "reward-sign-flipped"},
}
"""Kinds that are put together from parts: the expression -> what comes of it."""

_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
_CODE = re.compile(r"```.*?```", re.DOTALL)
_KEY = re.compile(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`")
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\| \[([a-z0-9-]+)\]\(([a-z0-9-]+)\.md\) \| (.+) \|$", re.MULTILINE)

_NAMED = re.compile(r'^([A-Z_]+) = "([a-z0-9-]+)"$', re.MULTILINE)

TEXTS = {path: path.read_text("utf-8") for path in sorted(SOURCE.rglob("*.py"))}
NAMED = dict(pair for text in TEXTS.values() for pair in _NAMED.findall(text))
TREES = {path: ast.parse(text) for path, text in TEXTS.items() if "Finding(" in text or "severe(" in text}
SPOKEN = {
    word
    for path, text in TEXTS.items()
    if path.relative_to(SOURCE).parts[0] in ROOMS
    for pair in re.findall(r'"(\w+)"|\b(\w+)=', text)
    for word in pair
}
"""Words of which evidence can be put together."""


def strings_in(tree: ast.AST) -> set[str]:
    """Return the text constants of code."""
    found = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in found if isinstance(value, str)}


def kinds_of(value: ast.expr, tree: ast.AST) -> Iterator[str]:
    """Yield what an expression for a kind can be."""
    told = ast.unparse(value)
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from kinds_of(value.body, tree)
        yield from kinds_of(value.orelse, tree)
    elif told in COMPUTED:
        yield from COMPUTED[told]
    elif told == "kind":  # an argument or an entry of a table of the same file
        yield from (
            text for text in strings_in(tree) if _KEBAB.fullmatch(text) and text not in known_causes()
        )
    elif isinstance(value, ast.Name) and value.id in NAMED:
        yield NAMED[value.id]
    elif told != "record['kind']":
        pytest.fail(f"how {told} comes about is not known: add it to COMPUTED")


def words_of(title: ast.expr | None) -> list[str] | None:
    """Return the fixed parts of a title; None where it is put together elsewhere."""
    if isinstance(title, ast.Constant):
        return [str(title.value)]
    if isinstance(title, ast.JoinedStr):
        return [str(part.value) for part in title.values if isinstance(part, ast.Constant)]
    return None


EMITTED: dict[str, Path] = {}
"""Every kind that code makes, and a file that does."""

TITLES: dict[str, list[list[str] | None]] = {}
"""Kind -> the fixed parts of each of its titles."""

for _path, _tree in TREES.items():
    for _node in ast.walk(_tree):
        if not isinstance(_node, ast.Call) or getattr(_node.func, "id", "") not in ("Finding", "severe"):
            continue
        _given = {word.arg: word.value for word in _node.keywords}
        if "kind" in _given:
            for _kind in kinds_of(_given["kind"], _tree):
                EMITTED[_kind] = _path
                TITLES.setdefault(_kind, []).append(words_of(_given.get("title")))


def test_every_kind_that_code_makes_has_a_page() -> None:
    assert len(EMITTED) > 140
    missing = {kind: str(path.relative_to(ROOT)) for kind, path in EMITTED.items() if find_page(kind) is None}
    assert not missing, f"write {FOLDER.relative_to(ROOT)}/KIND.md for these; CONTRIBUTING.md says how"
    assert set(KINDS) <= set(EMITTED)


def test_no_page_is_about_a_kind_that_nothing_makes() -> None:
    assert sorted(set(finding_kinds()) - set(EMITTED)) == []


@pytest.mark.parametrize("kind", finding_kinds())
def test_a_page_is_whole(kind: str) -> None:
    page = find_page(kind)
    assert page is not None
    assert page.text.startswith(f"# {kind}\n\n*")
    severities = "|".join(severity.value for severity in Severity)
    assert re.match(rf"\*({severities.title()})", page.summary, re.IGNORECASE), "begin with *Severity.*"
    assert tuple(page.sections) == HEADINGS
    for title, text in page.sections.items():
        assert len(text) >= 5, title
    assert len(page.text) > 400
    assert page.text.count("```") % 2 == 0


@pytest.mark.parametrize("kind", finding_kinds())
def test_numbers_that_a_page_speaks_of_are_in_the_code(kind: str) -> None:
    page = find_page(kind)
    assert page is not None
    spoken = set(_KEY.findall(_CODE.sub("", page.sections["How it looks"])))
    assert sorted(spoken - SPOKEN) == []


def test_a_page_has_the_words_that_a_reader_sees_in_the_title() -> None:
    strangers: dict[str, list[list[str] | None]] = {}
    for kind, titles in TITLES.items():
        page = find_page(kind)
        assert page is not None
        looks = " ".join(page.sections["How it looks"].split())
        told = [[" ".join(part.split()) for part in title or () if len(part) >= 10] for title in titles]
        if not any(all(part in looks for part in title) for title in told):
            strangers[kind] = titles
    assert not strangers, "quote one of these titles under How it looks"


@pytest.mark.parametrize("kind", finding_kinds())
def test_code_of_a_page_is_python(kind: str) -> None:
    page = find_page(kind)
    assert page is not None
    for code in _CODE.findall(page.text):
        assert code.startswith("```python\n"), code
        ast.parse(code.removeprefix("```python\n").removesuffix("```"))


@pytest.mark.parametrize("kind", finding_kinds())
def test_links_of_a_page_lead_somewhere(kind: str) -> None:
    page = find_page(kind)
    assert page is not None
    for link in _LINK.findall(_CODE.sub("", page.text)):
        if "://" in link:
            assert re.fullmatch(r"https://[\w.-]+/\S*", link), link
        else:
            assert (FOLDER / link).exists(), link


def test_the_list_of_kinds_has_each_once_with_the_first_sentence_of_its_page() -> None:
    rows = _ROW.findall((FOLDER / "README.md").read_text("utf-8"))
    assert all(kind == file for kind, file, _ in rows)
    listed = [kind for kind, _, _ in rows]
    assert len(listed) == len(set(listed))
    wanted = {}
    for kind in finding_kinds():
        page = find_page(kind)
        assert page is not None
        wanted[kind] = " ".join(page.summary.split())
    assert {kind: text for kind, _, text in rows} == wanted


def test_a_finding_names_the_command_that_prints_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding(kind="shapes-spread", severity=Severity.SEVERE, title="Shapes spread.")
    assert finding.record()["page"] == finding.page == "modelwright help shapes-spread"
    assert main(finding.page.split()[1:]) == 0
    shown = capsys.readouterr().out
    assert "How to mend" in shown
    assert "broadcasting" in shown
    assert main(["help", "--json", "shapes-spread"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "shapes-spread"
    assert tuple(told["sections"]) == HEADINGS


def test_a_mistyped_kind_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "shape-spread"]) == 2
    assert "shapes-spread" in capsys.readouterr().err


def test_no_kind_has_the_name_of_another_topic_of_help() -> None:
    assert not set(finding_kinds()) & {*COMMANDS, *TOPICS}


def test_what_is_not_a_kind_has_no_page() -> None:
    assert find_page("README") is None
    assert find_page("../doctor") is None
