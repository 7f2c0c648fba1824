"""Every experiment that ships repeats to the last bit on a processor."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from rerun_project import frozen_package, named

from modelwright.lab.compose import compose_design, shipped_folder
from modelwright.lab.executor.local import LocalExecutor
from modelwright.lab.lineage.answer import RerunAnswer
from modelwright.lab.lineage.comparison import Sameness
from modelwright.lab.project import Project
from modelwright.lab.rerun.rerun import rerun_run
from modelwright.lab.run import run_design

SHORT = {
    **{key: {"updates": 5} for key in ("convnet", "logistic_regression", "mlp")},
    **{key: {"total_steps": 6000} for key in ("ppo", "a2c", "q_learning")},
    **{key: {"total_steps": 1200} for key in ("sac", "td3")},
}
"""Settings with which learners are soon done."""

SHIPPED = sorted(file.stem for file in shipped_folder().glob("*.yaml"))


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with frozen_package(tmp_path_factory.mktemp("package")):
        yield


def repeats(answer: RerunAnswer) -> bool:
    return answer.sameness is Sameness.BITWISE_EQUAL and answer.learnt.same and named(answer) == []


def test_three_experiments_ship() -> None:
    assert {"digits", "diabetes", "wine"} <= set(SHIPPED)


@pytest.mark.parametrize(
    "name",
    [each if each == "frozenlake" else pytest.param(each, marks=pytest.mark.slow) for each in SHIPPED],
)
def test_a_shipped_experiment_repeats_bit_for_bit(name: str, tmp_path: Path) -> None:
    """Three seeds and a short training; one run of the first variant again."""
    design, _ = compose_design(name, ["seeds=3", "rule.looks=[3]"], root=tmp_path)
    variants = {
        variant: {**settings, **SHORT.get(settings["learner"], {})}
        for variant, settings in design.variants.items()
    }
    design = dataclasses.replace(design, variants=variants)
    project = Project.find(tmp_path, journal=Path(".modelwright"))
    executor = LocalExecutor(1)
    try:
        run_design(design, project, executor=executor)
    finally:
        executor.close()
    answer = rerun_run(f"{name}-{next(iter(variants))}-01", project)
    assert repeats(answer), answer.sentence


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_experiment_as_it_ships_repeats_bit_for_bit(name: str, tmp_path: Path) -> None:
    """As `modelwright run NAME` leaves it: the first and the last run of each variant again."""
    design, launch = compose_design(name, ["workers=2"], root=tmp_path)
    project = Project.find(tmp_path, journal=Path(".modelwright"))
    run_design(design, project, launch=launch)
    for variant in design.variants:
        with project.open_journal(read_only=True) as journal:
            runs = [row.run for row in journal.runs(variant=variant, status="finished", order="seed_index")]
        for run in (runs[0], runs[-1]):
            answer = rerun_run(run, project)
            assert repeats(answer), answer.sentence
