"""Try an agent's factory on every task, the easiest first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.probes.agents.coded.coded_course import CODES, take_coded_course
from modelwright.doctor.probes.agents.course import Course, take_course
from modelwright.doctor.probes.agents.grade import Standing, grade, is_settled
from modelwright.doctor.probes.agents.judgement import judge
from modelwright.doctor.probes.agents.task import Task
from modelwright.doctor.probes.agents.tasks import TASKS
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.preserved import preserved

__all__ = ["Courses", "Judged", "examine_agent", "in_turn", "take"]

_FIRST_SHARE = 0.25
_SHOWS_DISCOUNT = 0.95
"""Discounts above it cannot be told from 1, or from their square, within a few steps."""

Judged = tuple[tuple[Finding, ...], tuple[str, ...], tuple[str, ...]]
"""Findings, what was looked at, what could not be."""


class Courses(Protocol):
    """Lets agents of a factory learn in tasks."""

    def __call__(
        self, factory: Callable[..., Any], tasks: Sequence[Task], limit: Limit, *, forces: bool
    ) -> Iterator[Course]:
        """Yield a course a task as each is done, in any order."""
        ...


def take(
    factory: Callable[..., Any],
    task: Task,
    limit: Limit,
    is_settled: Callable[[Course], bool],
    *,
    forces: bool,
) -> Course:
    """Take the course of a task; that of coded observations too."""
    if task is CODES:
        return take_coded_course(factory, limit, forces=forces)
    return take_course(factory, task, limit, is_settled, forces=forces)


def in_turn(
    factory: Callable[..., Any], tasks: Sequence[Task], limit: Limit, *, forces: bool
) -> Iterator[Course]:
    """Take one course after another in this process, with random numbers kept; see `Courses`."""
    for at, task in enumerate(tasks):
        with preserved():
            yield take(
                factory,
                task,
                limit.part(1 / (len(tasks) - at)),
                lambda course, task=task: is_settled(course, task),
                forces=forces,
            )


def examine_agent(
    factory: Callable[..., Any],
    limit: Limit,
    tell: Callable[[str, Judged], None] | None = None,
    courses: Courses = in_turn,
) -> Judged:
    """Try what a factory makes on the tasks.

    Args:
        factory: See `agent.WANTED`.
        limit: Seconds for all of it.
        tell: Is called with what is being looked at and what is known so far.
        courses: Lets it learn.

    Raises:
        BadValue: where the factory makes no agent.
    """

    def say(words: str, judged: Judged) -> None:
        if tell is not None:
            tell(words, judged)

    say(f"the agent: {TASKS[0].words}", ((), (), ()))
    first = next(courses(factory, TASKS[:1], limit.part(_FIRST_SHARE), forces=False))
    if first.error and not first.has_learnt:
        other = next(courses(factory, TASKS[:1], limit.part(_FIRST_SHARE), forces=True))
        if other.error and not other.has_learnt:
            return (_fits_no_actions(first, other),), (), ("the agent: it does not learn",)
        first = other
    done = [first]
    rest = (CODES, *TASKS[1:])
    say(_progress(done), _judged(done, factory))
    for course in courses(factory, rest, limit, forces=first.forces):
        done.append(course)
        say(_progress(done), _judged(done, factory))
    return _judged(done, factory)


def _progress(done: Sequence[Course]) -> str:
    left = [task.name for task in (*TASKS, CODES) if task.name not in {each.task for each in done}]
    return f"the agent in {len(TASKS) + 1} tasks, {len(done)} done; left: {', '.join(left) or 'none'}"


def _judged(done: Sequence[Course], factory: Callable[..., Any]) -> Judged:
    findings, undecided = judge(done, origin_of(factory))
    by_task: Mapping[str, Course] = {course.task: course for course in done}
    said = " ".join(each.subject for each in findings)
    checked = [
        f"the agent: {task.words}"
        for task in TASKS
        if task.name in by_task
        and (task.name in said or grade(by_task[task.name], task).standing is Standing.PASSED)
    ]
    gamma = next((each.gamma for each in done if each.gamma is not None), None)
    unchecked = [f"the agent: {words}" for words in undecided]
    if gamma is None or gamma > _SHOWS_DISCOUNT:
        is_said = "an unknown discount" if gamma is None else f"a discount of {gamma:g}"
        unchecked.append(
            f"the agent: powers of {is_said} do not show within a few steps; let the factory take gamma too"
        )
    coded = by_task.get(CODES.name)
    if coded is None:
        return findings, tuple(checked), tuple(unchecked)
    checked += [f"the agent: {words}" for words in coded.checked]
    late = () if coded.checked or coded.unchecked else (f"{CODES.words}: there was no time for it",)
    unchecked += [f"the agent: {words}" for words in (*coded.unchecked, *late)]
    return (*coded.findings, *findings), tuple(checked), tuple(unchecked)


def _fits_no_actions(numbered: Course, forces: Course) -> Finding:
    """Return that an agent learns neither with numbered actions nor with forces."""
    shown = numbered if numbered.place is not None or forces.place is None else forces
    return Finding(
        kind="program-raised",
        severity=Severity.SEVERE,
        title=f"The agent ended with an error: {shown.error}",
        evidence={"with_two_actions": numbered.error, "with_a_force_in_two_directions": forces.error},
        causes=(
            Cause(
                what=shown.error,
                file=shown.place.file if shown.place else None,
                line=shown.place.line if shown.place else None,
            ),
        ),
        next_check=f"look at {shown.place}" if shown.place else "let the agent learn by hand",
    )
