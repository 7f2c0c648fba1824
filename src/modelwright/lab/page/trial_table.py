"""All runs as rows of a table, also those that do not count, and why they do not."""

from dataclasses import dataclass

from modelwright.lab.page.facts import Facts
from modelwright.lab.page.number import fixed, show_seconds, spread_digits
from modelwright.lab.page.trial_fact import TrialFact

__all__ = ["MOST_ROWS", "TrialRow", "trial_rows", "trial_traces"]

MOST_ROWS = 600
"""Rows that the page holds; what goes beyond is counted."""

MOST_TRACES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One run, as text.

    Attributes:
        run: Its identity.
        variant: Name of the variant.
        kind: CSS class of the variant.
        seed: Number of the seed.
        score: The metric that decides.
        seconds: Its share of its job's seconds.
        updates: Updates done.
        status: How it ended.
        good: Whether it finished with a score.
        note: Why it has none, or why it does not count.
    """

    run: str
    variant: str
    kind: str
    seed: int
    score: str
    seconds: str
    updates: str
    status: str
    good: bool
    note: str


def trial_rows(facts: Facts, classes: dict[str, str]) -> tuple[TrialRow, ...]:
    """Return the runs by variant and seed, at most `MOST_ROWS`; those that count come before the others."""
    digits = spread_digits([trial.row.score for trial in facts.trials])
    counting = {trial.row.run for trial in facts.used.values()}
    order = {name: place for place, name in enumerate(facts.variants)}
    ordered = sorted(
        facts.trials,
        key=lambda trial: (
            trial.row.run not in counting,
            order.get(trial.row.variant, len(order)),
            trial.row.seed_index,
            trial.row.started_sequence,
        ),
    )
    return tuple(
        TrialRow(
            run=trial.row.run,
            variant=trial.row.variant,
            kind=classes.get(trial.row.variant, ""),
            seed=trial.row.seed_index,
            score=fixed(trial.row.score, digits),
            seconds="–" if trial.wall_seconds is None else show_seconds(trial.wall_seconds),
            updates="–" if trial.updates is None else f"{trial.updates:,}",
            status=trial.row.status,
            good=trial.row.status == "finished",
            note=_note(trial, trial.row.run in counting),
        )
        for trial in ordered[:MOST_ROWS]
    )


def trial_traces(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return (run, traceback) of each error once: trials of one job fail together."""
    found: dict[str, str] = {}
    for trial in facts.trials:
        if trial.trace:
            found.setdefault(trial.trace, trial.row.run)
    return tuple((run, trace) for trace, run in found.items())[:MOST_TRACES]


def _note(trial: TrialFact, counts: bool) -> str:
    if trial.diverged:
        text = "its result is not a number"
    elif trial.row.status == "running":
        text = "at work, or its process ended without a word"
    elif trial.note:
        text = trial.note
    else:
        text = trial.reason
    if not counts and trial.done:
        text += ("; " if text else "") + "not counted: an earlier promise, or a second run of its trial"
    return text
