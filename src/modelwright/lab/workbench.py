"""What the command line does, for Python: a project that is found, names or objects, and a view."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright.base.errors import BadValue
from modelwright.experiment.design import Design
from modelwright.lab.compose import compose_design
from modelwright.lab.executor.job import Executor
from modelwright.lab.launch import Launch
from modelwright.lab.lineage.answer import RerunAnswer
from modelwright.lab.plan.plan import Plan, plan_design
from modelwright.lab.project import Project
from modelwright.lab.rerun.rerun import rerun_run
from modelwright.lab.result import Result
from modelwright.lab.run import run_design
from modelwright.lab.watch.view import QuietView, View

if TYPE_CHECKING:
    from modelwright.algorithms.scrutiny.answer import Scrutiny

__all__ = ["compose", "plan", "rerun", "run", "scrutinize"]


def compose(
    name: str, overrides: Sequence[str] = (), *, root: Path | str | None = None
) -> tuple[Design, Launch]:
    """Return the design called `name`, or that of a YAML file, with overrides applied, and how to launch it.

    Args:
        name: Name of an experiment, or the path of a `.yaml` file.
        overrides: As on the command line: `["seeds=8", "rule.looks=[4,8]"]`.
        root: The project's folder; the present one if left out.

    Raises:
        UnknownName: for an experiment or setting that does not exist, with the nearest.
        BadValue: for values outside their rule.
    """
    return compose_design(name, overrides, root=Project.find(Path(root) if root is not None else None).root)


def run(
    design: Design | Mapping[str, Any] | str,
    *overrides: str,
    project: Project | None = None,
    launch: Launch | None = None,
    frames: Mapping[str, Any] | None = None,
    amend: str | None = None,
    view: View | None = None,
    quiet: bool = False,
    executor: Executor | None = None,
) -> Result:
    """Run a design to its verdict, or go on where an earlier call stopped.

    Args:
        design: A design, its settings as a mapping, the name of an experiment, or the path of a `.yaml` file.
        overrides: For a name or a path: settings to change, `"seeds=8"`.
        project: Where; the present folder if left out.
        launch: How; left out, as the overrides say.
        frames: Tables for sources of kind `frame`.
        amend: Reason, where the registered design is changed.
        view: Who watches; left out, the terminal or plain lines.
        quiet: Show nothing.
        executor: Where trials run; left out, as `launch` says.

    Raises:
        Misuse: for a design, data or learner that cannot be right; nothing has run then.
        NotPermitted: for an unexplained change of what is registered, or while another process runs it.
        WorldFailed: where the disk, a worker or a learner failed; run again to go on.
    """
    place = project or Project.find()
    asked, composed = _design(design, overrides, place)
    settings: dict[str, Any] = {
        "launch": launch or composed,
        "frames": frames,
        "amend": amend,
        "executor": executor,
    }
    if view is not None or quiet:
        return run_design(asked, place, view=view or QuietView(), **settings)
    from rich.console import Console

    from modelwright.lab.watch.live import make_view

    with make_view(Console(highlight=False)) as shown:
        return run_design(asked, place, view=shown, **settings)


def plan(
    design: Design | Mapping[str, Any] | str,
    *overrides: str,
    project: Project | None = None,
    launch: Launch | None = None,
    frames: Mapping[str, Any] | None = None,
    pilot: int = 4,
) -> Plan:
    """Say how many seeds a design needs and what it will cost, before any of its trials runs.

    Args:
        design: As for `run`.
        overrides: As for `run`.
        project: Where it would run; the present folder if left out.
        launch: How; left out, as the overrides say.
        frames: Tables for sources of kind `frame`.
        pilot: Seeds of the timed pilot; they are others than the design's.

    Raises:
        Misuse: for a design, data or learner that cannot be right.
    """
    place = project or Project.find()
    asked, composed = _design(design, overrides, place)
    return plan_design(asked, place, launch=launch or composed, frames=frames, pilot=pilot)


def rerun(
    name: str,
    *,
    project: Project | None = None,
    changes: Mapping[str, Any] | None = None,
    here: bool = False,
    threads: int | None = None,
    frames: Mapping[str, Any] | None = None,
) -> RerunAnswer:
    """Execute a finished run again, and say how equal the result is and what explains a difference.

    Args:
        name: The run's identity, or how it begins.
        project: Where it is on record; the present folder if left out.
        changes: Settings of the variant to change on purpose.
        here: Use the source as it is now instead of the recorded one.
        threads: Threads of numerical libraries; left out, as recorded.
        frames: Tables, for a run whose data came from Python.

    Raises:
        UnknownName: where there is no such run.
        NotPermitted: for a run that has not finished.
        SourceMissing: where data, source or a package are not there any more.
    """
    place = project or Project.find()
    return rerun_run(name, place, changes=changes, here=here, threads=threads, frames=frames)


def scrutinize(
    function: Callable[..., Any] | str,
    subject: str,
    *,
    mapping: Mapping[str, str] | None = None,
    layout: str | None = None,
    conventions: Mapping[str, str] | None = None,
    root: Path | str | None = None,
) -> "Scrutiny":
    """Hold an outside function to ours on generated inputs, and say what differs first.

    Args:
        function: The function, or `file.py:function` or `package.module:function`.
        subject: What it is held to, e.g. `"ppo:gae"`.
        mapping: Names of ours -> names of its parameters, where theirs say nothing.
        layout: The only layout of its arrays.
        conventions: Choice -> value, where several things are right.
        root: The folder that a file's path is relative to; the present one if left out.

    Raises:
        UnknownName: for a subject, argument, parameter, layout or convention that does not exist.
        BadValue: where its parameters cannot be matched with what it must be told.
        SourceMissing: where the file or module is not there.
    """
    from modelwright.algorithms.scrutiny.scrutiny import scrutinize_function

    if isinstance(function, str):
        from modelwright.data.locate import locate_function

        place = Path(root) if root is not None else Path.cwd()
        function, _ = locate_function(function, root=place, what="function")
    return scrutinize_function(function, subject, mapping=mapping, layout=layout, conventions=conventions)


def _design(
    design: Design | Mapping[str, Any] | str, overrides: Sequence[str], project: Project
) -> tuple[Design, Launch]:
    if isinstance(design, str):
        return compose_design(design, overrides, root=project.root)
    if overrides:
        raise BadValue(
            "Overrides change a design that is named, not one that is made in Python",
            got=", ".join(overrides),
            next_step="use dataclasses.replace(design, ...)",
        )
    return design if isinstance(design, Design) else Design.from_mapping(design), Launch()
