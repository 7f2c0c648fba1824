import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import modelwright as mw
from modelwright.base.errors import BadValue, NotPermitted, UnknownName
from modelwright.lab.plan import plan as plan_module
from modelwright.lab.project import Project
from modelwright.lab.watch.view import QuietView

PUBLIC = [
    "Budget",
    "Dataset",
    "Design",
    "Doctor",
    "Environment",
    "Evaluation",
    "Experience",
    "Finding",
    "Interval",
    "Journal",
    "Launch",
    "Look",
    "Outcome",
    "Project",
    "Question",
    "Rule",
    "Seed",
    "Severity",
    "Source",
    "SplitPlan",
    "Step",
    "Verdict",
    "compose",
    "errors",
    "load",
    "plan",
    "rerun",
    "run",
    "scrutinize",
]


@pytest.fixture
def copied(small_project: Project, tmp_path: Path) -> Project:
    shutil.copytree(small_project.root, tmp_path / "copy")
    return Project.find(tmp_path / "copy", journal=Path(".modelwright"))


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_public_names_are_these() -> None:
    assert sorted(mw.__all__) == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(mw))
    for name in PUBLIC:
        assert getattr(mw, name) is not None


def test_every_public_name_is_the_thing_that_it_names() -> None:
    for name in PUBLIC:
        thing = getattr(mw, name)
        assert thing.__name__ == ("modelwright.base.errors" if name == "errors" else name)
        assert thing.__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Desing'"):
        mw.Desing  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_modelwright_imports_nothing_heavy() -> None:
    heavy = {"torch", "pandas", "numpy", "scipy", "sklearn", "rich", "hydra", "duckdb", "pyarrow"}
    assert (
        python(f"import modelwright, sys; dir(modelwright); print({heavy!r} & sys.modules.keys())") == "set()"
    )


def test_using_every_name_imports_neither_torch_nor_pandas() -> None:
    heavy = {"torch", "pandas", "sklearn", "duckdb", "pyarrow", "hydra", "mlflow", "ray"}
    code = f"import sys; from modelwright import *; print({heavy!r} & sys.modules.keys())"
    assert python(code) == "set()"


def test_a_design_from_python_is_the_one_from_settings(small_design: mw.Design) -> None:
    made = mw.Design(
        name="small",
        question=mw.Question(
            hypothesis=small_design.question.hypothesis,
            metric="accuracy",
            margin=0.02,
            smallest_effect=0.02,
        ),
        data=mw.Source(kind="sklearn", name="wine"),
        split=mw.SplitPlan(kind="stratified", test=0.3),
        variants={
            "bayes": {"learner": "sklearn.naive_bayes.GaussianNB"},
            "softmax": {"learner": "logistic_regression", "updates": 20},
        },
        seeds=4,
        rule=mw.Rule(kind="group_sequential", looks=(3, 4)),
    )
    assert made.hash == small_design.hash


# ---- run ----


def test_run_takes_a_design_a_mapping_a_name_and_a_file(
    copied: Project, small_design: mw.Design, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied.root / "experiments"
    folder.mkdir()
    (folder / "small.yaml").write_text(
        "question:\n"
        f'  hypothesis: "{small_design.question.hypothesis}"\n'
        "  metric: accuracy\n  margin: 0.5\n  smallest_effect: 0.02\n"
        "data: {kind: sklearn, name: wine}\n"
        "split: {kind: stratified, test: 0.3}\n"
        "variants:\n"
        "  bayes: {learner: sklearn.naive_bayes.GaussianNB}\n"
        "  softmax: {learner: logistic_regression, updates: 20}\n"
        "seeds: 4\n"
        "rule: {kind: group_sequential, looks: [3, 4]}\n"
    )
    asked: list[tuple[Any, ...]] = [
        (small_design,),
        (small_design.record(),),
        ("small", "question.margin=0.02"),
        ("experiments/small.yaml", "question.margin=0.02"),
    ]
    results = [mw.run(*words, project=copied, executor=here, quiet=True) for words in asked]
    assert {result.verdict.sentence for result in results} == {results[0].verdict.sentence}
    assert [result.trained for result in results] == [0, 0, 0, 0]
    assert capsys.readouterr().out == ""
    with pytest.raises(NotPermitted, match="margin"):
        mw.run("small", project=copied, executor=here, quiet=True)


def test_run_tells_what_happens_unless_it_is_quiet_or_has_a_view(
    copied: Project, small_design: mw.Design, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    result = mw.run(small_design, project=copied, executor=here)
    assert f"verdict: {result.verdict.sentence}" in capsys.readouterr().out.splitlines()
    mw.run(small_design, project=copied, executor=here, view=QuietView())
    assert capsys.readouterr().out == ""


def test_run_amends_with_a_reason_and_takes_frames(
    copied: Project, here: Any, flawed_frames: Mapping[str, Any]
) -> None:
    design = mw.load("flawed", project=copied).design
    more = dataclasses.replace(design, accept=("feature-equals-target",))
    with pytest.raises(NotPermitted):
        mw.run(more, project=copied, frames=flawed_frames, executor=here, quiet=True)
    result = mw.run(
        more, project=copied, frames=flawed_frames, executor=here, quiet=True, amend="the leak is meant"
    )
    assert result.verdict.outcome is mw.Outcome.SUPPORTED
    assert not result.verdict.confirmatory


def test_run_finds_the_project_in_the_present_folder(
    copied: Project, small_design: mw.Design, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELWRIGHT_JOURNAL", raising=False)
    monkeypatch.chdir(copied.root)
    assert mw.run(small_design, executor=here, quiet=True).trained == 0
    assert mw.load("small").verdict is not None


def test_overrides_belong_to_names(copied: Project, small_design: mw.Design) -> None:
    with pytest.raises(BadValue, match="Overrides change a design that is named"):
        mw.run(small_design, "seeds=8", project=copied)
    with pytest.raises(UnknownName) as caught:
        mw.run("digitz", project=copied)
    assert caught.value.nearest == "digits"


def test_compose_gives_a_design_and_a_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    design, launch = mw.compose("digits", ["seeds=8", "rule.looks=[4,8]", "workers=3"], root=tmp_path)
    assert (design.name, design.seeds, design.rule.looks, launch.workers) == ("digits", 8, (4, 8), 3)
    monkeypatch.chdir(tmp_path)
    assert mw.compose("digits", ["seeds=8", "rule.looks=[4,8]"])[0] == design


# ---- plan and rerun ----


def test_plan_reckons_with_a_pilot_and_enters_no_run(
    copied: Project, small_design: mw.Design, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "open_executor", lambda launch: here)
    planned = mw.plan(small_design, project=copied, pilot=3)
    assert planned.name == "small"
    assert planned.registered == 4
    with copied.open_journal(read_only=True) as journal:
        assert len(journal.runs(experiment="small")) == 8


def test_rerun_repeats_a_run_bit_by_bit(copied: Project) -> None:
    answer = mw.rerun("small-bayes-01", project=copied)
    assert answer.sameness.value == "bitwise_equal"
    with copied.open_journal(read_only=True) as journal:
        from modelwright.lab.show.shown import show

        assert show(journal, "small-bayes-01").record()["reruns"] == [answer.sentence]
