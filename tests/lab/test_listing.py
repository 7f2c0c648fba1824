import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from modelwright.base.errors import BadValue, NotPermitted, UnknownName
from modelwright.base.finding import Severity
from modelwright.experiment.verdict import Verdict
from modelwright.journal.journal import Journal
from modelwright.lab.lineage.comparison import Sameness
from modelwright.lab.project import Project
from modelwright.lab.show.compared import ComparedExperiments, ComparedRuns, compare, render_compared
from modelwright.lab.show.listing import (
    list_experiments_on_record,
    list_findings,
    list_runs,
    render_rows,
)
from modelwright.lab.show.shown import ShownExperiment, ShownRun, show
from modelwright.lab.show.shown_page import flat_settings, render_shown


def page(renderable: Any, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def words(text: str) -> str:
    return " ".join(text.split())


def one_run(journal: Journal, variant: str, seed: int) -> str:
    return next(row.run for row in journal.runs(variant=variant) if row.seed_index == seed)


@pytest.fixture
def copied(small_project: Project, tmp_path: Path) -> Project:
    shutil.copytree(small_project.root, tmp_path / "copy")
    return Project.find(tmp_path / "copy", journal=Path(".modelwright"))


# ---- lists ----


def test_experiments_are_listed_with_what_their_ledger_says(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        rows = list_experiments_on_record(journal)
        assert [row.name for row in rows] == ["flawed", "small"]
        for row in rows:
            chain = journal.registrations(row.name)
            verdict = Verdict.from_record(journal.entries(kind="verdict", design=chain[-1].design)[-1].body)
            looks = journal.entries(kind="look", design=chain[-1].design)
            assert row.design == chain[-1].design
            assert row.date == chain[0].time
            assert row.outcome == verdict.outcome.value
            assert row.confirmatory is verdict.confirmatory
            assert (row.looks, row.seeds) == (len(looks), looks[-1].body["seeds"])
            assert list(row.effects.values()) == [item.effect for item in verdict.comparisons]
            assert row.amendments == len(chain) - 1
    assert rows[0].effects.keys() == {"deep over stump", "deep over mean"}
    assert (rows[1].outcome, rows[1].looks, rows[1].seeds) == ("inconclusive", 2, 4)


def test_an_experiment_without_a_verdict_is_open(copied: Project) -> None:
    with copied.open_journal() as journal:
        body = journal.registrations("small")[0].body
        design = {**body["design"], "name": "later"}
        journal.register("later", "f" * 64, {**body, "design": design})
        row = list_experiments_on_record(journal)[0]
        assert (row.name, row.outcome, row.looks, row.seeds, dict(row.effects)) == ("later", "open", 0, 0, {})
        assert row.confirmatory is None
        shown = show(journal, "later")
        assert isinstance(shown, ShownExperiment)
        assert shown.verdict is None
        assert "No verdict yet." in page(render_shown(shown))
        assert "open" in page(render_rows([row]))
        compared = compare(journal, "later", "small")
        assert isinstance(compared, ComparedExperiments)
        assert compared.settings == ()
        assert compared.missing == "nothing has run under this design of later"


def test_runs_are_filtered_ordered_and_limited_as_a_plain_loop_would(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        everything = list_runs(journal)
        assert len(everything) == 20
        assert [row.record() for row in everything] == [row._asdict() for row in journal.runs()]
        for wanted in (
            {"experiment": "small"},
            {"variant": "bayes"},
            {"experiment": "flawed", "variant": "deep", "status": "finished"},
        ):
            expected = [row for row in everything if all(getattr(row, k) == v for k, v in wanted.items())]
            assert list_runs(journal, **wanted) == expected
        by_score = list_runs(journal, experiment="small", order="-score", limit=3)
        scores = sorted((row.score or 0 for row in everything if row.experiment == "small"), reverse=True)
        assert [row.score for row in by_score] == scores[:3]
        assert list_runs(journal, experiment="small", status="failed") == []


def test_names_that_are_not_there_are_answered_with_the_nearest(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        for ask, nearest in (
            (lambda: list_runs(journal, experiment="smal"), "small"),
            (lambda: list_runs(journal, variant="sofmax"), "softmax"),
            (lambda: list_runs(journal, experiment="flawed", variant="depp"), "deep"),
            (lambda: list_runs(journal, status="done"), None),
            (lambda: list_findings(journal, "flaw"), "flawed"),
            (lambda: show(journal, "smal"), "small"),
            (lambda: show(journal, ""), None),
            (lambda: compare(journal, "flawd", "small"), "flawed"),
        ):
            with pytest.raises(UnknownName) as caught:
                ask()
            assert caught.value.nearest == nearest
        with pytest.raises(UnknownName) as caught:
            show(journal, "small-softmux-01")
        assert str(caught.value.nearest).startswith("small-softmax-01")


def test_findings_come_severe_first_and_say_whether_they_are_accepted(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        rows = list_findings(journal)
        assert list_findings(journal, "flawed") == rows
        assert list_findings(journal, "small") == []
    assert rows[0].finding.kind == "feature-equals-target"
    assert rows[0].finding.severity is Severity.SEVERE
    order = [list(Severity).index(row.finding.severity) for row in rows]
    assert order == sorted(order, reverse=True)
    assert {row.finding.kind for row in rows} >= {"feature-equals-target", "constant-column"}
    assert not rows[0].accepted
    record = rows[0].record()
    assert record["experiment"] == "flawed"
    assert {"kind", "severity", "title", "evidence", "causes", "next_check", "accepted"} <= record.keys()
    text = page(render_rows(rows))
    assert rows[0].finding.title in words(text)
    assert rows[0].finding.next_check in words(text)
    assert "more: modelwright help feature-equals-target" in words(text)


def test_an_amended_design_lists_its_own_findings_once(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        kinds = [row.finding.kind for row in list_findings(journal, "flawed")]
        assert len(kinds) == len(set(kinds))
        assert len(journal.entries(kind="finding")) > len(kinds)


def test_lists_fit_80_columns_and_cut_no_name(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        for rows in (list_experiments_on_record(journal), list_runs(journal), list_findings(journal)):
            text = page(render_rows(rows))
            assert max(map(len, text.splitlines())) <= 80
            assert "…" not in text
            for row in rows:
                assert getattr(row, "run", getattr(row, "name", "flawed")) in text
    assert "Nothing on record" in page(render_rows([]))
    assert page(render_rows([], nothing="No findings about small.")) == "No findings about small.\n"
    text = page(render_rows(list_experiments_on_record(journal_of_long_names(small_project))), 60)
    assert sum(cell == "x" for line in text.splitlines()[1:] for cell in line) == 64


def journal_of_long_names(project: Project) -> Any:
    """A journal that knows one experiment with the longest name there can be."""

    class Registered:
        def registrations(self) -> list[Any]:
            with project.open_journal(read_only=True) as journal:
                real = journal.registrations("small")[0]
            from dataclasses import replace

            return [replace(real, name="x" * 64)]

        def entries(self, **wanted: Any) -> list[Any]:
            return []

    return Registered()


# ---- show ----


def test_an_experiment_is_shown_by_name_and_by_hash_with_everything_important(
    small_project: Project,
) -> None:
    with small_project.open_journal(read_only=True) as journal:
        shown = show(journal, "flawed")
        assert isinstance(shown, ShownExperiment)
        assert show(journal, shown.design_hash) == shown
        assert show(journal, shown.design_hash[:8]) == shown
        for width in (60, 80, 120):
            text = words(page(render_shown(shown), width))
            assert shown.verdict is not None
            assert shown.verdict.sentence in text
            assert all(limit in text for limit in shown.verdict.does_not_show)
            assert "deep over stump" in text
            assert "feature-equals-target" in text
            assert "after 9 results: three seeds say little (seeds: 3 -> 4)" in text
            assert "sklearn.tree.DecisionTreeRegressor" in text
            assert "12 finished" in text
        record = json.loads(json.dumps(shown.record(), allow_nan=False))
        assert record["amendments"][0]["reason"] == "three seeds say little"
        assert record["verdict"] == shown.verdict.record()
        assert len(record["findings"]) == len(shown.findings)


def test_a_superseded_design_is_shown_as_such_with_its_own_verdict(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        first, last = journal.registrations("flawed")
        shown = show(journal, first.design)
        assert isinstance(shown, ShownExperiment)
        assert shown.superseded_by == last.design
        assert shown.design.seeds == 3
        assert shown.looks[-1].seeds == 3
        assert f"superseded by {last.design[:12]}" in words(page(render_shown(shown), 120))


def test_a_run_is_shown_with_its_last_metrics_usage_and_lineage(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        shown = show(journal, "small-softmax-02")
        assert isinstance(shown, ShownRun)
        row = journal.run("small-softmax-02")
        assert shown.row == row
        table = journal.read_metrics(row.run).to_pandas()
        for name, part in table.groupby("metric"):
            last = part.sort_values("update")["value"].iloc[-1]
            assert shown.metrics[str(name)] == (last if np.isfinite(last) else None)
        assert shown.metrics["test_accuracy"] == row.score
        assert shown.config["updates"] == 20
        assert shown.updates == 20
        assert shown.state is not None
        assert journal.artefacts.get(shown.state)
        text = words(page(render_shown(shown)))
        assert "J (estimated)" in text or "J (measured)" in text
        assert "not in git" in text or "commit" in text
        assert shown.seed in text
        json.dumps(shown.record(), allow_nan=False)
        # GaussianNB makes no iterations: a number that is none has no JSON form.
        plain = show(journal, "small-bayes-00")
        assert isinstance(plain, ShownRun)
        assert plain.metrics["iterations"] is None
        json.dumps(plain.record(), allow_nan=False)
        assert "not a number" in page(render_shown(plain))


def test_a_failed_an_interrupted_and_a_running_run_are_shown_with_their_reason(copied: Project) -> None:
    with copied.open_journal() as journal:
        row = journal.run("small-bayes-00")
        body = journal.entries(kind="run.started", run=row.run)[0].body["body"]
        for at, (status, end) in enumerate(
            (
                (
                    "failed",
                    {"reason": "error", "error": {"error": "ValueError", "rule": "no rows"}, "trace": ""},
                ),
                ("interrupted", {"reason": "the launch ended before it"}),
                ("running", None),
            )
        ):
            run = f"small-bayes-9{at}"
            journal.start_run(
                run,
                trial=f"t{at}",
                design=row.design,
                experiment="small",
                variant="bayes",
                seed_index=90 + at,
                body=body,
            )
            if end is not None:
                journal.finish_run(run, status=status, score=None, body=end)
            shown = show(journal, run)
            assert isinstance(shown, ShownRun)
            text = words(page(render_shown(shown)))
            assert status in text
            if end is not None:
                assert shown.reason in text
        assert show(journal, "small-bayes-90").reason == "error: no rows"
        assert show(journal, "small-bayes-92").usage is None
        experiment = show(journal, "small")
        assert experiment.runs == {"finished": 8, "failed": 1, "interrupted": 1, "running": 1}
        with pytest.raises(NotPermitted, match="twice"):
            compare(journal, "small-bayes-90", "small-bayes-90")
        compared = compare(journal, "small-bayes-90", "small-bayes-91")
        assert compared.metrics is None


def test_a_lineage_that_is_damaged_is_said_and_the_rest_still_shown(copied: Project) -> None:
    with copied.open_journal() as journal:
        row = journal.run("small-bayes-00")
        lineage = journal.entries(kind="run.started", run=row.run)[0].body["body"]["lineage"]
        path = journal.artefacts.path(lineage)
        path.chmod(0o600)
        path.write_bytes(b"{}")
        shown = show(journal, row.run)
        assert isinstance(shown, ShownRun)
        assert shown.lineage is None
        assert "modelwright verify" in words(page(render_shown(shown)))
        compared = compare(journal, row.run, one_run(journal, "softmax", 0))
        assert row.run in compared.missing


def test_too_little_of_a_runs_name_is_told_from_a_wrong_name(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        with pytest.raises(BadValue, match="small-bayes-00"):
            show(journal, "small-bayes-")
        with pytest.raises(UnknownName) as caught:
            show(journal, "sma")
        assert caught.value.nearest == "small"


# ---- compare ----


def test_runs_that_differ_by_their_seed_differ_in_nothing_else(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        compared = compare(journal, "small-softmax-00", "small-softmax-01")
        assert isinstance(compared, ComparedRuns)
        assert compared.parts == {"config": True, "seed": False, "split": False, "data": True, "code": True}
        assert not compared.same_trial
        assert not [item for item in compared.differences if item.side.value in ("config", "data", "code")]
        assert compared.metrics is not None
        assert compared.metrics.sameness is Sameness.DIFFERENT
        text = words(page(render_compared(compared)))
        assert "Different: seed, split." in text
        json.dumps(compared.record(), allow_nan=False)


def test_runs_of_two_variants_differ_by_their_settings(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        compared = compare(journal, "flawed-deep-00", "flawed-stump-00")
        assert isinstance(compared, ComparedRuns)
        changed = {item.what: (item.recorded, item.now) for item in compared.differences}
        assert changed["variant.max_depth"] == (None, 1)
        assert compared.parts["seed"]
        assert not compared.parts["config"]
        assert "max_depth" in page(render_compared(compared))


def test_one_number_that_differs_in_the_same_trial_is_found(copied: Project) -> None:
    with copied.open_journal() as journal:
        row = journal.run("small-softmax-00")
        body = journal.entries(kind="run.started", run=row.run)[0].body["body"]
        table = journal.read_metrics(row.run).to_pandas()
        for run, shift in (("again", 0.0), ("wrong", 1e-3)):
            journal.start_run(
                run,
                trial=row.trial,
                design=row.design,
                experiment="small",
                variant="softmax",
                seed_index=0,
                body=body,
            )
            with journal.metric_writer([run]) as writer:
                for update, part in table.groupby("update"):
                    values = {name: np.array([value]) for name, value in part[["metric", "value"]].to_numpy()}
                    if update == 7:
                        values["train_loss"] = values["train_loss"] + shift
                    writer.write(int(update), {name: item.astype(float) for name, item in values.items()})
                files = writer.finish()
            journal.finish_run(run, status="finished", score=row.score, body={}, metrics=files[run])
        same = compare(journal, row.run, "again")
        assert isinstance(same, ComparedRuns)
        assert same.same_trial
        assert same.metrics.sameness is Sameness.BITWISE_EQUAL
        assert "equal bit for bit" in words(page(render_compared(same)))
        other = compare(journal, row.run, "wrong")
        assert isinstance(other, ComparedRuns)
        assert (other.metrics.unequal, other.metrics.first.metric, other.metrics.first.update) == (
            *(1, "train_loss", 7),
        )
        assert "first in train_loss at update 7" in words(page(render_compared(other)))


def test_two_designs_of_one_experiment_are_compared_with_their_effects(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        first = journal.registrations("flawed")[0]
        compared = compare(journal, first.design[:10], "flawed")
        assert isinstance(compared, ComparedExperiments)
        assert compared.settings == ("seeds: 3 -> 4",)
        assert compared.data
        assert compared.first.looks[-1].seeds == 3
        assert compared.second.looks[-1].seeds == 4
        text = page(render_compared(compared))
        for shown in (compared.first, compared.second):
            interval = shown.looks[-1].readings[0].interval
            assert interval.show(interval.estimate) in text
        assert "The data are the same." in text
        json.dumps(compared.record(), allow_nan=False)


def test_different_experiments_show_settings_and_data_that_differ(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        compared = compare(journal, "small", "flawed")
        assert isinstance(compared, ComparedExperiments)
        assert "question.metric: accuracy -> rmse" in compared.settings
        assert not compared.data
        assert "The data are not the same." in page(render_compared(compared))


def test_a_run_and_an_experiment_are_not_compared(small_project: Project) -> None:
    with small_project.open_journal(read_only=True) as journal:
        with pytest.raises(NotPermitted, match="A run is compared with a run"):
            compare(journal, "small", "small-bayes-00")
        with pytest.raises(NotPermitted, match="twice"):
            compare(journal, "small", journal.registrations("small")[0].design)


def test_nested_settings_get_dotted_names() -> None:
    assert flat_settings({"a": {"b": 1, "c": {"d": [2]}}, "e": {}, "f": None}) == {
        "a.b": 1,
        "a.c.d": [2],
        "e": {},
        "f": None,
    }
