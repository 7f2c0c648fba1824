"""The report in a real browser: opened from disk, on a desk and on a phone, in light and dark."""

from pathlib import Path
from typing import Any

import pytest
from report_gallery import gallery
from visit import CONTRAST, DESK, PHONE, Visit

from modelwright.lab.finding_page import HEADINGS
from modelwright.lab.project import Project
from modelwright.lab.report import write_report

pytestmark = pytest.mark.browser

OUTCOMES = ("supported", "refuted", "equivalent", "inconclusive", "invalid")
ALL = (*OUTCOMES, "several", "amended", "stopped", "started", "broken")


@pytest.fixture(scope="module")
def project(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return gallery(shared_folder, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_page_fits_and_shows_its_verdict_at_once(
    project: Project, browser: Any, name: str, size: dict[str, int]
) -> None:
    with Visit(browser, write_report(project, name), viewport=size) as visit:
        assert visit.overflow() <= 0
        visit.page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
        assert visit.overflow() <= 0
        headline = visit.page.locator("h1")
        if name in OUTCOMES:
            assert headline.locator(".pill").inner_text().lower().endswith(name)
        box = headline.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= size["height"]
        assert visit.page.title().startswith(f"{name}:")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*OUTCOMES, "stopped", "broken"])
def test_text_has_contrast_in_light_and_dark(project: Project, browser: Any, name: str, scheme: str) -> None:
    options = {"viewport": DESK, "color_scheme": scheme}
    with Visit(browser, write_report(project, name), **options) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
        assert visit.page.evaluate(CONTRAST) == []
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) > 384) == (scheme == "light")


def test_the_selector_shows_the_chosen_metric_beside_the_one_that_decides(
    project: Project, browser: Any
) -> None:
    with Visit(browser, write_report(project, "supported"), viewport=DESK) as visit:
        page = visit.page
        shown = """[...document.querySelectorAll('[data-panel]')]
            .filter((figure) => figure.checkVisibility()).map((figure) => figure.dataset.panel)"""
        assert page.evaluate(shown) == ["score", "train_loss"]
        page.get_by_label("Shown beside score").select_option("<b>odd</b> & name")
        assert page.evaluate(shown) == ["score", "<b>odd</b> & name"]


def test_curves_are_read_by_pointer_and_by_keyboard(project: Project, browser: Any) -> None:
    with Visit(browser, write_report(project, "supported"), viewport=DESK) as visit:
        figure = visit.page.locator("[data-panel=score]")
        drawing, readout = figure.locator(".drawing"), figure.locator(".readout")
        drawing.scroll_into_view_if_needed()
        box = drawing.bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert readout.inner_text().startswith("update 30: novel ")
        drawing.focus()
        visit.page.keyboard.press("ArrowRight")
        assert readout.inner_text().startswith("update 31: ")
        visit.page.keyboard.press("End")
        assert readout.inner_text().startswith("update 60: ")
        assert "plain" in readout.inner_text()
        assert drawing.get_attribute("aria-label")


def test_expanders_open_by_click_and_by_keyboard(project: Project, browser: Any) -> None:
    with Visit(browser, write_report(project, "supported"), viewport=PHONE) as visit:
        page = visit.page
        for label in ("All runs", "The whole design as YAML", "instruction set", "installed distribution"):
            summary = page.locator("summary", has_text=label).first
            box = summary.locator("xpath=..")
            assert box.get_attribute("open") is None
            summary.click()
            assert box.get_attribute("open") is not None
            summary.focus()
            page.keyboard.press("Enter")
            assert box.get_attribute("open") is None


def test_the_page_of_a_findings_kind_is_part_of_the_report(project: Project, browser: Any) -> None:
    with Visit(browser, write_report(project, "invalid"), viewport=PHONE) as visit:
        article = visit.page.locator("article.finding").first
        kind = article.locator("code").first.inner_text()
        box = article.locator("details.manual")
        assert not box.get_by_role("heading", name="How to mend").is_visible()
        box.locator("summary").click()
        for heading in HEADINGS[:-1]:  # sources are on other machines
            assert box.get_by_role("heading", name=heading, exact=True).is_visible()
        assert f"modelwright help {kind}" in box.inner_text()
        assert visit.overflow() <= 0


def test_anchors_lead_to_their_sections_below_the_bar(project: Project, browser: Any) -> None:
    with Visit(browser, write_report(project, "several"), viewport=DESK, reduced_motion="reduce") as visit:
        for link in visit.page.locator("nav a").all():
            link.click()
            target = visit.page.locator(link.get_attribute("href"))
            visit.page.wait_for_timeout(50)
            box = target.bounding_box()
            assert 0 <= box["y"] < DESK["height"]
            bar = visit.page.locator("nav").bounding_box()
            assert box["y"] >= bar["y"] + bar["height"] - 1


def test_commands_can_be_copied(project: Project, browser: Any) -> None:
    options = {"viewport": DESK, "permissions": ["clipboard-read", "clipboard-write"]}
    with Visit(browser, write_report(project, "supported"), **options) as visit:
        button = visit.page.get_by_role("button", name="Copy: modelwright verify")
        button.click()
        visit.page.wait_for_function(
            "document.querySelectorAll('button[data-copy]')[2].textContent !== 'Copy'"
        )
        assert button.inner_text() in ("Copied", "Selected")


def test_without_scripts_every_curve_is_there(project: Project, browser: Any) -> None:
    options = {"viewport": DESK, "java_script_enabled": False}
    with Visit(browser, write_report(project, "supported"), **options) as visit:
        assert all(figure.is_visible() for figure in visit.page.locator("[data-panel]").all())
        assert not visit.page.locator("#metric").is_visible()


def test_a_planted_script_does_not_run(project: Project, browser: Any, tmp_path: Path) -> None:
    text = write_report(project, "supported").read_text(encoding="utf-8")
    planted = tmp_path / "planted.html"
    planted.write_text(
        text.replace("</main>", "<script>document.title = 'taken'</script></main>"), encoding="utf-8"
    )
    visit = Visit(browser, planted)
    assert visit.page.title() == "supported: supported"
    assert any("Content Security Policy" in message for message in visit.wrong)
    visit.context.close()


def test_it_prints_with_its_tables_and_without_its_bar(project: Project, browser: Any) -> None:
    with Visit(browser, write_report(project, "supported"), viewport=DESK) as visit:
        visit.page.emulate_media(media="print")
        visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert not visit.page.locator("nav").is_visible()
        assert visit.page.locator("#trials table").is_visible()
        assert len(visit.page.pdf(format="A4")) > 10_000
