"""Courses of agents side by side, each in a process of its own that may be stopped."""

import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from modelwright.base.errors import ModelwrightError
from modelwright.doctor.probes.agents.agent_examination import take
from modelwright.doctor.probes.agents.course import Course
from modelwright.doctor.probes.agents.grade import is_settled
from modelwright.doctor.probes.agents.task import Task
from modelwright.doctor.probes.limit import Limit

__all__ = ["side_by_side"]

_MOST_WORKERS = 4
_PATIENCE, _MORE_SECONDS = 1.3, 3.0
"""A course that keeps to its seconds only roughly is stopped after this share of them, and so much more."""


@dataclass(slots=True, kw_only=True)
class _Running:
    task: Task
    process: Any
    reader: Connection
    until: float
    course: Course


def side_by_side(
    factory: Callable[..., Any], tasks: Sequence[Task], limit: Limit, *, forces: bool
) -> Iterator[Course]:
    """Take courses in copies of this process, as many at once as it has cores; see `Courses`.

    A copy begins with all that this process has imported. One that is late is stopped, and what it had
    learnt by then counts.

    Raises:
        ModelwrightError: what the factory was refused for.
    """
    waiting, running = [*tasks], list[_Running]()
    workers = max(1, min(_MOST_WORKERS, len(os.sched_getaffinity(0))))
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                share = limit.left * min(1.0, workers / (len(waiting) + len(running)))
                running.append(_start(factory, waiting.pop(0), share, forces=forces))
            soonest = min(each.until for each in running)
            wait([each.reader for each in running], max(0.0, soonest - time.monotonic()))
            for each in [*running]:
                if _is_done(each):
                    running.remove(each)
                    yield each.course
    finally:
        for each in running:
            each.process.kill()
            each.process.join()


def _start(factory: Callable[..., Any], task: Task, seconds: float, *, forces: bool) -> _Running:
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_learn, args=(writer, factory, task, seconds, forces), daemon=False)
    with warnings.catch_warnings():
        # Threads of numerical libraries are idle here, and each course uses one of its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    writer.close()
    return _Running(
        task=task,
        process=process,
        reader=reader,
        until=time.monotonic() + _PATIENCE * seconds + _MORE_SECONDS,
        course=Course(task=task.name, forces=forces),
    )


def _learn(writer: Connection, factory: Callable[..., Any], task: Task, seconds: float, forces: bool) -> None:
    def tells(course: Course) -> bool:
        writer.send(course)
        return is_settled(course, task)

    try:
        writer.send((take(factory, task, Limit(seconds), tells, forces=forces), True))
    except ModelwrightError as error:
        writer.send(error)
    finally:
        writer.close()
        # What libraries do at the end of a process is not for a copy to do.
        os._exit(0)


def _is_done(each: _Running) -> bool:
    """Take in what a process says; return whether its course is at its end."""
    try:
        while each.reader.poll():
            said = each.reader.recv()
            if isinstance(said, ModelwrightError):
                raise said
            each.course = said if isinstance(said, Course) else said[0]
    except EOFError:
        each.process.join()
        if not each.course.looks and not each.course.error and each.process.exitcode:
            each.course = replace(each.course, error=f"the process ended by {each.process.exitcode}")
        return True
    if time.monotonic() < each.until:
        return False
    each.process.kill()
    each.process.join()
    return True
