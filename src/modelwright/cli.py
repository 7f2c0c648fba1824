"""The command line: words in, words out. Everything heavy is imported inside the command that needs it."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from modelwright.base.errors import (
    BadValue,
    Misuse,
    ModelwrightError,
    UnknownName,
    Untrusted,
    WorldFailed,
    nearest_name,
)

if TYPE_CHECKING:
    from modelwright.lab.project import Project

__all__ = ["COMMANDS", "main"]

EXIT_MISUSE, EXIT_WORLD, EXIT_UNTRUSTED, EXIT_INTERRUPTED = 2, 3, 4, 130
Arguments = argparse.Namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One word of the command line.

    Attributes:
        help: One line.
        example: A call that works.
        arguments: Declares its arguments.
        run: Does it and returns the exit status.
    """

    help: str
    example: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Arguments], int]


class _Parser(argparse.ArgumentParser):
    """Answers a wrong option with the nearest right one."""

    def error(self, message: str) -> NoReturn:
        options = [option for action in self._actions for option in action.option_strings]
        wrong = message.rpartition(": ")[2].split(" ")[0]
        raise BadValue(
            f"{self.prog} is asked as its help says",
            got=message,
            nearest=nearest_name(wrong, options) if wrong.startswith("-") else None,
            next_step=f"{self.prog} --help",
        )


# ---- what commands share ----


def _project(arguments: Arguments) -> "Project":
    from modelwright.lab.project import Project

    return Project.find(journal=Path(arguments.journal) if arguments.journal else None)


def _print_json(record: object) -> None:
    print(json.dumps(record, indent=2, ensure_ascii=False))


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--journal", metavar="DIR", help="the journal's folder (default .modelwright)")


def _add_design(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="an experiment, or a .yaml file; `modelwright list --available` names them")
    parser.add_argument("overrides", nargs="*", metavar="name=value", help="settings to change, in Hydra's grammar")


# ---- commands ----


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    _add_design(parser)
    parser.add_argument("--amend", metavar="REASON", help="change what is registered, for this reason")


def _run(arguments: Arguments) -> int:
    from modelwright.lab.compose import compose_design
    from modelwright.lab.live import make_view
    from modelwright.lab.run import run_design
    from modelwright.lab.view import QuietView

    project = _project(arguments)
    design, launch = compose_design(arguments.name, arguments.overrides, root=project.root)
    view = QuietView() if arguments.json else make_view(_console())
    try:
        result = run_design(design, project, launch=launch, amend=arguments.amend, view=view)
    except KeyboardInterrupt:
        again = " ".join(["modelwright run", arguments.name, *arguments.overrides])
        print(f"\nStopped. What is finished is kept; go on with: {again}", file=sys.stderr)
        return EXIT_INTERRUPTED
    if arguments.json:
        _print_json(
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
    parser.add_argument("--pilot", type=int, default=4, metavar="N", help="seeds of the timed pilot (default 4)")


def _plan(arguments: Arguments) -> int:
    from modelwright.lab.compose import compose_design
    from modelwright.lab.plan import plan_design
    from modelwright.lab.plan_page import show_plan

    project = _project(arguments)
    design, launch = compose_design(arguments.name, arguments.overrides, root=project.root)
    console = _console()
    if arguments.json:
        _print_json(plan_design(design, project, launch=launch, pilot=arguments.pilot).record())
        return 0
    with console.status(f"Timing a pilot of {design.name} ..."):
        plan = plan_design(design, project, launch=launch, pilot=arguments.pilot)
    console.print(show_plan(plan))
    return 0


def _rerun_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run, or how its name begins")
    parser.add_argument("changes", nargs="*", metavar="name=value", help="settings of the variant to change on purpose")
    parser.add_argument("--here", action="store_true", help="with the source as it is now, not as recorded")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of numerical libraries (default: as recorded)")


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
        arguments.run, _project(arguments), changes=changes, here=arguments.here, threads=arguments.threads
    )
    if arguments.json:
        _print_json(answer.record())
    else:
        print(answer.sentence)
        for difference in answer.differences:
            print(f"  {difference.side}: {difference.sentence}")
        if answer.next_check:
            print(f"Next: {answer.next_check}")
    return 1 if answer.sameness.value == "different" else 0


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _verify(arguments: Arguments) -> int:
    with _project(arguments).open_journal(read_only=True) as journal:
        verification = journal.verify()
    if arguments.json:
        _print_json(verification.record())
    else:
        print(verification)
    return 0 if verification.ok else EXIT_UNTRUSTED


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", action="store_true", help="runs instead of experiments")
    parser.add_argument("--available", action="store_true", help="experiments that can be run")
    parser.add_argument("--experiment", help="runs of this experiment")
    parser.add_argument("--variant", help="runs of this variant")
    parser.add_argument("--status", help="runs that are running, finished, failed or interrupted")
    parser.add_argument("--limit", type=int, default=50, help="at most so many runs (default 50)")


def _list(arguments: Arguments) -> int:
    from modelwright.lab import listing

    project = _project(arguments)
    if arguments.available:
        from modelwright.lab.compose import list_experiments

        found = {name: str(file) for name, file in list_experiments(project.root).items()}
        if arguments.json:
            _print_json(found)
        else:
            print("\n".join(f"{name:20} {file}" for name, file in found.items()))
        return 0
    with project.open_journal(read_only=True) as journal:
        if arguments.runs or arguments.experiment or arguments.variant or arguments.status:
            rows: Sequence[Any] = listing.list_runs(
                journal,
                experiment=arguments.experiment,
                variant=arguments.variant,
                status=arguments.status,
                limit=arguments.limit,
            )
        else:
            rows = listing.list_experiments_on_record(journal)
    if arguments.json:
        _print_json([row.record() for row in rows])
    else:
        _console().print(listing.render_rows(rows))
    return 0


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("identity", help="an experiment, a design's hash or a run, or how it begins")


def _show(arguments: Arguments) -> int:
    from modelwright.lab import listing

    with _project(arguments).open_journal(read_only=True) as journal:
        shown = listing.show(journal, arguments.identity)
    if arguments.json:
        _print_json(shown.record())
    else:
        _console().print(listing.render_shown(shown))
    return 0


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", help="a run or an experiment")
    parser.add_argument("second", help="another one of the same sort")


def _compare(arguments: Arguments) -> int:
    from modelwright.lab import listing

    with _project(arguments).open_journal(read_only=True) as journal:
        compared = listing.compare(journal, arguments.first, arguments.second)
    if arguments.json:
        _print_json(compared.record())
    else:
        _console().print(listing.render_compared(compared))
    return 0


def _findings_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="an experiment (default: all)")


def _findings(arguments: Arguments) -> int:
    from modelwright.lab import listing

    with _project(arguments).open_journal(read_only=True) as journal:
        rows = listing.list_findings(journal, arguments.name)
    if arguments.json:
        _print_json({"findings": [row.record() for row in rows]})
    else:
        _console().print(listing.render_rows(rows))
    return 0


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="an experiment on record")


def _report(arguments: Arguments) -> int:
    from modelwright.lab.report import write_report

    path = write_report(_project(arguments), arguments.name)
    if arguments.json:
        _print_json({"report": str(path)})
    else:
        print(path)
    return 0


def _query_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", help="one SELECT over entry, registration, run and metric")


def _query(arguments: Arguments) -> int:
    with _project(arguments).open_journal(read_only=True) as journal:
        frame = journal.query(arguments.sql)
    print(frame.to_json(orient="records", date_format="iso") if arguments.json else frame.to_string(index=False))
    return 0


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("where", choices=["mlflow"], help="the tool to export to")
    parser.add_argument("name", nargs="?", help="an experiment (default: all)")
    parser.add_argument("--to", metavar="URI", default="sqlite:///mlflow.db", help="MLflow's tracking URI")


def _export(arguments: Arguments) -> int:
    from modelwright.lab.export_mlflow import export_mlflow

    summary = export_mlflow(_project(arguments), arguments.name, destination=arguments.to)
    if arguments.json:
        _print_json(summary.record())
    else:
        print(summary)
    return 0


def _nothing(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


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
    "list": Command(
        help="list experiments, or runs",
        example="modelwright list --runs --status finished",
        arguments=_list_arguments,
        run=_list,
    ),
    "show": Command(
        help="show an experiment or a run", example="modelwright show digits", arguments=_show_arguments, run=_show
    ),
    "compare": Command(
        help="compare two runs, or two experiments",
        example="modelwright compare digits-convnet-00 digits-convnet-01",
        arguments=_compare_arguments,
        run=_compare,
    ),
    "findings": Command(
        help="list what checks found wrong",
        example="modelwright findings digits",
        arguments=_findings_arguments,
        run=_findings,
    ),
    "report": Command(
        help="write an experiment's report again",
        example="modelwright report digits",
        arguments=_report_arguments,
        run=_report,
    ),
    "query": Command(
        help="ask the journal in SQL",
        example='modelwright query "SELECT variant, avg(score) FROM run GROUP BY variant"',
        arguments=_query_arguments,
        run=_query,
    ),
    "verify": Command(
        help="recompute every hash of the journal and name what is broken",
        example="modelwright verify",
        arguments=_nothing,
        run=_verify,
    ),
    "export": Command(
        help="copy runs to another tracker",
        example="modelwright export mlflow digits --to sqlite:///mlflow.db",
        arguments=_export_arguments,
        run=_export,
    ),
}


def _help() -> str:
    rows = "\n".join(f"  {name:9} {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: modelwright COMMAND ...\n\n"
        "From a written question to a verdict that statistics can stand behind.\n\n"
        f"{rows}\n\n"
        "modelwright COMMAND --help says more, with an example. Start with: modelwright run digits"
    )


def _version() -> str:
    from importlib.metadata import version

    return f"modelwright {version('modelwright')}"


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, or 2 misuse, 3 world, 4 untrusted, 130 interrupted."""
    given = list(sys.argv[1:] if words is None else words)
    if not given or given[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if given[0] == "--version":
        print(_version())
        return 0
    as_json = "--json" in given
    try:
        if given[0] not in COMMANDS:
            raise UnknownName("command", given[0], COMMANDS)
        command = COMMANDS[given[0]]
        parser = _Parser(
            prog=f"modelwright {given[0]}",
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog=f"example: {command.example}",
        )
        command.arguments(parser)
        _add_common(parser)
        return command.run(parser.parse_intermixed_args(given[1:]))
    except ModelwrightError as error:
        return _say(error, as_json=as_json)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        sys.stderr.close()
        return 0


def _say(error: ModelwrightError, *, as_json: bool) -> int:
    notes = list(getattr(error, "__notes__", ()))
    if as_json:
        _print_json({**error.record(), "notes": notes})
    else:
        lines = [f"modelwright: {error.rule.rstrip('.')}."]
        lines += [f"  {note}" for note in notes]
        if error.got is not None:
            lines.append(f"  got      {error.got if isinstance(error.got, str) else repr(error.got)}")
        if error.nearest is not None:
            lines.append(f"  nearest  {error.nearest}")
        if error.next_step is not None:
            lines.append(f"  next     {error.next_step}")
        print("\n".join(lines), file=sys.stderr)
    families = ((Misuse, EXIT_MISUSE), (WorldFailed, EXIT_WORLD), (Untrusted, EXIT_UNTRUSTED))
    return next(status for family, status in families if isinstance(error, family))
