"""Run trials on an executor and write down what happens: one run per trial, metrics as they come."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelwright.base.errors import Misuse, ModelwrightError, WorkerLost, WorldFailed
from modelwright.base.finding import Finding
from modelwright.base.fingerprint import canonical_json
from modelwright.base.seed import Seed
from modelwright.journal.journal import Journal
from modelwright.journal.metric_writer import MetricWriter
from modelwright.lab.executor.job import (
    Executor,
    Failed,
    Finished,
    Job,
    Lost,
    Message,
    Progress,
    Started,
    Watched,
    Workload,
)
from modelwright.lab.lineage.package import record_package
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.source import SourceRecord
from modelwright.lab.prepare import Prepared, Trial
from modelwright.lab.watch_record import WATCHED, WatchRecord

__all__ = ["Recorder", "count_cuts", "failed_job", "make_jobs"]


def count_cuts(prepared: Prepared, variants: Collection[str], slots: int) -> int:
    """Return into how many jobs the trials of each variant are cut, so that all slots have work.

    As many as there are slots: nobody knows how long another variant takes. Variants of one learner in an
    environment take about as long as each other, and a step of many seeds hardly longer than one of few: they
    are cut no finer than fills the slots evenly.
    """
    learners = {prepared.design.variants[variant]["learner"] for variant in variants}
    if prepared.ground.kind == "environment" and len(learners) == 1:
        return slots // math.gcd(slots, len(variants))
    return slots


def make_jobs(
    prepared: Prepared, trials: Sequence[Trial], slots: int, *, watched: Collection[str] = ()
) -> list[Job]:
    """Part trials into jobs; a trial's result does not depend on its company.

    Args:
        prepared: The design.
        trials: What is to be run.
        slots: How many jobs can be at work at once.
        watched: Variants whose first job the doctor watches.
    """
    jobs: list[Job] = []
    cuts = count_cuts(prepared, {trial.variant for trial in trials}, slots)
    for variant in prepared.design.variants:
        own = [trial for trial in trials if trial.variant == variant]
        parts = np.array_split(np.arange(len(own)), min(cuts, len(own))) if own else []
        for part in parts:
            chosen = [own[at] for at in part]
            jobs.append(
                Job(
                    identity=f"{variant}:{chosen[0].index}-{chosen[-1].index}",
                    variant=variant,
                    config=prepared.design.variants[variant],
                    indices=tuple(trial.index for trial in chosen),
                    seeds=tuple(trial.seed for trial in chosen),
                    parts=tuple(trial.part for trial in chosen),
                    code=prepared.code[variant],
                    watched=variant in watched and chosen[0] is own[0],
                )
            )
    return jobs


@dataclass(slots=True)
class _Open:
    """A job at work: its runs and the writer of their metrics."""

    runs: tuple[str, ...]
    writer: MetricWriter
    updates: int = 0


@dataclass(slots=True)
class Recorder:
    """Writes runs down. It is the only writer; workers stream their steps here.

    Attributes:
        journal: The record.
        prepared: The design.
        design_hash: Under which runs are entered.
        source: The user's source, recorded once per launch.
        told: Called before the first message and after every one.
        lost: Called with variant and reason where a worker went away.
        found: Called with what the doctor finds while trials run.
        updates: Variant -> updates so far in the present `run`.
        finished: Variant -> trials finished in the present `run`.
    """

    journal: Journal
    prepared: Prepared
    design_hash: str
    source: SourceRecord
    told: Callable[[], None] = lambda: None
    lost: Callable[[str, str], None] = lambda variant, why: None
    found: Callable[[Sequence[Finding]], None] = lambda findings: None
    updates: dict[str, int] = field(default_factory=dict[str, int])
    finished: dict[str, int] = field(default_factory=dict[str, int])
    _open: dict[str, _Open] = field(default_factory=dict[str, _Open])
    _trials: dict[tuple[str, int], Trial] = field(default_factory=dict[tuple[str, int], Trial])

    def run(
        self,
        executor: Executor,
        workload: Workload,
        trials: Sequence[Trial],
        *,
        watched: Collection[str] = (),
    ) -> None:
        """Run the trials to their end.

        Args:
            executor: Where.
            workload: What all jobs share.
            trials: What is run.
            watched: Variants that the doctor watches.

        Raises:
            Misuse, WorkerLost: where a learner failed; what is finished stays on record.
            StoreFailed: where the journal cannot be written.
        """
        self.updates, self.finished = {}, {}
        made = make_jobs(self.prepared, trials, executor.slots, watched=watched)
        jobs = {job.identity: job for job in made}
        self._trials = {(trial.variant, trial.index): trial for trial in trials}
        self.told()
        stream = executor.run(workload, list(jobs.values()))
        try:
            for message in stream:
                self._read(jobs[message.job], message)
                self.told()
        finally:
            # Jobs stop before their runs are closed, whatever ended the reading.
            stream.close()
            for identity in list(self._open):
                # A full disk must not hide what ended the reading; the next launch closes what stays open.
                with suppress(WorldFailed):
                    self._interrupt(jobs[identity], "the launch ended before it")

    def _read(self, job: Job, message: Message) -> None:
        match message:
            case Started():
                self._start(job, message)
            case Progress():
                self._progress(job, message)
            case Watched():
                self._watched(job, message)
            case Finished():
                self._finish(job, message)
            case Lost():
                self._interrupt(job, message.why)
                self.lost(job.variant, message.why)
            case Failed():
                self._fail(job, message)

    def _start(self, job: Job, message: Started) -> None:
        if job.identity in self._open:
            self._interrupt(job, "its worker started it again")
        lineage = self._lineage(job, message)
        runs: list[str] = []
        for at, index in enumerate(job.indices):
            trial = self._trials[job.variant, index]
            attempt = len(self.journal.runs(trial=trial.address))
            run = f"{self.prepared.design.name}-{job.variant}-{index:02d}-{_tag(trial.address, attempt)}"
            self.journal.start_run(
                run,
                trial=trial.address,
                design=self.design_hash,
                experiment=self.prepared.design.name,
                variant=job.variant,
                seed_index=index,
                body={
                    "config": job.config,
                    "seed": job.seeds[at].key,
                    "split": job.parts[at].identity,
                    "data": self.prepared.ground.identity,
                    "code": self.prepared.code[job.variant],
                    "lineage": lineage,
                    "threads": message.pinned,
                    "company": list(job.indices),
                },
            )
            runs.append(run)
        self._open[job.identity] = _Open(runs=tuple(runs), writer=self.journal.metric_writer(runs))

    def _lineage(self, job: Job, message: Started) -> str:
        lineage = Lineage(
            source=self.source,
            package=record_package(),
            config={"variant": job.config, "question": self.prepared.design.record()["question"]},
            data=self.prepared.ground.record(),
            environment=message.environment,
            hardware=message.hardware,
        )
        return self.journal.artefacts.put(canonical_json(lineage.record()).encode())

    def _progress(self, job: Job, message: Progress) -> None:
        opened = self._open[job.identity]
        for update, metrics in message.steps:
            opened.writer.write(update, metrics)
            opened.updates = update
        self.updates[job.variant] = max(self.updates.get(job.variant, 0), opened.updates)

    def _watched(self, job: Job, message: Watched) -> None:
        opened = self._open.get(job.identity)
        if opened is None:
            return  # the learner could not even be built: what it says is told by its error
        heard = WatchRecord(
            variant=job.variant,
            seeds=message.seeds,
            ended=message.ended,
            findings=message.findings,
            checked=message.checked,
            unchecked=message.unchecked,
            steps=message.steps,
            seconds=message.seconds,
        )
        self.journal.append(WATCHED, heard.record(), design=self.design_hash, run=opened.runs[0])
        self.found(message.findings)

    def _finish(self, job: Job, message: Finished) -> None:
        opened = self._open[job.identity]
        files = opened.writer.finish()
        states = [self.journal.artefacts.put(state) for state in message.states]
        usage = message.usage.record()
        for at, run in enumerate(opened.runs):
            score = float(message.scores[at])
            good = math.isfinite(score)
            self.journal.finish_run(
                run,
                status="finished" if good else "failed",
                score=score if good else None,
                body={
                    "usage": usage,
                    "shared_by": len(opened.runs),
                    "updates": opened.updates,
                    "state": states[at] if states else None,
                    "reason": None if good else "diverged",
                },
                metrics=files[run],
            )
        del self._open[job.identity]
        self.finished[job.variant] = self.finished.get(job.variant, 0) + len(opened.runs)

    def _interrupt(self, job: Job, why: str) -> None:
        opened = self._open.pop(job.identity, None)
        if opened is None:
            return
        with suppress(WorldFailed):  # the last seconds of metrics; that the run ended is worth more
            opened.writer.abandon()
        for run in opened.runs:
            # Some have ended where the disk filled up, or Ctrl-C came, while their job was entered.
            if self.journal.run(run).status == "running":
                self.journal.finish_run(run, status="interrupted", score=None, body={"reason": why})

    def _fail(self, job: Job, message: Failed) -> None:
        opened = self._open.pop(job.identity, None)
        if opened is not None:
            with suppress(WorldFailed):  # what the learner said is worth more
                opened.writer.abandon()
            for run in opened.runs:
                self.journal.finish_run(
                    run,
                    status="failed",
                    score=None,
                    body={"reason": "error", "error": message.error, "trace": message.trace},
                )
        raise failed_job(job, message)


def _tag(address: str, attempt: int) -> str:
    """Six digits that differ from attempt to attempt and are the same wherever the journal is rebuilt."""
    return Seed(address).child(f"run/{attempt}").key[:6]


def failed_job(job: Job, message: Failed) -> ModelwrightError:
    """Return the error to raise where a learner failed: what it said, and where."""
    parts: Mapping[str, Any] = message.error
    if message.misuse:
        return Misuse(
            str(parts["rule"]), got=parts["got"], nearest=parts["nearest"], next_step=parts["next_step"]
        )
    if "next_step" in parts:
        # One of Modelwright's own names the place in the user's file already.
        got = f"{parts['rule']}: {parts['got']}" if parts["got"] else str(parts["rule"])
        next_step = f"{parts['next_step'] or 'mend it'}; then run again: finished trials are kept"
    else:
        place = [line.strip() for line in message.trace.splitlines() if line.strip().startswith("File ")]
        got = f"{parts['error']}: {parts['rule']}" + (f" at {place[-1]}" if place else "")
        next_step = "mend it and run again: finished trials are kept"
    return WorkerLost(
        f"The learner of {job.variant} trains without an error",
        got=got,
        nearest=parts.get("nearest"),
        next_step=next_step,
    )
