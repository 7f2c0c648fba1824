"""Register, check, train, look, until the rule says stop."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelwright.base.errors import Deviated
from modelwright.base.finding import Finding, Severity
from modelwright.base.seed import Seed
from modelwright.doctor.kinds import KINDS as OF_DOCTOR
from modelwright.experiment.design import Design
from modelwright.experiment.look import Look, evaluate_look
from modelwright.experiment.verdict import Verdict, judge
from modelwright.journal.entry import Entry
from modelwright.journal.journal import Journal
from modelwright.lab.asked_before import find_asked_before
from modelwright.lab.cohort import Recorder
from modelwright.lab.executor.job import Executor, Workload
from modelwright.lab.launch import Launch
from modelwright.lab.lineage.source import snapshot_source
from modelwright.lab.prepare import Prepared, Trial
from modelwright.lab.promise import Promise
from modelwright.lab.result import Result
from modelwright.lab.standing import standing_entries
from modelwright.lab.trial_findings import (
    OF_RESULTS,
    find_diverged,
    find_equal_differences,
    find_extreme_returns,
    find_outside_bounds,
)
from modelwright.lab.trial_results import TrialResults
from modelwright.lab.watch.view import View
from modelwright.lab.watch_record import WatchRecord, read_watches

__all__ = ["Session"]

_SPENT = "The budget"


class Session:
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
        self._results = TrialResults(journal, prepared)
        self._told: set[tuple[str, str]] = set()

    def to_verdict(self, executor: Executor) -> Result:
        """Go through the rule's looks until it stops, and judge; the report is left to the caller."""
        self._results.resume()
        recorded = [Look.from_record(entry.body) for entry in self._entries("look")]
        self._view.opened(self._prepared, resumed=bool(recorded or self._results))
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
        findings += self._enter_watched()
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

    # ---- checks ----

    def _check_data(self) -> list[Finding]:
        if self._entries("checks"):
            found = [Finding.from_record(entry.body) for entry in self._entries("finding")]
            findings = [finding for finding in found if finding.kind not in (*OF_RESULTS, *OF_DOCTOR)]
        else:
            seed = Seed(self._prepared.root).child("checks")
            findings = list(self._prepared.ground.check(self._prepared.parts, seed))
            findings += find_asked_before(self._journal, self._design.name)
            self._write(findings)
            self._journal.append("checks", {"findings": len(findings)}, design=self._promise.design)
        for finding in findings:
            self._view.found(finding, accepted=finding.kind in self._design.accept)
        self._tell([each for watch in self._watches().values() for each in watch.findings])
        return findings

    def _watches(self) -> Mapping[str, WatchRecord]:
        """Return what the doctor said of the runs that count."""
        return read_watches(self._journal, self._results.runs)

    def _tell(self, findings: Sequence[Finding]) -> None:
        """Show what the doctor found, each thing once."""
        for finding in findings:
            if (finding.kind, finding.subject) not in self._told:
                self._told.add((finding.kind, finding.subject))
                self._view.found(finding, accepted=finding.kind in self._design.accept)

    def _enter_watched(self) -> list[Finding]:
        """Enter what the doctor found in runs that count, also in those from before an amendment."""
        findings = [each for watch in self._watches().values() for each in watch.findings]
        self._write(findings)
        self._tell(findings)
        return findings

    def _check_results(self, looks: Sequence[Look]) -> list[Finding]:
        findings: list[Finding] = []
        reached = dict.fromkeys(self._design.variants, 0)
        for look in looks:
            reached |= dict.fromkeys(look.means, look.seeds)
        for variant, seeds in reached.items():
            rows = [row for index in range(seeds) if (row := self._results.row(variant, index)) is not None]
            findings += find_diverged(variant, rows)
            findings += find_outside_bounds(variant, rows, self._design.question.bounds)
            if self._design.environment is not None and "return" in self._design.question.metric:
                findings += find_extreme_returns(variant, rows)
        for reading in looks[-1].readings:
            names = (reading.candidate, reading.baseline)
            results, unreadable = self._results.scores(names, reading.seeds)
            if unreadable:
                continue
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

    def _train(self, executor: Executor, index: int, previous: Look | None) -> None:
        wanted = self._prepared.rule.looks[index]
        done = 0 if previous is None else previous.seeds
        active = _active(self._design, previous)
        missing: list[Trial] = []
        for variant in active:
            trials = [self._prepared.trial(variant, at) for at in range(wanted)]
            lacking = [trial for trial in trials if trial.address not in self._results]
            fresh = [trial for trial in trials[done:] if trial.address in self._results]
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
        # One program of each variant: its other trials run the same code.
        watched = set(active) - set(self._watches()) if self._design.watch else set[str]()
        recorder.run(executor, self._workload, missing, watched=watched)
        self._trained += len(missing)
        self._results.take({trial.address for trial in missing})
        self._enter_watched()

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
            found=self._tell,
        )
        self._workload = Workload(
            root=self._prepared.project.root,
            question=self._design.question,
            ground=self._prepared.ground,
            threads=self._launch.threads,
        )
        return self._recorder

    # ---- looks and verdict ----

    def _look(self, index: int, previous: Look | None, recorded: list[Look]) -> Look:
        seeds = self._prepared.rule.looks[index]
        results, unreadable = self._results.scores(_active(self._design, previous), seeds)
        look = evaluate_look(
            self._design.question,
            self._prepared.rule,
            self._design.compare,
            results,
            index=index,
            previous=previous,
            unreadable=unreadable,
        )
        if unreadable and not look.stop:
            names = " and ".join(sorted(unreadable))
            why = f"Not all results of {names} are measurements; more seeds mend nothing."
            look = dataclasses.replace(look, decision="stop", why=why)
        spent = self._results.training_seconds(seeds)
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
