"""The record of everything: what was promised, what ran, what came out, what was decided.

    with Journal.open(Path("journal")) as journal:
        journal.register("digits", design_hash, {"question": "..."})
        journal.start_run("r1", trial="t1", design=design_hash, experiment="digits", variant="net",
                          seed_index=0, body={})
        with journal.metric_writer(["r1"]) as writer:
            writer.write(1, {"loss": np.array([0.7])})
            files = writer.finish()
        journal.finish_run("r1", status="finished", score=0.98, body={}, metrics=files["r1"])

The folder holds `journal.db` (SQLite), `head`, `segments/`, `metrics/`, `artefacts/`, `backups/`, `locks/`.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from modelwright.base.clock import Clock, SystemClock
from modelwright.base.errors import BadValue, NotPermitted, UnknownName
from modelwright.journal.artefacts import Artefacts
from modelwright.journal.database import Database
from modelwright.journal.entry import Entry, check_name
from modelwright.journal.founding import found_journal
from modelwright.journal.head import Head, advance_head
from modelwright.journal.ledger import Ledger
from modelwright.journal.metric_file import MetricFile
from modelwright.journal.metric_store import MetricStore
from modelwright.journal.metric_writer import FLUSH_SECONDS, MetricWriter
from modelwright.journal.projection import KINDS, rebuild_projections
from modelwright.journal.registration import Registration
from modelwright.journal.registry import read_registrations, register_design
from modelwright.journal.run_list import find_run, list_runs
from modelwright.journal.run_row import RunRow
from modelwright.journal.verification import Verification
from modelwright.journal.verify import verify_journal

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["BUSY_SECONDS", "Journal"]

BUSY_SECONDS = 30.0
"""How long a write waits for another process's write."""

_CLOCK = SystemClock()
_ENDS = ("finished", "failed", "interrupted")


class Journal:
    """One journal, in one folder. Made by `Journal.open`; a context manager.

    It has one SQLite connection. Threads may share the object and take turns; a forked child may not.

    Attributes:
        folder: Where everything is.
        artefacts: Files by the hash of their content.
    """

    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self.folder = folder
        self._database = database
        self._ledger = Ledger(database, clock)
        self._metrics = MetricStore(folder, database, self._write)
        self.artefacts = Artefacts(
            folder / "artefacts", None if database.read_only else self._record_artefact
        )

    @staticmethod
    def open(
        folder: Path, *, clock: Clock = _CLOCK, read_only: bool = False, busy_seconds: float = BUSY_SECONDS
    ) -> "Journal":
        """Open the journal in `folder`; make it, or bring it to the present version, where needed.

        Args:
            folder: Where it is or shall be.
            clock: Dates the entries.
            read_only: Change nothing, and accept a damaged journal so that it can be examined.
            busy_seconds: How long a write waits for another process's write.

        Raises:
            SourceMissing: where there is no journal, and `read_only`.
            BadValue: where the folder holds something else.
            StoreFailed: where the disk, another process or a newer version is in the way.
            Corrupted: where the newest entry is not what its hash says, or entries are missing.
        """
        folder = Path(folder)
        database = found_journal(folder, clock=clock, read_only=read_only, busy_seconds=busy_seconds)
        return Journal(folder, database, clock)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Abandon open metric writers and close the connection; a second time does nothing."""
        try:
            self._metrics.close()
        finally:
            self._database.close()

    # ---- entries ----

    def append(
        self, kind: str, body: Mapping[str, Any], *, design: str | None = None, run: str | None = None
    ) -> Entry:
        """Append an entry, durable when this returns.

        Args:
            kind: What sort of thing happened, e.g. `look`; not one of the journal's own kinds.
            body: The record; JSON types, finite numbers.
            design: Hash of the design that it belongs to.
            run: The run that it belongs to.

        Raises:
            BadValue: where a name or the body cannot be stored.
            StoreFailed: where the disk refuses or another process writes for too long.
        """
        if kind in KINDS:
            raise BadValue(
                "The journal writes entries of its own kinds itself",
                got=kind,
                next_step="use register, start_run, finish_run, metric_writer or artefacts",
            )
        return self._write(kind, body, design=design, run=run)

    def _write(
        self, kind: str, body: Mapping[str, Any], *, design: str | None = None, run: str | None = None
    ) -> Entry:
        with self._database.writing() as connection:
            entry = self._ledger.append(connection, kind, body, design=design, run=run)
        self._advance(entry)
        return entry

    def _advance(self, entry: Entry) -> None:
        # The entry is durable: an error now would make the caller write it twice. The next one catches up.
        with contextlib.suppress(OSError):
            advance_head(self.folder / "head", Head(sequence=entry.sequence, hash=entry.hash))

    def entries(
        self, *, kind: str | None = None, design: str | None = None, run: str | None = None
    ) -> list[Entry]:
        """Return the entries that fit every given field, oldest first."""
        return self._ledger.entries(kind=kind, design=design, run=run)

    def head(self) -> Head:
        """Return number and hash of the newest entry; note them elsewhere to anchor the ledger."""
        with self._database.reading() as connection:
            return self._ledger.head(connection)

    # ---- registrations ----

    def register(
        self,
        name: str,
        design: str,
        body: Mapping[str, Any],
        *,
        amends: str | None = None,
        reason: str | None = None,
    ) -> Entry:
        """Promise a design under a name, before its first trial.

        The present design of the name again writes nothing and returns the entry that made it (with the
        body of that time). Another design needs `amends` and `reason`.

        Args:
            name: The experiment.
            design: Hash of the design.
            body: What is registered.
            amends: Whole hash of the present design, which this one replaces.
            reason: Why.

        Raises:
            NotPermitted: where another design is registered under the name and this is no amendment.
            BadValue: where `amends` is not the present design's hash.
        """
        with self._database.writing() as connection:
            entry, written = register_design(
                connection, self._ledger, name, design, body, amends=amends, reason=reason
            )
        if written:
            self._advance(entry)
        return entry

    def registrations(self, name: str | None = None) -> list[Registration]:
        """Return registrations, the oldest name first, each followed by its amendments."""
        return read_registrations(self._database, name)

    # ---- runs ----

    def start_run(
        self,
        run: str,
        *,
        trial: str,
        design: str,
        experiment: str,
        variant: str,
        seed_index: int,
        body: Mapping[str, Any],
    ) -> Entry:
        """Enter that a run starts.

        Raises:
            BadValue: where a name or the body cannot be stored.
            NotPermitted: where a run of this identity exists.
        """
        for what, name in (("run", run), ("trial", trial), ("experiment", experiment), ("variant", variant)):
            check_name(f"name of a {what}", name)
        if type(seed_index) is not int or seed_index < 0:
            raise BadValue("seed_index is a whole number of at least 0", got=seed_index)
        record = {
            "trial": trial,
            "experiment": experiment,
            "variant": variant,
            "seed_index": seed_index,
            "body": body,
        }
        with self._database.writing() as connection:
            if connection.execute("SELECT 1 FROM run WHERE run = ?", (run,)).fetchone():
                raise NotPermitted("A run starts once", got=run, next_step="give the new run a new identity")
            entry = self._ledger.append(connection, "run.started", record, design=design, run=run)
        self._advance(entry)
        return entry

    def finish_run(
        self,
        run: str,
        *,
        status: Literal["finished", "failed", "interrupted"],
        score: float | None,
        body: Mapping[str, Any],
        metrics: MetricFile | None = None,
    ) -> Entry:
        """Enter that a run ended.

        Args:
            run: The run.
            status: How it ended.
            score: The design's metric; None where there is none. It must be finite: a run whose metric is
                not a number has failed.
            body: The record.
            metrics: The run's part of the cohort's metric file, from `MetricWriter.finish`.

        Raises:
            UnknownName: where no such run was started.
            NotPermitted: where it has ended already.
            BadValue: where an argument is outside its rule.
        """
        if status not in _ENDS:
            raise UnknownName("end of a run", status, _ENDS)
        if score is not None and not math.isfinite(score):
            raise BadValue(
                "A score is a finite number or None",
                got=str(score),
                next_step="end the run as failed with score=None and say why in the body",
            )
        if metrics is not None and metrics.run != run:
            raise BadValue("A run ends with its own metrics", got=f"those of {metrics.run}", nearest=run)
        record = {
            "status": status,
            "score": None if score is None else float(score),
            "metrics": None if metrics is None else metrics.record(),
            "body": body,
        }
        with self._database.writing() as connection:
            row = connection.execute("SELECT status FROM run WHERE run = ?", (run,)).fetchone()
            if row is None:
                raise UnknownName("started run", run, (), next_step="call start_run first")
            if row[0] != "running":
                raise NotPermitted("A run ends once", got=f"{run} is {row[0]}")
            entry = self._ledger.append(connection, "run.finished", record, run=run)
        self._advance(entry)
        return entry

    def runs(
        self,
        *,
        experiment: str | None = None,
        design: str | None = None,
        variant: str | None = None,
        status: str | None = None,
        trial: str | None = None,
        order: str = "-started",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[RunRow]:
        """Return the runs that fit every given field.

        Args:
            experiment: Name of the experiment.
            design: Hash of the design.
            variant: Name of the variant.
            status: running, finished, failed or interrupted.
            trial: Identity of the trial.
            order: started, finished, run, experiment, variant, seed_index, status or score; `-` in front
                turns it round. Times are ordered by the ledger, not by the clock. Rows without go last.
            limit: At most so many.
            offset: Leave out so many first.

        Raises:
            UnknownName: for a status or order that does not exist.
        """
        return list_runs(
            self._database,
            experiment=experiment,
            design=design,
            variant=variant,
            status=status,
            trial=trial,
            order=order,
            limit=limit,
            offset=offset,
        )

    def run(self, identity: str) -> RunRow:
        """Return the run of this identity, or the only one whose identity begins so.

        Raises:
            UnknownName: where there is none, with the nearest.
            BadValue: where several begin so.
        """
        return find_run(self._database, identity)

    # ---- metrics, artefacts, questions ----

    def metric_writer(self, runs: Sequence[str], *, flush_seconds: float = FLUSH_SECONDS) -> MetricWriter:
        """Start writing the metrics of a cohort: the runs, in the order of the seed axis."""
        return self._metrics.writer(runs, flush_seconds)

    def read_metrics(  # pyright: ignore[reportUnknownParameterType]  # pyarrow has no types
        self, run: str, *, prefix: bool = False
    ) -> "pyarrow.Table":
        """Return a run's metrics, checked: columns update, metric, value; by metric, then update.

        While a run lasts (and after an interruption) they come from its segments, afterwards from its
        metric file.

        Args:
            run: Identity of the run, or how it begins.
            prefix: Where a segment is damaged, return what comes before it instead of raising.

        Raises:
            Corrupted: where a file does not match its sha256; the message names it.
        """
        row = self.run(run)
        return self._metrics.read(row.run, row.cohort, prefix=prefix)

    def _record_artefact(self, sha256: str, size: int) -> None:
        known = "SELECT 1 FROM artefact WHERE sha256 = ?"
        if self._database.rows(known, (sha256,)):
            return
        with self._database.writing() as connection:
            if connection.execute(known, (sha256,)).fetchone():
                return
            entry = self._ledger.append(connection, "artefact.stored", {"sha256": sha256, "size": size})
        self._advance(entry)

    def query(self, sql: str) -> "pandas.DataFrame":
        """Answer one SELECT in DuckDB's SQL over entry, registration, run and metric (`docs/journal.md`)."""
        from modelwright.journal.query import answer_query

        return answer_query(self.folder, self._database, self._metrics, sql)

    def verify(self, *, files: bool = True) -> Verification:
        """Recompute everything and say what does not hold; without `files` the database alone."""
        return verify_journal(self.folder, self._database, files=files)

    def rebuild(self) -> None:
        """Make the lists of runs, cohorts and artefacts anew from the ledger."""
        with self._database.writing() as connection:
            rebuild_projections(connection)
