"""Where metrics are: segments of live and interrupted cohorts, Parquet files of finished ones."""

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modelwright.base.errors import BadValue, Corrupted, NotPermitted, UnknownName
from modelwright.base.fingerprint import fingerprint
from modelwright.journal.database import Database, disk_failure
from modelwright.journal.entry import Entry
from modelwright.journal.metric_file import (
    MetricFile,
    empty_table,
    read_metric_file,
    run_table,
    total_rows,
    write_metric_file,
)
from modelwright.journal.metric_writer import FLUSH_SECONDS, MetricWriter
from modelwright.journal.segment import read_segments

__all__ = ["MetricStore"]

_COHORT_DIGITS = 32


class MetricStore:
    """Makes writers, compacts segments, and reads metrics from wherever they are.

    Args:
        folder: The journal's folder.
        database: Tells cohorts and their files.
        append: Writes an entry.
    """

    def __init__(
        self, folder: Path, database: Database, append: Callable[[str, dict[str, Any]], Entry]
    ) -> None:
        self._folder = folder
        self._database = database
        self._append = append
        self._writers: dict[str, MetricWriter] = {}

    def segment_folder(self, cohort: str) -> Path:
        """Return where a cohort's segments are while it lasts."""
        return self._folder / "segments" / cohort

    def writer(self, runs: Sequence[str], flush_seconds: float = FLUSH_SECONDS) -> MetricWriter:
        """Start the metrics of a cohort.

        Raises:
            BadValue: where no run is given, or one twice.
            UnknownName: where a run was not started.
            NotPermitted: where a run has ended, or has a writer already.
        """
        if self._database.read_only:
            raise NotPermitted(
                "A journal that is opened to read is not written", next_step="open it without read_only"
            )
        if isinstance(runs, str) or not runs or len(set(runs)) < len(runs):
            raise BadValue("A cohort is one or more runs, each named once", got=runs)
        for run in runs:
            rows = self._database.rows("SELECT status, cohort FROM run WHERE run = ?", (run,))
            if not rows:
                raise UnknownName("started run", run, (), next_step="call start_run before metric_writer")
            status, cohort = rows[0]
            if status != "running" or cohort is not None:
                raise NotPermitted(
                    "The metrics of a run are written once, while it is running",
                    got=f"run {run}: {status}" + (", has a writer already" if cohort else ""),
                    next_step="start a new run",
                )
        cohort = fingerprint(list(runs))[:_COHORT_DIGITS]
        folder = self.segment_folder(cohort)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_failure(error, folder, "start a cohort's metrics") from error
        self._append("metrics.started", {"cohort": cohort, "runs": list(runs)})
        writer = MetricWriter(
            folder=folder,
            cohort=cohort,
            runs=runs,
            compact=lambda: self.compact(cohort, runs),
            flush_seconds=flush_seconds,
        )
        self._writers[cohort] = writer
        return writer

    def compact(self, cohort: str, runs: Sequence[str]) -> dict[str, MetricFile]:
        """Turn a cohort's segments into a metric file, enter it in the ledger, then remove the segments.

        Raises:
            Corrupted: where a segment is damaged; nothing is changed.
            StoreFailed: where the disk refuses; the segments stay.
        """
        path = f"metrics/{cohort[:2]}/{cohort}.parquet"
        folder = self.segment_folder(cohort)
        blocks, damage = read_segments(folder, len(runs))
        if damage is not None:
            raise damage
        try:
            files = write_metric_file(self._folder, path, cohort, runs, blocks)
        except OSError as error:
            raise disk_failure(error, self._folder / path, "write a metric file") from error
        del blocks
        parts = {run: {"rows": file.rows, "values_sha256": file.values_sha256} for run, file in files.items()}
        sha256 = files[runs[0]].sha256
        body = {"cohort": cohort, "path": path, "sha256": sha256, "rows": total_rows(files), "runs": parts}
        self._append("metrics.stored", body)
        shutil.rmtree(folder, ignore_errors=True)
        self._writers.pop(cohort, None)
        return files

    def members(self, cohort: str) -> list[str]:
        """Return a cohort's runs in the order of the seed axis."""
        rows = self._database.rows(
            "SELECT json_extract(body, '$.runs') FROM entry JOIN cohort ON sequence = started_sequence "
            "WHERE cohort = ?",
            (cohort,),
        )
        return json.loads(rows[0][0])

    def read(self, run: str, cohort: str | None, *, prefix: bool = False) -> Any:
        """Return a run's metrics as a pyarrow table.

        Args:
            run: The run.
            cohort: Its cohort, None where it never had a writer.
            prefix: Where a segment is damaged, return what comes before it instead of raising.

        Raises:
            Corrupted: where a file or segment is damaged or missing.
        """
        if cohort is None:
            return empty_table()
        writer = self._writers.get(cohort)
        if writer is not None:
            writer.flush()
        folder = self.segment_folder(cohort)
        for _ in range(2):
            path, sha256 = self._database.rows("SELECT path, sha256 FROM cohort WHERE cohort = ?", (cohort,))[
                0
            ]
            if path is not None:
                return read_metric_file(self._folder, path, sha256, run)
            if folder.is_dir():
                runs = self.members(cohort)
                blocks, damage = read_segments(folder, len(runs))
                if damage is None or prefix:
                    return run_table(blocks, runs.index(run))
                if folder.is_dir():
                    raise damage
            # Otherwise another process compacted them between the two looks: look again.
        raise Corrupted(
            "A cohort has segments or a metric file",
            got=f"neither segments/{cohort} nor an entry metrics.stored",
            next_step="restore the folder from a copy",
        )

    def flush(self) -> None:
        """Make what this process's open writers hold readable."""
        for writer in list(self._writers.values()):
            writer.flush()

    def close(self) -> None:
        """Abandon the writers that are still open."""
        writers, self._writers = list(self._writers.values()), {}
        with contextlib.ExitStack() as stack:
            for writer in writers:
                stack.callback(writer.abandon)
