"""`run_design` itself: what is run, what is reused, what is refused, and what a verdict then says."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from here_executor import HereExecutor

from modelwright.base.errors import Misuse, NotPermitted, WorkerLost
from modelwright.experiment.design import Design
from modelwright.lab.asked_before import ASKED_BEFORE
from modelwright.lab.launch import Launch
from modelwright.lab.prepare import Prepared
from modelwright.lab.project import Project
from modelwright.lab.result import Result
from modelwright.lab.run import run_design
from modelwright.lab.trial_findings import DIVERGED, EQUAL_DIFFERENCES, OUTSIDE_BOUNDS
from modelwright.lab.watch.view import QuietView

LEARNERS = """
import os
import signal
from pathlib import Path


def score(rng, level=0.0, noise=0.1, steps=2):
    for _ in range(steps):
        yield {"score": level + noise * rng.normal()}


def sometimes(rng, level=0.0, number="nan"):
    yield {"score": level + 0.1 * rng.normal()}
    yield {"score": float(number) if rng.random() < 0.8 else level}


def early(rng, level=0.0):
    yield {"score": level + 0.1 * rng.normal()}
    if rng.random() < 0.5:
        yield {"loss": 1.0}
    else:
        yield {"score": level, "loss": 1.0}


def while_broken(rng, file="broken", level=0.0):
    if Path(file).exists():
        raise ArithmeticError("the file says so")
    yield from score(rng, level)


def fourth(rng, folder="marks"):
    started = len(list(Path(folder).iterdir()))
    (Path(folder) / str(started)).touch()
    if started == 3:
        raise ArithmeticError("the fourth breaks")
    yield from score(rng)


def fall(rng, folder="marks", times=1, by="signal", level=0.0):
    yield {"score": 0.0}
    fallen = len(list(Path(folder).iterdir()))
    if fallen < times:
        (Path(folder) / str(fallen)).touch()
        if by == "signal":
            os.kill(os.getpid(), signal.SIGKILL)
        print("these are my last words", flush=True)
        os._exit(5)
    yield from score(rng, level)


def leave(rng):
    yield {"score": 0.0}
    raise SystemExit("enough")
"""

DESIGN: dict[str, Any] = {
    "name": "small",
    "question": {
        "hypothesis": "The candidate scores more.",
        "metric": "score",
        "direction": "maximize",
        "reported": True,
        "smallest_effect": 0.2,
    },
    "data": {"kind": "csv", "path": "rows.csv", "target": "y"},
    "variants": {
        "better": {"learner": "learners.py:score", "noise": 0.4},
        "plain": {"learner": "learners.py:score"},
    },
    "seeds": 4,
    "rule": {"kind": "fixed"},
}


class Watcher(QuietView):
    """Notes what it is told, and does something at each look."""

    def __init__(self, at_look: Callable[[], object] = lambda: None) -> None:
        self.resumed: bool | None = None
        self.counts: dict[str, int] = {}
        self.gone: list[tuple[str, str]] = []
        self._at_look = at_look

    def opened(self, prepared: Prepared, *, resumed: bool) -> None:
        self.resumed = resumed

    def reused(self, variant: str, count: int) -> None:
        self.counts[variant] = self.counts.get(variant, 0) + count

    def lost(self, variant: str, why: str) -> None:
        self.gone.append((variant, why))

    def looked(self, look: object) -> None:
        self._at_look()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    random = np.random.default_rng(2)
    features = random.normal(size=(60, 3))
    target = features.sum(axis=1) + random.normal(size=60)
    frame = pd.DataFrame({**dict(zip("abc", features.T, strict=True)), "y": target})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "learners.py").write_text(LEARNERS)
    (tmp_path / "marks").mkdir()
    return Project.find(tmp_path, journal=Path(".modelwright"))


Run = Callable[..., Result]


@pytest.fixture
def run(project: Project, here: HereExecutor, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the small design with some settings changed, in this process unless told otherwise."""
    monkeypatch.chdir(project.root)  # learners name their files by relative paths

    def run_changed(changes: Mapping[str, Any] | None = None, **how: Any) -> Result:
        return run_design(
            Design.from_mapping({**DESIGN, **(changes or {})}), project, **{"executor": here, **how}
        )

    return run_changed


def with_candidate(learner: str, **settings: Any) -> dict[str, Any]:
    return {
        "variants": {
            "better": {"learner": f"learners.py:{learner}", **settings},
            "plain": {"learner": "learners.py:score"},
        }
    }


def scores(project: Project) -> dict[tuple[str, int], float | None]:
    with project.open_journal(read_only=True) as journal:
        rows = journal.runs(experiment="small", order="started")
    found = [row for row in rows if row.status == "finished"]
    assert len({row.trial for row in found}) == len(found), "a trial finished twice"
    return {(row.variant, row.seed_index): row.score for row in found}


def kinds(result: Result) -> list[str]:
    return [finding.kind for finding in result.findings]


# ---- what is on record is not run again ----


def test_a_second_call_runs_nothing_and_says_what_it_reuses(run, project):
    first, watcher = run(), Watcher()
    second = run(view=watcher)
    assert first.trained == 8
    assert second.trained == 0
    assert watcher.resumed
    assert watcher.counts == {"better": 4, "plain": 4}
    assert second.verdict.record() == first.verdict.record()
    with project.open_journal(read_only=True) as journal:
        assert len(journal.entries(kind="verdict")) == len(journal.entries(kind="look")) == 1


def test_a_new_experiment_is_told_as_new(run):
    watcher = Watcher()
    run(view=watcher)
    assert watcher.resumed is False
    assert watcher.counts == {}


def test_an_amended_number_of_seeds_keeps_the_trials_that_are_the_same(run, project):
    run()
    before, watcher = scores(project), Watcher()
    result = run({"seeds": 6}, amend="four say little", view=watcher)
    assert result.trained == 4
    assert watcher.counts == {"better": 4, "plain": 4}
    assert scores(project).items() >= before.items()
    assert not result.verdict.confirmatory
    assert [("four say little" in text, "8 results" in text) for text in result.verdict.deviations] == [
        (True, True)
    ]


# ---- amendments ----


def test_an_edited_learner_is_refused_without_a_reason_and_nothing_is_run(run, project):
    run()
    (project.root / "learners.py").write_text(LEARNERS.replace("steps=2", "steps=3"))
    with pytest.raises(NotPermitted, match="code of better"):
        run()
    assert len(scores(project)) == 8


def test_after_an_amendment_of_code_old_looks_findings_and_trials_count_no_more(run, project):
    diverging = with_candidate("sometimes")
    first = run(diverging)
    assert DIVERGED in kinds(first)
    old = scores(project)
    (project.root / "learners.py").write_text(LEARNERS.replace("float(number)", "0.5"))
    watcher = Watcher()
    second = run(diverging, amend="it diverged", view=watcher)
    assert second.trained == 8, "old trials are other trials"
    assert watcher.counts == {}
    assert DIVERGED not in kinds(second)
    assert second.design == first.design
    with project.open_journal(read_only=True) as journal:
        finished = [row for row in journal.runs(experiment="small") if row.status == "finished"]
        assert len(finished) == len(old) + 8
        assert len(journal.entries(kind="look")) == 2
    assert second.verdict.outcome != "invalid"
    assert not second.verdict.confirmatory
    assert "it diverged" in second.verdict.deviations[0]
    third = run(diverging)
    assert third.trained == 0
    assert third.verdict.record() == second.verdict.record()
    assert DIVERGED not in kinds(third)


def test_a_learner_that_is_edited_between_two_looks_is_refused_and_goes_on_when_put_back(run, project):
    looks = {"rule": {"kind": "group_sequential", "looks": [3, 5]}, "seeds": 5}
    file = project.root / "learners.py"
    edit = Watcher(lambda: file.write_text(LEARNERS.replace("level + noise", "level + 2 * noise")))
    with pytest.raises(Misuse, match="changed since the launch"):
        run(looks, view=edit)
    assert len(scores(project)) == 6
    file.write_text(LEARNERS)
    assert run(looks).trained == 4


# ---- budgets ----


def test_a_spent_budget_ends_in_inconclusive_and_says_so(run, project):
    cheap = {
        "rule": {"kind": "group_sequential", "looks": [3, 5]},
        "seeds": 5,
        "budget": {"seconds": 1e-9},
    }
    result = run(cheap)
    assert [(look.seeds, look.stop) for look in result.looks] == [(3, True)]
    assert result.looks[0].why.startswith("The budget of 1e-09 s of training is spent")
    assert result.verdict.outcome == "inconclusive"
    assert "of training is spent" in result.report.read_text()
    again = run(cheap)
    assert again.trained == 0
    assert again.verdict.record() == result.verdict.record()


def test_a_budget_counts_no_trials_but_those_of_the_look(run, project):
    looks = {"rule": {"kind": "group_sequential", "looks": [3, 5]}, "seeds": 5}
    first = run(looks)
    with project.open_journal(read_only=True) as journal:
        spent = {
            row.run: entry.body["body"]["usage"]["wall_seconds"] / entry.body["body"]["shared_by"]
            for row in journal.runs(experiment="small")
            for entry in journal.entries(kind="run.finished", run=row.run)
            if row.seed_index < 3
        }
    assert [look.seeds for look in first.looks] == [3, 5]
    # Enough for the first look, though all trials of the second are on record already.
    result = run({**looks, "budget": {"seconds": sum(spent.values()) * 1.001}}, amend="a budget")
    assert [look.seeds for look in result.looks] == [3, 5]


# ---- results that are no numbers ----


@pytest.mark.parametrize("number", ["nan", "inf", "-1e300"])
def test_a_learner_that_diverges_is_a_finding_and_makes_the_verdict_invalid(run, project, number):
    result = run(with_candidate("sometimes", number=number))
    assert DIVERGED in kinds(result)
    assert result.verdict.outcome == "invalid"
    finding = next(finding for finding in result.findings if finding.kind == DIVERGED)
    assert finding.subject == "better"
    with project.open_journal(read_only=True) as journal:
        failed = journal.runs(experiment="small", status="failed")
        assert {row.seed_index for row in failed} == set(finding.evidence["seeds"])
        assert failed
    again = run(with_candidate("sometimes", number=number))
    assert again.trained == 0, "a diverged trial is done"
    assert again.verdict.record() == result.verdict.record()


def test_a_diverged_trial_that_is_accepted_counts_as_the_worst_value(run, project):
    question = {**DESIGN["question"], "low": -5.0, "high": 5.0}
    result = run({**with_candidate("sometimes"), "question": question, "accept": [DIVERGED]})
    assert DIVERGED in kinds(result)
    assert result.verdict.outcome != "invalid"
    kept = scores(project)
    better = [kept.get(("better", seed), -5.0) for seed in range(4)]
    plain = [kept["plain", seed] for seed in range(4)]
    assert math.isclose(result.looks[0].readings[0].interval.estimate, np.mean(better) - np.mean(plain))


def test_a_learner_that_only_stops_reporting_has_not_diverged(run, project):
    result = run(with_candidate("early"))
    assert DIVERGED not in kinds(result)
    assert len(scores(project)) == 8
    assert all(score is not None for score in scores(project).values())


# ---- learners that fail ----


def test_a_learner_that_raises_at_one_seed_ends_the_launch_and_names_the_line(run, project):
    with pytest.raises(WorkerLost, match=r"the fourth breaks \(learners.py, line \d+\)") as caught:
        run(with_candidate("fourth"))
    assert "finished trials are kept" in str(caught.value) or caught.value.next_step
    with project.open_journal(read_only=True) as journal:
        statuses = {row.status for row in journal.runs(experiment="small")}
        assert "running" not in statuses
        assert "failed" in statuses
        assert not journal.entries(kind="verdict")


def test_a_trial_that_failed_once_is_tried_again_and_the_later_result_counts(run, project):
    broken = project.root / "broken"
    broken.touch()
    design = with_candidate("while_broken", file=str(broken))
    with pytest.raises(WorkerLost, match="the file says so"):
        run(design)
    broken.unlink()
    result = run(design)
    assert DIVERGED not in kinds(result)
    assert len(scores(project)) == 8
    assert result.verdict.record() == run(design).verdict.record()


def test_a_learner_that_leaves_python_is_an_error_of_the_learner(run):
    with pytest.raises(WorkerLost, match="enough"):
        run(with_candidate("leave"))


def test_log_loss_of_an_estimator_without_probabilities_is_refused(run, project):
    frame = pd.read_csv(project.root / "rows.csv")
    frame["y"] = (frame["y"] > 0).astype(int)
    frame.to_csv(project.root / "rows.csv", index=False)
    with pytest.raises(Misuse, match="predict_proba"):
        run(
            {
                "question": {"hypothesis": "It fits.", "metric": "log_loss", "smallest_effect": 0.1},
                "variants": {
                    "svm": {"learner": "sklearn.svm.LinearSVC"},
                    "bayes": {"learner": "sklearn.naive_bayes.GaussianNB"},
                },
            }
        )


def test_a_metric_that_no_learner_reports_is_refused_with_the_nearest(run):
    question = {**DESIGN["question"], "metric": "scores"}
    with pytest.raises(Misuse) as caught:
        run({"question": question})
    assert caught.value.nearest == "score"


# ---- findings ----


def test_a_severe_finding_about_the_data_makes_the_verdict_invalid_unless_it_is_accepted(run, project):
    frame = pd.read_csv(project.root / "rows.csv")
    frame["leak"] = 3 * frame["y"]
    frame.to_csv(project.root / "rows.csv", index=False)
    result = run()
    severe = [finding.kind for finding in result.findings if finding.severity == "severe"]
    assert severe
    assert result.verdict.outcome == "invalid"
    assert any(severe[0] in reason for reason in result.verdict.reasons)
    accepted = run({"name": "accepted", "accept": severe})
    assert [finding.kind for finding in accepted.findings if finding.severity == "severe"] == severe
    assert accepted.verdict.outcome != "invalid"


def test_a_difference_that_is_the_same_at_every_seed_is_a_finding(run):
    result = run(
        {
            "variants": {
                "better": {"learner": "learners.py:score", "level": 0.1, "noise": 0.0},
                "plain": {"learner": "learners.py:score", "noise": 0.0},
            }
        }
    )
    assert EQUAL_DIFFERENCES in kinds(result)


# ---- workers ----


def test_scores_do_not_depend_on_the_number_of_workers_or_on_company(run, project, tmp_path):
    run()
    expected = scores(project)
    for workers in (1, 2, 3):
        other = Project.find(project.root, journal=tmp_path / f"journal-{workers}")
        design = Design.from_mapping(DESIGN)
        result = run_design(design, other, launch=Launch(workers=workers))
        assert result.trained == 8
        assert scores(other) == expected
        with other.open_journal(read_only=True) as journal:
            assert len({row.cohort for row in journal.runs()}) == 2 * workers


def test_a_worker_that_is_killed_in_mid_trial_costs_no_trial(run, project):
    marks, watcher = str(project.root / "marks"), Watcher()
    design = with_candidate("fall", folder=marks, times=1)
    result = run(design, executor=None, launch=Launch(workers=1), view=watcher)
    assert watcher.gone == [("better", "killed by SIGKILL")]
    assert result.trained == 8
    killed = scores(project)
    assert len(killed) == 8
    with project.open_journal(read_only=True) as journal:
        rows = journal.runs(experiment="small")
        assert sorted(row.status for row in rows).count("interrupted") == 4
        assert journal.verify().ok
    other = Project.find(project.root, journal=Path("unharmed"))
    run_design(Design.from_mapping({**DESIGN, **design}), other, launch=Launch(workers=1))
    assert scores(other) == killed


def test_a_learner_that_ends_its_process_is_lost_with_its_last_words(run, project):
    design = with_candidate("fall", folder=str(project.root / "marks"), times=9, by="exit")
    with pytest.raises(WorkerLost, match=r"exit status 5: .*these are my last words") as caught:
        run(design, executor=None, launch=Launch(workers=1))
    assert "lost 3" in str(caught.value)
    with project.open_journal(read_only=True) as journal:
        assert "running" not in {row.status for row in journal.runs()}
        assert not journal.entries(kind="verdict")
    for mark in range(3, 9):
        (project.root / "marks" / str(mark)).touch()
    run(design, executor=None, launch=Launch(workers=1))
    assert len(scores(project)) == 8


def test_a_run_leaves_no_processes_behind(run, project):
    import psutil

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    run({}, executor=None, launch=Launch(workers=2))
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


# ---- results that are no measurements, or say nothing ----


def bounded(**more: Any) -> dict[str, Any]:
    return {"question": {**DESIGN["question"], "low": 0, "high": 1, **more}}


@pytest.mark.parametrize("rule", [{"kind": "fixed"}, {"kind": "confidence_sequence", "looks": [2, 4]}])
def test_results_outside_the_bounds_of_the_question_make_the_verdict_invalid(run, rule):
    variants = {
        "high": {"learner": "learners.py:score", "level": 8.6},
        "plain": {"learner": "learners.py:score", "level": 0.5, "noise": 0.01},
    }
    ended = run({**bounded(), "variants": variants, "rule": rule})
    assert ended.verdict.outcome == "invalid"
    assert OUTSIDE_BOUNDS in kinds(ended)
    assert "outside the question's bounds, 0 to 1" in ended.verdict.sentence
    assert ended.looks[-1].readings[0].outcome is None
    assert len(ended.looks) == 1, "more seeds mend nothing"
    assert run({**bounded(), "variants": variants, "rule": rule}).verdict.record() == ended.verdict.record()


def test_accepted_results_outside_the_bounds_count_as_the_nearest_bound(run):
    variants = {
        "high": {"learner": "learners.py:score", "level": 8.6},
        "plain": {"learner": "learners.py:score", "level": 0.1, "noise": 0.01},
    }
    ended = run({**bounded(), "variants": variants, "accept": [OUTSIDE_BOUNDS]})
    assert ended.looks[-1].means["high"] == 1.0
    assert ended.verdict.outcome == "supported"


def test_results_inside_the_bounds_are_no_finding(run):
    variants = {
        "high": {"learner": "learners.py:score", "level": 0.6, "noise": 0.01},
        "plain": {"learner": "learners.py:score", "level": 0.5, "noise": 0.01},
    }
    assert OUTSIDE_BOUNDS not in kinds(run({**bounded(), "variants": variants}))


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_diverged_trial_never_reads_as_a_good_result(run, direction):
    design = {
        "question": {**DESIGN["question"], "direction": direction},
        "variants": {
            "bad": {"learner": "learners.py:sometimes", "level": 5.0},
            "plain": {"learner": "learners.py:score", "level": 5.0},
        },
        "rule": {"kind": "group_sequential", "looks": [3, 4]},
    }
    ended = run(design)
    assert ended.verdict.outcome == "invalid"
    (reading,) = ended.looks[-1].readings
    assert reading.outcome is None
    assert "not all results of bad are measurements" in reading.says
    assert ended.looks[-1].means["bad"] == pytest.approx(5, abs=0.5)


EQUAL = {
    "variants": {
        "one": {"learner": "learners.py:score", "level": 3.0, "noise": 0.0},
        "two": {"learner": "learners.py:score", "level": 2.0, "noise": 0.0},
    }
}


def test_equal_differences_of_a_metric_without_bounds_decide_nothing(run):
    ended = run(EQUAL)
    assert ended.verdict.outcome == "inconclusive"
    assert "is 1 at all 4 seeds" in ended.verdict.sentence
    assert EQUAL_DIFFERENCES in kinds(ended)


@pytest.mark.parametrize(
    "how", [{"accept": [EQUAL_DIFFERENCES]}, {"split": {"fixed": True}, "scope": "this_test_set"}]
)
def test_equal_differences_decide_where_the_design_says_that_nothing_varies(run, how):
    ended = run({**EQUAL, **how})
    assert ended.verdict.outcome == "supported"
    assert ended.verdict.comparisons[0].effect == 1.0


def test_whoever_asks_the_same_again_is_told(run):
    first = run()
    assert ASKED_BEFORE not in kinds(first)
    variants = {"b": DESIGN["variants"]["plain"], "a": DESIGN["variants"]["better"]}
    second = run({"name": "again", "variants": variants, "compare": [["a", "b"]], "tolerance": 1e-5})
    (told,) = [finding for finding in second.findings if finding.kind == ASKED_BEFORE]
    assert f"small ({first.verdict.outcome})" in told.title
    fewer = run(
        {"name": "other", "variants": {**DESIGN["variants"], "plain": {"learner": "learners.py:early"}}}
    )
    assert ASKED_BEFORE not in kinds(fewer)
    assert ASKED_BEFORE not in kinds(run()), "the first was first"
