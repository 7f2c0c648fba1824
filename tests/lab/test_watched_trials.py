"""The doctor in experiments: it listens while trials train, says what is wrong, and changes no number."""

import shutil
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from here_executor import HereExecutor
from watched_project import ACTING, LEARNING, design_of, line_of, make_project

from modelwright.algorithms.learner import complete_config
from modelwright.base.errors import UnknownName, WorkerLost
from modelwright.base.finding import Finding, Severity
from modelwright.base.seed import derive_seeds
from modelwright.data.checks import KINDS as OF_DATA
from modelwright.data.environments.environment import Environment
from modelwright.doctor.doctor import Doctor
from modelwright.doctor.kinds import KINDS as OF_DOCTOR
from modelwright.doctor.sensors.loop.steps.gradient_order import GradientOrder
from modelwright.experiment.design import Design
from modelwright.experiment.evaluation import Evaluation
from modelwright.experiment.question import Question
from modelwright.lab.executor.job import Failed, Finished, Job, Message, Progress, Watched, Workload
from modelwright.lab.ground.episodes import Episodes
from modelwright.lab.ground.ground import Ground
from modelwright.lab.ground.rows import Rows
from modelwright.lab.page.facts import collect_facts
from modelwright.lab.page.render import render_page
from modelwright.lab.project import Project
from modelwright.lab.result import Result
from modelwright.lab.run import run_design
from modelwright.lab.show.listing import list_findings
from modelwright.lab.training import train_job
from modelwright.lab.trial_findings import OF_RESULTS
from modelwright.lab.watch.view import QuietView

FIRST_SEVERE = {
    "zero": ("gradients-kept-across-steps", "loss.backward()"),
    "optimizer": ("optimizer-of-other-parameters", "torch.optim.Adam("),
    "sign": ("loss-is-raised", "loss = nn.functional"),
}


class Teller(QuietView):
    """Keeps what a viewer was told."""

    def __init__(self) -> None:
        self.told: list[Finding] = []

    def found(self, finding: Finding, *, accepted: bool) -> None:
        self.told.append(finding)


def ground_of(name: str, root: Path) -> tuple[Ground, str]:
    if name == "CartPole-v1":
        return Episodes.of(Environment(name=name, batched=False), Evaluation(episodes=2), root), "return"
    design = design_of({}, data={"kind": "sklearn", "name": name})
    from modelwright.data.source import load_dataset

    assert design.data is not None
    assert design.split is not None
    return Rows(dataset=load_dataset(design.data, root=root), plan=design.split), "accuracy"


def messages(
    variant: dict[str, Any], root: Path, *, watched: bool, ground: str = "wine", count: int = 3
) -> list[Message]:
    """Return what training some seeds of a variant says."""
    found, metric = ground_of(ground, root)
    seeds = derive_seeds("watched", count)
    job = Job(
        identity="job",
        variant="one",
        config=complete_config(variant, root=root),
        indices=tuple(range(count)),
        seeds=seeds,
        parts=tuple(found.part(seed, "watched") for seed in seeds),
        watched=watched,
    )
    question = Question(hypothesis="One is better.", metric=metric, smallest_effect=0.1)
    workload = Workload(root=root, question=question, ground=found, threads=1)
    return list(train_job(workload, job))


def numbers(told: Sequence[Message]) -> tuple[Any, ...]:
    """Return all that was computed: metrics but for throughput, scores, learnt numbers."""
    steps = [
        (update, {name: values.tobytes() for name, values in metrics.items() if name != "throughput"})
        for message in told
        if isinstance(message, Progress)
        for update, metrics in message.steps
    ]
    (end,) = [message for message in told if isinstance(message, Finished)]
    return steps, end.scores.tobytes(), end.states


def last_watched(told: Sequence[Message]) -> Watched:
    return [message for message in told if isinstance(message, Watched)][-1]


def run(design: Design, root: Path, view: QuietView | None = None) -> tuple[Project, Result]:
    project = make_project(root)
    return project, run_design(design, project, executor=HereExecutor(), view=view)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Result, Teller]:
    """One variant never clears its gradients, the other is right. It is shared: who writes copies it."""
    view = Teller()
    project, result = run(design_of({"fault": "zero"}), tmp_path_factory.mktemp("faulty"), view)
    return project, result, view


def copied(project: Project, place: Path) -> Project:
    shutil.copytree(project.root, place)
    return Project.find(place, journal=Path(".modelwright"))


# ---- numbers ----


@pytest.mark.parametrize(
    ("variant", "ground"),
    [
        ({"learner": "mine.py:train"}, "wine"),
        ({"learner": "acting.py:dqn", "steps": 500}, "CartPole-v1"),
        ({"learner": "sklearn.neural_network.MLPClassifier", "max_iter": 40}, "wine"),
        ({"learner": "mlp", "updates": 60}, "wine"),
        ({"learner": "a2c", "total_steps": 1000}, "CartPole-v1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_numbers_of_watched_trials_are_those_of_unwatched_ones(
    variant: dict[str, Any], ground: str, tmp_path: Path
) -> None:
    make_project(tmp_path)
    plain = messages(variant, tmp_path, watched=False, ground=ground)
    heard = messages(variant, tmp_path, watched=True, ground=ground)
    assert not any(isinstance(message, Watched) for message in plain)
    assert last_watched(heard).ended
    assert numbers(heard) == numbers(plain)


# ---- what is found ----


@pytest.mark.parametrize("fault", sorted(FIRST_SEVERE))
def test_a_fault_in_a_trial_is_found_with_its_line(fault: str, tmp_path: Path) -> None:
    make_project(tmp_path)
    told = messages({"learner": "mine.py:train", "fault": fault}, tmp_path, watched=True, count=2)
    kind, text = FIRST_SEVERE[fault]
    first = next(each for each in last_watched(told).findings if each.kind == kind)
    assert first.severity is Severity.SEVERE
    assert first.subject.startswith("one")
    assert first.causes[0].line == line_of(text)
    assert first.causes[0].file == str(tmp_path / "mine.py")


def test_what_is_severe_is_told_at_once_and_makes_the_verdict_invalid(
    faulty: tuple[Project, Result, Teller],
) -> None:
    _, result, view = faulty
    kind, _ = FIRST_SEVERE["zero"]
    assert result.verdict.outcome.value == "invalid"
    assert any(f"({kind})" in reason for reason in result.verdict.reasons)
    assert [each.kind for each in view.told].count(kind) == 1
    assert view.told[0].kind == kind
    assert not any(each.subject.startswith("other") for each in result.findings)


@pytest.mark.parametrize(
    "variant",
    [
        {"learner": "mine.py:train"},
        {"learner": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 5},
        {"learner": "logistic_regression", "updates": 60},
    ],
    ids=lambda variant: variant["learner"],
)
def test_right_trials_of_every_sort_have_no_finding(variant: dict[str, Any], tmp_path: Path) -> None:
    make_project(tmp_path)
    found = last_watched(messages(variant, tmp_path, watched=True))
    assert found.findings == ()
    assert found.unchecked


@pytest.mark.parametrize("masked", [True, False])
def test_a_missing_terminal_mask_in_an_own_agent_is_found_with_its_line(masked: bool, tmp_path: Path) -> None:
    make_project(tmp_path)
    variant = {"learner": "acting.py:dqn", "masked": masked, "steps": 1000}
    found = last_watched(messages(variant, tmp_path, watched=True, ground="CartPole-v1", count=1))
    severe = [each for each in found.findings if each.severity is not Severity.INFO]
    assert [each.kind for each in severe] == ([] if masked else ["targets-differ-from-experience"])
    assert "targets of values" in found.checked
    if not masked:
        assert severe[0].causes[0].name == "terminal-mask-missing"
        assert severe[0].causes[0].line == line_of("wanted = ", ACTING)


def test_one_seed_s_program_is_heard_and_not_those_that_train_beside_it(tmp_path: Path) -> None:
    """The steps of three seeds alternate, each with an optimizer of its own."""
    make_project(tmp_path)
    found = last_watched(messages({"learner": "mine.py:train", "updates": 60}, tmp_path, watched=True))
    assert (found.seeds, found.steps) == ((0,), 60)


def test_what_the_checks_of_the_data_say_is_not_said_again(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(120, 2))
    y = x[:, 0] + 0.3 * random.normal(size=120)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "leak": 2 * y, "y": y})
    question = {"hypothesis": "Deep is better.", "metric": "rmse", "smallest_effect": 0.1}
    tree = {"learner": "sklearn.tree.DecisionTreeRegressor"}
    values = {
        "name": "leaky",
        "question": question,
        "seeds": 3,
        "variants": {"a": tree, "b": {**tree, "max_depth": 1}},
    }
    design = Design.from_mapping({**values, "data": {"kind": "frame", "name": "table", "target": "y"}})
    project = Project.find(tmp_path, journal=Path(".modelwright"))
    result = run_design(design, project, frames={"table": frame}, executor=HereExecutor())
    assert "feature-equals-target" in [each.kind for each in result.findings]
    assert not any(each.kind in OF_DOCTOR for each in result.findings)
    with project.open_journal(read_only=True) as journal:
        watch = collect_facts(journal, "leaky").watches["a"]
    assert watch.unchecked[-1].startswith("rows, columns and splits")


def test_a_kind_that_nobody_finds_cannot_be_accepted(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="gradients-kept-across-steps"):
        run(design_of({}, accept=["gradients-kept-across-step"]), tmp_path)


# ---- the record ----


def test_what_was_found_is_on_record_in_the_report_and_in_the_list(
    faulty: tuple[Project, Result, Teller],
) -> None:
    line = line_of("loss.backward()")
    with faulty[0].open_journal(read_only=True) as journal:
        rows = list_findings(journal, "watched")
        facts = collect_facts(journal, "watched")
    row = next(row for row in rows if row.finding.kind == "gradients-kept-across-steps")
    assert row.record()["causes"][0]["line"] == line
    assert sorted(facts.watches) == ["one", "other"]
    assert facts.watches["other"].ended
    assert "order of gradients and steps" in facts.watches["other"].checked
    page = render_page(facts)
    assert f"mine.py:{line}" in page
    assert "The doctor watched one program of each variant" in page
    assert "order of gradients and steps" in page
    assert "Mend: " in page
    assert "not accepted: it makes the verdict invalid" in page


def test_a_second_call_tells_the_same_and_watches_nothing_again(
    faulty: tuple[Project, Result, Teller], tmp_path: Path
) -> None:
    first, view = faulty[1], Teller()
    project = copied(faulty[0], tmp_path / "copy")
    second = run_design(design_of({"fault": "zero"}), project, executor=HereExecutor(), view=view)
    assert second.trained == 0
    assert [each.kind for each in second.findings] == [each.kind for each in first.findings]
    assert {each.kind for each in view.told} == {each.kind for each in first.findings}
    assert second.verdict == first.verdict
    with project.open_journal(read_only=True) as journal:
        assert sum(entry.body["ended"] for entry in journal.entries(kind="watched")) == 2


def test_findings_outlive_an_amendment_that_accepts_them_by_name(
    faulty: tuple[Project, Result, Teller], tmp_path: Path
) -> None:
    project = copied(faulty[0], tmp_path / "copy")
    kinds = sorted({each.kind for each in faulty[1].findings if each.severity is Severity.SEVERE})
    accepting = design_of({"fault": "zero"}, accept=kinds)
    again = run_design(accepting, project, executor=HereExecutor(), amend="sums of gradients are meant")
    assert again.trained == 0
    assert set(kinds) <= {each.kind for each in again.findings}
    assert again.verdict.outcome.value != "invalid"
    with project.open_journal(read_only=True) as journal:
        rows = [row for row in list_findings(journal, "watched") if row.finding.kind in kinds]
    assert rows
    assert all(row.accepted for row in rows)


class Killed(BaseException):
    """Ends the launch as a signal does."""


class UntilTold:
    """Trains here, and is killed after the first words of the doctor."""

    slots = 1

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Generator[Message]:
        for job in jobs:
            for message in train_job(workload, job):
                yield message
                if isinstance(message, Watched):
                    raise Killed

    def close(self) -> None:
        pass


def test_a_killed_run_keeps_what_was_found_before(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    design = design_of({"fault": "zero"})
    with pytest.raises(Killed):
        run_design(design, project, executor=UntilTold())
    with project.open_journal(read_only=True) as journal:
        kinds = [row.finding.kind for row in list_findings(journal, "watched")]
        (entry,) = journal.entries(kind="watched")
    assert not entry.body["ended"]
    assert "gradients-kept-across-steps" in kinds


def test_what_was_found_before_a_learner_raised_is_kept(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    with pytest.raises(WorkerLost):
        run_design(design_of({"fault": "zero", "raises": 60}), project, executor=HereExecutor())
    with project.open_journal(read_only=True) as journal:
        assert "gradients-kept-across-steps" in [row.finding.kind for row in list_findings(journal)]


# ---- the doctor itself ----


def test_a_sensor_that_fails_is_a_finding_and_fails_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: GradientOrder, optimizer: Any) -> None:
        raise ZeroDivisionError("planted")

    make_project(tmp_path)
    plain = messages({"learner": "mine.py:train"}, tmp_path, watched=False, count=1)
    monkeypatch.setattr(GradientOrder, "on_step_begin", broken)
    told = messages({"learner": "mine.py:train"}, tmp_path, watched=True, count=1)
    assert [(each.kind, each.severity.value) for each in last_watched(told).findings] == [
        ("sensor-failed", "info")
    ]
    assert numbers(told) == numbers(plain)


@pytest.mark.parametrize("method", ["start", "round", "findings", "stop"])
def test_a_doctor_that_fails_is_a_finding_and_fails_no_trial(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    stop = Doctor.stop

    def broken(doctor: Doctor, *args: Any, **kwargs: Any) -> Any:
        if method == "stop":
            stop(doctor, *args, **kwargs)  # nothing else puts back what was replaced
        raise ZeroDivisionError("planted")

    make_project(tmp_path)
    variant = {"learner": "mine.py:train", "updates": 60}
    plain = messages(variant, tmp_path, watched=False, count=1)
    before = torch.optim.Optimizer.zero_grad, torch.autograd.backward
    monkeypatch.setattr(Doctor, method, broken)
    told = messages(variant, tmp_path, watched=True, count=1)
    assert {(each.kind, each.severity.value) for each in last_watched(told).findings} == {
        ("sensor-failed", "info")
    }
    assert numbers(told) == numbers(plain)
    assert (torch.optim.Optimizer.zero_grad, torch.autograd.backward) == before


def test_what_was_replaced_is_put_back_also_where_a_learner_raises(tmp_path: Path) -> None:
    import torch

    make_project(tmp_path)
    before = torch.optim.Optimizer.zero_grad, torch.autograd.backward
    told = messages({"learner": "mine.py:train", "raises": 3}, tmp_path, watched=True)
    assert isinstance(told[-1], Failed)
    assert isinstance(told[-2], Watched)
    assert (torch.optim.Optimizer.zero_grad, torch.autograd.backward) == before


def test_a_design_that_turns_the_watch_off_says_so_and_is_another_one(tmp_path: Path) -> None:
    bayes = {"learner": "sklearn.naive_bayes.GaussianNB"}
    off, on = design_of({"fault": "zero"}, bayes, watch=False), design_of({"fault": "zero"}, bayes)
    assert off.hash != on.hash
    assert "watch" not in on.record()  # designs from before there was a choice keep their hash
    assert off.record()["watch"] is False
    project, result = run(off, tmp_path)
    assert not any(each.kind in OF_DOCTOR for each in result.findings)
    with project.open_journal(read_only=True) as journal:
        assert journal.entries(kind="watched") == []
        page = render_page(collect_facts(journal, "watched"))
    assert "The doctor did not watch" in page


def test_kinds_of_the_doctor_are_nobody_else_s() -> None:
    assert set(OF_DOCTOR).isdisjoint({*OF_DATA, *OF_RESULTS})
    assert list(OF_DOCTOR) == sorted(set(OF_DOCTOR))


def test_what_the_learners_file_says_is_what_is_tested() -> None:
    assert all(LEARNING.count(text) == 1 for _, text in FIRST_SEVERE.values())
    assert np.isfinite(line_of("loss.backward()"))
