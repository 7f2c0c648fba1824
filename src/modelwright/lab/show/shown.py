"""Everything important about one experiment or one run. Reads a journal and changes nothing."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright.base.errors import BadValue, Corrupted, SourceMissing, UnknownName
from modelwright.base.fingerprint import jsonable
from modelwright.experiment.design import Design
from modelwright.experiment.look import Look
from modelwright.experiment.verdict import Verdict
from modelwright.journal.journal import Journal
from modelwright.journal.registration import Registration
from modelwright.journal.run_row import RunRow
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.usage import Usage
from modelwright.lab.promise import read_promise
from modelwright.lab.show.listing import ListedFinding, current_designs, list_findings
from modelwright.lab.standing import standing_entries
from modelwright.lab.wording import describe_rule

__all__ = ["ShownExperiment", "ShownRun", "find_identity", "read_lineage", "show", "started_record"]

_SHORTEST_HASH = 4
_NAMES_TO_COMPARE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExperiment:
    """An experiment under one of its designs.

    Attributes:
        name: Its name.
        design: The design.
        design_hash: Its hash.
        superseded_by: Hash of the present design where this one was amended, else None.
        registered: When this design was registered, ISO 8601 in UTC.
        data: Identity of the data.
        rule: The stopping rule's name.
        verdict: None while open.
        looks: Looks taken.
        findings: What was found under this design; empty for a superseded one.
        amendments: Reason, changes and results seen before, for each.
        runs: Status -> number of runs under the name.
        report: The report's file, None where there is none.
    """

    name: str
    design: Design
    design_hash: str
    superseded_by: str | None
    registered: str
    data: str
    rule: str
    verdict: Verdict | None
    looks: tuple[Look, ...]
    findings: tuple[ListedFinding, ...]
    amendments: tuple[Mapping[str, Any], ...]
    runs: Mapping[str, int]
    report: Path | None

    def record(self) -> dict[str, Any]:
        """Return the experiment as JSON types."""
        return {
            "kind": "experiment",
            "name": self.name,
            "design_hash": self.design_hash,
            "superseded_by": self.superseded_by,
            "registered": self.registered,
            "data": self.data,
            "rule": self.rule,
            "verdict": None if self.verdict is None else self.verdict.record(),
            "looks": [look.record() for look in self.looks],
            "findings": [finding.record() for finding in self.findings],
            "amendments": jsonable(self.amendments),
            "runs": dict(self.runs),
            "report": None if self.report is None else str(self.report),
            "design": self.design.record(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """A run.

    Attributes:
        row: Identity, trial, design, variant, seed, status, score, times.
        config: The variant's complete configuration.
        seed: Key of its seed.
        split: Identity of its rows.
        data: Identity of the data.
        code: sha256 of the learner's source files.
        company: Seeds that trained in the same cohort.
        updates: Updates made, None where it did not finish.
        metrics: Metric -> last number of its series; None where that is not a number.
        usage: What its whole cohort used, None where it did not finish.
        shared_by: How many runs share that usage.
        state: sha256 of the artefact with what it learnt, None where there is none.
        reason: Why it has no score; empty where it has one.
        lineage: Source, environment and hardware; None where the artefact cannot be read.
        reruns: What each repetition showed, in a sentence.
    """

    row: RunRow
    config: Mapping[str, Any]
    seed: str
    split: str
    data: str
    code: str
    company: tuple[int, ...]
    updates: int | None
    metrics: Mapping[str, float | None]
    usage: Usage | None
    shared_by: int
    state: str | None
    reason: str
    lineage: Lineage | None
    reruns: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return the run as JSON types, the lineage whole."""
        return {
            "kind": "run",
            **self.row._asdict(),
            "config": dict(self.config),
            "seed": self.seed,
            "split": self.split,
            "data": self.data,
            "code": self.code,
            "company": list(self.company),
            "updates": self.updates,
            "metrics": dict(self.metrics),
            "usage": None if self.usage is None else self.usage.record(),
            "shared_by": self.shared_by,
            "state": self.state,
            "reason": self.reason,
            "lineage": None if self.lineage is None else self.lineage.record(),
            "reruns": list(self.reruns),
        }


def find_identity(journal: Journal, identity: str) -> Registration | RunRow:
    """Return what a name stands for: an experiment's present design, a design by its hash, or a run.

    Args:
        journal: The record.
        identity: Name of an experiment, a design's hash or a run, the last two also by how they begin.

    Raises:
        UnknownName: where nothing is called so, with the nearest name of an experiment or run.
        BadValue: where several begin so.
    """
    known = current_designs(journal)
    if identity in known:
        return known[identity][-1]
    designs = [registration for chain in known.values() for registration in chain]
    if len(identity) >= _SHORTEST_HASH:
        begun = [registration for registration in designs if registration.design.startswith(identity)]
        if len(begun) > 1:
            shown = ", ".join(f"{found.design[:12]} ({found.name})" for found in begun)
            raise BadValue("A hash's beginning fits one design only", got=f"{identity}: {shown}")
        if begun:
            return begun[0]
    runs = [row.run for row in journal.runs(limit=_NAMES_TO_COMPARE)]
    # Nobody types the digits at a run's end, so its name without them is compared as well.
    names = [*known, *runs, *(run.rpartition("-")[0] for run in runs)]
    unknown = UnknownName("experiment, design or run", identity, names, next_step="modelwright list")
    if not identity:
        raise unknown
    try:
        return journal.run(identity)
    except UnknownName:
        raise unknown from None
    except BadValue:
        # Several runs begin so: too little of a run's name was given, or a wrong name of an experiment.
        if any(identity.startswith(f"{name}-") for name in known):
            raise
        raise unknown from None


def show(journal: Journal, identity: str) -> ShownExperiment | ShownRun:
    """Return everything important about an experiment or a run; arguments and errors as `find_identity`."""
    found = find_identity(journal, identity)
    return _show_run(journal, found) if isinstance(found, RunRow) else _show_experiment(journal, found)


def _show_experiment(journal: Journal, registration: Registration) -> ShownExperiment:
    chain = journal.registrations(registration.name)
    present = chain[-1].design
    design = Design.from_mapping(registration.body["design"])
    looks = standing_entries(journal, registration.design, "look")
    verdicts = standing_entries(journal, registration.design, "verdict")
    report = journal.folder / "reports" / f"{registration.name}.html"
    promised = registration.design == present
    return ShownExperiment(
        name=registration.name,
        design=design,
        design_hash=registration.design,
        superseded_by=None if promised else present,
        registered=registration.time,
        data=registration.body["data"],
        rule=describe_rule(design),
        verdict=Verdict.from_record(verdicts[-1].body) if verdicts else None,
        looks=tuple(Look.from_record(entry.body) for entry in looks),
        findings=tuple(list_findings(journal, registration.name)) if promised else (),
        amendments=read_promise(journal, registration.name).amendments,
        runs=Counter(row.status for row in journal.runs(experiment=registration.name)),
        report=report if report.is_file() else None,
    )


def started_record(journal: Journal, run: str) -> Mapping[str, Any]:
    """Return what was recorded when a run started."""
    return journal.entries(kind="run.started", run=run)[-1].body["body"]


def read_lineage(journal: Journal, started: Mapping[str, Any]) -> Lineage | None:
    """Return a run's lineage; None where its artefact is gone or damaged, which `verify` names."""
    try:
        return Lineage.from_record(json.loads(journal.artefacts.get(started["lineage"])))
    except (Corrupted, SourceMissing, UnknownName, KeyError, ValueError):
        return None


def _show_run(journal: Journal, row: RunRow) -> ShownRun:
    started = started_record(journal, row.run)
    ends = journal.entries(kind="run.finished", run=row.run)
    ended: Mapping[str, Any] = ends[-1].body["body"] if ends else {}
    error = ended.get("error") or {}
    reason = ": ".join(text for text in (ended.get("reason"), error.get("rule")) if text)
    return ShownRun(
        row=row,
        config=started["config"],
        seed=started["seed"],
        split=started["split"],
        data=started["data"],
        code=started["code"],
        company=tuple(started["company"]),
        updates=ended.get("updates"),
        metrics=_last_metrics(journal, row.run),
        usage=Usage.from_record(ended["usage"]) if ended.get("usage") else None,
        shared_by=ended.get("shared_by", 1),
        state=ended.get("state"),
        reason=reason,
        lineage=read_lineage(journal, started),
        reruns=tuple(entry.body["sentence"] for entry in journal.entries(kind="rerun", run=row.run)),
    )


def _last_metrics(journal: Journal, run: str) -> dict[str, float | None]:
    """Return the last number of each series; the table comes by metric, then update."""
    table = journal.read_metrics(run, prefix=True)
    names, values = table.column("metric").to_pylist(), table.column("value").to_pylist()
    return {name: value if math.isfinite(value) else None for name, value in zip(names, values, strict=True)}
