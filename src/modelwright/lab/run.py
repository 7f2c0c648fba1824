"""From a design to its verdict: register, check, train, look, until the rule says stop."""

import dataclasses
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelwright.base.clock import Clock, SystemClock
from modelwright.base.errors import Corrupted, Deviated
from modelwright.base.finding import Finding, Severity
from modelwright.base.seed import Seed
from modelwright.data.checks import check_data
from modelwright.experiment.design import Design
from modelwright.experiment.look import Look, evaluate_look
from modelwright.experiment.verdict import Verdict, judge
from modelwright.journal.entry import Entry
from modelwright.journal.journal import Journal
from modelwright.journal.lock import experiment_lock
from modelwright.journal.run_row import RunRow
from modelwright.lab.cohort import Recorder
from modelwright.lab.executor.choice import open_executor
from modelwright.lab.executor.job import Executor, Workload
from modelwright.lab.launch import Launch
from modelwright.lab.lineage.source import snapshot_source
from modelwright.lab.prepare import Prepared, Trial, prepare_design
from modelwright.lab.project import Project
from modelwright.lab.promise import Promise, promise_design, seeds_root
from modelwright.lab.standing import standing_entries
from modelwright.lab.trial_findings import DIVERGED, EQUAL_DIFFERENCES, find_diverged, find_equal_differences
from modelwright.lab.watch.view import QuietView, View

__all__ = ["Result", "run_design"]

_CLOCK = SystemClock()
_DONE = ("finished", "failed")
_SPENT = "The budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What `run_design` leaves behind.

    Attributes:
        name: Name of the experiment.
        design: Hash of the design.
        verdict: The verdict.
        looks: Every look, in turn.
        findings: What the checks found.
        report: The report's file.
        trained: Trials that this call ran; the others were on record.
    """

    name: str
    design: str
    verdict: Verdict
    looks: tuple[Look, ...]
    findings: tuple[Finding, ...]
    report: Path
    trained: int


def run_design(
    design: Design,
    project: Project,
    *,
    launch: Launch | None = None,
    frames: Mapping[str, Any] | None = None,
    amend: str | None = None,
    view: View | None = None,
    executor: Executor | None = None,
    clock: Clock = _CLOCK,
) -> Result:
    """Run a design to its verdict, or go on where an earlier call stopped.

    Args:
        design: What to run.
        project: Where.
        launch: How.
        frames: Tables for sources of kind `frame`.
        amend: Reason, where the registered design is changed.
        view: Who watches.
        executor: Where trials run; left out, as `launch` says. The caller closes one that it passes.
        clock: Dates the entries.

    Raises:
        Misuse: for a design, data or learner that cannot be right; nothing has run then.
        NotPermitted: for an unexplained change of what is registered, or while another process runs it.
        WorldFailed: where the disk, a worker or a learner failed; run again to go on.
        Corrupted: where what is on record of the experiment does not hold.
    """
    launch, view = launch or Launch(), view or QuietView()
    with (
        project.open_journal(clock=clock) as journal,
        experiment_lock(journal.folder, design.name, clock=clock),
    ):
        _require_sound(journal)
        prepared = prepare_design(design, project, root=seeds_root(journal, design.name), frames=frames)
        promise = promise_design(journal, prepared, amend=amend)
        session = _Session(journal, prepared, promise, launch, view)
        with _closing(executor, launch) as place:
            result = session.to_verdict(place)
    from modelwright.lab.report import write_report

    report = write_report(project, design.name)
    view.judged(result.verdict, report)
    return dataclasses.replace(result, report=report)


def _require_sound(journal: Journal) -> None:
    """Hold the record to its hashes before anything is promised or concluded from it.

    Metric files and artefacts are left to `modelwright verify`: no verdict rests on them.
    """
    damages = journal.verify(files=False).damages
    if damages:
        raise Corrupted(
            "What is on record holds before a verdict is built on it",
            got=f"{damages[0].part} {damages[0].subject}: {damages[0].what}",
            next_step="modelwright verify names everything; go on with a copy of the journal from before, "
            "or run anew with --journal DIR: seeds derive from the design, so the same trials come out",
        )


@contextmanager
def _closing(executor: Executor | None, launch: Launch) -> Generator[Executor]:
    if executor is not None:
        yield executor
        return
    made = open_executor(launch)
    try:
        yield made
    finally:
        made.close()


class _Session:
    """One call of `run_design`, with the journal open and the experiment locked."""

    def __init__(
        self, journal: Journal, prepared: Prepared, promise: Promise, launch: Launch, view: View
    ) -> None:
        self._journal = journal
        self._prepared = prepared
        self._design = prepared.design
        self._promise = promise
        self._launch = launch
        self._view = view
        self._recorder: Recorder | None = None
        self._trained = 0
        self._rows: dict[str, RunRow] = {}

    def to_verdict(self, executor: Executor) -> Result:
        self._tidy()
        recorded = [Look.from_record(entry.body) for entry in self._entries("look")]
        self._view.opened(self._prepared, resumed=bool(recorded or self._rows))
        findings = self._check_data()
        looks: list[Look] = []
        for index in range(len(self._prepared.rule.looks)):
            previous = looks[-1] if looks else None
            self._train(executor, index, previous)
            look = self._look(index, previous, recorded)
            looks.append(look)
            self._view.looked(look)
            if look.stop:
                break
        findings += self._check_results(looks)
        verdict = self._judge(looks, findings)
        return Result(
            name=self._design.name,
            design=self._promise.design,
            verdict=verdict,
            looks=tuple(looks),
            findings=tuple(findings),
            report=Path(),
            trained=self._trained,
        )

    def _entries(self, kind: str) -> list[Entry]:
        return standing_entries(self._journal, self._promise.design, kind)

    def _tidy(self) -> None:
        """Close runs that a killed process left open, and take up those that are done.

        The lock is ours, so nobody is working on a run that is still open.
        """
        for row in self._journal.runs(experiment=self._design.name, order="started"):
            if row.status == "running":
                self._journal.finish_run(
                    row.run,
                    status="interrupted",
                    score=None,
                    body={"reason": "its process ended without a word"},
                )
            else:
                self._take(row)

    def _take(self, row: RunRow) -> None:
        """Let a run count as its trial's result, if it came to one; the first counts."""
        if row.status in _DONE and (row.score is not None or self._is_diverged(row)):
            self._rows.setdefault(row.trial, row)

    def _is_diverged(self, row: RunRow) -> bool:
        ends = self._journal.entries(kind="run.finished", run=row.run)
        return bool(ends) and ends[-1].body["body"].get("reason") == "diverged"

    # ---- checks ----

    def _check_data(self) -> list[Finding]:
        if self._entries("checks"):
            found = [Finding.from_record(entry.body) for entry in self._entries("finding")]
            findings = [finding for finding in found if finding.kind not in (DIVERGED, EQUAL_DIFFERENCES)]
        else:
            splits = [self._prepared.split(index) for index in range(self._design.seeds)]
            seed = Seed(self._prepared.root).child("checks")
            findings = list(check_data(self._prepared.dataset, splits, seed=seed))
            self._write(findings)
            self._journal.append("checks", {"findings": len(findings)}, design=self._promise.design)
        for finding in findings:
            self._view.found(finding, accepted=finding.kind in self._design.accept)
        return findings

    def _check_results(self, looks: Sequence[Look]) -> list[Finding]:
        findings: list[Finding] = []
        reached = dict.fromkeys(self._design.variants, 0)
        for look in looks:
            reached |= dict.fromkeys(look.means, look.seeds)
        for variant, seeds in reached.items():
            rows = [self._row(variant, index) for index in range(seeds)]
            findings += find_diverged(variant, [row for row in rows if row is not None])
        for reading in looks[-1].readings:
            names = (reading.candidate, reading.baseline)
            results = {
                name: np.array([self._score(name, at) for at in range(reading.seeds)]) for name in names
            }
            findings += find_equal_differences([names], results)
        for finding in self._write(findings):
            self._view.found(finding, accepted=finding.kind in self._design.accept)
        return findings

    def _write(self, findings: Sequence[Finding]) -> list[Finding]:
        """Enter findings that are not on record yet, and return those."""
        known = {(entry.body["kind"], entry.body["subject"]) for entry in self._entries("finding")}
        new = [finding for finding in findings if (finding.kind, finding.subject) not in known]
        for finding in new:
            self._journal.append("finding", finding.record(), design=self._promise.design)
        return new

    # ---- trials ----

    def _row(self, variant: str, index: int) -> RunRow | None:
        return self._rows.get(self._prepared.trial(variant, index).address)

    def _train(self, executor: Executor, index: int, previous: Look | None) -> None:
        wanted = self._prepared.rule.looks[index]
        done = 0 if previous is None else previous.seeds
        active = _active(self._design, previous)
        missing: list[Trial] = []
        for variant in active:
            trials = [self._prepared.trial(variant, at) for at in range(wanted)]
            lacking = [trial for trial in trials if trial.address not in self._rows]
            fresh = [trial for trial in trials[done:] if trial.address in self._rows]
            if fresh:
                self._view.reused(variant, len(fresh))
            missing += lacking
        if not missing:
            return
        recorder = self._recorder or self._new_recorder()
        before = {variant: wanted - sum(t.variant == variant for t in missing) for variant in active}

        def told() -> None:
            progress = {
                name: (count + recorder.finished.get(name, 0), wanted) for name, count in before.items()
            }
            self._view.trained(progress, updates=recorder.updates)

        recorder.told = told
        recorder.run(executor, self._workload, missing)
        self._trained += len(missing)
        addresses = {trial.address for trial in missing}
        for row in self._journal.runs(experiment=self._design.name, order="started"):
            if row.trial in addresses:
                self._take(row)

    def _new_recorder(self) -> Recorder:
        source = snapshot_source(self._prepared.project.root, skip=[self._journal.folder])
        if source.archive is not None:
            self._journal.artefacts.put(source.archive)
        self._recorder = Recorder(
            journal=self._journal,
            prepared=self._prepared,
            design_hash=self._promise.design,
            source=source,
            lost=self._view.lost,
        )
        self._workload = Workload(
            root=self._prepared.project.root,
            question=self._design.question,
            dataset=self._prepared.dataset,
            threads=self._launch.threads,
        )
        return self._recorder

    # ---- looks and verdict ----

    def _look(self, index: int, previous: Look | None, recorded: list[Look]) -> Look:
        seeds = self._prepared.rule.looks[index]
        results = {
            variant: np.array([self._score(variant, at) for at in range(seeds)])
            for variant in _active(self._design, previous)
        }
        question = self._design.question
        look = evaluate_look(
            question, self._prepared.rule, self._design.compare, results, index=index, previous=previous
        )
        spent = self._spent(seeds)
        limit = self._design.budget.seconds
        if limit is not None and spent >= limit and not look.stop:
            why = f"{_SPENT} of {limit:g} s of training is spent ({spent:.0f} s)."
            look = dataclasses.replace(look, decision="stop", why=why)
        if index < len(recorded):
            # Time is no part of a design's mathematics: a look that a spent budget ended stays ended.
            then = recorded[index]
            if then.stop and not look.stop:
                look = dataclasses.replace(look, decision="stop", why=then.why)
            elif look.stop and not then.stop:
                look = dataclasses.replace(look, decision="go on", why=then.why)
            if look.record()["readings"] != then.record()["readings"]:
                raise Deviated(
                    f"Look {index + 1} of {self._design.name} follows from the results on record",
                    got="other numbers than were recorded at that look",
                    next_step="modelwright verify",
                )
            return look
        self._journal.append("look", look.record(), design=self._promise.design)
        return look

    def _score(self, variant: str, index: int) -> float:
        row = self._row(variant, index)
        if row is None:
            raise Deviated("Every trial of a look is on record", got=f"none for {variant}, seed {index}")
        if row.score is not None:
            return row.score
        low, high = self._design.question.bounds
        worst = low if self._design.question.sign > 0 else high
        # Without a worst value the verdict is invalid anyway; zero keeps the other numbers readable.
        return 0.0 if worst is None else worst

    def _spent(self, seeds: int) -> float:
        """Return the seconds of training that a look at so many seeds rests on.

        Of those alone, so that a launch that goes on comes to the look with the sum that the first one had.
        """
        rows = [self._row(variant, at) for variant in self._design.variants for at in range(seeds)]
        spent = 0.0
        for row in rows:
            ends = [] if row is None else self._journal.entries(kind="run.finished", run=row.run)
            for end in ends:
                body = end.body["body"]
                spent += body["usage"]["wall_seconds"] / body["shared_by"]
        return spent

    def _judge(self, looks: Sequence[Look], findings: Sequence[Finding]) -> Verdict:
        accepted = self._design.accept
        severe = [f for f in findings if f.severity is Severity.SEVERE and f.kind not in accepted]
        verdict = judge(
            self._design.question,
            looks[-1].comparisons(budget_spent=looks[-1].why.startswith(_SPENT)),
            scope=self._design.scope,
            assumption=self._prepared.rule.assumption,
            scope_inflation=self._prepared.scope_inflation,
            deviations=self._promise.deviations,
            reasons=[f"{finding.title.rstrip('.')} ({finding.kind})" for finding in severe],
        )
        if not any(_same(entry.body, verdict) for entry in self._entries("verdict")[-1:]):
            self._journal.append("verdict", verdict.record(), design=self._promise.design)
        return verdict


def _same(body: Mapping[str, Any], verdict: Verdict) -> bool:
    return Verdict.from_record(body).record() == verdict.record()


def _active(design: Design, previous: Look | None) -> list[str]:
    """Return the variants of comparisons that are still open, in the design's order."""
    if previous is None:
        return list(design.variants)
    names = {
        name
        for reading in previous.readings
        if reading.outcome is None
        for name in (reading.candidate, reading.baseline)
    }
    return [name for name in design.variants if name in names]
