"""Where the numbers come from: the lineages of the runs, put together, and what the runs used in all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.base.fingerprint import fingerprint
from modelwright.lab.lineage.explanation import explain
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.page.trial_fact import TrialFact

__all__ = ["Origin", "Used", "join_lineages", "sum_usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One lineage, without the variant's configuration, and the runs that share it.

    Attributes:
        lineage: As recorded.
        runs: How many runs have it.
        threads: How numerical threads were held, as recorded.
        differences: What differs from the lineage of most runs, in sentences; empty for that itself.
    """

    lineage: Lineage
    runs: int
    threads: Mapping[str, Any]
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What runs used together.

    Attributes:
        runs: How many ended by themselves and told.
        wall_seconds: Of all jobs, one after another.
        cpu_seconds: Of all jobs.
        peak_memory: Bytes, of the job that took most.
        peak_basis: What that peak is of.
        gpu_seconds: Of all jobs.
        energy: (label, joules, basis) for each way in which energy is known.
    """

    runs: int
    wall_seconds: float
    cpu_seconds: float
    peak_memory: int
    peak_basis: str
    gpu_seconds: float
    energy: tuple[tuple[str, float, str], ...]


def join_lineages(trials: Sequence[TrialFact], lineages: Mapping[str, Lineage]) -> tuple[Origin, ...]:
    """Return the distinct lineages of the trials, that of most runs first.

    Args:
        trials: The runs.
        lineages: Hash of the artefact -> lineage; runs whose lineage cannot be read are left out.
    """
    groups: dict[str, list[TrialFact]] = {}
    for trial in trials:
        if trial.lineage in lineages:
            record = {**lineages[trial.lineage].record(), "config": {}, "threads": trial.threads}
            groups.setdefault(fingerprint(record), []).append(trial)
    ordered = sorted(groups.values(), key=len, reverse=True)
    origins: list[Origin] = []
    for group in ordered:
        lineage = lineages[group[0].lineage]
        found: tuple[str, ...] = ()
        if origins:
            # Variants differ in their configurations on purpose; what is left is what should not differ.
            differences = explain(origins[0].lineage, lineage)
            found = tuple(one.sentence for one in differences if one.side.value != "config")
        origins.append(Origin(lineage=lineage, runs=len(group), threads=group[0].threads, differences=found))
    return tuple(origins)


def sum_usage(trials: Sequence[TrialFact]) -> Used:
    """Return what runs used together; a job that trained several at once is counted once."""
    told = [(trial, trial.usage) for trial in trials if trial.usage is not None]
    largest = max((usage for _, usage in told), key=lambda usage: usage.peak_memory, default=None)
    joules: dict[str, float] = {}
    bases: dict[str, str] = {}
    for trial, usage in told:
        for energy in usage.energy:
            joules[energy.label] = joules.get(energy.label, 0.0) + energy.joules / trial.shared_by
            # The basis of an estimate opens with the seconds of its own job.
            bases[energy.label] = energy.basis.partition(" x ")[2] or energy.basis
    return Used(
        runs=len(told),
        wall_seconds=sum(usage.wall_seconds / trial.shared_by for trial, usage in told),
        cpu_seconds=sum(usage.cpu_seconds / trial.shared_by for trial, usage in told),
        peak_memory=largest.peak_memory if largest else 0,
        peak_basis=largest.peak_memory_basis if largest else "",
        gpu_seconds=sum(usage.gpu_seconds / trial.shared_by for trial, usage in told),
        energy=tuple((label, joules[label], bases[label]) for label in sorted(joules)),
    )
