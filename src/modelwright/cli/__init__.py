"""The command line: words in, words out. Everything heavy is imported inside the command that needs it."""

import faulthandler
import io
import os
import select
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from modelwright.base.errors import BadValue, Misuse, ModelwrightError, UnknownName, Untrusted, WorldFailed
from modelwright.cli import doctor, examine, execute, keep, look, practice, scrutinize
from modelwright.cli.command import (
    EXIT_FAULT,
    EXIT_INTERRUPTED,
    EXIT_MISUSE,
    EXIT_UNTRUSTED,
    EXIT_WORLD,
    Stopped,
    open_console,
    print_json,
)

if TYPE_CHECKING:
    from modelwright.lab.finding_page import FindingPage

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    **execute.COMMANDS,
    **look.COMMANDS,
    **scrutinize.COMMANDS,
    **doctor.COMMANDS,
    **examine.COMMANDS,
    **practice.COMMANDS,
    **keep.COMMANDS,
}
_FAMILIES = ((Misuse, EXIT_MISUSE), (WorldFailed, EXIT_WORLD), (Untrusted, EXIT_UNTRUSTED))


def _help() -> str:
    rows = "\n".join(f"  {name:9} {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: modelwright COMMAND ...\n\n"
        "From a written question to a verdict that statistics can stand behind.\n\n"
        f"{rows}\n\n"
        "modelwright help COMMAND   says more, with examples\n"
        "modelwright help design    lists the settings of a design; help mlp, those of a learner\n"
        "modelwright help KIND      explains a kind of finding: help shapes-spread\n"
        "modelwright --version      says which Modelwright this is\n\n"
        "Every command takes --json, and then prints one JSON object and nothing else, also for an error.\n"
        "Exit status: 0 done, 1 a rerun came out different, 2 asked wrongly, 3 the machine or data failed,\n"
        "4 a result cannot be trusted, 130 interrupted.\n\n"
        "Start with: modelwright run digits"
    )


def _version() -> str:
    from importlib.metadata import version

    return f"modelwright {version('modelwright')}"


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0 done; 1 a rerun came out different; 2 misuse; 3 the world failed; 4 untrusted; 70 a fault of
    Modelwright's own; 130 interrupted.
    """
    given = list(sys.argv[1:] if words is None else words)
    _make_writable()
    with suppress(OSError, ValueError):  # where stderr is no file, a crash of native code goes untold
        faulthandler.enable()
    try:
        status = _attempt(given)
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _is_left_alone():
            return 0
        return _say(WorldFailed("The machine lets Modelwright read and write", got=str(error)), given)
    return status


def _make_writable() -> None:
    """Let whatever is printed be printable: a sign that the terminal lacks is shown by its number."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: command >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the process's life
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _attempt(given: list[str]) -> int:
    """Answer, and say what goes wrong on the way; what the machine refuses is passed on."""
    try:
        return _answer(given)
    except ModelwrightError as error:
        return _say(error, given)
    except KeyboardInterrupt as stop:
        return _stopped(given, stop)
    except OSError:
        raise
    except Exception as error:
        return _own_fault(error, given)


def _answer(given: list[str]) -> int:
    if not given or given in (["-h"], ["--help"], ["help"]):
        print(_help())
        return 0
    if given == ["--version"]:
        print(_version())
        return 0
    if given[0] == "help":
        return _help_on(given[1:])
    if given[0].startswith("-"):
        name = next((word for word in given if word in COMMANDS), None)
        raise BadValue(
            "The command comes first and its options after it",
            got=given[0],
            nearest=None if name is None else _line([name, *(word for word in given if word != name)]),
            next_step="modelwright --help",
        )
    if given[0] not in COMMANDS:
        raise UnknownName("command", given[0], COMMANDS)
    command = COMMANDS[given[0]]
    own = command.own_words(given[1:])
    if not {"-h", "--help"}.isdisjoint(own):
        return _help_on(given[:1])
    arguments = command.parser(given[0]).parse_intermixed_args(own)
    if command.passes_on:
        arguments.words = given[1 + len(own) :]
    return command.run(arguments)


def _help_on(words: list[str]) -> int:
    from modelwright.cli.settings import TOPICS, show_settings
    from modelwright.lab.finding_page import find_page, finding_kinds

    topics = [word for word in words if word != "--json"]
    if len(topics) != 1:
        raise BadValue(
            "Help is about one thing",
            got=" ".join(topics),
            nearest="modelwright help run",
            next_step="modelwright --help",
        )
    topic = topics[0]
    if topic in COMMANDS:
        print(COMMANDS[topic].parser(topic).format_help(), end="")
    elif topic in TOPICS:
        show_settings(topic, as_json="--json" in words)
    elif (page := find_page(topic)) is not None:
        _show_page(page, as_json="--json" in words)
    else:
        known = [*COMMANDS, *TOPICS, *finding_kinds()]
        raise UnknownName("command, group of settings or kind of finding", topic, known)
    return 0


def _show_page(page: "FindingPage", *, as_json: bool) -> None:
    if as_json:
        print_json(page.record())
        return
    from rich.markdown import Markdown

    open_console().print(Markdown(page.text, hyperlinks=False))


# ---- what went wrong ----


def _say(error: ModelwrightError, given: list[str]) -> int:
    record = error.record()
    if record["next_step"] is None:
        record["next_step"] = _next_step(error, given)
    notes = list(getattr(error, "__notes__", ()))
    if _wants_json(given):
        print_json({**record, "notes": notes})
    else:
        lines = [f"modelwright: {error.rule.rstrip('.')}.", *(f"  {note}" for note in notes)]
        for name, part in (("got", "got"), ("nearest", "nearest"), ("next", "next_step")):
            if (text := record[part]) is not None:
                lines.append(f"  {name:8} " + text.strip().replace("\n", "\n           "))
        print("\n".join(lines), file=sys.stderr)
    return next(status for family, status in _FAMILIES if isinstance(error, family))


def _wants_json(given: list[str]) -> bool:
    """Return whether our own words ask for JSON; those of somebody's script are not ours."""
    command = COMMANDS.get(given[0]) if given else None
    return "--json" in (given if command is None else command.own_words(given[1:]))


def _next_step(error: ModelwrightError, given: list[str]) -> str:
    """Return what to do where the error itself does not say."""
    command = given[0] if given and given[0] in COMMANDS else None
    if command in ("run", "plan", "rerun"):
        from modelwright.cli.settings import find_topic

        if isinstance(error, Misuse):
            topic = find_topic(error.rule, error.record()["got"])
            return f"correct it; modelwright help {topic} lists settings and their rules"
        return f"put that right, then: {_line(given)}"
    return "modelwright --help" if command is None else f"modelwright {command} --help"


def _stopped(given: list[str], stop: KeyboardInterrupt) -> int:
    command = COMMANDS.get(given[0]) if given else None
    kept = "Nothing was changed." if command is None else command.stopped
    again = _line(stop.again if isinstance(stop, Stopped) else given)
    print(f"\nStopped. {kept} Go on with: {again}", file=sys.stderr)
    if _wants_json(given):
        rule = f"Stopped. {kept}"
        print_json(
            {"error": "Stopped", "rule": rule, "got": None, "nearest": None, "next_step": again, "notes": []}
        )
    return EXIT_INTERRUPTED


def _own_fault(error: Exception, given: list[str]) -> int:
    traceback.print_exception(error)
    rule = "This is a fault of Modelwright, not of the request; the lines above say where"
    print(f"modelwright: {rule}.", file=sys.stderr)
    if _wants_json(given):
        got = f"{type(error).__name__}: {error}"
        parts = {"error": "Fault", "rule": rule, "got": got, "nearest": None, "next_step": None, "notes": []}
        print_json(parts)
    return EXIT_FAULT


def _is_left_alone() -> bool:
    """Tell whether the reader of our output (head, less) has gone; nothing more is written then."""
    try:
        place = sys.stdout.fileno()
    except OSError:
        return False
    broken = select.poll()
    broken.register(place, select.POLLERR)
    if not broken.poll(0):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, place)
    os.close(nowhere)
    return True


def _line(words: Sequence[str]) -> str:
    return shlex.join(["modelwright", *words])
