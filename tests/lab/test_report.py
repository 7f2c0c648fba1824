"""The report: one self-contained file that says what the journal knows, in whatever state that is."""

import dataclasses
import functools
import html
import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_gallery import INJECTED, gallery

from modelwright.base.errors import SourceMissing, StoreFailed, UnknownName
from modelwright.experiment.design import Design
from modelwright.lab.executor.job import Executor
from modelwright.lab.page.facts import Facts, collect_facts
from modelwright.lab.project import Project
from modelwright.lab.report import write_report
from modelwright.lab.run import run_design

OUTCOMES = ("supported", "refuted", "equivalent", "inconclusive", "invalid")
ALL = (*OUTCOMES, "several", "amended", "stopped", "started", "broken")
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """What a browser would make of the file: nesting, text, identities, links."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def project(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return gallery(shared_folder, tmp_path_factory.mktemp("report"))


@pytest.fixture
def copy(project: Project, tmp_path: Path) -> Project:
    """A project of the test's own, to damage."""
    shutil.copytree(project.root, tmp_path / "project")
    return Project.find(tmp_path / "project", journal=Path(".modelwright"))


def facts_of(project: Project, name: str) -> Facts:
    with project.open_journal(read_only=True) as journal:
        return collect_facts(journal, name)


@functools.cache
def text_of(project: Project, name: str) -> str:
    return write_report(project, name).read_text(encoding="utf-8")


@functools.cache
def page_of(project: Project, name: str) -> Page:
    return Page(text_of(project, name))


@pytest.mark.parametrize("name", ALL)
def test_every_state_of_an_experiment_has_a_well_formed_page(project: Project, name: str) -> None:
    page = page_of(project, name)
    identities = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(identities) == len(set(identities))
    targets = [(link["href"] or "")[1:] for link in page.all("a")]
    assert set(targets) <= set(identities)
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(late - early <= 1 for early, late in itertools.pairwise(headings))
    for drawing in page.all("svg"):
        assert drawing.get("aria-label") or drawing.get("aria-hidden") or drawing.get("viewbox")
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))


@pytest.mark.parametrize("name", ALL)
def test_a_page_asks_for_nothing_outside_of_itself(project: Project, name: str) -> None:
    text = text_of(project, name)
    page = page_of(project, name)
    assert not page.all("img")
    assert not page.all("iframe")
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert all("src" not in script for script in page.all("script"))
    assert len(page.all("script")) == 1
    assert not re.search(r"url\(|@import|https?://", re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL))
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_headline_is_the_verdict_with_its_outcome_as_a_word(project: Project, name: str) -> None:
    facts = facts_of(project, name)
    assert facts.verdict is not None
    assert facts.verdict.outcome.value == name
    text = text_of(project, name)
    headline = re.sub(r"<[^>]+>", "", text.split("<h1>")[1].split("</h1>")[0])
    said = " ".join(html.unescape(headline).split())
    assert said.lstrip("✓✕≈?! ").replace(" : ", ": ") == facts.verdict.sentence
    assert f'class="pill tone-{name}"' in text


@pytest.mark.parametrize("name", ALL)
def test_text_of_the_user_stays_text(project: Project, name: str) -> None:
    text = text_of(project, name)
    assert "<script>document" not in text
    assert 'onerror="document' not in text
    page = Page(text)
    assert INJECTED in page.text
    assert not page.all("img")
    if name != "broken":
        assert "<b>odd</b> & name" in page.text


def test_the_page_gives_the_numbers_that_the_decision_rests_on(project: Project) -> None:
    facts, page = facts_of(project, "supported"), page_of(project, "supported")
    question, interval = facts.design.question, facts.looks[-1].readings[0].interval
    shown = re.search(r"gain (-?[\d.]+) , 95% interval (-?[\d.]+) to (-?[\d.]+) ,", page.text)
    assert shown is not None
    estimate, low, high = map(float, shown.groups())
    assert low > question.margin
    assert abs(low - interval.low) < 0.05 * interval.width
    assert abs(high - interval.high) < 0.05 * interval.width
    assert abs(estimate - interval.estimate) < 0.05 * interval.width
    for words in (facts.verdict.speaks_of, *facts.verdict.does_not_show) if facts.verdict else ():
        assert words in page.text


def test_the_page_holds_registration_ledger_and_every_run(project: Project) -> None:
    for name in ALL:
        facts, page = facts_of(project, name), page_of(project, name)
        last = facts.registrations[-1]
        assert facts.entry.sequence == last.sequence
        for text in (last.design, facts.entry.hash, facts.head.hash, f"ledger entry {last.sequence}"):
            assert text in page.text
        for trial in facts.trials:
            assert trial.row.run in page.text
        assert not facts.problems
        assert facts.origins[0].lineage.data["identity"] in page.text
        assert f"modelwright run {name}" in page.text


def test_trials_that_diverged_failed_or_were_interrupted_are_told(project: Project) -> None:
    invalid = page_of(project, "invalid").text
    assert "failed : its result is not a number" in invalid
    assert "not finite and cannot be drawn" in invalid
    assert "count as 0, the worst score there is" in invalid
    assert "no finite result" in text_of(project, "invalid")
    broken = page_of(project, "broken").text
    assert "ValueError: <b>the rows ran out</b>" in broken
    assert "2 failed" in broken or "1 failed" in broken
    for name in ("stopped", "started"):
        page = page_of(project, name).text
        assert "No verdict yet" in page
    assert "4 of at most 8 seeds of each variant looked at" in page_of(project, "stopped").text


def test_an_amendment_after_results_makes_the_page_say_exploratory(project: Project) -> None:
    facts, page = facts_of(project, "amended"), page_of(project, "amended")
    assert facts.verdict is not None
    assert not facts.verdict.confirmatory
    assert [change.results_before for change in facts.amendments] == [12]
    assert "Exploratory : 1 change after results were in" in page.text
    assert "design.seeds: 6 -> 12" in page.text
    assert len(facts.earlier) == 1
    assert facts.earlier[0].sentence in page.text
    assert len(facts.used) == 24
    assert "confirmatory." in page_of(project, "supported").text


def test_each_of_several_comparisons_has_its_own_interval(project: Project) -> None:
    facts, text = facts_of(project, "several"), text_of(project, "several")
    assert text.count('class="plot flat"') == len(facts.design.compare) == 3
    for reading in facts.looks[-1].readings:
        assert f"<strong>{reading.candidate}</strong> against <strong>{reading.baseline}</strong>" in text
        assert f"tone-{reading.outcome.value if reading.outcome else 'inconclusive'}" in text


def test_the_same_journal_gives_the_same_bytes(project: Project) -> None:
    first = write_report(project, "several").read_bytes()
    assert write_report(project, "several").read_bytes() == first


def test_writing_leaves_nothing_beside_the_report(project: Project) -> None:
    path = write_report(project, "supported")
    assert path == project.journal_folder / "reports" / "supported.html"
    assert {other.suffix for other in path.parent.iterdir()} == {".html"}


def test_a_report_changes_nothing_in_the_journal(project: Project) -> None:
    with project.open_journal(read_only=True) as journal:
        before = journal.head()
    write_report(project, "supported")
    with project.open_journal(read_only=True) as journal:
        assert journal.head() == before


def test_a_wrong_name_is_answered_with_the_nearest(project: Project) -> None:
    with pytest.raises(UnknownName, match="Nearest: supported"):
        write_report(project, "suported")


def test_a_project_without_a_journal_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        write_report(Project.find(tmp_path, journal=Path("none")), "digits")


def test_a_folder_that_cannot_be_written_is_a_clear_error(copy: Project) -> None:
    shutil.rmtree(copy.reports, ignore_errors=True)
    copy.reports.write_text("a file where the folder should be")
    with pytest.raises(StoreFailed, match="write the report"):
        write_report(copy, "supported")


def test_damaged_metrics_are_told_and_do_not_stop_the_report(copy: Project) -> None:
    for file in (copy.journal_folder / "metrics").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-1])
    page = page_of(copy, "supported")
    assert "The record does not hold everywhere" in page.text
    assert "matches the sha256 in the ledger" in page.text
    assert facts_of(copy, "supported").curves == ()


def test_a_missing_lineage_is_told_and_does_not_stop_the_report(copy: Project) -> None:
    shutil.rmtree(copy.journal_folder / "artefacts")
    page = page_of(copy, "supported")
    assert "The record does not hold everywhere" in page.text
    assert "No lineage is on record" in page.text


def test_a_look_that_contradicts_its_runs_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelwright.journal.journal import Journal

    honest = Journal.entries

    def changed(self: Journal, **given: str) -> list:
        entries = honest(self, **given)
        if given.get("kind") == "look":
            for entry in entries:
                entry.body["means"]["novel"] += 1e-6
        return entries

    monkeypatch.setattr(Journal, "entries", changed)
    problems = facts_of(project, "supported").problems
    assert problems
    assert "recorded a mean of" in problems[0]


def test_the_data_for_pointing_at_curves_is_json(project: Project) -> None:
    page = page_of(project, "supported")
    values = [
        json.loads(figure["data-values"] or "") for figure in page.all("figure") if "data-values" in figure
    ]
    assert len(values) == 3
    assert {curve["variant"] for curve in values[0]} == {"novel", "plain"}


def test_the_shared_experiments_of_the_room_have_reports(small_project: Project) -> None:
    small, flawed = page_of(small_project, "small"), page_of(small_project, "flawed")
    assert "bayes" in small.text
    assert "Invalid" in flawed.text
    assert "not accepted: it makes the verdict invalid" in flawed.text
    assert "rmse, less is better" in flawed.text


def test_the_page_tells_what_repetitions_of_its_runs_showed(copy: Project) -> None:
    with copy.open_journal() as journal:
        run = journal.runs(experiment="supported")[0]
        journal.append("rerun", {"sentence": "Bitwise equal."}, design=run.design, run=run.run)
        other = journal.runs(experiment="refuted")[0]
        journal.append("rerun", {"sentence": "Different: data."}, design=other.design, run=other.run)
    text = Page(write_report(copy, "supported").read_text()).text
    assert "Bitwise equal." in text
    assert run.run in text
    assert "Different: data." not in text


def test_the_rule_is_described_with_the_widening_that_was_registered(
    tmp_path: Path, here: Executor, small_design: Design
) -> None:
    project = Project.find(tmp_path, journal=Path(".modelwright"))
    run_design(dataclasses.replace(small_design, scope="new_data"), project, executor=here)
    text = page_of(project, "small").text
    # 54 of the 178 wines are tested.
    assert f"variance is raised by n_test / n_train = {54 / 124:.3g}" in text
