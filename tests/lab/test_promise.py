"""Registration: what is promised before the first trial, and what a change of it costs."""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwright.base.errors import ModelwrightError, NotPermitted, UnknownName
from modelwright.base.seed import derive_seeds
from modelwright.experiment.design import Design
from modelwright.journal.journal import Journal
from modelwright.lab.executor.job import Executor
from modelwright.lab.launch import Launch
from modelwright.lab.prepare import Prepared, prepare_design
from modelwright.lab.project import Project
from modelwright.lab.promise import (
    Promise,
    changed_settings,
    promise_design,
    read_promise,
    seeds_root,
)
from modelwright.lab.result import Result
from modelwright.lab.run import run_design

PLAIN: dict[str, Any] = {
    "name": "trees",
    "question": {"hypothesis": "deep beats flat", "metric": "accuracy", "smallest_effect": 0.02},
    "data": {"kind": "csv", "path": "rows.csv", "target": "y"},
    "split": {"kind": "stratified", "test": 0.3},
    "variants": {
        "deep": {"learner": "sklearn.tree.DecisionTreeClassifier"},
        "flat": {"learner": "sklearn.tree.DecisionTreeClassifier", "max_depth": 1},
    },
    "seeds": 4,
    "rule": {"kind": "group_sequential", "looks": [3, 4]},
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_rows(tmp_path / "rows.csv")
    (tmp_path / "mine.py").write_text(LEARNER.format(share=0.5))
    return Project.find(tmp_path, journal=Path("record"))


def write_rows(file: Path, rows: int = 60) -> None:
    random = np.random.default_rng(rows)
    a, b = random.normal(size=(2, rows))
    y = (a * b + 0.3 * random.normal(size=rows) > 0).astype(int)
    lines = [f"{one:.6f},{two:.6f},{label}" for one, two, label in zip(a, b, y, strict=True)]
    file.write_text("a,b,y\n" + "\n".join(lines) + "\n")


LEARNER = """\
def train(features, target, rng):
    for step in range(3):
        yield {{"loss": 1.0 / (step + 1)}}
    yield {{"quality": {share} + 0.01 * rng.normal()}}
"""

REPORTED: dict[str, Any] = {
    **PLAIN,
    "name": "mine",
    "question": {
        "hypothesis": "mine beats itself",
        "metric": "quality",
        "smallest_effect": 0.02,
        "reported": True,
        "direction": "maximize",
    },
    "variants": {"one": {"learner": "mine.py:train"}, "two": {"learner": "mine.py:train"}},
}


def changed(base: Mapping[str, Any] = PLAIN, **settings: Any) -> Design:
    values: dict[str, Any] = {**base}
    for name, value in settings.items():
        group, _, part = name.partition("__")
        values[group] = {**values.get(group, {}), part: value} if part else value
    return Design.from_mapping(values)


def prepared(project: Project, design: Design) -> Prepared:
    with project.open_journal() as journal:
        return prepare_design(design, project, root=seeds_root(journal, design.name))


def promise(project: Project, design: Design, amend: str | None = None) -> Promise:
    ready = prepared(project, design)
    with project.open_journal() as journal:
        return promise_design(journal, ready, amend=amend)


def enter_run(
    project: Project,
    design: str,
    status: str | None,
    *,
    metrics: Mapping[str, float] | None = None,
    reason: str | None = None,
    experiment: str = "trees",
    run: str = "r1",
) -> None:
    """Enter a run by hand; status None leaves it open, as a killed process would."""
    with project.open_journal() as journal:
        journal.start_run(
            run, trial=f"t-{run}", design=design, experiment=experiment, variant="deep", seed_index=0, body={}
        )
        files = {}
        if metrics is not None:
            writer = journal.metric_writer([run])
            writer.write(1, {name: np.array([value]) for name, value in metrics.items()})
            if status in ("finished", "failed") and reason != "error":
                files = writer.finish()
            else:
                writer.abandon()
        if status is not None:
            score = 0.9 if status == "finished" else None
            journal.finish_run(
                run,
                status=status,  # type: ignore[arg-type]
                score=score,
                body={"reason": reason},
                metrics=files.get(run),
            )


@pytest.fixture
def run(project: Project, here: Executor) -> Callable[..., Result]:
    def runner(design: Design, amend: str | None = None, **settings: Any) -> Result:
        return run_design(design, project, executor=here, amend=amend, **settings)

    return runner


# ---- before the first trial ----


def test_the_designs_hash_is_on_record_before_the_first_trial(
    project: Project, run: Callable[..., Result]
) -> None:
    result = run(changed())
    with project.open_journal(read_only=True) as journal:
        kinds = [(entry.kind, entry.design) for entry in journal.entries()]
        registered = journal.registrations("trees")
    assert [item.design for item in registered] == [result.design]
    first_run = next(at for at, (kind, _) in enumerate(kinds) if kind == "run.started")
    assert kinds.index(("design.registered", result.design)) < first_run
    body = registered[0].body
    assert body["design"]["variants"]["deep"]["criterion"] == "gini", "defaults are registered too"
    assert {"root", "data", "code"} <= set(body)


def test_the_same_design_again_writes_nothing_and_needs_no_reason(project: Project) -> None:
    first = promise(project, changed())
    with project.open_journal(read_only=True) as journal:
        head = journal.head()
    assert promise(project, changed()) == first
    with project.open_journal(read_only=True) as journal:
        assert journal.head() == head
    assert (first.design, first.deviations, first.amendments) == (first.first, (), ())


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "seeds": ({"seeds": 6, "rule__looks": [3, 6]}, "seeds: 4 -> 6"),
    "looks": ({"rule__looks": [3, 4], "rule__spending": "pocock"}, "rule.spending"),
    "one more look": ({"seeds": 5, "rule__looks": [3, 4, 5]}, "rule.looks: [3, 4] -> [3, 4, 5]"),
    "hypothesis": ({"question__hypothesis": "flat beats deep"}, "question.hypothesis"),
    "margin": ({"question__margin": 0.01}, "question.margin"),
    "smallest effect": ({"question__smallest_effect": 0.05}, "question.smallest_effect: 0.02 -> 0.05"),
    "metric": ({"question__metric": "macro_f1"}, "question.metric: accuracy -> macro_f1"),
    "direction of comparison": ({"compare": [["flat", "deep"]]}, "compare"),
    "alpha": ({"alpha": 0.1}, "alpha: 0.05 -> 0.1"),
    "power": ({"power": 0.9}, "power"),
    "spread": ({"spread": 0.1}, "spread: None -> 0.1"),
    "tolerance": ({"tolerance": 1e-3}, "tolerance"),
    "budget": ({"budget__seconds": 60}, "budget.seconds: None -> 60"),
    "accepted findings": ({"accept": ["constant-column"]}, "accept"),
    "split": ({"split__test": 0.4}, "split.test: 0.3 -> 0.4"),
    "a learner's setting": (
        {"variants__flat": {**PLAIN["variants"]["flat"], "max_depth": 2}},
        "variants.flat",
    ),
    "a share for a count": (
        {
            "variants__flat": {
                **PLAIN["variants"]["flat"],
                "min_samples_split": 2,
                "min_samples_leaf": 1.0 / 4,
            }
        },
        "min_samples_leaf: 1 -> 0.25",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_of_any_setting_is_refused_without_a_reason(case: str, project: Project) -> None:
    settings, says = CHANGES[case]
    promise(project, changed())
    with pytest.raises(NotPermitted) as caught:
        promise(project, changed(**settings))
    assert says in str(caught.value)
    assert "--amend" in str(caught.value)
    assert promise(project, changed(**settings), amend="it was a slip").design != promise_of(project).first


def promise_of(project: Project, name: str = "trees") -> Promise:
    with project.open_journal(read_only=True) as journal:
        return read_promise(journal, name)


def test_a_number_of_another_kind_is_a_change(project: Project) -> None:
    # 1.0 means all features to a tree, and 1 means one.
    variants = {"deep": {**PLAIN["variants"]["deep"], "max_features": 1.0}, "flat": PLAIN["variants"]["flat"]}
    promise(project, changed(variants=variants))
    variants["deep"]["max_features"] = 1
    with pytest.raises(NotPermitted, match="max_features"):
        promise(project, changed(variants=variants))


def test_changed_settings_name_each_difference_by_its_place() -> None:
    before = {"a": 1, "b": {"c": 1, "d": [1]}, "e": 1, "g": None}
    now = {"a": 1, "b": {"c": 1.0, "d": [1, 2]}, "f": True, "g": None}
    assert changed_settings(before, now) == [
        "b.c: 1 -> 1.0",
        "b.d: [1] -> [1, 2]",
        "e: 1 -> None",
        "f: None -> True",
    ]
    assert changed_settings(before, before) == []
    assert changed_settings({"a": True}, {"a": 1}) == ["a: True -> 1"]


@pytest.mark.parametrize("reason", ["", " ", "\t\n", "\u200b", "...", "123"])
def test_a_reason_has_words(reason: str, project: Project) -> None:
    promise(project, changed())
    with pytest.raises(NotPermitted, match="reason in words"):
        promise(project, changed(alpha=0.1), amend=reason)
    assert len(promise_of(project).amendments) == 0


def test_a_reason_without_a_change_is_refused(project: Project) -> None:
    with pytest.raises(NotPermitted, match="not registered yet"):
        promise(project, changed(), amend="why not")
    promise(project, changed())
    with pytest.raises(NotPermitted, match="changes something"):
        promise(project, changed(), amend="why not")


def test_a_change_of_the_datas_content_needs_a_reason(project: Project) -> None:
    first = promise(project, changed())
    write_rows(project.root / "rows.csv", rows=61)
    with pytest.raises(NotPermitted, match="the data's content changed"):
        promise(project, changed())
    after = promise(project, changed(), amend="a late row came in")
    assert after.design == first.design
    assert after.deviations == ()
    assert promise(project, changed()) == after
    write_rows(project.root / "rows.csv", rows=60)
    with pytest.raises(NotPermitted, match="the data's content changed"):
        promise(project, changed())


def test_a_change_of_the_learners_code_needs_a_reason(project: Project) -> None:
    promise(project, changed(REPORTED))
    (project.root / "mine.py").write_text(LEARNER.format(share=0.7))
    with pytest.raises(NotPermitted, match="the code of one changed"):
        promise(project, changed(REPORTED))
    promise(project, changed(REPORTED), amend="found a bug")
    (project.root / "other.py").write_text("x = 1\n")
    promise(project, changed(REPORTED))


def test_how_it_is_launched_is_no_change(project: Project, run: Callable[..., Result]) -> None:
    run(changed())
    again = run(changed(), launch=Launch(workers=3, threads=2))
    assert again.trained == 0
    assert again.verdict.confirmatory


def test_an_unknown_name_has_no_promise(project: Project) -> None:
    promise(project, changed())
    with project.open_journal(read_only=True) as journal, pytest.raises(UnknownName, match="Nearest: trees"):
        read_promise(journal, "tree")


# ---- confirmatory or exploratory ----


def test_amendments_before_results_stay_confirmatory(project: Project, run: Callable[..., Result]) -> None:
    promise(project, changed())
    result = run(changed(alpha=0.1), amend="agreed with the reviewer")
    assert result.verdict.confirmatory
    assert result.verdict.deviations == ()
    amendments = promise_of(project).amendments
    assert [(item["reason"], item["results_before"]) for item in amendments] == [
        ("agreed with the reviewer", 0)
    ]


@pytest.mark.parametrize(
    ("status", "metrics", "reason", "seen"),
    [
        ("finished", {"train_loss": 1.0}, None, True),
        ("failed", {"train_loss": 1.0}, "diverged", True),
        ("failed", {"train_loss": 1.0}, "error", False),
        ("failed", None, "error", False),
        ("failed", {"train_loss": 1.0, "test_accuracy": 0.9}, "error", True),
        ("interrupted", {"train_loss": 1.0}, "killed", False),
        ("interrupted", {"test_accuracy": 0.9}, "killed", True),
        (None, {"test_accuracy": 0.9}, None, True),
        (None, {"train_loss": 1.0}, None, False),
        (None, None, None, False),
    ],
)
def test_what_could_be_seen_of_a_result_counts_as_one(
    status: str | None, metrics: Mapping[str, float] | None, reason: str | None, seen: bool, project: Project
) -> None:
    design = promise(project, changed()).design
    enter_run(project, design, status, metrics=metrics, reason=reason)
    after = promise(project, changed(alpha=0.1), amend="second thoughts")
    assert bool(after.deviations) is seen
    assert after.amendments[0]["results_before"] == int(seen)


def test_whatever_a_learner_reports_by_itself_may_be_a_result(project: Project) -> None:
    design = promise(project, changed(REPORTED)).design
    enter_run(project, design, "interrupted", metrics={"loss": 1.0}, experiment="mine")
    assert promise(project, changed(REPORTED, alpha=0.1), amend="second thoughts").deviations


def test_an_amendment_after_the_verdict_names_both_parts(
    project: Project, run: Callable[..., Result]
) -> None:
    first = run(changed())
    assert first.verdict.confirmatory
    outcome, seeds = first.verdict.outcome.value, first.looks[-1].seeds
    second = run(changed(alpha=0.1), amend="hoped for more")
    assert not second.verdict.confirmatory
    assert second.trained == 0
    (text,) = second.verdict.deviations
    runs = sum(first.looks[-1].seeds for _ in first.looks[-1].means)
    assert text == (
        f"Amended after {runs} results were in ('hoped for more'): alpha: 0.05 -> 0.1. "
        f"Confirmatory is what came before: the verdict {outcome} on {seeds} seeds"
    )
    third = run(changed(alpha=0.2), amend="and still more")
    assert [text.partition(":")[0] for text in third.verdict.deviations] == [
        f"Amended after {runs} results were in ('hoped for more')",
        f"Amended after {runs} results were in ('and still more')",
    ]


def test_an_amendment_before_the_first_look_leaves_nothing_confirmatory(project: Project) -> None:
    design = promise(project, changed()).design
    enter_run(project, design, "finished")
    (text,) = promise(project, changed(alpha=0.1), amend="second thoughts").deviations
    assert text.endswith("what came before: nothing, for no look had been taken")


def test_looks_before_an_amendment_are_named(project: Project) -> None:
    design = promise(project, changed()).design
    enter_run(project, design, "finished")
    with project.open_journal() as journal:
        journal.append("look", {"seeds": 3}, design=design)
    (text,) = promise(project, changed(alpha=0.1), amend="second thoughts").deviations
    assert text.endswith("the looks at 3 seeds, which came to no verdict")


def test_more_seeds_or_looks_than_registered_are_refused_whatever_has_run(
    project: Project, run: Callable[..., Result]
) -> None:
    first = run(changed())
    with project.open_journal(read_only=True) as journal:
        head = journal.head()
    for settings in ({"seeds": 6, "rule__looks": [3, 4, 6]}, {"seeds": 6, "rule__looks": [3, 6]}):
        with pytest.raises(NotPermitted, match="seeds: 4 -> 6"):
            run(changed(**settings))
    with project.open_journal(read_only=True) as journal:
        assert journal.head() == head, "a refusal leaves no trace"
    more = run(changed(seeds=6, rule__looks=[3, 4, 6]), amend="four seeds say little")
    assert more.looks[0].readings[0].interval != first.looks[0].readings[0].interval
    assert not more.verdict.confirmatory


def test_a_return_to_the_first_design_is_an_amendment_like_any_other(
    project: Project, run: Callable[..., Result]
) -> None:
    first = run(changed())
    run(changed(alpha=0.2), amend="by mistake")
    with pytest.raises(NotPermitted, match=r"alpha: 0\.2 -> 0\.05"):
        run(changed())
    back = run(changed(), amend="back to the plan")
    assert back.design == first.design
    assert back.verdict.outcome == first.verdict.outcome
    assert len(back.verdict.deviations) == 2
    assert [item["reason"] for item in promise_of(project).amendments] == ["by mistake", "back to the plan"]
    assert run(changed()).verdict == back.verdict


def test_after_a_return_with_other_data_the_old_looks_stand_no_longer(
    project: Project, run: Callable[..., Result]
) -> None:
    first = run(changed())
    run(changed(alpha=0.2), amend="by mistake")
    write_rows(project.root / "rows.csv", rows=80)
    back = run(changed(), amend="back to the plan, with more rows")
    assert back.looks[0].means != first.looks[0].means
    assert len(promise_of(project).amendments) == 2


# ---- seeds ----


def test_seeds_derive_from_the_first_design_for_good(project: Project) -> None:
    first = prepared(project, changed())
    promise(project, changed())
    promise(project, changed(alpha=0.1), amend="second thoughts")
    later = prepared(project, changed(alpha=0.2, question__hypothesis="anything else"))
    assert first.root == later.root == first.design.hash
    assert [later.seed(index) for index in range(4)] == list(derive_seeds(first.root, 4))


def test_another_name_or_any_other_setting_draws_other_seeds(project: Project) -> None:
    designs = [
        changed(),
        changed(name="trees-2"),
        changed(alpha=0.1),
        changed(question__hypothesis="deep wins"),
    ]
    keys = {prepared(project, design).seed(0).key for design in designs}
    assert len(keys) == len(designs)


# ---- company ----


def test_many_processes_register_one_name_once(project: Project) -> None:
    ready = [prepared(project, changed(alpha=alpha)) for alpha in (0.01, 0.02, 0.03, 0.04)]
    gate = threading.Barrier(len(ready))
    answers: list[object] = []

    def work(one: Prepared) -> None:
        with Journal.open(project.journal_folder) as journal:
            gate.wait()
            try:
                answers.append(promise_design(journal, one).design)
            except ModelwrightError as error:
                answers.append(type(error))

    threads = [threading.Thread(target=work, args=(one,)) for one in ready]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with project.open_journal(read_only=True) as journal:
        (registered,) = journal.registrations("trees")
        assert journal.verify().ok
    assert sorted(map(str, answers)) == sorted([registered.design, *[str(NotPermitted)] * 3])


def test_a_promise_is_a_record_that_nobody_changes(project: Project) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        promise(project, changed()).design = "other"  # type: ignore[misc]
