"""What is on record of one run: the trial that it executed, how it ended, and what it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.journal.journal import Journal
from modelwright.journal.run_row import RunRow
from modelwright.lab.lineage.usage import Usage

__all__ = ["TrialFact", "read_trials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFact:
    """One run of an experiment.

    Attributes:
        row: As the journal lists it.
        reason: Why it has no score, or ended early; empty where all is well.
        note: The first line of an error, empty without one.
        trace: The traceback of that error, empty without one.
        lineage: Hash of the lineage's artefact.
        threads: Numerical threads as they were held, as recorded.
        config: The variant's configuration.
        code: Hash of the learner's code.
        data: Identity of the data.
        updates: Updates done, None where it did not end by itself.
        usage: What its job used; None where it did not end by itself.
        shared_by: How many runs that job trained at once.
    """

    row: RunRow
    reason: str
    note: str
    trace: str
    lineage: str
    threads: Mapping[str, Any]
    config: Mapping[str, Any]
    code: str
    data: str
    updates: int | None
    usage: Usage | None
    shared_by: int

    @property
    def diverged(self) -> bool:
        """Whether it trained to its end without a finite result."""
        return self.reason == "diverged"

    @property
    def done(self) -> bool:
        """Whether it counts as the trial's result."""
        return self.row.status in ("finished", "failed") and (self.row.score is not None or self.diverged)

    @property
    def wall_seconds(self) -> float | None:
        """Its share of its job's seconds."""
        return None if self.usage is None else self.usage.wall_seconds / self.shared_by

    @property
    def cpu_seconds(self) -> float | None:
        """Its share of its job's processor seconds."""
        return None if self.usage is None else self.usage.cpu_seconds / self.shared_by


def read_trials(journal: Journal, name: str, designs: Sequence[str]) -> tuple[TrialFact, ...]:
    """Return the runs of an experiment, the oldest first.

    Args:
        journal: The record.
        name: Name of the experiment.
        designs: Hashes of all designs registered under the name.
    """
    starts = {
        entry.run: entry.body
        for design in designs
        for entry in journal.entries(kind="run.started", design=design)
    }
    rows = journal.runs(experiment=name, order="started")
    facts: list[TrialFact] = []
    for row in rows:
        # The end of a run is an entry without a design: asked for one by one, it is found by index.
        ends = journal.entries(kind="run.finished", run=row.run)
        facts.append(_read(row, starts[row.run]["body"], ends[-1].body["body"] if ends else {}))
    return tuple(facts)


def _read(row: RunRow, start: Mapping[str, Any], end: Mapping[str, Any]) -> TrialFact:
    error: Mapping[str, Any] = end.get("error") or {}
    text = f"{error.get('error', '')}: {error.get('rule', '')}".strip(": ")
    usage = end.get("usage")
    return TrialFact(
        row=row,
        reason=str(end.get("reason") or ""),
        note=text.splitlines()[0] if text else "",
        trace=str(end.get("trace") or ""),
        lineage=start["lineage"],
        threads=start["threads"],
        config=start["config"],
        code=start["code"],
        data=start["data"],
        updates=end.get("updates"),
        usage=None if usage is None else Usage.from_record(usage),
        shared_by=int(end.get("shared_by") or 1),
    )
