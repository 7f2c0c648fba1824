"""A design in an environment goes the same way as one on data: checked, run, resumed, repeated, shown."""

import dataclasses
import io
import os
import shutil
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from environment_project import DESIGN, WORLD, make_project, outcome, small
from here_executor import HereExecutor
from rerun_project import frozen_package
from rich.console import Console

import modelwright as mw
from modelwright.base.errors import BadValue, ModelwrightError, NotPermitted, UnknownName
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import Environment
from modelwright.experiment.design import Design
from modelwright.lab.cohort import make_jobs
from modelwright.lab.executor.job import Job, Message, Workload
from modelwright.lab.executor.local import LocalExecutor
from modelwright.lab.ground.episodes import Episodes
from modelwright.lab.lineage.comparison import Sameness
from modelwright.lab.prepare import prepare_design
from modelwright.lab.project import Project
from modelwright.lab.report import write_report
from modelwright.lab.rerun.rerun import rerun_run
from modelwright.lab.run import run_design


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs and repetitions are of one Modelwright, whoever edits the working copy meanwhile."""
    with frozen_package(tmp_path_factory.mktemp("package")):
        yield


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what loading a learner appends to the import path: here a copy of another test's project."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "/project" not in entry])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The experiment, run without a break; read only."""
    project = make_project(tmp_path_factory.mktemp("finished") / "project")
    executor = LocalExecutor(2)
    try:
        run_design(small(), project, executor=executor)
    finally:
        executor.close()
    return project


@pytest.fixture
def copied(finished: Project, tmp_path: Path) -> Project:
    shutil.copytree(finished.root, tmp_path / "project")
    return Project.find(tmp_path / "project", journal=Path(".modelwright"))


# ---- the design ----


def test_a_design_has_data_or_an_environment_and_says_so_otherwise() -> None:
    data = {"kind": "sklearn", "name": "wine"}
    with pytest.raises(BadValue, match=r"either data .* or an environment .*Got both data and environment"):
        small(data=data)
    neither = {key: value for key, value in DESIGN.items() if key not in ("environment", "evaluation")}
    with pytest.raises(BadValue, match=r"Got neither\. .*environment=\{name: CartPole-v1\}"):
        Design.from_mapping(neither)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": {"kind": "random"}}, r"A split parts rows.*Nearest: evaluation"),
        ({"scope": "other_splits"}, r"speaks of new runs.*Nearest: scope=new_runs"),
        ({"scope": "this_test_set"}, r"speaks of new runs.*Nearest: scope=new_runs"),
        ({"scope": "new_data"}, r"speaks of new runs.*Nearest: scope=new_runs"),
        ({"evaluation": {"episodes": 0}}, r"evaluation.episodes must be a number at least 1"),
        ({"environment": {"named": "CartPole-v1"}}, r"setting of environment.*named.*Nearest: name"),
        (
            {"question": {"hypothesis": "x", "metric": "accuracy", "smallest_effect": 0.1}},
            r"accuracy is computed from held-out rows.*Nearest: question.metric=return",
        ),
        (
            {"question": {**DESIGN["question"], "low": 10.0, "high": -30.0}},
            r"question.low is below question.high",
        ),
        ({"question": {**DESIGN["question"], "smallest_effect": 41.0}}, r"within the metric's range"),
    ],
)
def test_what_makes_no_sense_in_an_environment_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelwrightError, match=said):
        small(**changes)


def test_what_belongs_to_environments_is_refused_with_data() -> None:
    base: dict[str, Any] = {
        **{key: value for key, value in DESIGN.items() if key not in ("environment", "evaluation")},
        "data": {"kind": "sklearn", "name": "wine"},
        "question": {"hypothesis": "one is better", "metric": "accuracy", "smallest_effect": 0.1},
    }
    assert Design.from_mapping(base).scope == "other_splits"
    with pytest.raises(BadValue, match=r"Evaluation is of policies.*Nearest: split"):
        Design.from_mapping({**base, "evaluation": {"episodes": 3}})
    with pytest.raises(BadValue, match=r"speaks of test rows.*Nearest: scope=other_splits"):
        Design.from_mapping({**base, "scope": "new_runs"})
    with pytest.raises(BadValue, match="accuracy has bounds of its own"):
        Design.from_mapping({**base, "question": {**base["question"], "low": 0.0}})


def test_a_record_holds_one_kind_of_ground_only_and_makes_the_same_design() -> None:
    design = small()
    record = design.record()
    assert {"data", "split"}.isdisjoint(record)
    assert (record["scope"], record["evaluation"]) == ("new_runs", {"episodes": 6})
    assert Design.from_mapping(record).hash == design.hash
    assert small(evaluation={"episodes": 7}).hash != design.hash
    assert design.question.bounds == (-30.0, 10.0)
    assert design.question.worst == -30.0


# ---- what prepare refuses ----


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"learner": "logistic_regression"}, r"logistic_regression learns from rows.*Nearest: ppo"),
        ({"learner": "sklearn.svm.SVC"}, r"sklearn.svm.SVC learns from rows"),
        ({"learner": "learners.py:rows"}, r"learners.py:rows learns from rows"),
        ({"learner": "learners.py:both"}, r"asks for rows of data or for an environment"),
        ({"learner": "learners.py:q_learning", "explor": 1}, r"explor.*Nearest: explore"),
    ],
)
def test_a_learner_that_cannot_act_is_refused_before_anything_runs(
    tmp_path: Path, variant: dict[str, Any], said: str
) -> None:
    design = small(variants={**DESIGN["variants"], "timid": variant}, compare=[["learning", "timid"]])
    with pytest.raises(ModelwrightError, match=said) as caught:
        prepare_design(design, make_project(tmp_path))
    assert any("variants.timid" in note for note in caught.value.__notes__)


def test_a_reinforcement_learner_on_data_is_refused_before_anything_runs(tmp_path: Path) -> None:
    values = {
        "name": "rows",
        "question": {"hypothesis": "it acts", "metric": "accuracy", "smallest_effect": 0.1},
        "data": {"kind": "sklearn", "name": "wine"},
        "variants": {"ppo": {"learner": "ppo"}, "mlp": {"learner": "mlp"}},
        "seeds": 4,
    }
    with pytest.raises(BadValue, match=r"ppo learns by acting in an environment.*wine.*environment\.name"):
        prepare_design(Design.from_mapping(values), make_project(tmp_path))
    own = {"mine": {"learner": "learners.py:q_learning"}, "mlp": {"learner": "mlp"}}
    with pytest.raises(BadValue, match=r"learners\.py:q_learning learns by acting"):
        prepare_design(Design.from_mapping({**values, "variants": own}), make_project(tmp_path))


def test_a_return_is_no_metric_of_rows(tmp_path: Path) -> None:
    values = {
        "name": "rows",
        "question": {"hypothesis": "it returns", "metric": "return", "smallest_effect": 0.1},
        "data": {"kind": "sklearn", "name": "wine"},
        "variants": {"one": {"learner": "mlp"}, "two": {"learner": "logistic_regression"}},
        "seeds": 4,
    }
    with pytest.raises(BadValue, match=r"return is a metric of control.*classification.*Nearest: accuracy"):
        prepare_design(Design.from_mapping(values), make_project(tmp_path))


def test_an_environment_that_nobody_knows_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"CartPol-v1\. Nearest: CartPole-v1"):
        prepare_design(small(environment={"name": "CartPol-v1"}), make_project(tmp_path))
    with pytest.raises(UnknownName, match=r"world\.py has this name\. Got Coridor"):
        prepare_design(small(environment={"name": "world.py:Coridor"}), make_project(tmp_path))


# ---- what is measured ----


def test_a_policy_is_measured_by_the_lab_in_the_first_episode_of_every_copy(finished: Project) -> None:
    """Play the same episodes in Gymnasium by hand: same seeds, same policy, same mean return."""
    values = np.zeros((6, 2))
    values[:, 1] = 1.0  # always to the right

    class Right:
        def act(self, observation: Any) -> Any:
            return values[observation].argmax(axis=-1)

        def state(self) -> dict[str, Any]:
            return {}

    prepared = prepare_design(small(), finished)
    seeds = derive_seeds("measured", 3)
    examiner = prepared.ground.examiner(prepared.design.question, prepared.parts[:3], seeds)
    step = mw.Step(update=1, metrics={"loss": np.zeros(3)}, policy=Right())
    found = examiner.examine(step)
    assert examiner.examine(mw.Step(update=1, metrics={})) == {}
    world_of: dict[str, Any] = {}
    exec(WORLD, world_of)
    for place, seed in enumerate(seeds):
        returns, lengths = [], []
        for copy in range(6):
            world: gymnasium.Env[Any, Any] = world_of["Corridor"]()
            world.reset(seed=seed.child("evaluation").integer(f"environment/{copy}"))
            total, over, steps = 0.0, False, 0
            while not over:
                _, reward, ended, cut, _ = world.step(1)
                total, over, steps = total + float(reward), ended or cut, steps + 1
            returns.append(total)
            lengths.append(steps)
        assert found["evaluation_return"][place] == pytest.approx(np.mean(returns), abs=1e-12)
        assert found["evaluation_length"][place] == np.mean(lengths)
    assert len(set(found["evaluation_return"])) == 3


def test_a_policy_that_acts_with_what_is_no_number_has_no_return() -> None:
    class Torque:
        def act(self, observation: Any) -> Any:
            action = np.full((*observation.shape[:2], 1), 0.5, np.float32)
            action[1, 0] = np.nan
            return action

        def state(self) -> dict[str, Any]:
            return {}

    pendulum = mw.Environment(name="Pendulum-v1")
    ground = Episodes.of(pendulum, mw.Evaluation(episodes=2), Path())
    seeds = derive_seeds("torque", 2)
    found = ground.examiner(small().question, [], seeds).examine(
        mw.Step(update=1, metrics={}, policy=Torque())
    )
    assert np.isfinite(found["evaluation_return"][0])
    assert np.isnan(found["evaluation_return"][1])
    assert found["evaluation_length"][0] == 200
    assert np.isnan(found["evaluation_length"][1])


def test_an_episode_that_never_ends_is_given_up_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Left:
        def act(self, observation: Any) -> Any:
            return np.full(observation.shape[:2], 3)

        def state(self) -> dict[str, Any]:
            return {}

    monkeypatch.setattr("modelwright.lab.ground.episodes._LONGEST", 300)
    ground = Episodes.of(mw.Environment(name="CliffWalking-v1"), mw.Evaluation(episodes=1), Path())
    with pytest.raises(BadValue, match=r"Episodes of CliffWalking-v1 end.*set environment\.time_limit"):
        ground.examiner(small().question, [], derive_seeds("left", 1)).examine(
            mw.Step(update=1, metrics={}, policy=Left())
        )


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("silent", r"return is computed from a policy, and the learner offered none"),
        ("wrong", r"act\(\) of learners.py:wrong returns one action"),
    ],
)
def test_a_learner_without_a_sound_policy_cannot_be_measured(
    tmp_path: Path, function: str, said: str
) -> None:
    variants = {**DESIGN["variants"], "timid": {"learner": f"learners.py:{function}"}}
    with pytest.raises(ModelwrightError, match=said):
        run_design(small(variants=variants), make_project(tmp_path), executor=HereExecutor())


def test_what_a_learner_reports_of_its_episodes_can_decide(tmp_path: Path) -> None:
    question = {**DESIGN["question"], "metric": "episode_return", "reported": True, "direction": "maximize"}
    project = make_project(tmp_path)
    result = run_design(small(question=question), project, executor=HereExecutor())
    assert result.verdict.metric == "episode_return"
    names = {row["metric"] for rows in outcome(project)["metrics"].values() for row in rows}
    assert names == {"episode_return", "environment_steps"}


# ---- running ----


def test_a_design_in_an_environment_comes_to_a_verdict(finished: Project) -> None:
    found = outcome(finished)
    assert len(found["trials"]) == 8
    assert all(-30 <= score <= 10 for _, score, _ in found["trials"].values())
    verdict = found["verdict"][-1]
    assert verdict["confirmatory"]
    assert "new runs of these learners in this environment" in verdict["speaks_of"]
    assert any("other environments" in limit for limit in verdict["does_not_show"])
    rows = found["metrics"]["learning", 0]
    updates = [row["update"] for row in rows if row["metric"] == "evaluation_return"]
    assert updates == [10, 20, 30]
    last = [row["value"] for row in rows if row["metric"] == "evaluation_return"][-1]
    assert last == found["trials"]["learning", 0][1]


def test_processes_give_the_same_numbers_as_the_present_one(finished: Project, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    run_design(small(), project, executor=HereExecutor())
    assert outcome(project) == outcome(finished)


class Deadly(HereExecutor):
    """Kills its own process, for good, after some messages."""

    def __init__(self, messages: int) -> None:
        self._left = messages

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Generator[Message]:
        for message in super().run(workload, jobs):
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            yield message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("messages", [1, *(pytest.param(each, marks=pytest.mark.slow) for each in (5, 8))])
def test_a_killed_run_goes_on_to_the_same_verdict(finished: Project, tmp_path: Path, messages: int) -> None:
    project = make_project(tmp_path / "project")
    child = os.fork()
    if child == 0:
        run_design(small(), project, executor=Deadly(messages))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    run_design(small(), project, executor=HereExecutor())
    assert outcome(project) == outcome(finished)
    assert run_design(small(), project, executor=HereExecutor()).trained == 0


def test_a_plan_says_what_it_costs_and_registers_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    planned = mw.plan(small(), project=project, pilot=3)
    assert planned.spread > 0
    assert planned.findings == ()
    with project.open_journal(read_only=True) as journal:
        assert journal.registrations() == []


# ---- identity ----


def test_an_edited_environment_is_another_trial_and_must_be_amended(copied: Project) -> None:
    before = prepare_design(small(), copied)
    (copied.root / "world.py").write_text(WORLD.replace("< 0.2", "< 0.3"))
    after = prepare_design(small(), copied)
    assert before.trial("learning", 0).address != after.trial("learning", 0).address
    assert before.code["learning"] != after.code["learning"]
    assert copied.root / "world.py" in after.code_files["learning"]
    with pytest.raises(NotPermitted, match=r"the environment changed"):
        run_design(small(), copied, executor=HereExecutor())


@pytest.mark.parametrize("change", [{"time_limit": 7}, {"settings": {"render_mode": None}}])
def test_settings_of_the_environment_are_part_of_a_trial(finished: Project, change: dict[str, Any]) -> None:
    plain = prepare_design(small(environment={"name": "FrozenLake-v1"}), finished)
    changed = prepare_design(
        small(environment={"name": "FrozenLake-v1", **change}), finished, root=plain.root
    )
    assert plain.trial("timid", 1).seed == changed.trial("timid", 1).seed
    assert plain.trial("timid", 1).address != changed.trial("timid", 1).address
    assert plain.ground.identity != changed.ground.identity


# ---- looking at it ----


def test_a_run_is_repeated_bit_for_bit(copied: Project) -> None:
    answer = rerun_run("corridor-learning-01", copied)
    assert answer.sameness is Sameness.BITWISE_EQUAL
    assert answer.differences == ()


def test_a_changed_environment_is_named_where_it_explains_a_difference(copied: Project) -> None:
    (copied.root / "world.py").write_text(WORLD.replace("< 0.2", "< 0.6"))
    assert rerun_run("corridor-learning-01", copied).sameness is Sameness.BITWISE_EQUAL  # as recorded
    answer = rerun_run("corridor-learning-01", copied, here=True)
    assert answer.sameness is not Sameness.BITWISE_EQUAL
    first = answer.differences[0]
    assert (first.side.value, first.what) == ("code", "world.py")
    assert "world.py" in answer.sentence


def test_every_view_speaks_of_the_environment_and_not_of_data(copied: Project) -> None:
    page = write_report(copied, "corridor").read_text()
    for words in (
        "world.py:Corridor",
        "6 fresh episodes of each seed",
        "one of 6",
        "there are no data to check",
        "in fresh episodes; this metric decides",
        "evaluation_return",
    ):
        assert words in page, words
    assert "held-out" not in page
    assert "same split" not in page
    loaded = mw.load("corridor", project=copied)
    assert loaded.design.scope == "new_runs"
    with copied.open_journal(read_only=True) as journal:
        from modelwright.lab.show.compared import compare
        from modelwright.lab.show.shown import ShownExperiment, show
        from modelwright.lab.show.shown_page import render_shown

        shown = show(journal, "corridor")
        assert isinstance(shown, ShownExperiment)
        assert shown.design.environment == Environment(name="world.py:Corridor")
        assert compare(journal, "corridor-learning-00", "corridor-timid-00") is not None
        console = Console(width=120, file=io.StringIO())
        with console.capture() as written:
            console.print(render_shown(show(journal, "corridor-learning-00")))
    labels = {line.split()[0] for line in written.get().splitlines() if line.strip()}
    assert {"environment", "evaluation"} <= labels
    assert not {"data", "split"} & labels


def test_asking_the_same_again_under_another_name_is_told(copied: Project) -> None:
    again = dataclasses.replace(small(), name="again")
    result = run_design(again, copied, executor=HereExecutor())
    assert [finding.kind for finding in result.findings] == ["asked-before"]


@pytest.mark.parametrize(
    ("slots", "learners", "jobs"),
    [(2, ("a2c", "a2c"), 2), (4, ("a2c", "a2c"), 4), (3, ("a2c", "a2c"), 6), (2, ("a2c", "ppo"), 4)],
)
def test_variants_of_one_learner_are_cut_no_finer_than_fills_the_slots(
    slots: int, learners: tuple[str, str], jobs: int, tmp_path: Path
) -> None:
    project = make_project(tmp_path)
    variants = {f"v{at}": {"learner": name, "total_steps": 10_000 + at} for at, name in enumerate(learners)}
    design = small(variants=variants, compare=[["v0", "v1"]])
    prepared = prepare_design(design, project)
    trials = [prepared.trial(variant, index) for variant in variants for index in range(4)]
    made = make_jobs(prepared, trials, slots)
    assert len(made) == jobs
    told = [(job.variant, index) for job in made for index in job.indices]
    assert told == [(trial.variant, trial.index) for trial in trials]
