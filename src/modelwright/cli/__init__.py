"""The command line: words in, words out. Everything heavy is imported inside the command that needs it."""

import sys
from collections.abc import Sequence

from modelwright.base.errors import Misuse, ModelwrightError, UnknownName, Untrusted, WorldFailed
from modelwright.cli import execute, keep, look
from modelwright.cli.command import (
    EXIT_INTERRUPTED,
    EXIT_MISUSE,
    EXIT_UNTRUSTED,
    EXIT_WORLD,
    Parser,
    add_common,
    print_json,
)

__all__ = ["COMMANDS", "main"]

COMMANDS = {**execute.COMMANDS, **look.COMMANDS, **keep.COMMANDS}


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
    """Run the command line and return the exit status.

    0 done; 1 a rerun came out different; 2 misuse; 3 the world failed; 4 untrusted; 130 interrupted.
    """
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
        parser = Parser(
            prog=f"modelwright {given[0]}",
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog=f"example: {command.example}",
        )
        command.arguments(parser)
        add_common(parser)
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
        print_json({**error.record(), "notes": notes})
    else:
        lines = [f"modelwright: {error.rule.rstrip('.')}."]
        lines += [f"  {note}" for note in notes]
        if error.got is not None:
            lines.append(f"  got      {error.record()['got']}")
        if error.nearest is not None:
            lines.append(f"  nearest  {error.nearest}")
        if error.next_step is not None:
            lines.append(f"  next     {error.next_step}")
        print("\n".join(lines), file=sys.stderr)
    families = ((Misuse, EXIT_MISUSE), (WorldFailed, EXIT_WORLD), (Untrusted, EXIT_UNTRUSTED))
    return next(status for family, status in families if isinstance(error, family))
