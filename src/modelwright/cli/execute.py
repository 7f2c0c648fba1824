"""Commands that execute: run, plan, rerun."""

import argparse
import json
import shlex
import sys
from typing import Any

from modelwright.base.errors import BadValue
from modelwright.cli.command import (
    EXIT_DIFFERENT,
    EXIT_INTERRUPTED,
    EXIT_UNTRUSTED,
    Arguments,
    Command,
    find_project,
    open_console,
    print_json,
)

__all__ = ["COMMANDS"]


def _add_design(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", help="an experiment, or a .yaml file; `modelwright list --available` names them"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="name=value", help="settings to change, in Hydra's grammar"
    )


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    parser.add_argument("--amend", metavar="REASON", help="change what is registered, for this reason")


def _run(arguments: Arguments) -> int:
    from modelwright.lab.compose import compose_design
    from modelwright.lab.live import make_view
    from modelwright.lab.run import run_design

    project = find_project(arguments)
    design, launch = compose_design(arguments.name, arguments.overrides, root=project.root)
    try:
        if arguments.json:
            result = run_design(design, project, launch=launch, amend=arguments.amend)
        else:
            with make_view(open_console()) as view:
                result = run_design(design, project, launch=launch, amend=arguments.amend, view=view)
    except KeyboardInterrupt:
        place = ["--journal", arguments.journal] if arguments.journal else []
        again = shlex.join(["modelwright", "run", arguments.name, *arguments.overrides, *place])
        print(f"\nStopped. What is finished is kept; go on with: {again}", file=sys.stderr)
        return EXIT_INTERRUPTED
    if arguments.json:
        print_json(
            {
                "name": result.name,
                "design": result.design,
                "verdict": result.verdict.record(),
                "looks": [look.record() for look in result.looks],
                "findings": [finding.record() for finding in result.findings],
                "report": str(result.report),
                "trained": result.trained,
            }
        )
    return EXIT_UNTRUSTED if result.verdict.outcome.value == "invalid" else 0


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    parser.add_argument(
        "--pilot", type=int, default=4, metavar="N", help="seeds of the timed pilot (default 4)"
    )


def _plan(arguments: Arguments) -> int:
    from modelwright.lab.compose import compose_design
    from modelwright.lab.plan import plan_design
    from modelwright.lab.plan_page import show_plan

    project = find_project(arguments)
    design, launch = compose_design(arguments.name, arguments.overrides, root=project.root)
    console = open_console()
    if arguments.json:
        print_json(plan_design(design, project, launch=launch, pilot=arguments.pilot).record())
        return 0
    with console.status(f"Timing a pilot of {design.name} ..."):
        plan = plan_design(design, project, launch=launch, pilot=arguments.pilot)
    console.print(show_plan(plan))
    return 0


def _rerun_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run, or how its name begins")
    parser.add_argument(
        "changes", nargs="*", metavar="name=value", help="settings of the variant to change on purpose"
    )
    parser.add_argument("--here", action="store_true", help="with the source as it is now, not as recorded")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of numerical libraries (default: as recorded)"
    )


def _rerun(arguments: Arguments) -> int:
    from modelwright.lab.rerun import rerun_run

    changes: dict[str, Any] = {}
    for change in arguments.changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise BadValue("A change is name=value", got=change, nearest=f"{change}=...")
        changes[key] = _value(value)
    if arguments.threads is not None and arguments.threads < 1:
        raise BadValue("--threads is at least 1", got=arguments.threads, nearest="--threads 1")
    answer = rerun_run(
        arguments.run,
        find_project(arguments),
        changes=changes,
        here=arguments.here,
        threads=arguments.threads,
    )
    if arguments.json:
        print_json(answer.record())
    else:
        print(answer.sentence)
        for difference in answer.differences:
            print(f"  {difference.side}: {difference.sentence}")
        if answer.next_check:
            print(f"Next: {answer.next_check}")
    return EXIT_DIFFERENT if answer.sameness.value == "different" else 0


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


COMMANDS = {
    "run": Command(
        help="run an experiment to its verdict, or go on where it stopped",
        example="modelwright run digits",
        arguments=_run_arguments,
        run=_run,
    ),
    "plan": Command(
        help="say how many seeds a design needs and what it will cost",
        example="modelwright plan digits",
        arguments=_plan_arguments,
        run=_plan,
    ),
    "rerun": Command(
        help="execute a run again from its record and compare",
        example="modelwright rerun digits-convnet-00",
        arguments=_rerun_arguments,
        run=_rerun,
    ),
}
