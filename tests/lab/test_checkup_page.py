"""The doctor's page as HTML: findings, drawn evidence, causes with their lines, what was checked."""

import math
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from modelwright.base.errors import BadValue, StoreFailed
from modelwright.base.finding import Cause, Finding, Severity
from modelwright.cli import COMMANDS, main
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.lab.checkup.evidence import draw_evidence
from modelwright.lab.checkup.excerpt import excerpt_of
from modelwright.lab.checkup.html_page import render_html, write_html

BOLD = "<script>alert('&')</script>"
CODE = "".join(f"line_{at} = {at}\n" for at in range(1, 21))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a page tells of."""

    heading: str = "doctor: train.py (120 steps, 3.1 s)"
    findings: tuple[Finding, ...] = ()
    checked: tuple[str, ...] = ("order of gradients and steps", "schedules")
    unchecked: tuple[str, ...] = ()


def finding(**changes: Any) -> Finding:
    plain = Finding(
        kind="nothing-learnt",
        severity=Severity.WARNING,
        title="After 500 steps the loss is 2.302.",
        evidence={
            "loss": [2.4 - 0.01 * at for at in range(12)],
            "loss_of_the_best_constant": 2.301,
            "steps": 500,
        },
        causes=(Cause(what="inputs and targets do not belong together"),),
        next_check="try to fit one single batch",
    )
    return replace(plain, **changes)


class _Reader(HTMLParser):
    """What a browser would make of the file: nesting, words, addresses."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong.append(f"</{tag}> in {self.open[-3:]}")

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words += f" {data}"


def read(page: str) -> _Reader:
    """Read a page and hold it to what every page keeps."""
    reader = _Reader(page)
    reader.words = re.sub(r"\s+", " ", reader.words)
    assert reader.wrong == []
    assert reader.open == []
    assert "script" not in reader.tags
    assert len(reader.ids) == len(set(reader.ids))
    inside = {link[1:] for link in reader.links if link.startswith("#")}
    assert inside <= set(reader.ids)
    assert {link for link in reader.links if link[0] != "#" and not link.startswith("https://")} == {"data:,"}
    return reader


def test_the_page_shows_what_is_wrong_its_evidence_its_causes_with_code_and_the_next_check(
    tmp_path: Path,
) -> None:
    file = tmp_path / "train.py"
    file.write_text(CODE)
    severe = Finding(
        kind="gradients-kept-across-steps",
        severity=Severity.SEVERE,
        title="SGD steps with gradients of earlier steps added in.",
        evidence={"steps": 120, "steps_with_old_gradients": 119, "first_at_step": 1},
        causes=(cause("zero-grad-missing", Place(str(file), 10)),),
        next_check="call zero_grad() once",
        subject="SGD",
    )
    page = render_html(Said(findings=(severe, finding()), unchecked=("learning by acting",)))
    words = read(page).words
    assert "1 severe finding and 1 warning" in words
    for part in (
        severe.title,
        "119",
        "call zero_grad() once",
        "call optimizer.zero_grad()",
        "learning by acting",
    ):
        assert part in words, part
    assert [f"line_{at} = {at}" in words for at in (6, 7, 10, 13, 14)] == [False, True, True, True, False]
    assert page.count('class="row meant"') == 1
    assert re.search(r'class="row meant">.*?<code>line_10 = 10</code>', page, re.DOTALL)
    assert "How to be sure" in words, "the page of the kind"
    assert "backward() adds to .grad ; it never replaces" in words
    assert words.index(severe.title) < words.index("After 500 steps")


def test_without_findings_it_says_so_and_what_was_looked_at() -> None:
    words = read(render_html(Said(unchecked=("targets",)))).words
    assert "Nothing wrong was found." in words
    assert "What was checked" in words
    assert "schedules" in words
    assert "What could not be" in words
    assert "What could not be" not in read(render_html(Said())).words
    assert "Nothing could be." in read(render_html(Said(checked=()))).words


def test_what_needs_no_action_is_for_information_and_leaves_the_headline_well() -> None:
    page = render_html(Said(findings=(finding(severity=Severity.INFO),)))
    words = read(page).words
    assert "Nothing wrong was found." in words
    assert "For information" in words
    assert 'class="top tone-well"' in page


def test_all_text_from_outside_is_escaped(tmp_path: Path) -> None:
    file = tmp_path / f"{BOLD.replace('/', '')}.py"
    file.write_text(f"x = '{BOLD}'\n")
    odd = finding(
        title=BOLD,
        subject=BOLD,
        next_check=BOLD,
        evidence={BOLD: BOLD, "many": {BOLD: 1.0, "b": 2.0}, "names": [BOLD, "c"], "sizes": [1, 2]},
        causes=(Cause(what=BOLD, file=str(file), line=1),),
    )
    said = Said(
        heading=BOLD, findings=(odd, replace(odd, severity=Severity.INFO)), checked=(BOLD,), unchecked=(BOLD,)
    )
    reader = read(render_html(said))
    assert reader.words.count("alert(") >= 14


def test_a_kind_of_which_nothing_is_known_has_a_page_all_the_same() -> None:
    words = read(render_html(Said(findings=(finding(kind="of-a-plugin"),)))).words
    assert "of-a-plugin" in words
    assert "How to be sure" not in words


@pytest.mark.parametrize("line", [0, 21, 10**9])
def test_a_line_that_is_not_in_its_file_is_named_without_code(tmp_path: Path, line: int) -> None:
    file = tmp_path / "train.py"
    file.write_text(CODE)
    excerpt = excerpt_of(Cause(what="it", file=str(file), line=line))
    assert excerpt is not None
    assert excerpt.lines == ()


@pytest.mark.parametrize("make", ["gone", "folder", "binary", "null"])
def test_a_file_that_cannot_be_read_any_more_is_named_without_harm(tmp_path: Path, make: str) -> None:
    file = tmp_path / "train.py"
    if make == "folder":
        file.mkdir()
    elif make == "binary":
        file.write_bytes(bytes(range(256)) * 10)
    named = f"{file}\0" if make == "null" else str(file)
    lost = finding(causes=(Cause(what="it", file=named, line=1),))
    words = read(render_html(Said(findings=(lost,)))).words
    assert "train.py" in words
    assert ("cannot be read any more" in words) == (make != "binary")


def test_an_excerpt_has_three_lines_around_and_no_common_indentation(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("def go():\n    if True:\n\n        first()\n        second()\n" + "x" * 5000 + "\n")
    excerpt = excerpt_of(Cause(what="it", file=str(file), line=5))
    assert excerpt is not None
    assert [(number, text, meant) for number, text, meant in excerpt.lines][:4] == [
        (2, "    if True:", False),
        (3, "", False),
        (4, "        first()", False),
        (5, "        second()", True),
    ]
    assert len(excerpt.lines[-1][1]) == 400
    file.write_text("        a()\n\n            b()\n")
    again = excerpt_of(Cause(what="it", file=str(file), line=3))
    assert again is not None
    assert [text for _, text, _ in again.lines] == ["a()", "", "    b()"]


def test_causes_of_one_line_show_its_code_once(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(CODE)
    both = tuple(Cause(what=what, file=str(file), line=4) for what in ("one", "other"))
    page = render_html(Said(findings=(finding(causes=both),)))
    assert page.count('class="row meant"') == 1
    assert "as above" in page


# ---- evidence ----


def drawn(**evidence: Any) -> tuple[list[str], dict[str, str]]:
    """Return the captions of what is drawn, and the rest in words."""
    found = draw_evidence(evidence)
    return [caption for caption, _ in found.figures], dict(found.facts)


def test_a_list_of_many_numbers_is_a_curve_beside_what_it_is_held_against() -> None:
    (_, drawing), *rest = draw_evidence(finding().evidence).figures
    assert not rest
    assert drawing.count("<polyline") == 2
    assert "loss of the best constant" in drawing
    assert "from 2.29 to 2.4" in drawing


def test_pairs_of_step_and_number_are_a_curve_over_steps() -> None:
    found = draw_evidence({"learning_rates": [[1, 0.1], [50, 0.01], [400, 0.001]]})
    ((caption, drawing),) = found.figures
    assert caption == "learning rates"
    assert drawing.count("<polyline") == 1
    assert "step" in drawing


def test_mappings_short_lists_and_named_lists_are_bars() -> None:
    assert drawn(gains={"a": 8.2, "b": 3.0}) == (["gains"], {})
    assert drawn(means=[20.1, 68.0]) == (["means"], {})
    captions, rest = drawn(classes=["a", "b"], shares_learnt=[0.9, 0.1], shares_measured=[0.5, 0.5], rows=7)
    assert captions == ["shares learnt", "shares measured"]
    assert rest == {"rows": "7"}


def test_a_part_stands_beside_its_whole() -> None:
    captions, rest = drawn(losses=40, losses_that_do=38, first_at_step=3)
    assert (captions, rest) == ([""], {"first at step": "3"})
    assert drawn(steps=10, steps_per_second=40)[0] == [], "more than the whole is no part"


def test_bars_go_from_zero_to_both_sides() -> None:
    ((_, drawing),) = draw_evidence({"means": {"low": -1.0, "high": 3.0}}).figures
    assert re.findall(r"left:([\d.]+)%;width:([\d.]+)%", drawing) == [("0", "25"), ("25", "75")]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e305, None, "not finite"])
def test_numbers_that_are_none_are_told_in_words(odd: Any) -> None:
    found = draw_evidence({"losses_by_rate": {"low": 1.0, "middle": 2.0, "high": odd}})
    ((_, drawing),) = found.figures
    assert drawing.count('class="bar"') == 2
    curve = [1.0] * 10 if isinstance(odd, str) else [1.0, 2.0, odd] * 4
    ((_, drawing),) = draw_evidence({"curve": curve}).figures
    assert ("4 not finite" in drawing) == (not isinstance(odd, str))
    only = [each if not isinstance(odd, str) else 1.0 for each in [odd] * 9]
    assert draw_evidence({"curve": only}).figures


def test_what_is_no_number_is_told_in_words() -> None:
    captions, rest = drawn(
        place="train.py:3",
        whole=True,
        none=None,
        names=["a", "b"],
        deep={"a": {"b": [1, "x"]}},
        empty=[],
        one={"a": 1},
    )
    assert captions == []
    assert rest["a: b"] == "1, x"
    shapes = drawn(shapes=[[32, 1], [32]], result=[32, 32])
    assert shapes == ([], {"shapes": "(32, 1), (32)", "result": "32, 32"})
    assert (rest["whole"], rest["none"], rest["empty"], rest["one"]) == ("yes", "none", "none", "a: 1")


def test_rows_of_the_same_names_are_a_table_and_groups_are_told_one_by_one() -> None:
    rows = [
        {"parameter": "scale", "gradient": 0.0, "slope": 0.83},
        {"parameter": BOLD, "gradient": 1.0, "slope": 2.0},
    ]
    ((caption, table),) = draw_evidence({"parameters": rows}).figures
    assert (caption, table.count("<tr>"), table.count("<script>")) == ("parameters", 3, 0)
    captions, rest = drawn(discount={"values": [0.4, 1.0], "right": [0.9, 1.0], "steps": 800})
    assert (captions, rest) == (["discount: values", "discount: right"], {"discount: steps": "800"})
    groups = {"a": {"code": -999.0, "rows": 12}, "b": {"code": -9.0, "rows": 3}}
    assert drawn(columns=groups)[1]["a: code"] == "-999"


def test_many_bars_are_cut_short_and_counted() -> None:
    ((_, drawing),) = draw_evidence({"gains": {f"layer{at}": at for at in range(60)}}).figures
    assert drawing.count("bar-line") == 24
    assert "and 36 more" in drawing


# ---- from the command ----


def test_the_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = write_html(Said(), tmp_path / "new" / "page.html")
    assert target.read_text("utf-8") == render_html(Said())
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed, match="write the page"):
        write_html(Said(), tmp_path / "file" / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new"]


def test_the_option_stands_before_the_script_and_its_words_stay_the_scripts() -> None:
    own = COMMANDS["doctor"].own_words
    assert own(["--page", "a.html", "train.py", "--page", "x"]) == ["--page", "a.html"]
    assert own(["--page=a.html", "-m", "train"]) == ["--page=a.html"]


def test_a_script_is_not_taken_for_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--page", "train.py"]) == 2
    assert "--page doctor.html" in capsys.readouterr().err
    with pytest.raises(BadValue):
        COMMANDS["examine"].parser("examine").parse_args(["--page", ".", "a:b"])


def test_the_command_writes_the_page_beside_its_text(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import json\n\njson.loads('{')\n")
    words = [sys.executable, "-m", "modelwright", "doctor", "--page", "out/page.html", "train.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "page: out/page.html"
    assert "more: modelwright help program-raised" in done.stdout
    words = read((tmp_path / "out" / "page.html").read_text("utf-8")).words
    assert "json.loads('{')" in words
    assert "train.py:3" in words
