"""What every command shares: its help and examples, its parser, its options, its exit status."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from modelwright.base.errors import BadValue, UnknownName

if TYPE_CHECKING:
    from modelwright.lab.project import Project

__all__ = [
    "EXIT_DIFFERENT",
    "EXIT_FAULT",
    "EXIT_INTERRUPTED",
    "EXIT_MISUSE",
    "EXIT_UNTRUSTED",
    "EXIT_WORLD",
    "Arguments",
    "Command",
    "Parser",
    "Stopped",
    "add_common",
    "add_page",
    "find_project",
    "no_arguments",
    "one_of",
    "open_console",
    "print_json",
    "whole_number",
    "working",
]

EXIT_DIFFERENT, EXIT_MISUSE, EXIT_WORLD, EXIT_UNTRUSTED = 1, 2, 3, 4
EXIT_FAULT, EXIT_INTERRUPTED = 70, 130
Arguments = argparse.Namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One word of the command line.

    Attributes:
        help: One line.
        about: What one should know before using it, in a few sentences.
        examples: Calls that work once `digits` ran; the first is shown where an argument is missing.
        arguments: Declares its arguments.
        run: Does it and returns the exit status.
        stopped: What is left behind where it is interrupted.
        keeps_record: Whether it reads or writes a journal, and takes the option that names one.
        passes_on: Whether its words, from the first that is no option of its own, are somebody else's.
    """

    help: str
    about: str
    examples: tuple[str, ...]
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Arguments], int]
    stopped: str = "Nothing was changed."
    passes_on: bool = False
    keeps_record: bool = True

    def own_words(self, words: Sequence[str]) -> list[str]:
        """Return those of the words after its name that it reads itself."""
        if not self.passes_on:
            return list(words)
        rest = iter(range(len(words)))
        for at in rest:
            if words[at] == "--page" or (words[at] == "--journal" and self.keeps_record):
                next(rest, None)
            elif words[at] == "-m" or not words[at].startswith("-"):
                return list(words[:at])
        return list(words)

    def parser(self, name: str) -> "Parser":
        """Return the parser of this command's words."""
        examples = "\n".join(f"  {example}" for example in self.examples)
        parser = Parser(
            prog=f"modelwright {name}",
            description=f"{self.help[0].upper()}{self.help[1:]}.\n\n{self.about}",
            epilog=f"example{'s' * (len(self.examples) > 1)}:\n{examples}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        parser.example = self.examples[0]
        self.arguments(parser)
        add_common(parser, journal=self.keeps_record)
        return parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wraps each paragraph of the description; examples stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example"):
            return text
        wrap = argparse.HelpFormatter._fill_text
        return "\n\n".join(wrap(self, part, width, indent) for part in text.split("\n\n"))


class Parser(argparse.ArgumentParser):
    """Answers wrong words with the nearest right ones.

    Attributes:
        example: A call that works.
    """

    example = ""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print; see `argparse.ArgumentParser.error`."""
        options = [option for action in self._actions for option in action.option_strings]
        next_step = f"{self.prog} --help"
        head, _, rest = message.partition(": ")
        if "arguments are required" in head:
            # Argparse counts those that may be left out, too, where options stand among them.
            spare = {action.metavar or action.dest for action in self._actions if action.nargs in ("*", "?")}
            names = " and ".join(name for name in rest.split(", ") if name not in spare)
            raise BadValue(
                f"{self.prog} needs {names}", got=f"no {names}", nearest=self.example, next_step=next_step
            )
        if head == "unrecognized arguments":
            wrong = rest.split(" ")[0].partition("=")[0]
            if wrong.startswith("-"):
                raise UnknownName(f"option of {self.prog}", wrong, options, next_step=next_step)
            raise BadValue(
                f"{self.prog} takes no more words", got=rest, nearest=self.example, next_step=next_step
            )
        raise BadValue(
            f"{self.prog} is asked as its help says", got=message, nearest=self.example, next_step=next_step
        )


class Stopped(KeyboardInterrupt):
    """Interrupted, by somebody who goes on with other words than those just given.

    Args:
        again: The words to go on with, the command's name first.
    """

    def __init__(self, again: list[str]) -> None:
        super().__init__()
        self.again = again


def find_project(arguments: Arguments) -> "Project":
    """Return the project that a command works in."""
    from modelwright.lab.project import Project

    named = cast("str | None", arguments.journal)
    if named is not None and not named.strip():
        raise BadValue("--journal names a folder", got=named, nearest="--journal .modelwright")
    return Project.find(journal=None if named is None else Path(named))


def print_json(record: object) -> None:
    """Print a record for machines: one JSON document; numbers that JSON cannot hold are null."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(_finite(record), indent=2, ensure_ascii=not unicode, allow_nan=False))


def _finite(record: object) -> object:
    if isinstance(record, float):
        return record if math.isfinite(record) else None
    if isinstance(record, Mapping):
        return {key: _finite(value) for key, value in cast("Mapping[Any, object]", record).items()}
    if isinstance(record, list | tuple):
        return [_finite(value) for value in cast("Iterable[object]", record)]
    return record


def open_console(*, stderr: bool = False) -> Any:
    """Return where pages for people are printed."""
    from rich.console import Console

    class Page(Console):
        """Lets `main` deal with a reader that has gone, as for every other output."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Page(highlight=False, stderr=stderr)


@contextmanager
def working(text: str) -> Generator[None]:
    """Show that something takes long and how long it took so far, where somebody watches standard error."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = open_console(stderr=True)
    columns = (SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_interactive) as progress:
        progress.add_task(text, total=None)
        yield


def whole_number(option: str, *, low: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least `low` for an option.

    Args:
        option: As it is typed, `--limit`.
        low: Smallest allowed value.
    """

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < low:
            raise BadValue(f"{option} is a whole number, at least {low}", got=text, nearest=f"{option} {low}")
        return value

    return read


def one_of(what: str, names: Iterable[str]) -> Callable[[str], str]:
    """Return what reads one of these names.

    Args:
        what: The kind of thing, for messages.
        names: Those that exist.
    """
    known = tuple(names)

    def read(text: str) -> str:
        if text not in known:
            raise UnknownName(what, text, known)
        return text

    return read


def add_common(parser: argparse.ArgumentParser, *, journal: bool = True) -> None:
    """Declare what every command takes.

    Args:
        parser: Of the command.
        journal: Whether it reads or writes one.
    """
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    if journal:
        parser.add_argument(
            "--journal",
            metavar="DIR",
            help="the journal's folder (default: $MODELWRIGHT_JOURNAL, or .modelwright)",
        )


def add_page(parser: argparse.ArgumentParser) -> None:
    """Declare the option that writes what is told as an HTML page too."""
    parser.add_argument(
        "--page",
        metavar="FILE.html",
        type=_page,
        help="write it as one HTML page too, with the evidence drawn and the lines of code",
    )


def _page(text: str) -> Path:
    if not text.endswith((".html", ".htm")) or Path(text).is_dir():
        raise BadValue("--page names the HTML file to write", got=text, nearest="--page doctor.html")
    return Path(text)


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""
