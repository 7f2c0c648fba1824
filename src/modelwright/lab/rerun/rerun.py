"""Execute a run again from its record, and say how equal the result is and what explains a difference."""

import math
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, ModelwrightError, SourceMissing, UnknownName, WorkerLost
from modelwright.experiment.question import Question
from modelwright.journal.journal import Journal
from modelwright.lab.ground.rows import fixed_split_seed
from modelwright.lab.lineage.answer import RerunAnswer, judge_rerun
from modelwright.lab.lineage.comparison import compare_metrics
from modelwright.lab.lineage.difference import UNLIKELY, Difference, Side, difference
from modelwright.lab.lineage.environment import EnvironmentRecord
from modelwright.lab.lineage.executed import Executed
from modelwright.lab.lineage.explanation import explain
from modelwright.lab.lineage.hardware import HardwareRecord
from modelwright.lab.lineage.learnt import LearntComparison, compare_learnt
from modelwright.lab.lineage.package import PackageRecord
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.source import SourceRecord, restore_source, snapshot_source
from modelwright.lab.project import Project
from modelwright.lab.rerun.recorded import RecordedRun, find_recorded_run
from modelwright.lab.rerun.repetition import Repetition, run_repetition

__all__ = ["rerun_run"]

_HERE = "or repeat it with the source as it is now: modelwright rerun RUN --here"


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

    Source and configuration are the recorded ones; data, installed software and machine are those of now,
    and what differs in them is named. The answer is entered in the journal as `rerun`.

    Args:
        run: Its identity, or how it begins.
        project: Where it is on record.
        changes: Settings of the variant to change on purpose; the answer then says what they did.
        here: Use the source as it is now instead of the recorded one.
        threads: Threads of numerical libraries; left out, as recorded.
        frames: Tables, for a run whose data came from Python.

    Raises:
        UnknownName: where there is no such run.
        BadValue: where the name fits runs of several trials, or a changed setting is wrong.
        NotPermitted: for a run without a result.
        SourceMissing: where data, source or a package are not there any more.
        WorkerLost: where the learner raises.
        Corrupted: where the record does not hold.
    """
    project.open_journal(read_only=True).close()  # a question makes no journal
    with project.open_journal() as journal:
        recorded = find_recorded_run(journal, run)
        with tempfile.TemporaryDirectory(prefix="modelwright-rerun-") as folder:
            session = _Session(journal, recorded, project, Path(folder).resolve(), here=here)
            answer = session.answer(changes or {}, threads, frames or {})
        asked = {"changes": dict(changes or {}), "here": here, "threads": threads}
        journal.append(
            "rerun", {**answer.record(), "asked": asked}, design=recorded.row.design, run=recorded.row.run
        )
        return answer


class _Session:
    """One repetition, from the restored source to the answer."""

    def __init__(
        self, journal: Journal, recorded: RecordedRun, project: Project, place: Path, *, here: bool
    ) -> None:
        self._journal = journal
        self._recorded = recorded
        self._home = _home(recorded, project)
        self._here = here
        self._place = place
        source = recorded.lineage.source
        depth = len(Path(source.folder).parts)
        self._original = _above(self._home, depth)
        if here:
            self._root = self._home
            self._source = snapshot_source(self._home, skip=[journal.folder])
        else:
            self._root = self._restored(source)
            self._source = source
        self._top = _above(self._root, len(Path(self._source.folder).parts))

    def answer(
        self, changes: Mapping[str, Any], threads: int | None, frames: Mapping[str, Any]
    ) -> RerunAnswer:
        recorded = self._recorded
        request = self._request(changes, threads)
        work = self._place / "work"
        work.mkdir()
        repetition = run_repetition(request, self._tables(frames), work)
        differences = self._differences(repetition)
        if repetition.error is not None:
            raise self._told(repetition.error, repetition, () if changes else differences)
        score = repetition.answer["score"]
        source = recorded.design.get("data") or recorded.design["environment"]
        return judge_rerun(
            compare_metrics(
                self._journal.read_metrics(recorded.row.run),
                repetition.columns,
                tolerance=recorded.design["tolerance"],
            ),
            recorded.score,
            math.nan if score is None else score,
            recorded.others,
            differences,
            learnt=self._learnt(repetition.state),
            bounds=configure(Question, recorded.design["question"], where="question").bounds,
            company=len(recorded.started["company"]),
            source=str(source.get("path") or source.get("name") or ""),
        )

    # ---- what goes in ----

    def _restored(self, source: SourceRecord) -> Path:
        try:
            archive = self._journal.artefacts.get(source.archive_sha256) if source.archive_sha256 else None
        except UnknownName as error:
            raise SourceMissing(
                "The recorded source is kept among the journal's artefacts",
                got=f"no artefact {source.archive_sha256}",
                next_step=f"bring it back from a copy of the journal, {_HERE}",
            ) from error
        try:
            return restore_source(source, self._place / "source", archive=archive, root=self._home)
        except SourceMissing as error:
            error.add_note(f"Repeat the run in the repository in which it was recorded, {_HERE}.")
            raise

    def _request(self, changes: Mapping[str, Any], threads: int | None) -> dict[str, Any]:
        design, started = self._recorded.design, self._recorded.started
        return {
            **self._ground(design, started),
            "path": self._import_path(),
            "root": str(self._root),
            "top": str(self._top),
            "original": None if self._here else str(self._original),
            "data_root": str(self._home),
            "question": design["question"],
            "variant": self._recorded.row.variant,
            "config": started["config"],
            "changes": dict(changes),
            "seed": started["seed"],
            "threads": threads or started["threads"]["count"],
        }

    def _ground(self, design: Mapping[str, Any], started: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was learnt from, in the words that any version of Modelwright's `repeat` reads."""
        if "environment" in design:
            return {key: design[key] for key in ("environment", "evaluation")}
        split = design["split"]
        shared = split["fixed"] or split["kind"] in ("time", "column")
        seed = fixed_split_seed(self._recorded.root).key if shared else started["seed"]
        return {"source": design["data"], "split": split, "split_seed": seed}

    def _import_path(self) -> list[str]:
        """Return this process's import path, with folders of the project replaced by the recorded ones.

        Modelwright itself is among them where it is part of the project's source.
        """
        path = [str(Path(entry or ".").resolve()) for entry in sys.path]
        if self._here:
            return path
        for at, entry in enumerate(path):
            if Path(entry).is_relative_to(self._original):
                kept = self._top / Path(entry).relative_to(self._original)
                path[at] = str(kept) if kept.is_dir() else entry
        return path

    def _tables(self, frames: Mapping[str, Any]) -> dict[str, Any]:
        source = self._recorded.design.get("data", {})
        if source.get("kind") == "frame" and source["name"] not in frames:
            raise SourceMissing(
                "A run on a table that was passed from Python is repeated with that table",
                got=f"no frame called {source['name']}",
                next_step=f"mw.rerun('{self._recorded.row.run}', frames={{'{source['name']}': table}})",
            )
        return {name: _table(name, frame) for name, frame in frames.items()}

    # ---- what comes out ----

    def _differences(self, repetition: Repetition) -> tuple[Difference, ...]:
        recorded, answer = self._recorded.lineage, repetition.answer
        # What the repetition did not come to is taken as it was recorded.
        environment, hardware = answer.get("environment"), answer.get("hardware")
        data = dict(answer.get("data", recorded.data))
        rows = self._recorded.started["split"]
        if data.get("identity") != recorded.data["identity"]:
            rows = answer["rows"]  # rows of other data are others anyway
        now = Lineage(
            source=self._source,
            package=PackageRecord.from_record(answer["package"]),
            config={**recorded.config, "variant": answer.get("config", recorded.config["variant"])},
            data={**data, "split rows": answer.get("rows", rows)},
            environment=EnvironmentRecord.from_record(environment) if environment else recorded.environment,
            hardware=HardwareRecord.from_record(hardware) if hardware else recorded.hardware,
        )
        then = replace(recorded, data={**recorded.data, "split rows": rows})
        parts = [Executed.from_record(record) for record in answer["executed"]]
        executed = parts[0] if len(parts) == 1 else parts[0].joined(parts[1])
        found = [*explain(then, now, executed=executed), *self._strays(answer["strays"])]
        return tuple(sorted(found, key=lambda one: (one.rank, one.what)))

    def _strays(self, paths: list[str]) -> list[Difference]:
        """Return the files that were executed as they are now, though the source is the recorded one."""
        found: list[Difference] = []
        for path in paths:
            kept, used = self._top / path, self._original / path
            if not kept.is_file() or kept.read_bytes() != used.read_bytes():
                sentence = f"file {path} could not be taken from the record and ran as it is now"
                found.append(difference(Side.CODE, "code", path, None, None, sentence=sentence))
        return found

    def _learnt(self, state: bytes | None) -> LearntComparison:
        sha256 = self._recorded.ended.get("state")
        return compare_learnt(self._journal.artefacts.get(sha256) if sha256 else None, state)

    def _told(
        self, error: ModelwrightError, repetition: Repetition, differences: tuple[Difference, ...]
    ) -> ModelwrightError:
        """Return the error with what is known to differ from the record."""
        origin = self._recorded.lineage.data.get("origin", {})
        if "file" in repetition.answer and "sha256" in origin:
            now = repetition.answer["file"]
            was = f"{origin['bytes']} bytes, sha256 {origin['sha256'][:12]}"
            if now is None:
                error.add_note(f"The run was recorded with a data file of {was}: bring it back.")
            elif now["sha256"] != origin["sha256"]:
                is_now = f"{now['bytes']} bytes, sha256 {now['sha256'][:12]}"
                error.add_note(f"The data differ from the record: the file was {was} and is {is_now}.")
        for one in differences[:3]:
            if one.rank < UNLIKELY:
                error.add_note(f"Differs from the record: {one.side.value}: {one.sentence}.")
        if not self._here and isinstance(error, WorkerLost | SourceMissing) and "data" in repetition.answer:
            error.add_note(
                "The learner ran in a copy of the recorded source; files that the record does not hold are "
                "missing there, and --here uses the folder as it is now."
            )
        return error


def _table(name: str, frame: object) -> object:
    """Return a frame as something that another process can be given."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(frame, pd.DataFrame):
        return frame
    try:
        return pa.table(frame)
    except (pa.ArrowInvalid, TypeError, ValueError) as error:
        raise BadValue(
            "A frame is a pandas or Arrow table", got=f"{name}, a {type(frame).__name__}"
        ) from error


def _above(folder: Path, levels: int) -> Path:
    for _ in range(levels):
        folder = folder.parent
    return folder


def _home(recorded: RecordedRun, project: Project) -> Path:
    """Return the project's folder, also where the question is asked from another one.

    A journal that lies where it lies by default tells its project, unless the present folder has more of the
    recorded files.
    """
    folder = project.journal_folder
    if project.root in folder.parents or folder.name != ".modelwright":
        return project.root
    source = recorded.lineage.source
    prefix = f"{source.folder}/" if source.folder else ""
    files = [path.removeprefix(prefix) for path in source.files if path.startswith(prefix)]
    held = [sum((place / file).exists() for file in files) for place in (project.root, folder.parent)]
    return project.root if held[0] > held[1] else folder.parent
