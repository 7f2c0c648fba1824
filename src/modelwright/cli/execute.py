"""Commands that execute: run, plan, rerun."""

import argparse
import json
from typing import Any

from modelwright.base.errors import BadValue
from modelwright.cli.command import (
    EXIT_DIFFERENT,
    EXIT_UNTRUSTED,
    Arguments,
    Command,
    Stopped,
    find_project,
    open_console,
    print_json,
    whole_number,
    working,
)

__all__ = ["COMMANDS"]


def _add_design(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="an experiment, or a .yaml file; modelwright list --available names them"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="SETTING=VALUE",
        help="settings to change, in Hydra's grammar: seeds=8, variants.convnet.width=64, rule.looks=[4,8]; "
        "modelwright help design lists them",
    )


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    parser.add_argument(
        "--amend",
        metavar="REASON",
        help="change what is registered, for this reason; the verdict will say so",
    )


def _run(arguments: Arguments) -> int:
    from modelwright.lab.compose import compose_design
    from modelwright.lab.run import run_design
    from modelwright.lab.watch.live import make_view

    project = find_project(arguments)
    design, launch = compose_design(arguments.name, arguments.overrides, root=project.root)
    try:
        # What happens is told on standard error where the answer itself is for a machine.
        with make_view(open_console(stderr=arguments.json)) as view:
            result = run_design(design, project, launch=launch, amend=arguments.amend, view=view)
    except KeyboardInterrupt:
        raise Stopped(_going_on(arguments, _is_amended(arguments, design.name))) from None
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


def _is_amended(arguments: Arguments, name: str) -> bool:
    """Tell whether the amendment that was asked for is registered already."""
    if arguments.amend is None:
        return False
    from modelwright.lab.promise import read_promise

    with find_project(arguments).open_journal(read_only=True) as journal:
        known = journal.registrations(name)
        amendments = read_promise(journal, name).amendments if known else ()
    return bool(amendments) and amendments[-1]["reason"] == arguments.amend


def _going_on(arguments: Arguments, amended: bool) -> list[str]:
    words = ["run", arguments.name, *arguments.overrides]
    if arguments.amend is not None and not amended:
        words += ["--amend", arguments.amend]
    if arguments.journal is not None:
        words += ["--journal", arguments.journal]
    return [*words, *(["--json"] if arguments.json else [])]


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    parser.add_argument(
        "--pilot",
        type=whole_number("--pilot", low=1),
        default=4,
        metavar="N",
        help="seeds of the timed pilot (default 4); they are others than those of the experiment",
    )


def _plan(arguments: Arguments) -> int:
    from modelwright.lab.compose import compose_design
    from modelwright.lab.plan.page import show_plan
    from modelwright.lab.plan.plan import plan_design

    project = find_project(arguments)
    design, launch = compose_design(arguments.name, arguments.overrides, root=project.root)
    with working(f"timing a pilot of {design.name}"):
        plan = plan_design(design, project, launch=launch, pilot=arguments.pilot)
    if arguments.json:
        print_json(plan.record())
    else:
        open_console().print(show_plan(plan))
    return 0


def _rerun_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", help="a run, or how its name begins; modelwright list --runs names them"
    )
    parser.add_argument(
        "changes", nargs="*", metavar="SETTING=VALUE", help="settings of the variant to change on purpose"
    )
    parser.add_argument("--here", action="store_true", help="with the source as it is now, not as recorded")
    parser.add_argument(
        "--threads",
        type=whole_number("--threads", low=1),
        metavar="N",
        help="threads of numerical libraries (default: as recorded)",
    )


def _rerun(arguments: Arguments) -> int:
    from modelwright.lab.rerun.rerun import rerun_run

    changes: dict[str, Any] = {}
    for change in arguments.changes:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise BadValue("A change is SETTING=VALUE", got=change, nearest=f"{key or 'SETTING'}=...")
        changes[key] = _value(value)
    project = find_project(arguments)
    with working(f"executing {arguments.run} again"):
        answer = rerun_run(
            arguments.run, project, changes=changes, here=arguments.here, threads=arguments.threads
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
        about="The design is registered before its first trial. The stopping rule decides after each look "
        "whether enough is known; the verdict and a report come last. Trials that are on record are not "
        "run again, so an interrupted run is gone on with by the same words. A registered design stays as "
        "it is unless --amend gives a reason.\n\nWhere trials run is set beside the design: executor=ray, "
        "workers=4, threads=1.",
        examples=(
            "modelwright run digits",
            "modelwright run digits name=digits-wide variants.convnet.width=64",
        ),
        arguments=_run_arguments,
        run=_run,
        stopped="What is finished is kept.",
    ),
    "plan": Command(
        help="say how many seeds a design needs and what it will cost",
        about="A few trials on seeds of their own are timed; none of them enters the verdict, and their mean "
        "difference is not shown. Nothing is registered.",
        examples=("modelwright plan digits", "modelwright plan digits --pilot 6"),
        arguments=_plan_arguments,
        run=_plan,
        stopped="Nothing of the pilot is kept.",
    ),
    "rerun": Command(
        help="execute a run again from its record and compare",
        about="Configuration and source are the recorded ones. The answer is one of bitwise equal, "
        "numerically equal, statistically equal, or different because of what it then names; it is "
        "entered in the journal. The exit status is 1 where the result is different.",
        examples=(
            "modelwright rerun digits-convnet-00",
            "modelwright rerun digits-convnet-00 --here",
        ),
        arguments=_rerun_arguments,
        run=_rerun,
        stopped="Nothing was entered.",
    ),
}
