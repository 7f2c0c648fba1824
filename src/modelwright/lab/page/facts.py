"""Everything that the report says, collected from the journal as frozen records."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import ModelwrightError, UnknownName
from modelwright.base.finding import Finding
from modelwright.base.fingerprint import canonical_json
from modelwright.base.step import THROUGHPUT
from modelwright.experiment.design import Design
from modelwright.experiment.look import Look
from modelwright.experiment.verdict import Verdict
from modelwright.journal.entry import Entry
from modelwright.journal.head import Head
from modelwright.journal.journal import Journal
from modelwright.journal.registration import Registration
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.page.curve import Curve, make_curves
from modelwright.lab.page.origin import Origin, Used, join_lineages, sum_usage
from modelwright.lab.page.trial_fact import TrialFact, read_trials
from modelwright.lab.promise import read_promise
from modelwright.lab.standing import AMENDMENT, standing_entries, standing_findings
from modelwright.lab.watch_record import WatchRecord, read_watches

__all__ = ["Amendment", "EarlierVerdict", "Facts", "Rerun", "collect_facts"]

MOST_CURVES = 64
"""Runs of a variant whose metrics are read for its curves: the first seeds."""

_CLOSE = 1e-9
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """One change of what was registered.

    Attributes:
        sequence: Its entry in the ledger.
        time: When it was entered.
        reason: Why, in the words of whoever did it.
        changes: One text for each setting that changed.
        results_before: How many results were in.
    """

    sequence: int
    time: str
    reason: str
    changes: tuple[str, ...]
    results_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierVerdict:
    """A verdict that a later one replaced."""

    sequence: int
    time: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """A repetition of a run, as recorded."""

    run: str
    time: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One experiment as the journal knows it.

    Attributes:
        name: Its name.
        design: The present design.
        registrations: All designs under the name, the first of which gives the seeds.
        entry: The ledger entry that made the present design.
        head: Newest entry of the ledger.
        as_of: When the newest of this experiment's own entries was written.
        verdict: The verdict on the present design, None while there is none.
        verdict_entry: Its entry.
        earlier: Verdicts that it replaced.
        looks: The looks at the present design, in turn.
        findings: What the checks found.
        watches: Variant -> what the doctor heard in runs that count.
        checked: Whether the data were checked.
        amendments: Every change after registration.
        deviations: Those made after results were in, in words.
        trials: All runs under the name, the oldest first.
        used: (variant, seed) -> the run that counts for the present design.
        curves: Metrics of the runs that count.
        origins: Their lineages.
        usage: What all runs used.
        reruns: What repetitions of its runs showed, the oldest first.
        scope_inflation: n_test / n_train as registered, where the verdict speaks of new data, else 0.
        problems: What could not be read, or contradicts the record.
    """

    name: str
    design: Design
    registrations: tuple[Registration, ...]
    entry: Entry
    head: Head
    as_of: str
    verdict: Verdict | None
    verdict_entry: Entry | None
    earlier: tuple[EarlierVerdict, ...]
    looks: tuple[Look, ...]
    findings: tuple[Finding, ...]
    watches: Mapping[str, WatchRecord]
    checked: bool
    amendments: tuple[Amendment, ...]
    deviations: tuple[str, ...]
    trials: tuple[TrialFact, ...]
    used: Mapping[tuple[str, int], TrialFact]
    curves: tuple[Curve, ...]
    origins: tuple[Origin, ...]
    usage: Used
    reruns: tuple[Rerun, ...]
    scope_inflation: float
    problems: tuple[str, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants, candidates first, as the comparisons name them."""
        return tuple(dict.fromkeys(name for pair in self.design.compare for name in pair))


def collect_facts(journal: Journal, name: str) -> Facts:
    """Read an experiment from the journal.

    Raises:
        UnknownName: where nothing is registered under the name, with the nearest.
    """
    registrations = tuple(journal.registrations(name))
    if not registrations:
        known = {item.name for item in journal.registrations()}
        raise UnknownName(
            "registered experiment", name, known, next_step="modelwright run NAME registers one"
        )
    last = registrations[-1]
    design = Design.from_mapping(last.body["design"])
    problems: list[str] = []
    trials = read_trials(journal, name, [item.design for item in registrations])
    lineages = _read_lineages(journal, trials, problems)
    promised = _promised(journal, last)
    used = _used_runs(design, promised, trials, lineages)
    looks = tuple(Look.from_record(entry.body) for entry in standing_entries(journal, last.design, "look"))
    problems += _contradictions(design, looks, used)
    verdicts = standing_entries(journal, last.design, "verdict")
    moments = [last.time, *(row.finished or row.started for row in (trial.row for trial in trials))]
    moments += [entry.time for entry in verdicts[-1:]]
    return Facts(
        name=name,
        design=design,
        registrations=registrations,
        entry=journal.entries(design=last.design)[0],
        head=journal.head(),
        as_of=max(moments),
        verdict=Verdict.from_record(verdicts[-1].body) if verdicts else None,
        verdict_entry=verdicts[-1] if verdicts else None,
        earlier=_earlier(journal, registrations),
        looks=looks,
        findings=tuple(finding for _, finding in standing_findings(journal, last.design)),
        watches=read_watches(journal, [trial.row.run for trial in used.values()]),
        checked=bool(standing_entries(journal, last.design, "checks")),
        amendments=_amendments(journal, registrations),
        deviations=read_promise(journal, name).deviations,
        trials=trials,
        used=used,
        curves=_read_curves(journal, design, used, problems),
        origins=join_lineages(list(used.values()) or trials, lineages),
        usage=sum_usage(trials),
        reruns=_reruns(journal, trials),
        scope_inflation=float(promised.get("scope_inflation", 0.0)),
        problems=tuple(dict.fromkeys(problems)),
    )


def _promised(journal: Journal, last: Registration) -> Mapping[str, Any]:
    """Return data and code as last promised: an amendment may change them and leave the design."""
    later = journal.entries(kind=AMENDMENT, design=last.design)
    return later[-1].body if later else last.body


def _reruns(journal: Journal, trials: Sequence[TrialFact]) -> tuple[Rerun, ...]:
    own = {trial.row.run for trial in trials}
    return tuple(
        Rerun(run=str(entry.run), time=entry.time, sentence=str(entry.body["sentence"]))
        for entry in journal.entries(kind="rerun")
        if entry.run in own
    )


def _earlier(journal: Journal, registrations: Sequence[Registration]) -> tuple[EarlierVerdict, ...]:
    entries = [
        entry for item in registrations for entry in journal.entries(kind="verdict", design=item.design)
    ]
    present = standing_entries(journal, registrations[-1].design, "verdict")
    return tuple(
        EarlierVerdict(sequence=entry.sequence, time=entry.time, sentence=entry.body["sentence"])
        for entry in sorted(entries, key=lambda entry: entry.sequence)
        if not present or entry.sequence != present[-1].sequence
    )


def _amendments(journal: Journal, registrations: Sequence[Registration]) -> tuple[Amendment, ...]:
    found = [(item.sequence, item.time, str(item.reason), item.body) for item in registrations[1:]]
    for item in registrations:
        found += [
            (entry.sequence, entry.time, str(entry.body["reason"]), entry.body)
            for entry in journal.entries(kind=AMENDMENT, design=item.design)
        ]
    return tuple(
        Amendment(
            sequence=sequence,
            time=time,
            reason=reason,
            changes=tuple(body["changes"]),
            results_before=int(body["results_before"]),
        )
        for sequence, time, reason, body in sorted(found, key=lambda one: one[0])
    )


def _read_lineages(journal: Journal, trials: Sequence[TrialFact], problems: list[str]) -> dict[str, Lineage]:
    lineages: dict[str, Lineage] = {}
    for key in dict.fromkeys(trial.lineage for trial in trials):
        content = _attempt(lambda key=key: journal.artefacts.get(key), problems)
        if content is not None:
            lineages[key] = Lineage.from_record(json.loads(content))
    return lineages


def _attempt(read: Callable[[], _Value], problems: list[str]) -> _Value | None:
    """Return what `read` returns; where the record is damaged, say so on the page instead of giving up."""
    try:
        return read()
    except ModelwrightError as error:
        problems.append(str(error))
        return None


def _used_runs(
    design: Design, promised: Mapping[str, Any], trials: Sequence[TrialFact], lineages: Mapping[str, Lineage]
) -> dict[tuple[str, int], TrialFact]:
    """Return the runs that count: of what is promised now, the oldest that trained to its end."""
    parted = canonical_json(design.split or design.evaluation)
    used: dict[tuple[str, int], TrialFact] = {}
    for trial in trials:
        variant, seed = trial.row.variant, trial.row.seed_index
        if not trial.done or variant not in design.variants or seed >= design.seeds:
            continue
        lineage = lineages.get(trial.lineage)
        same = (
            canonical_json(trial.config) == canonical_json(design.variants[variant])
            and trial.code == promised["code"].get(variant)
            and trial.data == promised["data"]
            and (lineage is None or canonical_json(_parted(lineage)) == parted)
            and (lineage is None or lineage.config["question"]["metric"] == design.question.metric)
        )
        if same:
            used.setdefault((variant, seed), trial)
    return used


def _parted(lineage: Lineage) -> object:
    """Return how seeds parted the data, or were measured in the environment."""
    return lineage.data["split"] if "split" in lineage.data else lineage.data["evaluation"]


def _contradictions(
    design: Design, looks: Sequence[Look], used: Mapping[tuple[str, int], TrialFact]
) -> list[str]:
    """Compare every look's means with the scores of the runs; both are on record and must agree."""
    low, high = design.question.bounds
    found: list[str] = []
    for look in looks:
        for variant, mean in look.means.items():
            trials = [used.get((variant, seed)) for seed in range(look.seeds)]
            scores = [
                design.question.worst if trial.row.score is None else trial.row.score
                for trial in trials
                if trial is not None
            ]
            known = [score for score in scores if score is not None]
            if len(scores) < look.seeds:
                found.append(
                    f"Look {look.index + 1} used {look.seeds} seeds of {variant}, and {len(scores)} runs of "
                    "what is registered now are on record. Run modelwright verify."
                )
            elif len(known) < len(scores):
                continue  # it counted as the worst result of the look, which has no mean of its own
            elif abs(float(np.mean(np.clip(known, low, high))) - mean) > _CLOSE * float(np.abs(known).max()):
                found.append(
                    f"Look {look.index + 1} recorded a mean of {mean:.6g} for {variant}, and its runs have "
                    f"{np.mean(known):.6g}. Run modelwright verify."
                )
    return found


def _read_curves(
    journal: Journal, design: Design, used: Mapping[tuple[str, int], TrialFact], problems: list[str]
) -> tuple[Curve, ...]:
    tables: dict[str, list[dict[str, tuple[NDArray[Any], NDArray[Any]]]]] = {}
    names = dict.fromkeys(name for pair in design.compare for name in pair)
    for variant in names:
        runs = [used[variant, seed].row.run for seed in range(design.seeds) if (variant, seed) in used]
        read = [_attempt(lambda run=run: _read_metrics(journal, run), problems) for run in runs[:MOST_CURVES]]
        tables[variant] = [table for table in read if table]
    return make_curves(tables)


def _read_metrics(journal: Journal, run: str) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Return metric -> (updates, values) but for throughput, which is no part of an answer.

    Rows come ordered by metric.
    """
    table = journal.read_metrics(run, prefix=True)
    if table.num_rows == 0:
        return {}
    column = table.column("metric").combine_chunks()
    codes = column.indices.to_numpy()
    names = column.dictionary.to_pylist()
    updates, values = table.column("update").to_numpy(), table.column("value").to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    places = {str(names[codes[a]]): slice(a, b) for a, b in itertools.pairwise(edges)}
    return {name: (updates[at], values[at]) for name, at in places.items() if name != THROUGHPUT}
