"""Commands that keep the record: report, verify, export."""

import argparse
from typing import TYPE_CHECKING

from modelwright.cli.command import (
    EXIT_UNTRUSTED,
    Arguments,
    Command,
    find_project,
    no_arguments,
    one_of,
    print_json,
    working,
)

if TYPE_CHECKING:
    from modelwright.journal.verification import Verification

__all__ = ["COMMANDS"]


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="an experiment on record")


def _report(arguments: Arguments) -> int:
    from modelwright.lab.report import write_report

    project = find_project(arguments)
    with working(f"writing the report of {arguments.name}"):
        path = write_report(project, arguments.name)
    if arguments.json:
        print_json({"report": str(path)})
    else:
        print(path)
    return 0


def _verify(arguments: Arguments) -> int:
    with (
        find_project(arguments).open_journal(read_only=True) as journal,
        working("recomputing every hash"),
    ):
        verification = journal.verify()
    if arguments.json:
        print_json(verification.record())
    else:
        print(_describe(verification))
    return 0 if verification.ok else EXIT_UNTRUSTED


def _describe(found: "Verification") -> str:
    lines: list[str] = []
    if found.first_broken is not None:
        lines.append(f"Entry {found.first_broken} is broken; nothing from there on can be trusted.")
    lines += [f"{damage.part} {damage.subject}: {damage.what}" for damage in found.damages]
    lines += [f"note: {note}" for note in found.notes]
    counts = (
        f"{found.entries} entries, {found.metric_files} metric files, {found.segments} segments, "
        f"{found.artefacts} artefacts"
    )
    if found.ok:
        lines.append(f"Everything holds: {counts}. The newest entry is {found.head}.")
    else:
        count = len(found.damages)
        lines.append(f"{count} thing{'s' * (count != 1)} of {counts} do{'es' * (count == 1)} not hold.")
        lines.append("Next: put back a copy of the journal from before, or run anew with --journal DIR.")
    return "\n".join(lines)


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "where", metavar="WHERE", type=one_of("tracker to export to", ["mlflow"]), help="the tracker: mlflow"
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="an experiment (default: all)")
    parser.add_argument(
        "--to",
        metavar="URI",
        default="sqlite:///mlflow.db",
        help="MLflow's tracking URI (default sqlite:///mlflow.db, in the project's folder)",
    )


def _export(arguments: Arguments) -> int:
    from modelwright.lab.export.export_mlflow import export_mlflow

    summary = export_mlflow(find_project(arguments), arguments.name, destination=arguments.to)
    if arguments.json:
        print_json(summary.record())
    else:
        print(summary)
    return 0


COMMANDS = {
    "verify": Command(
        help="recompute every hash of the journal and name what is broken",
        about="Ledger, runs, metrics and artefacts are held to their hashes; nothing is changed. The exit "
        "status is 4 where something does not hold. The hash of the newest entry, kept elsewhere, proves "
        "later that nothing before it was changed.",
        examples=("modelwright verify",),
        arguments=no_arguments,
        run=_verify,
    ),
    "report": Command(
        help="write an experiment's report again",
        about="The report is one HTML file that opens without a network. It is made from the journal alone.",
        examples=("modelwright report digits",),
        arguments=_report_arguments,
        run=_report,
        stopped="The report is as it was.",
    ),
    "export": Command(
        help="copy runs to another tracker",
        about="What was exported before is not written twice. Needs the extra: pip install "
        "'modelwright[mlflow]'.",
        examples=("modelwright export mlflow digits --to sqlite:///mlflow.db",),
        arguments=_export_arguments,
        run=_export,
        stopped="What is exported is kept and not written twice.",
    ),
}
