"""One experiment on its way to MLflow: designs, looks, verdict, runs, numbers and files."""

import math
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from modelwright.base.errors import StoreFailed
from modelwright.base.fingerprint import canonical_json, jsonable, sha256_hex
from modelwright.journal.journal import Journal
from modelwright.journal.registration import Registration
from modelwright.journal.run_row import RunRow
from modelwright.lab.show.shown import ShownExperiment, ShownRun, show
from modelwright.lab.show.shown_page import flat_settings

__all__ = ["DONE_TAG", "RUN_TAG", "ExportSummary", "MlflowCopy"]

RUN_TAG = "modelwright.run"
"""Tag that names what a run of MLflow is a copy of."""
DONE_TAG = "modelwright.exported"
"""Tag that is set last: what lacks it was left half written."""

_REPORT_TAG = "modelwright.report"
_STATUSES = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
# Limits of MLflow for one call and one value.
_METRICS_A_CALL, _PARAMS_A_CALL, _LONGEST_PARAM, _LONGEST_TAG = 1000, 100, 6000, 5000
_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True)
class ExportSummary:
    """What an export wrote.

    Attributes:
        destination: MLflow's tracking URI.
        experiments: Names of the experiments.
        written: Runs that were added.
        known: Runs that were there already.
        open: Runs that are still running and wait for the next export.
        metrics: Numbers that were added.
        artefacts: Files that were added.
    """

    destination: str
    experiments: tuple[str, ...]
    written: int = 0
    known: int = 0
    open: int = 0
    metrics: int = 0
    artefacts: int = 0

    def record(self) -> dict[str, Any]:
        """Return the summary as JSON types."""
        return jsonable(self)

    def __str__(self) -> str:
        more = f"; {self.open} still running and left for later" if self.open else ""
        return (
            f"{len(self.experiments)} experiment{'s' * (len(self.experiments) != 1)} at {self.destination}: "
            f"{self.written} runs written ({self.metrics:,} numbers, {self.artefacts} files), "
            f"{self.known} there already{more}.\n"
            f"Look at them with: mlflow ui --backend-store-uri {self.destination}"
        )


@dataclass(slots=True)
class MlflowCopy:
    """One experiment on its way to MLflow.

    Attributes:
        journal: The record.
        client: An `MlflowClient`.
        summary: Counts what is written.
        advance: Called after every run.
        address: MLflow's tracking URI.
    """

    journal: Journal
    client: Any
    summary: ExportSummary
    advance: Callable[[], None]
    address: str
    identity: str = ""
    there: dict[str, Any] = field(default_factory=dict[str, Any])

    def experiment(self, chain: Sequence[Registration]) -> None:
        """Copy what is not there yet: the designs of one name, in order, and their runs."""
        name = chain[-1].name
        self.identity = self._make_experiment(name)
        self.there = {run.data.tags[RUN_TAG]: run for run in self._existing()}
        rows = self.journal.runs(experiment=name, order="started")
        for registration in chain:
            shown = show(self.journal, registration.design)
            assert isinstance(shown, ShownExperiment)
            parent = self._parent(shown)
            for row in rows:
                if row.design == registration.design:
                    self._run(row, shown, parent)
                    self.advance()

    def _make_experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return self.client.create_experiment(name, artifact_location=_artefact_folder(self.address, name))
        if found.lifecycle_stage != "active":
            raise StoreFailed(
                "An experiment is exported to one that is not deleted",
                got=f"{name} lies in MLflow's bin",
                next_step=f"mlflow experiments restore --experiment-id {found.experiment_id}",
            )
        return found.experiment_id

    def _existing(self) -> Iterator[Any]:
        """Yield what is there whole; what an earlier export left half written is thrown away."""
        token: str | None = None
        while True:
            page = self.client.search_runs([self.identity], max_results=1000, page_token=token)
            for run in page:
                if RUN_TAG not in run.data.tags:
                    continue
                if DONE_TAG in run.data.tags:
                    yield run
                else:
                    self.client.delete_run(run.info.run_id)
            token = page.token
            if not token:
                return

    # ---- the design and its verdict ----

    def _parent(self, shown: ShownExperiment) -> str:
        key = f"design:{shown.design_hash}"
        verdict = shown.verdict
        tags = {
            RUN_TAG: key,
            "modelwright.design": shown.design_hash,
            "modelwright.experiment": shown.name,
            "modelwright.hypothesis": shown.design.question.hypothesis,
            "modelwright.verdict": "open" if verdict is None else verdict.outcome.value,
            "modelwright.sentence": "" if verdict is None else verdict.sentence,
            "modelwright.data": shown.data,
            "mlflow.note.content": _note(shown),
        }
        run = self.there.get(key)
        if run is None:
            begun = _milliseconds(shown.registered)
            run = self.client.create_run(
                self.identity, start_time=begun, run_name=shown.name, tags=_cut(tags)
            )
            self._params(run.info.run_id, flat_settings(shown.design.record()))
            self._looks(run.info.run_id, shown, begun, set())
        else:
            self._refresh(run, tags)
            self._looks(run.info.run_id, shown, _milliseconds(shown.registered), self._steps(run))
        identity = run.info.run_id
        if shown.report is not None and shown.superseded_by is None:
            self._report(run, shown.report)
        if verdict is not None and run.info.status != "FINISHED":
            ends = self.journal.entries(kind="verdict", design=shown.design_hash)
            self.client.set_terminated(identity, status="FINISHED", end_time=_milliseconds(ends[-1].time))
        self.client.set_tag(identity, DONE_TAG, "yes")
        return identity

    def _steps(self, run: Any) -> set[int]:
        names = [name for name in run.data.metrics if name.startswith("look/")]
        histories = [self.client.get_metric_history(run.info.run_id, name) for name in names]
        return {point.step for history in histories for point in history}

    def _looks(self, identity: str, shown: ShownExperiment, time: int, there: set[int]) -> None:
        """Write each look as numbers at its count of seeds."""
        numbers: list[tuple[str, float, int]] = []
        for look in shown.looks:
            if look.seeds in there:
                continue
            for reading in look.readings:
                pair = f"look/{reading.candidate} over {reading.baseline}"
                interval = reading.interval
                values = {"difference": interval.estimate, "low": interval.low, "high": interval.high}
                numbers += [(f"{pair}/{part}", value, look.seeds) for part, value in values.items()]
            numbers += [(f"look/mean/{variant}", value, look.seeds) for variant, value in look.means.items()]
        self._metrics(identity, numbers, time)

    def _report(self, run: Any, report: Path) -> None:
        content = sha256_hex(report.read_bytes())
        if run.data.tags.get(_REPORT_TAG) != content:
            self.client.log_artifact(run.info.run_id, str(report))
            self.client.set_tag(run.info.run_id, _REPORT_TAG, content)
            self.summary.artefacts += 1

    # ---- runs ----

    def _run(self, row: RunRow, experiment: ShownExperiment, parent: str) -> None:
        if row.status == "running":
            self.summary.open += 1
            return
        verdict = "open" if experiment.verdict is None else experiment.verdict.outcome.value
        if row.run in self.there:
            self._refresh(self.there[row.run], {"modelwright.verdict": verdict})
            self.summary.known += 1
            return
        shown = show(self.journal, row.run)
        assert isinstance(shown, ShownRun)
        tags = {**_run_tags(shown), "modelwright.verdict": verdict, "mlflow.parentRunId": parent}
        made = self.client.create_run(
            self.identity, start_time=_milliseconds(row.started), run_name=row.run, tags=_cut(tags)
        )
        identity = made.info.run_id
        self._params(identity, flat_settings(shown.config))
        self._metrics(identity, self._numbers(shown), _milliseconds(row.finished or row.started))
        self._files(identity, shown)
        self.client.set_terminated(
            identity, status=_STATUSES[row.status], end_time=_milliseconds(row.finished or row.started)
        )
        self.client.set_tag(identity, DONE_TAG, "yes")
        self.summary.written += 1

    def _numbers(self, shown: ShownRun) -> Iterator[tuple[str, float, int]]:
        table = self.journal.read_metrics(shown.row.run, prefix=True)
        columns = [table.column(name).to_pylist() for name in ("metric", "value", "update")]
        last = max(columns[2], default=0)
        yield from zip(*columns, strict=True)
        if shown.row.score is not None:
            yield "modelwright/score", shown.row.score, last
        if shown.usage is not None:
            usage = shown.usage
            share = shown.shared_by
            yield "modelwright/wall_seconds", usage.wall_seconds / share, last
            yield "modelwright/cpu_seconds", usage.cpu_seconds / share, last
            for energy in usage.energy:
                yield f"modelwright/energy_joules_{energy.label}", energy.joules / share, last

    def _metrics(self, identity: str, numbers: Iterable[tuple[str, float, int]], time: int) -> None:
        from mlflow.entities import Metric

        for part in _parts(numbers, _METRICS_A_CALL):
            batch = [Metric(_key(name), _number(value), time, step) for name, value, step in part]
            self.client.log_batch(identity, metrics=batch)
            self.summary.metrics += len(batch)

    def _params(self, identity: str, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        for part in _parts(settings.items(), _PARAMS_A_CALL):
            params = [Param(_key(name), _short(str(value), _LONGEST_PARAM)) for name, value in part]
            self.client.log_batch(identity, params=params)

    def _files(self, identity: str, shown: ShownRun) -> None:
        with tempfile.TemporaryDirectory(prefix="modelwright-export-") as folder:
            if shown.state is not None:
                (Path(folder) / "state.npz").write_bytes(self.journal.artefacts.get(shown.state))
            if shown.lineage is not None:
                (Path(folder) / "lineage.json").write_text(canonical_json(shown.lineage.record()))
            for file in sorted(Path(folder).iterdir()):
                self.client.log_artifact(identity, str(file))
                self.summary.artefacts += 1

    def _refresh(self, run: Any, tags: Mapping[str, str]) -> None:
        """Set the tags that have changed: a verdict may come, or change by an amendment."""
        for name, value in _cut(tags).items():
            if run.data.tags.get(name) != value:
                self.client.set_tag(run.info.run_id, name, value)


def _run_tags(shown: ShownRun) -> dict[str, str]:
    row = shown.row
    tags = {
        RUN_TAG: row.run,
        "modelwright.trial": row.trial,
        "modelwright.design": row.design,
        "modelwright.experiment": row.experiment,
        "modelwright.variant": row.variant,
        "modelwright.seed_index": str(row.seed_index),
        "modelwright.seed": shown.seed,
        "modelwright.split": shown.split,
        "modelwright.data": shown.data,
        "modelwright.code": shown.code,
        "modelwright.reason": shown.reason,
        "mlflow.source.name": "modelwright",
        "mlflow.source.type": "LOCAL",
    }
    if shown.lineage is not None:
        source = shown.lineage.source
        tags["modelwright.source"] = source.tree or source.archive_sha256 or ""
        tags["modelwright.dirty"] = str(source.dirty)
        if source.commit:
            tags["mlflow.source.git.commit"] = source.commit
        if source.branch:
            tags["mlflow.source.git.branch"] = source.branch
    return tags


def _note(shown: ShownExperiment) -> str:
    verdict = "No verdict yet." if shown.verdict is None else shown.verdict.sentence
    return f"**{shown.design.question.hypothesis}**\n\n{verdict}"


def _cut(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: _short(value, _LONGEST_TAG) for name, value in tags.items()}


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _key(name: str) -> str:
    """Return a name that MLflow takes: letters, digits, blanks and _ - . / in the form of a path."""
    key = re.sub(r"[^\w\-. /]", lambda found: f"-x{ord(found[0]):02x}", name)
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return key.replace("/", "-x2f").replace(".", "-x2e")
    return key


def _number(value: float) -> float:
    # SQL stores of MLflow clamp infinities; others refuse them, so it is done for all alike.
    if math.isinf(value):
        return math.copysign(1.7976931348623157e308, value)
    return value


def _milliseconds(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


def _parts(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _artefact_folder(address: str, name: str) -> str | None:
    """Return where the files of an experiment lie: beside a SQLite file, else where the server wants them."""
    file = re.fullmatch(r"sqlite:///(.+)", address)
    return (Path(file[1]).parent / "mlartifacts" / name).as_uri() if file else None
