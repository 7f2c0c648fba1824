"""What is likely wrong with a program, over all findings together; and the order to tell it in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.diagnosis.alike import alike
from modelwright.doctor.diagnosis.likelihoods import HEALTHY, UNKNOWN, Likelihoods, outcomes_of
from modelwright.doctor.diagnosis.posterior import posterior

__all__ = ["Diagnosis", "diagnose"]

_LEAST = 0.3
"""Probability of a set of causes below which none is named."""

_WEIGHTS = {Severity.SEVERE: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is likely wrong.

    Attributes:
        probabilities: Fault, `healthy` and `unknown` -> probability, the likeliest first.
        likeliest: The fault of the largest probability and those that cannot be told from it, by name; empty
            where the doctor abstains, because what was found fits no fault that it knows.
        findings: The findings, in the order to tell them, causes of warnings in the order of probability.
    """

    probabilities: Mapping[str, float]
    likeliest: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def abstains(self) -> bool:
        """Whether no fault is named over all findings together."""
        return not self.likeliest


_SYMPTOMS = frozenset({"nothing-learnt", "loss-grows", "loss-not-finite"})
"""Kinds that say how learning went: what else was found is nearer to why."""


def diagnose(findings: Sequence[Finding], table: Likelihoods) -> Diagnosis:
    """Return what is likely wrong, given all findings of a run.

    Severe findings come first, then warnings, then information; within each, what only says how learning went
    comes last, and the others stand by the probability of what they name. Causes of a severe finding keep
    their order: they follow from an identity that is broken, and no table knows better. A finding whose first
    cause has no row has the probability of `unknown`; a cause without a row keeps its place. Where no fault
    fits, the probability does not count.

    Args:
        findings: As sensors gave them.
        table: Counts of outcomes by fault.
    """
    found = outcomes_of(findings)
    probabilities = posterior(table, found)

    likeliest = _likeliest(probabilities, alike(table)) if found else ()
    told = [_with_causes(each, probabilities) if likeliest else each for each in findings]

    def place(finding: Finding) -> tuple[int, bool, float]:
        name = finding.causes[0].name if finding.causes else ""
        likely = probabilities.get(name, probabilities[UNKNOWN]) if likeliest else 0.0
        return _WEIGHTS[finding.severity], finding.kind in _SYMPTOMS, -round(likely, 9)

    # Python's sort is stable: what is alike stays in the order of the sensors.
    told.sort(key=place)
    return Diagnosis(probabilities=probabilities, likeliest=likeliest, findings=tuple(told))


def _with_causes(finding: Finding, probabilities: Mapping[str, float]) -> Finding:
    """Return a finding with those of its causes in order that have a row."""
    known = [each for each in finding.causes if each.name in probabilities]
    if finding.severity is not Severity.WARNING or len(known) < 2:
        return finding
    known.sort(key=lambda each: -round(probabilities[each.name], 9))
    following = iter(known)
    ordered = [next(following) if each.name in probabilities else each for each in finding.causes]
    return replace(finding, causes=tuple(ordered))


def _likeliest(probabilities: Mapping[str, float], sets: Iterable[frozenset[str]]) -> tuple[str, ...]:
    faults = [name for name in probabilities if name not in (HEALTHY, UNKNOWN)]
    if not faults:
        return ()
    same = next((each for each in sets if faults[0] in each), frozenset({faults[0]}))
    together = sum(probabilities[name] for name in same)
    if together < _LEAST or together < max(probabilities[UNKNOWN], probabilities[HEALTHY]):
        return ()
    return tuple(sorted(same, key=lambda name: (-probabilities[name], name)))
