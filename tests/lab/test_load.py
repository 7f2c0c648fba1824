import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelwright.base.errors import SourceMissing, UnknownName
from modelwright.experiment.verdict import Outcome
from modelwright.lab.load import Loaded, load
from modelwright.lab.project import Project


@pytest.fixture(scope="module")
def small(small_project: Project) -> Loaded:
    return load("small", project=small_project)


@pytest.fixture(scope="module")
def flawed(small_project: Project) -> Loaded:
    return load("flawed", project=small_project)


def test_trials_hold_what_sql_over_the_journal_holds(small_project: Project, small: Loaded) -> None:
    with small_project.open_journal(read_only=True) as journal:
        asked = journal.query(
            "SELECT run, variant, seed_index AS seed, score, status, trial FROM run "
            "WHERE experiment = 'small' ORDER BY variant, seed"
        )
    trials = small.trials
    assert len(trials) == 8
    for name in asked.columns:
        assert trials[name].astype(asked[name].dtype).tolist() == asked[name].tolist(), name
    assert trials["variant"].cat.categories.tolist() == ["bayes", "softmax"]
    assert (trials["updates"][trials["variant"] == "softmax"] == 20).all()
    assert (trials["seconds"] > 0).all()
    assert (trials["finished"] >= trials["started"]).all()


def test_seconds_of_a_cohort_are_shared_by_its_runs(small_project: Project, small: Loaded) -> None:
    with small_project.open_journal(read_only=True) as journal:
        for run, seconds in zip(small.trials["run"], small.trials["seconds"], strict=True):
            body = journal.entries(kind="run.finished", run=run)[-1].body["body"]
            assert seconds == pytest.approx(body["usage"]["wall_seconds"] / body["shared_by"])


def test_metrics_are_tidy_and_hold_every_number_of_the_journal(small_project: Project, small: Loaded) -> None:
    with small_project.open_journal(read_only=True) as journal:
        asked = journal.query("SELECT m.* FROM metric m JOIN run r USING (run) WHERE r.experiment = 'small'")
    keys = ["run", "update", "metric"]
    mine = small.metrics.astype({"run": str, "metric": str}).sort_values(keys)[[*keys, "value"]]
    theirs = asked.astype({"run": str, "metric": str}).sort_values(keys)[[*keys, "value"]]
    pd.testing.assert_frame_equal(mine.reset_index(drop=True), theirs.reset_index(drop=True))
    scores = small.metrics.query("metric == 'test_accuracy'").groupby("run", observed=True)["value"].last()
    assert scores.to_dict() == small.trials.set_index("run")["score"].to_dict()


def test_looks_hold_means_that_follow_from_the_trials(small: Loaded) -> None:
    table = small.trials.pivot_table(index="seed", columns="variant", values="score", observed=True)
    for row in small.looks.itertuples():
        used = table.loc[: row.seeds - 1]
        assert row.candidate_mean == pytest.approx(used["bayes"].mean())
        assert row.baseline_mean == pytest.approx(used["softmax"].mean())
        assert row.difference == pytest.approx((used["bayes"] - used["softmax"]).mean())
        assert row.low <= row.difference <= row.high
    assert small.looks["look"].tolist() == [1, 2]
    assert small.looks["outcome"].tolist() == ["open", "open"]
    assert small.looks["decision"].tolist() == ["go on", "stop"]


def test_comparisons_stand_as_the_verdict_says(small: Loaded, flawed: Loaded) -> None:
    for loaded in (small, flawed):
        assert loaded.verdict is not None
        expected = [
            (item.candidate, item.baseline, item.effect, item.outcome.value, item.seeds_used)
            for item in loaded.verdict.comparisons
        ]
        frame = loaded.comparisons[["candidate", "baseline", "difference", "outcome", "seeds"]]
        assert list(frame.itertuples(index=False, name=None)) == expected
    assert small.verdict is not None
    assert small.verdict.outcome is Outcome.INCONCLUSIVE


def test_findings_and_amendments_are_there(flawed: Loaded, small: Loaded) -> None:
    findings = flawed.findings.set_index("kind")
    assert findings.loc["feature-equals-target", "severity"] == "severe"
    assert not findings["accepted"].any()
    assert len(findings.loc["feature-equals-target", "causes"]) >= 1
    assert small.findings.empty
    assert "title" in small.findings.columns
    assert flawed.amendments[0]["reason"] == "three seeds say little"
    assert flawed.design.seeds == 4


def test_a_run_gives_its_experiment_and_its_own_numbers_only(small_project: Project) -> None:
    one = load("small-softmax-01", project=small_project)
    assert one.name == "small"
    assert one.trials["variant"].tolist() == ["softmax"]
    assert one.trials["seed"].tolist() == [1]
    assert set(one.metrics["seed"]) == {1}
    assert np.isfinite(one.metrics.query("metric == 'train_loss'")["value"]).all()
    assert len(one.looks) == 2


def test_a_loaded_experiment_shows_itself_briefly_and_escapes_what_it_shows(
    small_project: Project, tmp_path: Path, small: Loaded
) -> None:
    shown = small._repr_html_()
    assert small.verdict is not None
    assert small.verdict.sentence in shown
    assert len(shown) < 2000
    assert "wine&#x27;s" in shown
    assert repr(small).startswith("<small: Inconclusive")
    shutil.copytree(small_project.root, tmp_path / "copy")
    project = Project.find(tmp_path / "copy", journal=Path(".modelwright"))
    with project.open_journal() as journal:
        body = journal.registrations("small")[0].body
        question = {**body["design"]["question"], "hypothesis": "<script>alert(1)</script>"}
        design = {**body["design"], "name": "later", "question": question}
        journal.register("later", "e" * 64, {**body, "design": design})
    later = load("later", project=project)
    assert "<script>" not in later._repr_html_()
    assert later.verdict is None
    for frame in (later.trials, later.metrics, later.looks, later.findings, later.comparisons):
        assert frame.empty
        assert len(frame.columns) >= 6


def test_what_is_not_there_is_answered_with_the_nearest(small_project: Project, tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        load("smal", project=small_project)
    assert caught.value.nearest == "small"
    with pytest.raises(SourceMissing):
        load("small", project=Project.find(tmp_path, journal=Path(".modelwright")))


def test_importing_load_leaves_pandas_alone() -> None:
    code = "import modelwright.lab.load, sys; print(sorted({'pandas', 'torch', 'rich'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
