"""What every command shares: its help and example, its parser, its options, its exit status."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from modelwright.base.errors import BadValue, nearest_name

if TYPE_CHECKING:
    from modelwright.lab.project import Project

__all__ = [
    "EXIT_DIFFERENT",
    "EXIT_INTERRUPTED",
    "EXIT_MISUSE",
    "EXIT_UNTRUSTED",
    "EXIT_WORLD",
    "Arguments",
    "Command",
    "Parser",
    "add_common",
    "find_project",
    "no_arguments",
    "open_console",
    "print_json",
]

EXIT_DIFFERENT, EXIT_MISUSE, EXIT_WORLD, EXIT_UNTRUSTED, EXIT_INTERRUPTED = 1, 2, 3, 4, 130
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


class Parser(argparse.ArgumentParser):
    """Answers a wrong option with the nearest right one."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print; see `argparse.ArgumentParser.error`."""
        options = [option for action in self._actions for option in action.option_strings]
        wrong = message.rpartition(": ")[2].split(" ")[0]
        raise BadValue(
            f"{self.prog} is asked as its help says",
            got=message,
            nearest=nearest_name(wrong, options) if wrong.startswith("-") else None,
            next_step=f"{self.prog} --help",
        )


def find_project(arguments: Arguments) -> "Project":
    """Return the project that a command works in."""
    from modelwright.lab.project import Project

    return Project.find(journal=Path(arguments.journal) if arguments.journal else None)


def print_json(record: object) -> None:
    """Print a record for machines."""
    print(json.dumps(record, indent=2, ensure_ascii=False))


def open_console() -> Any:
    """Return where pages for people are printed."""
    from rich.console import Console

    return Console(highlight=False)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Declare what every command takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--journal", metavar="DIR", help="the journal's folder (default .modelwright)")


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""
