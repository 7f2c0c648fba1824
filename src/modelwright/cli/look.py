"""Commands that show what is on record: list, show, compare, findings, query."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelwright.base.errors import BadValue
from modelwright.cli.command import (
    Arguments,
    Command,
    find_project,
    one_of,
    open_console,
    print_json,
    whole_number,
)

if TYPE_CHECKING:
    from modelwright.lab.project import Project

__all__ = ["COMMANDS"]

_STATUSES = ("running", "finished", "failed", "interrupted")


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", action="store_true", help="runs instead of experiments")
    parser.add_argument("--available", action="store_true", help="experiments that can be run")
    parser.add_argument("--experiment", metavar="NAME", help="runs of this experiment")
    parser.add_argument("--variant", metavar="NAME", help="runs of this variant")
    parser.add_argument(
        "--status",
        metavar="STATUS",
        type=one_of("status of a run", _STATUSES),
        help=f"runs that are {', '.join(_STATUSES[:-1])} or {_STATUSES[-1]}",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=whole_number("--limit", low=1),
        default=50,
        help="at most so many, the newest first (default 50)",
    )


def _list(arguments: Arguments) -> int:
    from modelwright.lab.show import listing

    project = find_project(arguments)
    of_runs = [name for name in ("runs", "experiment", "variant", "status") if getattr(arguments, name)]
    if arguments.available:
        if of_runs:
            raise BadValue(
                "--available lists what can be run, and other options what did run",
                got=f"--available and --{of_runs[0]}",
                nearest="modelwright list --available",
                next_step="ask for one of them",
            )
        return _list_available(arguments, project)
    with project.open_journal(read_only=True) as journal:
        if of_runs:
            rows: Sequence[Any] = listing.list_runs(
                journal,
                experiment=arguments.experiment,
                variant=arguments.variant,
                status=arguments.status,
                limit=arguments.limit + 1,
            )
        else:
            rows = listing.list_experiments_on_record(journal)
    more = len(rows) > arguments.limit
    rows = rows[: arguments.limit]
    if arguments.json:
        records = [row.record() for row in rows]
        print_json({"runs" if of_runs else "experiments": records, "more": more})
        return 0
    console = open_console()
    console.print(listing.render_rows(rows))
    if more:
        console.print(f"There are more: --limit {2 * arguments.limit} shows twice as many.", style="dim")
    return 0


def _list_available(arguments: Arguments, project: "Project") -> int:
    from modelwright.lab.compose import list_experiments
    from modelwright.lab.wording import shorten_path

    found = list_experiments(project.root)
    if arguments.json:
        print_json({"available": [{"name": name, "file": str(file)} for name, file in found.items()]})
    else:
        print("\n".join(f"{name:20} {shorten_path(file)}" for name, file in found.items()))
    return 0


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "identity",
        metavar="NAME",
        help="an experiment, a design's hash or a run, the last two also by how they begin",
    )


def _show(arguments: Arguments) -> int:
    from modelwright.lab.show.shown import show
    from modelwright.lab.show.shown_page import render_shown

    with find_project(arguments).open_journal(read_only=True) as journal:
        shown = show(journal, arguments.identity)
    if arguments.json:
        print_json(shown.record())
    else:
        open_console().print(render_shown(shown))
    return 0


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="NAME", help="a run, an experiment or a design's hash")
    parser.add_argument("second", metavar="OTHER", help="another one of the same sort")


def _compare(arguments: Arguments) -> int:
    from modelwright.lab.show.compared import compare, render_compared

    with find_project(arguments).open_journal(read_only=True) as journal:
        compared = compare(journal, arguments.first, arguments.second)
    if arguments.json:
        print_json(compared.record())
    else:
        open_console().print(render_compared(compared))
    return 0


def _findings_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="an experiment (default: all)")


def _findings(arguments: Arguments) -> int:
    from modelwright.lab.show import listing

    with find_project(arguments).open_journal(read_only=True) as journal:
        rows = listing.list_findings(journal, arguments.name)
    if arguments.json:
        print_json({"findings": [row.record() for row in rows]})
    else:
        whose = "any experiment on record" if arguments.name is None else arguments.name
        open_console().print(listing.render_rows(rows, nothing=f"No findings about {whose}."))
    return 0


def _query_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", metavar="SQL", help="one SELECT, in the grammar of DuckDB")


def _query(arguments: Arguments) -> int:
    from modelwright.cli.answer import Answer

    with (
        find_project(arguments).open_journal(read_only=True) as journal,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        frame = journal.query(arguments.sql)
    answer = Answer(frame, [str(warning.message) for warning in caught])
    if arguments.json:
        print_json(answer.record())
        return 0
    print(answer)
    for note in answer.notes:
        print(f"modelwright: {note}", file=sys.stderr)
    return 0


COMMANDS = {
    "list": Command(
        help="list experiments, or runs",
        about="Without options: every experiment on record with its verdict, the newest first. Any option "
        "about runs lists runs.",
        examples=(
            "modelwright list",
            "modelwright list --runs --status finished --limit 10",
            "modelwright list --available",
        ),
        arguments=_list_arguments,
        run=_list,
    ),
    "show": Command(
        help="show an experiment or a run",
        about="An experiment: verdict, looks, findings, amendments, design. A run: configuration, last "
        "metrics, cost, lineage, repetitions.",
        examples=("modelwright show digits", "modelwright show digits-convnet-00"),
        arguments=_show_arguments,
        run=_show,
    ),
    "compare": Command(
        help="compare two runs, or two experiments",
        about="Says what differs in configuration, code, data, environment and hardware, and in the results.",
        examples=("modelwright compare digits-convnet-00 digits-convnet-01",),
        arguments=_compare_arguments,
        run=_compare,
    ),
    "findings": Command(
        help="list what checks and the doctor found wrong",
        about="Findings come with evidence, likely causes in order, and the next check to make. A severe one "
        "makes the verdict invalid unless the design accepts it by name.",
        examples=("modelwright findings digits", "modelwright findings"),
        arguments=_findings_arguments,
        run=_findings,
    ),
    "query": Command(
        help="ask the journal in SQL",
        about="The tables are run (run, experiment, variant, seed_index, status, score, started, finished, "
        "...), metric (run, update, metric, value), registration and entry. Nothing can be written. With "
        "--json, NaN and infinities are null.",
        examples=('modelwright query "SELECT variant, avg(score) FROM run GROUP BY variant"',),
        arguments=_query_arguments,
        run=_query,
    ),
}
