"""Run the probes on a subject, within some seconds, and keep it as it was."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.probes.agents.agent_examination import Courses, Judged, examine_agent, in_turn
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import raised_at
from modelwright.doctor.probes.preserved import preserved, print_of
from modelwright.doctor.probes.probe import Outcome, Probe
from modelwright.doctor.probes.subject import Subject

__all__ = ["PROBE_FAILED", "Examination", "examine"]

PROBE_FAILED = "probe-failed"
"""Kind of the finding about a probe that raised; the examination goes on without it."""

SUBJECT_CHANGED = "subject-changed"

_STOP = ("pass-raises", "values-not-finite", "no-rows")
"""Kinds after which other probes have nothing to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What came of it.

    Attributes:
        findings: What is wrong.
        checked: What was looked at, in words.
        unchecked: What could not be, and why.
        seconds: How long each probe took, by its words.
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    seconds: dict[str, float]


def examine(
    subject: Subject,
    probes: Sequence[Probe],
    seconds: float,
    tell: Callable[[str, "Examination"], None] | None = None,
    courses: Courses = in_turn,
) -> Examination:
    """Run probes one after another.

    Each gets its share of the seconds that are left; what one leaves, the others have. Random numbers and the
    subject are afterwards as they were.

    Args:
        subject: What is examined.
        probes: In order.
        seconds: For all of them.
        tell: Is called before each, with its words and what is known so far.
        courses: Lets agents learn.
    """
    limit = Limit(seconds)
    if subject.agent is not None:
        return _examine_agent(subject.agent, limit, tell, courses)
    found: list[Finding] = []
    checked: list[str] = []
    unchecked: list[str] = []
    took: dict[str, float] = {}
    fitting = [each for each in probes if _lacks(each, subject) is None]
    unchecked += [f"{each.words}: {why}" for each in probes if (why := _lacks(each, subject))]
    before = print_of(subject)
    for at, probe in enumerate(fitting):
        if any(each.kind in _STOP for each in found):
            unchecked.append("everything else: the pass must work first")
            break
        if limit.is_over:
            unchecked += [f"{each.words}: no time was left" for each in fitting[at:]]
            break
        if tell is not None:
            tell(probe.words, _so_far(found, checked, unchecked, took))
        share = probe.share / sum(each.share for each in fitting[at:])
        begun = time.monotonic()
        outcome = _outcome(probe, subject, limit.part(share))
        took[probe.words] = time.monotonic() - begun
        found += outcome.findings
        unchecked += outcome.unchecked
        if not outcome.unchecked:
            checked.append(probe.words)
    if print_of(subject) != before:
        found.append(
            Finding(
                kind=SUBJECT_CHANGED,
                severity=Severity.INFO,
                title="A probe changed what the factory made; what follows it may not hold.",
                next_check="report it; model, loss or data share something that copies do not separate",
            )
        )
    return _so_far(found, checked, unchecked, took)


def _examine_agent(
    factory: Callable[..., Any],
    limit: Limit,
    tell: Callable[[str, Examination], None] | None,
    courses: Courses,
) -> Examination:
    def made(judged: Judged) -> Examination:
        return _so_far(judged[0], judged[1], judged[2], {"the agent": limit.spent})

    def say(words: str, judged: Judged) -> None:
        if tell is not None:
            tell(words, made(judged))

    return made(examine_agent(factory, limit, say, courses))


def _so_far(
    found: Sequence[Finding], checked: Sequence[str], unchecked: Sequence[str], took: dict[str, float]
) -> Examination:
    order = list(Severity)[::-1]
    ranked = sorted(found, key=lambda each: order.index(each.severity))
    return Examination(
        findings=tuple(ranked),
        checked=tuple(checked),
        unchecked=tuple(dict.fromkeys(unchecked)),
        seconds=dict(took),
    )


def _lacks(probe: Probe, subject: Subject) -> str | None:
    try:
        return probe.lacks(subject)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _outcome(probe: Probe, subject: Subject, limit: Limit) -> Outcome:
    try:
        with preserved():
            return probe.look(subject, limit)
    except (Exception, MemoryError) as error:
        told = traceback.extract_tb(error.__traceback__)[-1]
        place = raised_at(error)
        failed = Finding(
            kind=PROBE_FAILED,
            severity=Severity.INFO,
            title=f"A probe of the doctor's failed: {probe.words}.",
            evidence={
                "error": f"{type(error).__name__}: {error}"[:300],
                "at": str(place or f"{told.filename}:{told.lineno}"),
            },
            next_check="what it looks at was not checked; the line above may say why",
        )
        return Outcome(findings=(failed,), unchecked=(f"{probe.words}: it failed",))
