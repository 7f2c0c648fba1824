"""Commands that show what is on record: list, show, compare, findings, query."""

import argparse
from collections.abc import Sequence
from typing import Any

from modelwright.cli.command import Arguments, Command, find_project, open_console, print_json

__all__ = ["COMMANDS"]


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", action="store_true", help="runs instead of experiments")
    parser.add_argument("--available", action="store_true", help="experiments that can be run")
    parser.add_argument("--experiment", help="runs of this experiment")
    parser.add_argument("--variant", help="runs of this variant")
    parser.add_argument("--status", help="runs that are running, finished, failed or interrupted")
    parser.add_argument("--limit", type=int, default=50, help="at most so many runs (default 50)")


def _list(arguments: Arguments) -> int:
    from modelwright.lab import listing

    project = find_project(arguments)
    if arguments.available:
        from modelwright.lab.compose import list_experiments

        found = {name: str(file) for name, file in list_experiments(project.root).items()}
        if arguments.json:
            print_json(found)
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
        print_json([row.record() for row in rows])
    else:
        open_console().print(listing.render_rows(rows))
    return 0


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("identity", help="an experiment, a design's hash or a run, or how it begins")


def _show(arguments: Arguments) -> int:
    from modelwright.lab.shown import show
    from modelwright.lab.shown_page import render_shown

    with find_project(arguments).open_journal(read_only=True) as journal:
        shown = show(journal, arguments.identity)
    if arguments.json:
        print_json(shown.record())
    else:
        open_console().print(render_shown(shown))
    return 0


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", help="a run or an experiment")
    parser.add_argument("second", help="another one of the same sort")


def _compare(arguments: Arguments) -> int:
    from modelwright.lab.compared import compare, render_compared

    with find_project(arguments).open_journal(read_only=True) as journal:
        compared = compare(journal, arguments.first, arguments.second)
    if arguments.json:
        print_json(compared.record())
    else:
        open_console().print(render_compared(compared))
    return 0


def _findings_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="an experiment (default: all)")


def _findings(arguments: Arguments) -> int:
    from modelwright.lab import listing

    with find_project(arguments).open_journal(read_only=True) as journal:
        rows = listing.list_findings(journal, arguments.name)
    if arguments.json:
        print_json({"findings": [row.record() for row in rows]})
    else:
        open_console().print(listing.render_rows(rows))
    return 0


def _query_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", help="one SELECT over entry, registration, run and metric")


def _query(arguments: Arguments) -> int:
    with find_project(arguments).open_journal(read_only=True) as journal:
        frame = journal.query(arguments.sql)
    print(
        frame.to_json(orient="records", date_format="iso") if arguments.json else frame.to_string(index=False)
    )
    return 0


COMMANDS = {
    "list": Command(
        help="list experiments, or runs",
        example="modelwright list --runs --status finished",
        arguments=_list_arguments,
        run=_list,
    ),
    "show": Command(
        help="show an experiment or a run",
        example="modelwright show digits",
        arguments=_show_arguments,
        run=_show,
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
    "query": Command(
        help="ask the journal in SQL",
        example='modelwright query "SELECT variant, avg(score) FROM run GROUP BY variant"',
        arguments=_query_arguments,
        run=_query,
    ),
}
