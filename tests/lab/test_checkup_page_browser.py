"""The doctor's page in a real browser: on a desk and on a phone, in light and dark."""

from pathlib import Path
from typing import Any

import pytest
from test_checkup_page import BOLD, CODE, Said, finding
from visit import CONTRAST, DESK, PHONE, Visit

from modelwright.base.finding import Cause, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.lab.checkup.html_page import write_html

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return pages: with several findings, with odd ones, with none."""
    folder = tmp_path_factory.mktemp("pages")
    file = folder / "train.py"
    file.write_text(CODE + "x = " + "very_long_name + " * 40 + "1\n")
    place = Place(str(file), 20)
    several = (
        finding(severity=Severity.SEVERE, causes=(cause("not-shuffled", place), cause("dead-relu", place))),
        finding(
            kind="learns-better-otherwise",
            evidence={
                "loss_after_learning_anew": {"as it is": 1.2, "rate x 10": 0.4, "rate x 100": "not finite"}
            },
            causes=(cause("learning-rate-too-low", place),),
        ),
        finding(
            kind="schedule-passed-its-end", evidence={"learning_rates": [[1, 0.1], [40, 0.01], [90, 0.1]]}
        ),
        finding(kind="sensor-failed", severity=Severity.INFO, evidence={"error": "x" * 300}),
    )
    odd = (
        finding(
            title=BOLD + "w" * 200,
            subject="s" * 90,
            evidence={"v" * 80: "u" * 300, "loss": [None] * 9, "gains": {"n" * 70: 1.0, "m": -2.0}},
            causes=(Cause(what="q" * 200, file=f"/gone/{'f' * 120}.py", line=3),),
            next_check="p" * 200,
        ),
    )
    said = {
        "several": Said(findings=several, unchecked=("learning by acting: no environment was stepped",)),
        "odd": Said(
            heading=f"doctor: {BOLD}{'h' * 150}", findings=odd, checked=("c" * 200,), unchecked=("d" * 200,)
        ),
        "none": Said(),
    }
    return {
        name: write_html(each, folder / f"{name}.html", {"not-shuffled": 0.8}) for name, each in said.items()
    }


@pytest.mark.parametrize("name", ["several", "odd", "none"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_page_fits_and_says_at_once_what_is_wrong(
    pages: dict[str, Path], browser: Any, name: str, size: dict[str, int]
) -> None:
    with Visit(browser, pages[name], viewport=size) as visit:
        assert visit.overflow() <= 0
        visit.page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
        assert visit.overflow() <= 0
        box = visit.page.locator("h1").bounding_box()
        assert box["y"] + box["height"] <= size["height"]
        shown = visit.page.locator("h1").inner_text().lower()
        assert ("nothing wrong" in shown) == (name == "none")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["several", "odd", "none"])
def test_text_has_contrast(pages: dict[str, Path], browser: Any, name: str, scheme: str) -> None:
    with Visit(browser, pages[name], viewport=DESK, color_scheme=scheme) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
        assert visit.page.evaluate(CONTRAST) == []


def test_evidence_is_drawn_in_proportion(pages: dict[str, Path], browser: Any) -> None:
    with Visit(browser, pages["several"], viewport=DESK) as visit:
        bars = visit.page.locator("#finding-2 .bar")
        widths = [bars.nth(at).bounding_box()["width"] for at in range(bars.count())]
        assert len(widths) == 2
        assert widths[0] / widths[1] == pytest.approx(3.0, rel=0.05)
        line = visit.page.locator("#finding-1 polyline").first.bounding_box()
        assert line["width"] > 100
        assert line["height"] > 50


def test_the_line_that_is_meant_stands_out_and_the_page_of_a_kind_opens(
    pages: dict[str, Path], browser: Any
) -> None:
    with Visit(browser, pages["several"], viewport=DESK) as visit:
        meant = visit.page.locator("#finding-1 .row.meant").first
        plain = visit.page.locator("#finding-1 .row:not(.meant)").first
        ground = "node => getComputedStyle(node).backgroundColor"
        assert meant.evaluate(ground) != plain.evaluate(ground)
        assert "line_20 = 20" in meant.inner_text()
        manual = visit.page.locator("#finding-1 .manual")
        heading = manual.get_by_role("heading", name="How to be sure")
        assert not heading.is_visible()
        manual.locator("summary").click()
        assert heading.is_visible()


def test_the_list_at_the_top_leads_to_each_finding(pages: dict[str, Path], browser: Any) -> None:
    with Visit(browser, pages["several"], viewport=DESK, reduced_motion="reduce") as visit:
        links = visit.page.locator(".firsts a")
        assert links.count() == 3
        links.nth(2).click()
        top = visit.page.locator("#finding-3").bounding_box()["y"]
        assert 0 <= top < 300 or visit.page.evaluate(
            "scrollY + innerHeight >= document.body.scrollHeight - 2"
        )
