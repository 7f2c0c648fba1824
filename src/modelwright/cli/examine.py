"""The command that probes what a factory makes: examine."""

import argparse
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from modelwright.base.errors import BadValue
from modelwright.cli.command import EXIT_DIFFERENT, Arguments, Command, add_page, open_console, print_json

__all__ = ["COMMANDS"]


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= 86_400.0:
        raise BadValue("--seconds is a number from 1 to 86400", got=text, nearest="--seconds 90")
    return value


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "factory",
        metavar="FACTORY",
        help="package.module:make, package.module.make or path/to/file.py:make",
    )
    parser.add_argument(
        "--seconds", metavar="SECONDS", type=_seconds, default=90.0, help="for all probes (default: 90)"
    )
    add_page(parser)


@contextmanager
def _told() -> Generator[Callable[[str], None] | None]:
    """Show what is being looked at, where somebody watches standard error."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = open_console(stderr=True)
    columns = (SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_interactive) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda words: progress.update(task, description=f"looking at: {words}")


def _examine(arguments: Arguments) -> int:
    from modelwright.lab.checkup.examine import examine_factory

    with _told() as tell:
        found = examine_factory(arguments.factory, seconds=arguments.seconds, quiet=arguments.json, tell=tell)
    if not arguments.json:
        from modelwright.lab.checkup.page import page_of

        print(page_of(found))
    page = None
    if arguments.page is not None:
        from modelwright.lab.checkup.html_page import write_html

        page = write_html(found, arguments.page)
    if arguments.json:
        print_json(found.record() | ({"page": str(page)} if page else {}))
    elif page:
        print(f"\npage: {page}")
    return 0 if found.is_well else EXIT_DIFFERENT


COMMANDS = {
    "examine": Command(
        help="probe a model, a loss, data, an estimator or an agent that a function of yours makes",
        about="The function is called without arguments and returns a mapping or object with model, loss and "
        "data (and optimizer, validation), or data alone. Copies of what it makes are tried in small ways "
        "whose right answers are known. A function of an environment makes an agent, which learns in "
        "tasks of known values. At the end: what is wrong, or what was checked and what "
        "could not be.\n\n"
        "Exit status: 0 nothing that needs action, 1 findings.",
        examples=("modelwright examine model.py:make", "modelwright examine --json --seconds 30 model.make"),
        arguments=_arguments,
        run=_examine,
        keeps_record=False,
    ),
}
