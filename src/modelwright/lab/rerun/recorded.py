"""A run that can be repeated, with everything on record that its repetition needs."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.base.errors import BadValue, Corrupted, NotPermitted, SourceMissing, UnknownName
from modelwright.journal.journal import Journal
from modelwright.journal.run_row import RunRow
from modelwright.lab.lineage.record import Lineage

__all__ = ["RecordedRun", "find_recorded_run"]

_SHOWN = 8
_SETTINGS_OF_A_TRIAL = ("config", "code", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run that ended with a result.

    Attributes:
        row: The run in the list of runs.
        started: What was entered when it started: configuration, seed, threads, company.
        ended: What was entered when it ended; `state` is the artefact of its learnt numbers.
        score: The design's metric, from the ledger; NaN where the run diverged.
        lineage: Where its numbers came from.
        design: The design as registered, JSON types.
        root: Hash that the seeds of the experiment derive from.
        others: Scores of the variant's other seeds trained alike: same configuration, code and data.
    """

    row: RunRow
    started: Mapping[str, Any]
    ended: Mapping[str, Any]
    score: float
    lineage: Lineage
    design: Mapping[str, Any]
    root: str
    others: tuple[float, ...]


def find_recorded_run(journal: Journal, name: str) -> RecordedRun:
    """Return the run of this identity, or the one whose identity begins so.

    Attempts at one trial share their beginning; the attempt that came to a result is meant.

    Args:
        journal: The record.
        name: An identity, or how it begins.

    Raises:
        UnknownName: where no run begins so, with the nearest.
        BadValue: where runs of several trials do; the message lists them.
        NotPermitted: where the run has no result: it is running, was interrupted, or its learner raised.
        Corrupted: where what is on record of it does not hold.
        SourceMissing: where its lineage is lost.
    """
    row = _choose(journal, name)
    damages = journal.verify(files=False).damages  # files are checked where they are read
    if damages:
        raise Corrupted(
            "What is on record holds before a repetition is compared with it",
            got=f"{damages[0].part} {damages[0].subject}: {damages[0].what}",
            next_step="modelwright verify names everything that does not hold",
        )
    started = journal.entries(kind="run.started", run=row.run)[-1].body["body"]
    end = journal.entries(kind="run.finished", run=row.run)[-1].body
    registered = journal.registrations(row.experiment)
    designs = [item.body["design"] for item in registered if item.design == row.design]
    if not designs:
        raise Corrupted("A run's design is registered", got=f"no {row.design[:12]} under {row.experiment}")
    return RecordedRun(
        row=row,
        started=started,
        ended=end["body"],
        score=math.nan if end["score"] is None else float(end["score"]),
        lineage=_lineage(journal, started["lineage"]),
        design=designs[0],
        root=registered[0].body["root"],
        others=_others(journal, row, started),
    )


def _choose(journal: Journal, name: str) -> RunRow:
    if not name:
        raise BadValue("A run is named by its identity or by how it begins", got="an empty text")
    rows = journal.runs(order="started")
    fitting = [row for row in rows if row.run == name] or [row for row in rows if row.run.startswith(name)]
    if not fitting:
        raise UnknownName("run", name, [row.run for row in rows], next_step="modelwright list --runs")
    cells = {(row.experiment, row.variant, row.seed_index) for row in fitting}
    ended = [row for row in fitting if _has_result(journal, row)] if len(cells) == 1 else []
    if len(ended) == 1 or len(fitting) == 1:
        row = (ended or fitting)[0]
        if not ended:
            raise _without_result(journal, row)
        return row
    if len(cells) == 1 and not ended:
        raise _without_result(journal, fitting[-1])
    shown = ended or fitting
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    raise BadValue(
        "A run's beginning fits one run only",
        got=f"{name}: {', '.join(row.run for row in shown[:_SHOWN])}{more}",
        next_step="type more of it",
    )


def _has_result(journal: Journal, row: RunRow) -> bool:
    return row.status == "finished" or (row.status == "failed" and _reason(journal, row) == "diverged")


def _reason(journal: Journal, row: RunRow) -> str:
    ends = journal.entries(kind="run.finished", run=row.run)
    return str(ends[-1].body["body"].get("reason", "")) if ends else ""


def _without_result(journal: Journal, row: RunRow) -> NotPermitted:
    reason = _reason(journal, row)
    return NotPermitted(
        "A run is repeated once it has come to a result",
        got=f"{row.run} is {row.status}" + (f" ({reason})" if reason else ""),
        next_step=f"modelwright run {row.experiment} goes on where it stopped, then repeat the run",
    )


def _lineage(journal: Journal, sha256: str) -> Lineage:
    try:
        return Lineage.from_record(json.loads(journal.artefacts.get(sha256)))
    except UnknownName as error:
        raise SourceMissing(
            "The lineage of a run is kept among the journal's artefacts",
            got=f"no artefact {sha256}",
            next_step="bring it back from a copy of the journal; modelwright verify names what else is lost",
        ) from error


def _others(journal: Journal, row: RunRow, started: Mapping[str, Any]) -> tuple[float, ...]:
    """Return one score per other seed. An amended design's runs count where they were trained alike."""
    scores: dict[int, float] = {}
    for other in journal.runs(
        experiment=row.experiment, variant=row.variant, status="finished", order="started"
    ):
        if other.seed_index == row.seed_index or other.score is None:
            continue
        body = journal.entries(kind="run.started", run=other.run)[-1].body["body"]
        if all(body[key] == started[key] for key in _SETTINGS_OF_A_TRIAL):
            scores[other.seed_index] = other.score
    return tuple(scores.values())
