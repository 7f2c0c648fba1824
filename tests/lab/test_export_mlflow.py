"""Everything is read back through MLflow's own interface and compared with the journal."""

import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwright.base.errors import SourceMissing, StoreFailed, UnknownName
from modelwright.journal.journal import Journal
from modelwright.lab.export.export_mlflow import export_mlflow
from modelwright.lab.export.mlflow_copy import MlflowCopy
from modelwright.lab.project import Project
from modelwright.lab.show.shown_page import flat_settings

mlflow = pytest.importorskip("mlflow", reason="MLflow is an extra", exc_type=ImportError)

# MLflow and what it stands on warn of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")

RUN = "modelwright.run"


@pytest.fixture(scope="module")
def exported(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A copy of the project, exported once: (project, client, summary)."""
    root = tmp_path_factory.mktemp("export") / "copy"
    shutil.copytree(small_project.root, root)
    project = Project.find(root, journal=Path(".modelwright"))
    with project.open_journal() as journal:
        _add_odd_run(journal)
    summary = export_mlflow(project)
    return project, mlflow.MlflowClient(tracking_uri=f"sqlite:///{root}/mlflow.db"), summary


def _add_odd_run(journal: Journal) -> None:
    """A run with 2,500 numbers, some of them none, and one that was interrupted and one that is at work."""
    row = journal.run("small-softmax-00")
    body = journal.entries(kind="run.started", run=row.run)[0].body["body"]
    for name in ("odd", "cut", "busy"):
        journal.start_run(
            name,
            trial=name,
            design=row.design,
            experiment="small",
            variant="softmax",
            seed_index=7,
            body=body,
        )
    with journal.metric_writer(["odd"]) as writer:
        for update in range(1, 1251):
            value = {3: math.nan, 4: math.inf, 5: -math.inf}.get(update, update / 7)
            writer.write(update, {"loss": np.array([value]), "train/rate": np.array([1.0 / update])})
        files = writer.finish()
    journal.finish_run("odd", status="finished", score=0.5, body={}, metrics=files["odd"])
    journal.finish_run("cut", status="interrupted", score=None, body={"reason": "the launch ended before it"})


def runs_of(client: Any, experiment: str) -> dict[str, Any]:
    found = client.get_experiment_by_name(experiment)
    return {run.data.tags[RUN]: run for run in client.search_runs([found.experiment_id], max_results=1000)}


def test_every_run_is_there_with_its_status_times_and_tags(exported: Any) -> None:
    project, client, summary = exported
    with project.open_journal(read_only=True) as journal:
        for experiment in ("small", "flawed"):
            copies = runs_of(client, experiment)
            rows = [row for row in journal.runs(experiment=experiment) if row.status != "running"]
            designs = {f"design:{item.design}" for item in journal.registrations(experiment)}
            assert copies.keys() == {row.run for row in rows} | designs
            for row in rows:
                copy, tags = copies[row.run], copies[row.run].data.tags
                started = journal.entries(kind="run.started", run=row.run)[0].body["body"]
                expected = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}[row.status]
                assert copy.info.status == expected
                assert copy.info.run_name == row.run
                assert abs(copy.info.start_time / 1000 - _seconds(row.started)) < 0.01
                assert abs(copy.info.end_time / 1000 - _seconds(row.finished)) < 0.01
                assert tags["modelwright.trial"] == row.trial
                assert tags["modelwright.design"] == row.design
                assert tags["modelwright.seed"] == started["seed"]
                assert tags["modelwright.data"] == started["data"]
                assert tags["modelwright.seed_index"] == str(row.seed_index)
                assert tags["mlflow.parentRunId"] == copies[f"design:{row.design}"].info.run_id
    assert (summary.written, summary.known, summary.open) == (22, 0, 1)
    assert "22 runs written" in str(summary)


def _seconds(instant: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(instant).timestamp()


def test_every_number_is_there_and_equal(exported: Any) -> None:
    project, client, summary = exported
    numbers = 0
    with project.open_journal(read_only=True) as journal:
        for experiment in ("small", "flawed"):
            copies = runs_of(client, experiment)
            for row in journal.runs(experiment=experiment):
                if row.status == "running":
                    continue
                identity = copies[row.run].info.run_id
                table = journal.read_metrics(row.run).to_pandas()
                for name, part in table.groupby("metric"):
                    history = sorted(
                        client.get_metric_history(identity, str(name)), key=lambda point: point.step
                    )
                    assert [point.step for point in history] == part["update"].tolist()
                    np.testing.assert_array_equal(
                        np.clip(
                            [point.value for point in history],
                            -1.7976931348623157e308,
                            1.7976931348623157e308,
                        ),
                        np.clip(part["value"], -1.7976931348623157e308, 1.7976931348623157e308),
                    )
                    numbers += len(history)
                if row.score is not None:
                    assert copies[row.run].data.metrics["modelwright/score"] == row.score
    assert summary.metrics > numbers > 2500


def test_not_a_number_stays_so_and_infinities_become_the_largest_float(exported: Any) -> None:
    _, client, _ = exported
    identity = runs_of(client, "small")["odd"].info.run_id
    by_step = {point.step: point.value for point in client.get_metric_history(identity, "loss")}
    assert math.isnan(by_step[3])
    assert (by_step[4], by_step[5]) == (1.7976931348623157e308, -1.7976931348623157e308)
    assert len(client.get_metric_history(identity, "train/rate")) == 1250


def test_settings_are_params_with_dotted_names(exported: Any) -> None:
    project, client, _ = exported
    with project.open_journal(read_only=True) as journal:
        for row in journal.runs(experiment="small", status="finished"):
            started = journal.entries(kind="run.started", run=row.run)[0].body["body"]
            expected = {name: str(value) for name, value in flat_settings(started["config"]).items()}
            assert runs_of(client, "small")[row.run].data.params == expected
        design = journal.registrations("small")[0]
        params = runs_of(client, "small")[f"design:{design.design}"].data.params
    assert params["question.margin"] == "0.02"
    assert params["rule.looks"] == "[3, 4]"


def test_the_parent_run_holds_looks_verdict_and_report(exported: Any) -> None:
    project, client, _ = exported
    with project.open_journal(read_only=True) as journal:
        chain = journal.registrations("flawed")
        looks = journal.entries(kind="look", design=chain[-1].design)
        sentence = journal.entries(kind="verdict", design=chain[-1].design)[-1].body["sentence"]
    parents = runs_of(client, "flawed")
    parent = parents[f"design:{chain[-1].design}"]
    assert parent.data.tags["modelwright.verdict"] == "invalid"
    assert parent.data.tags["modelwright.sentence"] == sentence
    assert parent.info.status == "FINISHED"
    reading = looks[0].body["readings"][0]
    point = client.get_metric_history(parent.info.run_id, "look/deep over stump/low")[0]
    assert (point.step, point.value) == (4, reading["interval"]["low"])
    report = project.reports / "flawed.html"
    fetched = Path(client.download_artifacts(parent.info.run_id, "flawed.html"))
    assert fetched.read_bytes() == report.read_bytes()
    assert not client.list_artifacts(parents[f"design:{chain[0].design}"].info.run_id)


def test_what_was_learnt_and_the_lineage_are_artefacts(exported: Any) -> None:
    project, client, _ = exported
    with project.open_journal(read_only=True) as journal:
        row = journal.run("small-softmax-02")
        state = journal.entries(kind="run.finished", run=row.run)[-1].body["body"]["state"]
        identity = runs_of(client, "small")[row.run].info.run_id
        fetched = Path(client.download_artifacts(identity, "state.npz"))
        assert fetched.read_bytes() == journal.artefacts.get(state)
    assert {file.path for file in client.list_artifacts(identity)} == {"state.npz", "lineage.json"}


def test_no_call_is_larger_than_a_server_takes(
    exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _, summary = exported
    sizes: list[tuple[int, int]] = []
    log_batch = mlflow.MlflowClient.log_batch

    def counted(self: Any, run_id: str, metrics: Any = (), params: Any = (), **more: Any) -> Any:
        sizes.append((len(metrics), len(params)))
        return log_batch(self, run_id, metrics=metrics, params=params, **more)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", counted)
    export_mlflow(project, destination=f"sqlite:///{tmp_path}/sizes.db")
    assert sum(metrics for metrics, _ in sizes) == summary.metrics
    assert max(metrics for metrics, _ in sizes) == 1000
    assert 0 < max(params for _, params in sizes) <= 100


def test_exporting_again_adds_what_is_new_and_nothing_twice(exported: Any, tmp_path: Path) -> None:
    project, client, _ = exported
    before = {name: sorted(runs_of(client, name)) for name in ("small", "flawed")}
    again = export_mlflow(project)
    assert (again.written, again.known, again.metrics, again.artefacts) == (0, 22, 0, 0)
    assert {name: sorted(runs_of(client, name)) for name in ("small", "flawed")} == before
    identity = runs_of(client, "small")["odd"].info.run_id
    assert len(client.get_metric_history(identity, "loss")) == 1250

    with project.open_journal() as journal:
        journal.finish_run("busy", status="failed", score=None, body={"reason": "diverged"})
    third = export_mlflow(project, "small")
    assert (third.written, third.known, third.open) == (1, 10, 0)
    assert runs_of(client, "small")["busy"].info.status == "FAILED"


def test_a_run_that_an_export_left_half_written_is_written_anew(
    small_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"sqlite:///{tmp_path}/half.db"
    files: Callable[..., None] = MlflowCopy._files
    calls = 0

    def fail(self: Any, identity: str, shown: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        files(self, identity, shown)

    monkeypatch.setattr(MlflowCopy, "_files", fail)
    with pytest.raises(KeyboardInterrupt):
        export_mlflow(small_project, "small", destination=address)
    monkeypatch.setattr(MlflowCopy, "_files", files)
    done = export_mlflow(small_project, "small", destination=address)
    assert (done.written, done.known) == (6, 2)
    client = mlflow.MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name("small")
    tags = [run.data.tags[RUN] for run in client.search_runs([found.experiment_id])]
    assert len(tags) == len(set(tags)) == 9


def test_a_verdict_that_changes_is_changed_there_too(small_project: Project, tmp_path: Path) -> None:
    shutil.copytree(small_project.root, tmp_path / "copy")
    project = Project.find(tmp_path / "copy", journal=Path(".modelwright"))
    export_mlflow(project, "small")
    with project.open_journal() as journal:
        entry = journal.entries(kind="verdict", design=journal.registrations("small")[0].design)[-1]
        body = {**entry.body, "outcome": "refuted", "sentence": "Refuted: so it is."}
        journal.append("verdict", body, design=entry.design)
    assert export_mlflow(project, "small").written == 0
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{project.root}/mlflow.db")
    assert {run.data.tags["modelwright.verdict"] for run in runs_of(client, "small").values()} == {"refuted"}


def test_without_mlflow_the_command_that_installs_it_is_named(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SourceMissing, match=r"pip install 'modelwright\[mlflow\]'"):
        export_mlflow(small_project)


def test_wrong_names_and_stores_that_refuse_are_errors_of_ours(
    small_project: Project, tmp_path: Path
) -> None:
    with pytest.raises(UnknownName) as caught:
        export_mlflow(small_project, "smal")
    assert caught.value.nearest == "small"
    address = f"sqlite:///{tmp_path}/bin.db"
    export_mlflow(small_project, "small", destination=address)
    client = mlflow.MlflowClient(tracking_uri=address)
    client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
    with pytest.raises(StoreFailed, match="bin"):
        export_mlflow(small_project, "small", destination=address)
    (tmp_path / "file").write_text("this is no database, and long enough to be seen as something else" * 20)
    with pytest.raises(StoreFailed):
        export_mlflow(small_project, "small", destination=f"sqlite:///{tmp_path}/file")
