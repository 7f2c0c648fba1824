"""Execute a run again from its record, and say how equal the result is and what explains a difference."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import modelwright.base.errors
from modelwright.algorithms.learner import complete_config
from modelwright.base.errors import BadValue, NotPermitted, SourceMissing, WorkerLost
from modelwright.base.fingerprint import canonical_json
from modelwright.journal.journal import Journal
from modelwright.journal.run_row import RunRow
from modelwright.lab.lineage.answer import RerunAnswer, judge_rerun
from modelwright.lab.lineage.comparison import compare_metrics
from modelwright.lab.lineage.environment import EnvironmentRecord
from modelwright.lab.lineage.explanation import explain
from modelwright.lab.lineage.hardware import HardwareRecord
from modelwright.lab.lineage.package import PackageRecord
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.source import SourceRecord, restore_source, snapshot_source
from modelwright.lab.lineage.threads import pinned_environment
from modelwright.lab.prepare import fixed_split_seed
from modelwright.lab.project import Project

__all__ = ["rerun_run"]


def rerun_run(
    run: str,
    project: Project,
    *,
    changes: Mapping[str, Any] | None = None,
    here: bool = False,
    threads: int | None = None,
    frames: Mapping[str, Any] | None = None,
) -> RerunAnswer:
    """Execute a finished run again and compare.

    Args:
        run: Its identity, or how it begins.
        project: Where it is on record.
        changes: Settings of the variant to change on purpose; the answer then says what they did.
        here: Use the source as it is now instead of the recorded one.
        threads: Threads of numerical libraries; left out, as recorded.
        frames: Tables, for a run whose data came from Python.

    Raises:
        UnknownName: where there is no such run.
        NotPermitted: for a run that has not finished.
        SourceMissing: where data, source or a package are not there any more.
    """
    with project.open_journal() as journal:
        row = journal.run(run)
        if row.status not in ("finished", "failed") or row.cohort is None:
            raise NotPermitted("A run is repeated once it has finished", got=f"{row.run} is {row.status}")
        started = journal.entries(kind="run.started", run=row.run)[-1].body["body"]
        recorded = Lineage.from_record(json.loads(journal.artefacts.get(started["lineage"])))
        with tempfile.TemporaryDirectory(prefix="modelwright-rerun-") as folder:
            place = Path(folder)
            root = project.root if here else _restored(journal, recorded, project, place / "source")
            request = _request(journal, row, started, project, root, changes or {}, threads)
            request["frames"] = _frames(request, frames or {}, place)
            answer, columns = _execute(request, root, recorded, project, place, here=here)
        source = snapshot_source(project.root, skip=[journal.folder]) if here else recorded.source
        now = Lineage(
            source=source,
            package=PackageRecord.from_record(answer["package"]),
            config={**recorded.config, "variant": request["config"]},
            data=answer["data"],
            environment=EnvironmentRecord.from_record(answer["environment"]),
            hardware=HardwareRecord.from_record(answer["hardware"]),
        )
        tolerance = _design(journal, row)["tolerance"]
        judged = judge_rerun(
            compare_metrics(journal.read_metrics(row.run), columns, tolerance=tolerance),
            _number(row.score),
            _number(answer["score"]),
            [
                _number(other.score)
                for other in journal.runs(design=row.design, variant=row.variant, status="finished")
                if other.seed_index != row.seed_index
            ],
            explain(recorded, now),
        )
        journal.append("rerun", judged.record(), design=row.design, run=row.run)
        return judged


def _number(score: float | None) -> float:
    return float("nan") if score is None else score


def _design(journal: Journal, row: RunRow) -> Mapping[str, Any]:
    for registration in journal.registrations(row.experiment):
        if registration.design == row.design:
            return registration.body["design"]
    raise SourceMissing("A run's design is registered", got=f"no {row.design[:12]} under {row.experiment}")


def _restored(journal: Journal, recorded: Lineage, project: Project, destination: Path) -> Path:
    source = recorded.source
    archive = journal.artefacts.get(source.archive_sha256) if source.archive_sha256 else None
    return restore_source(source, destination, archive=archive, root=project.root)


def _request(
    journal: Journal,
    row: RunRow,
    started: Mapping[str, Any],
    project: Project,
    root: Path,
    changes: Mapping[str, Any],
    threads: int | None,
) -> dict[str, Any]:
    design = _design(journal, row)
    config = dict(started["config"])
    if changes:
        config = complete_config({**config, **changes}, root=root)
    base = journal.registrations(row.experiment)[0].body["root"]
    shared = design["split"]["fixed"] or design["split"]["kind"] in ("time", "column")
    return {
        "root": str(root),
        "data_root": str(project.root),
        "source": design["data"],
        "split": design["split"],
        "question": design["question"],
        "config": config,
        "seed": started["seed"],
        "split_seed": fixed_split_seed(base).key if shared else started["seed"],
        "threads": threads or started["threads"]["count"],
    }


def _frames(request: Mapping[str, Any], frames: Mapping[str, Any], place: Path) -> dict[str, str]:
    if request["source"]["kind"] != "frame":
        return {}
    name = request["source"]["name"]
    if name not in frames:
        raise SourceMissing(
            "A run on a table that was passed from Python is repeated with that table",
            got=f"no frame called {name}",
            next_step=f"mw.rerun(run, frames={{'{name}': table}})",
        )
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    table = frames[name]
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    parquet.write_table(table, place / "frame.parquet")
    return {name: str(place / "frame.parquet")}


def _execute(
    request: Mapping[str, Any], root: Path, recorded: Lineage, project: Project, place: Path, *, here: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    (place / "request.json").write_text(canonical_json(request))
    path = [str(root), *_own_source(root, recorded, project, here=here)]
    variables = {**os.environ, **pinned_environment(request["threads"]), "PYTHONHASHSEED": "0"}
    if "PYTHONPATH" in os.environ:
        path.append(os.environ["PYTHONPATH"])
    done = subprocess.run(
        [sys.executable, "-m", "modelwright.lab.repeat", str(place / "request.json"), str(place / "answer.json")],
        env={**variables, "PYTHONPATH": os.pathsep.join(path)},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    if not (place / "answer.json").exists():
        words = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise WorkerLost("The repetition runs to its end", got=f"exit status {done.returncode}: {words}")
    answer = json.loads((place / "answer.json").read_text())
    if "failed" in answer:
        parts = answer["failed"]
        raise BadValue(
            f"The recorded trial can be executed: {parts['rule']}",
            got=parts["got"],
            nearest=parts["nearest"],
            next_step=parts["next_step"],
        )
    with np.load(place / "answer.npz") as archive:
        columns = {name: archive[name] for name in ("update", "metric", "value")}
    return answer, {**columns, "metric": columns["metric"].tolist()}


def _own_source(root: Path, recorded: Lineage, project: Project, *, here: bool) -> Sequence[str]:
    """Return where the recorded Modelwright lies, where it is part of the project's own source."""
    package = Path(modelwright.base.errors.__file__).parents[2]
    top = project.root
    for _ in Path(recorded.source.folder).parts:
        top = top.parent
    if here or not package.is_relative_to(top) or "site-packages" in package.parts:
        return ()
    restored_top = root
    for _ in Path(recorded.source.folder).parts:
        restored_top = restored_top.parent
    inside = restored_top / package.relative_to(top)
    return (str(inside),) if (inside / "modelwright").is_dir() else ()
