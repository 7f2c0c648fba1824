"""One run as the list of runs shows it."""

from typing import Any, Literal, NamedTuple

__all__ = ["RUN_COLUMNS", "RunRow", "Status"]

Status = Literal["running", "finished", "failed", "interrupted"]


class RunRow(NamedTuple):
    """A projection of the entries `run.started` and `run.finished` of one run.

    A named tuple, because making 30,000 frozen dataclasses takes ten times as long as reading them may.

    Attributes:
        run: Identity of the run.
        trial: Identity of the trial that it executes.
        design: Hash of the design.
        experiment: Name of the experiment.
        variant: Name of the variant.
        seed_index: Which seed of the design, from 0.
        status: `running` until it is finished, failed or interrupted.
        score: The number that the design's metric gave; None where there is none.
        started: When it started, ISO 8601 in UTC.
        finished: When it ended; None while it is running.
        cohort: Identity of the cohort whose metrics are written together; None before a writer was made.
        started_sequence: The ledger entry of its start; orders runs, whatever the clock did.
        finished_sequence: The ledger entry of its end.
    """

    run: str
    trial: str
    design: str
    experiment: str
    variant: str
    seed_index: int
    status: Status
    score: float | None
    started: str
    finished: str | None
    cohort: str | None
    started_sequence: int
    finished_sequence: int | None

    def record(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        return self._asdict()


RUN_COLUMNS = ", ".join(RunRow._fields)
"""The table's columns, in the order of the fields."""
