"""What courses in all tasks together say of an agent."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.agents.course import Course
from modelwright.doctor.probes.agents.grade import FITS, Grade, Standing, grade
from modelwright.doctor.probes.agents.seeing import SWAPPED, merged_as
from modelwright.doctor.probes.agents.task import Task
from modelwright.doctor.probes.agents.tasks import TASKS
from modelwright.doctor.probes.agents.way import WAYS
from modelwright.doctor.watch.place import Place

__all__ = ["judge"]

_WAITING_STEPS = {False: 10_000, True: 50_000}
"""Steps after which values without what follows are no longer those of an agent that learns slowly, by
whether they are values of actions: a target network may be renewed as seldom as that."""

_NEARLY = 0.35
"""Distance from values without what follows, of which first values of a target network are the rest."""

_TELL_UNIT = ("value", "backpropagation")

_ALIKE = 0.05
"""Difference of distances below which mistakes are not told apart."""


def judge(
    courses: Sequence[Course], place: Place | None = None
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Return findings, and what could not be decided, in words.

    Args:
        courses: One a task, of one agent.
        place: The user's line that causes are led to: where the agent is made.
    """
    by_task = {course.task: course for course in courses}
    tasks = [task for task in TASKS if task.name in by_task]
    unit = _unit(tasks, by_task)
    grades = {task.name: grade(by_task[task.name], task, unit) for task in tasks}
    findings = [*_raised(tasks, by_task)]
    undecided: list[str] = []
    values = [task for task in tasks if task.is_about_values and not task.is_about_sight]
    found = _values(values, by_task, grades, undecided, place)
    sights = _sights(tasks, by_task, grades, place)
    told = [each for each in sights if each.causes]
    # What becomes of observations explains values that no way of computing targets does.
    swapped = any(each.causes[0].name == SWAPPED for each in told)
    if swapped or (told and not any(each.causes for each in found)):
        found = told
    findings += found or sights
    flipped = any(each.causes and each.causes[0].name == "reward-sign-flipped" for each in found)
    findings += _actions(tasks, by_task, grades, place, flipped=flipped)
    for task in tasks:
        course, one = by_task[task.name], grades[task.name]
        said = any(task.name in str(each.subject) for each in findings)
        if one.standing is Standing.PASSED or course.error or said:
            continue
        undecided.append(f"{task.words}: {_why_not(task, course, grades)}")
    return tuple(findings), tuple(dict.fromkeys(undecided))


def _unit(tasks: Sequence[Task], by_task: Mapping[str, Course]) -> float | None:
    """Return 1 where the easiest tasks say that rewards are learnt as they are given, else None."""
    easiest = [grade(by_task[task.name], task) for task in tasks if task.name in _TELL_UNIT]
    tell = len(easiest) == len(_TELL_UNIT) and all(
        each.standing is Standing.PASSED and abs(each.unit - 1) < 0.1 for each in easiest
    )
    return 1.0 if tell else None


def _raised(tasks: Sequence[Task], by_task: Mapping[str, Course]) -> list[Finding]:
    broken = [by_task[task.name] for task in tasks if by_task[task.name].error]
    if not broken:
        return []
    first = broken[0]
    what = first.error
    return [
        Finding(
            kind="program-raised",
            severity=Severity.SEVERE,
            title=f"The agent ended with an error: {what}",
            evidence={"tasks": [each.task for each in broken], "message": what},
            causes=(
                Cause(
                    what=what,
                    file=first.place.file if first.place else None,
                    line=first.place.line if first.place else None,
                ),
            ),
            next_check=f"look at {first.place}" if first.place else "let the agent learn by hand",
            subject=", ".join(each.task for each in broken),
        )
    ]


def _why_not(task: Task, course: Course, grades: Mapping[str, Grade]) -> str:
    if not course.fits:
        return "the agent remembers no observations; one that does has begin()"
    if not course.has_learnt:
        return "there was no time for it"
    if task.is_about_values and course.looks[-1].values is None:
        return "the agent says no values"
    steps = f"{course.looks[-1].steps:,} steps"
    missing = [name for name in task.needs if name in grades and grades[name].standing is not Standing.PASSED]
    if missing:
        return f"not decided after {steps}; {' and '.join(missing)} must be learnt first"
    return f"not decided after {steps}; it may need more of them (--seconds, or an agent that learns faster)"


def _is_ripe(task: Task, grades: Mapping[str, Grade]) -> bool:
    """Return whether easier tasks were learnt."""
    return all(grades[name].standing is Standing.PASSED for name in task.needs if name in grades)


def _values(
    tasks: Sequence[Task],
    by_task: Mapping[str, Course],
    grades: Mapping[str, Grade],
    undecided: list[str],
    place: Place | None,
) -> list[Finding]:
    missed = [
        task for task in tasks if grades[task.name].standing is Standing.MISSED and _is_ripe(task, grades)
    ]
    if not missed:
        return []
    rested = [
        task
        for task in tasks
        if grades[task.name].distances and (task in missed or grades[task.name].standing is Standing.PASSED)
    ]
    worst = {
        number: max(grades[task.name].distances.get(number, float("inf")) for task in rested)
        for number in range(len(WAYS))
    }
    fitting = sorted((number for number, each in worst.items() if each <= FITS), key=worst.__getitem__)
    near = fitting or [number for number, each in worst.items() if each <= _NEARLY]
    waiting = [number for number in near if WAYS[number].waits]
    if waiting and not all(_has_waited(by_task[task.name]) for task in missed):
        for task in missed:
            steps = by_task[task.name].looks[-1].steps
            undecided.append(
                f"{task.words}: after {steps:,} steps values do not yet count what follows; with more of "
                f"them it shows whether they ever do ({' or '.join(WAYS[waiting[0]].causes)})"
            )
        return [
            Finding(
                kind="nothing-follows-yet",
                severity=Severity.INFO,
                title="Values do not yet count what follows, as with target networks seldom renewed.",
                evidence={"steps": {task.name: by_task[task.name].looks[-1].steps for task in missed}},
                next_check="give more --seconds, or let the factory renew its target network more often",
                subject=", ".join(task.name for task in missed),
            )
        ]
    names = list(dict.fromkeys(name for number in fitting for name in WAYS[number].causes))
    return [
        Finding(
            kind="known-value-missed",
            severity=Severity.WARNING if names else Severity.INFO,
            title=_title(missed[0], by_task, grades),
            evidence=_evidence(missed, by_task, grades),
            causes=tuple(cause(name, place) for name in names),
            next_check=_next_check(names, fitting, worst),
            subject=", ".join(task.name for task in missed),
        )
    ]


def _sights(
    tasks: Sequence[Task], by_task: Mapping[str, Course], grades: Mapping[str, Grade], place: Place | None
) -> list[Finding]:
    """Return what becomes of observations, where values of the other tasks are right."""
    findings: list[Finding] = []
    for task in tasks:
        course, one = by_task[task.name], grades[task.name]
        if not task.is_about_sight or one.standing is Standing.PASSED:
            continue
        names = merged_as(task, course.looks, one.right)
        if names != (SWAPPED,) and not _is_ripe(task, grades):
            continue
        if not names and one.standing is not Standing.MISSED:
            continue
        # A table's key is written for these tasks, a network for others.
        tells = bool(names) and (course.has_network or task.needs_memory)
        findings.append(
            Finding(
                kind="known-value-missed",
                severity=Severity.WARNING if tells else Severity.INFO,
                title=_title(task, by_task, grades),
                evidence=_evidence([task], by_task, grades),
                causes=tuple(cause(name, place) for name in names),
                next_check="print what the network makes of each observation of that task, layer by layer"
                if names
                else "no known mistake explains it: compute the target of one transition by hand",
                subject=task.name,
            )
        )
    return findings


def _has_waited(course: Course) -> bool:
    return course.looks[-1].steps >= _WAITING_STEPS[course.gives_action_values]


def _title(task: Task, by_task: Mapping[str, Course], grades: Mapping[str, Grade]) -> str:
    right, values = grades[task.name].right, by_task[task.name].looks[-1].values
    assert values is not None
    at = max(range(len(values)), key=lambda each: abs(values[each] - right[each]))
    return (
        f"In the task {task.name!r}, {task.words}, the agent settled on the value {values[at]:.2f} where "
        f"{right[at]:.2f} is right."
    )


def _evidence(
    missed: Sequence[Task], by_task: Mapping[str, Course], grades: Mapping[str, Grade]
) -> dict[str, Any]:
    return {
        task.name: {
            "values": [round(each, 4) for each in by_task[task.name].looks[-1].values or ()],
            "right": [round(each, 4) for each in grades[task.name].right],
            "steps": by_task[task.name].looks[-1].steps,
            "discount": by_task[task.name].gamma,
        }
        for task in missed
    }


def _next_check(names: Sequence[str], fitting: Sequence[int], worst: Mapping[int, float]) -> str:
    if not names:
        return "no known mistake explains it: compute the target of one transition by hand"
    alike = {
        name
        for number in fitting
        if worst[number] <= worst[fitting[0]] + _ALIKE
        for name in WAYS[number].causes
    }
    if names[0] == "truncation-as-terminal":
        return (
            "compare the target at a time limit: the value of the last observation belongs to it; where time "
            "limits are meant to end the task, set timeouts_end = True on the agent"
        )
    told = f" ({', '.join(sorted(alike))} lead to the same values)" if len(alike) > 1 else ""
    return f"compute the target of one transition of that task by hand and print the program's{told}"


def _actions(
    tasks: Sequence[Task],
    by_task: Mapping[str, Course],
    grades: Mapping[str, Grade],
    place: Place | None,
    *,
    flipped: bool,
) -> list[Finding]:
    missed = [
        task
        for task in tasks
        if task.best
        and grades[task.name].standing is Standing.MISSED
        and all(grades[name].standing is not Standing.UNDECIDED for name in task.needs if name in grades)
    ]
    if not missed:
        return []
    task = missed[0]
    course = by_task[task.name]
    names = _why_worst(course, task, flipped=flipped)
    return [
        Finding(
            kind="known-action-missed",
            severity=Severity.WARNING,
            title=f"In the task {task.name!r}, {task.words}, the agent settled on the worst action.",
            evidence={
                each.name: {
                    "actions": by_task[each.name].looks[-1].actions,
                    "best": each.peaks if course.forces else each.best,
                    "values_of_actions": by_task[each.name].looks[-1].action_values,
                    "steps": by_task[each.name].looks[-1].steps,
                }
                for each in missed
            },
            causes=tuple(cause(name, place) for name in names),
            next_check="print rewards, and what the loss does to the action's probability or value",
            subject=", ".join(each.name for each in missed),
        )
    ]


def _why_worst(course: Course, task: Task, *, flipped: bool) -> Sequence[str]:
    """Return likely causes by the values of actions, where the agent says them."""
    rows = course.looks[-1].action_values
    if rows is None:
        signs = ("reward-sign-flipped", "policy-loss-sign")
        return signs if flipped else (*signs[::-1], "greedy-inverted")
    best = [row[task.best[at]] for at, row in enumerate(rows)]
    worst = [row[1 - task.best[at]] for at, row in enumerate(rows)]
    if all(one > other for one, other in zip(best, worst, strict=True)):
        return ("policy-loss-sign", "greedy-inverted") if course.forces else ("greedy-inverted",)
    if flipped or sum(best) + sum(worst) < 0:
        return ("reward-sign-flipped",)
    return ("gathered-wrong-action", "critic-sees-wrong-action")
