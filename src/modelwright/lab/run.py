"""From a design to its verdict."""

import dataclasses
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from modelwright.base.clock import Clock, SystemClock
from modelwright.base.errors import Corrupted
from modelwright.experiment.design import Design
from modelwright.journal.journal import Journal
from modelwright.journal.lock import experiment_lock
from modelwright.lab.executor.choice import open_executor
from modelwright.lab.executor.job import Executor
from modelwright.lab.launch import Launch
from modelwright.lab.prepare import prepare_design
from modelwright.lab.project import Project
from modelwright.lab.promise import promise_design, seeds_root
from modelwright.lab.result import Result
from modelwright.lab.session import Session
from modelwright.lab.watch.view import QuietView, View

__all__ = ["run_design"]

_CLOCK = SystemClock()


def run_design(
    design: Design,
    project: Project,
    *,
    launch: Launch | None = None,
    frames: Mapping[str, Any] | None = None,
    amend: str | None = None,
    view: View | None = None,
    executor: Executor | None = None,
    clock: Clock = _CLOCK,
) -> Result:
    """Run a design to its verdict, or go on where an earlier call stopped.

    Args:
        design: What to run.
        project: Where.
        launch: How.
        frames: Tables for sources of kind `frame`.
        amend: Reason, where the registered design is changed.
        view: Who watches.
        executor: Where trials run; left out, as `launch` says. The caller closes one that it passes.
        clock: Dates the entries.

    Raises:
        Misuse: for a design, data or learner that cannot be right; nothing has run then.
        NotPermitted: for an unexplained change of what is registered, or while another process runs it.
        WorldFailed: where the disk, a worker or a learner failed; run again to go on.
        Corrupted: where what is on record of the experiment does not hold.
    """
    launch, view = launch or Launch(), view or QuietView()
    with (
        project.open_journal(clock=clock) as journal,
        experiment_lock(journal.folder, design.name, clock=clock),
    ):
        _require_sound(journal)
        prepared = prepare_design(design, project, root=seeds_root(journal, design.name), frames=frames)
        promise = promise_design(journal, prepared, amend=amend)
        session = Session(journal, prepared, promise, launch, view)
        with _closing(executor, launch) as place:
            result = session.to_verdict(place)
    from modelwright.lab.report import write_report

    report = write_report(project, design.name)
    view.judged(result.verdict, report)
    return dataclasses.replace(result, report=report)


def _require_sound(journal: Journal) -> None:
    """Hold the record to its hashes before anything is promised or concluded from it.

    Metric files and artefacts are left to `modelwright verify`: no verdict rests on them.
    """
    damages = journal.verify(files=False).damages
    if damages:
        raise Corrupted(
            "What is on record holds before a verdict is built on it",
            got=f"{damages[0].part} {damages[0].subject}: {damages[0].what}",
            next_step="modelwright verify names everything; go on with a copy of the journal from before, "
            "or run anew with --journal DIR: seeds derive from the design, so the same trials come out",
        )


@contextmanager
def _closing(executor: Executor | None, launch: Launch) -> Generator[Executor]:
    if executor is not None:
        yield executor
        return
    made = open_executor(launch)
    try:
        yield made
    finally:
        made.close()
