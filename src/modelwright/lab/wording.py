"""Words that every view of an experiment shares: the live one, the plain one, the pages of a finished one."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from modelwright.base.errors import ModelwrightError
from modelwright.base.finding import Finding, Severity
from modelwright.base.fingerprint import jsonable
from modelwright.experiment.design import Design
from modelwright.experiment.interval import Interval
from modelwright.experiment.look import Look, Reading
from modelwright.experiment.question import Question
from modelwright.lab.finding_page import find_page
from modelwright.lab.project import Project

__all__ = [
    "INVALIDATES",
    "OUTCOME_STYLES",
    "SEVERITY_STYLES",
    "clean",
    "describe_change",
    "describe_decision",
    "describe_difference",
    "describe_finding",
    "describe_ground",
    "describe_lost",
    "describe_means",
    "describe_question",
    "describe_reading",
    "describe_reused",
    "describe_rule",
    "invalidates",
    "next_commands",
    "shorten_path",
    "show_mean",
]

OUTCOME_STYLES = {
    "supported": "green",
    "refuted": "red",
    "equivalent": "cyan",
    "inconclusive": "yellow",
    "invalid": "bold red",
    "open": "dim",
}
SEVERITY_STYLES = {Severity.SEVERE: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}

_OF_DATA = ("name", "path", "query", "target", "group", "time")

INVALIDATES = "the verdict will be invalid"


def clean(text: str) -> str:
    """Return `text` on one line without control characters; names of columns may hold anything."""
    joined = " ".join(text.split())
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in joined)


def describe_question(question: Question) -> str:
    """Return metric, direction, margin and smallest effect in one line."""
    better = "higher" if question.sign > 0 else "lower"
    return (
        f"{question.metric} ({better} is better), margin {question.margin:g}, "
        f"smallest effect {question.smallest_effect:g}"
    )


def describe_ground(design: Design) -> list[tuple[str, str]]:
    """Return what is learnt from and how it is parted or measured in, as (name, words)."""
    if design.environment is not None and design.evaluation is not None:
        given, episodes = design.environment, design.evaluation.episodes
        words = [clean(given.name), *(f"{key}={clean(str(value))}" for key, value in given.settings.items())]
        words += [] if given.time_limit is None else [f"episodes of at most {given.time_limit:,} steps"]
        measured = f"{episodes} fresh episode{'s' * (episodes != 1)} of each seed, the same for all variants"
        return [
            ("environment", ", ".join(words)),
            ("evaluation", "by the learner itself" if design.question.reported else measured),
        ]
    assert design.data is not None
    assert design.split is not None
    data, split = jsonable(design.data), design.split
    named = [f"{key} {clean(str(data[key]))}" for key in _OF_DATA if data[key]]
    test = f"{split.test * 100:g}% of rows" if split.test < 1 else f"{split.test:g} rows"
    words = [split.kind, f"test part {split.part}" if split.kind == "column" else f"{test} held out"]
    words += [f"{split.inner} inner folds"] if split.inner else []
    words += [f"gap {split.gap:g}"] if split.gap else []
    words += ["the same for all seeds" if split.shared else "each seed draws its own"]
    return [("data", ", ".join([f"kind {design.data.kind}", *named])), ("split", ", ".join(words))]


def describe_rule(design: Design) -> str:
    """Return the name of the design's stopping rule without building it, which solves for its boundaries."""
    rule, count = design.rule, len(design.compare)
    looks = f"looks at {', '.join(map(str, rule.looks))} seeds"
    if rule.kind == "confidence_sequence":
        low, high = design.question.bounds
        reach = 0.0 if low is None or high is None else high - low
        bottom, top = -reach if rule.low is None else rule.low, reach if rule.high is None else rule.high
        text = f"betting confidence sequence on [{bottom:g}, {top:g}]"
    elif rule.kind == "fixed":
        text = f"{'t' if rule.test == 't' else 'sign-flip'} interval at {design.seeds} seeds"
    else:
        text = f"group-sequential {'t' if rule.test == 't' else 'sign-flip'}, {rule.spending}, {looks}"
    return text if count == 1 else f"{text}, {design.correction.capitalize()} over {count} comparisons"


def invalidates(finding: Finding, *, accepted: bool) -> bool:
    """Tell whether the verdict cannot stand because of this finding."""
    return finding.severity is Severity.SEVERE and not accepted


def describe_finding(finding: Finding, *, accepted: bool) -> str:
    """Return a finding in one line, without its severity."""
    text = f"{clean(finding.title)} ({finding.kind})"
    if finding.severity is not Severity.SEVERE:
        return text
    if accepted:
        return f"{text} The design accepts it."
    return f"{text} The design does not accept it: {INVALIDATES}."


def describe_reused(variant: str, count: int) -> str:
    """Return that trials are on record already."""
    return f"{count} trial{'s' * (count != 1)} of {variant} on record already: identical, not run again"


def describe_lost(variant: str, why: str) -> str:
    """Return that a worker went away."""
    return f"a worker of {variant} was lost ({clean(why)}): its trials start again"


def show_mean(value: float, reading: Reading) -> str:
    """Return a mean with one digit more than the interval of its comparison shows."""
    shown = reading.interval.show(value)
    digits = len(shown.partition(".")[2])
    return f"{value:.{digits + 1}f}" if 0 < digits < 9 else shown


def describe_means(look: Look) -> str:
    """Return the variants' means."""
    return ", ".join(f"{name} {show_mean(value, look.readings[0])}" for name, value in look.means.items())


def describe_reading(reading: Reading) -> str:
    """Return a comparison's estimate, interval and what the rule says of it."""
    pair = f"{reading.candidate} over {reading.baseline}"
    return f"{pair} {describe_difference(reading.interval)}, {reading.says}"


def describe_difference(interval: Interval) -> str:
    """Return `0.024 (0.012 to 0.036)`."""
    estimate, low, high = (interval.show(at) for at in (interval.estimate, interval.low, interval.high))
    return f"{estimate} ({low} to {high})"


def describe_decision(look: Look) -> str:
    """Return what follows from a look."""
    return f"{'stop' if look.stop else 'go on'}: {look.why}"


def describe_change(change: str) -> str:
    """Return a changed setting, `seeds: 4 -> 8`, cut where it is long."""
    text = clean(change.removeprefix("design."))
    return text if len(text) < 120 else text[:117] + "..."


def shorten_path(path: Path) -> str:
    """Return the path relative to the working directory where it lies inside."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def next_commands(design: Design, project: Project, findings: Mapping[str, bool]) -> list[tuple[str, str]]:
    """Return commands to try once the verdict is in, each with what it does.

    Args:
        design: The experiment.
        project: Where its journal is; named in the commands where they would not find it themselves.
        findings: Kind of each finding -> whether it makes the verdict invalid.
    """
    first = next(iter(design.variants))
    commands = [
        (f"show {design.name}", "everything about this experiment"),
        (f"rerun {design.name}-{first}-00", "execute a run again and compare"),
        ("verify", "recompute every hash of the record"),
        ("list", "what else is on record"),
    ]
    if any(findings.values()):
        commands.insert(0, (f"findings {design.name}", "what makes the verdict invalid"))
    where = (
        "" if _finds_itself(project) else f" --journal {shlex.quote(shorten_path(project.journal_folder))}"
    )
    told = [(f"modelwright {command}{where}", what) for command, what in commands]
    first_kind = max(findings, key=lambda kind: findings[kind], default="")
    if find_page(first_kind) is not None:
        told.insert(
            int(any(findings.values())), (f"modelwright help {first_kind}", "what it means, how to mend it")
        )
    return told


def _finds_itself(project: Project) -> bool:
    try:
        return Project.find().journal_folder == project.journal_folder
    except (OSError, ModelwrightError):
        return False
