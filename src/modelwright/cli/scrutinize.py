"""The command that holds an outside function to ours: scrutinize."""

import argparse
from collections.abc import Sequence

from modelwright.base.errors import BadValue
from modelwright.cli.command import EXIT_DIFFERENT, EXIT_MISUSE, Arguments, Command, print_json, working

__all__ = ["COMMANDS"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "function",
        metavar="FUNCTION",
        nargs="?",
        help="file.py:function or package.module:function; without it, subjects are listed",
    )
    parser.add_argument("subject", metavar="SUBJECT", nargs="?", help="what it is held to, e.g. ppo:gae")
    parser.add_argument(
        "--map",
        metavar="OURS=THEIRS",
        action="append",
        default=[],
        help="which of its parameters tells what; may be repeated",
    )
    parser.add_argument("--layout", metavar="LAYOUT", help="order of its arrays' axes, e.g. step,copy")
    parser.add_argument(
        "--convention",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="what it computes where several things are right; may be repeated",
    )


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not (mark and name.strip() and value.strip()):
            raise BadValue(
                f"{option} takes two names with = between them", got=text, nearest=f"{option} rewards=rews"
            )
        pairs[name.strip()] = value.strip()
    return pairs


def _scrutinize(arguments: Arguments) -> int:
    if arguments.function is None:
        return _list(as_json=arguments.json)
    if arguments.subject is None:
        raise BadValue(
            "modelwright scrutinize needs FUNCTION and SUBJECT",
            got=f"no SUBJECT for {arguments.function}",
            nearest=f"modelwright scrutinize {arguments.function} ppo:gae",
            next_step="modelwright scrutinize lists subjects",
        )
    from modelwright.lab.workbench import scrutinize

    mapping = _pairs("--map", arguments.map)
    conventions = _pairs("--convention", arguments.convention)
    with working(f"comparing {arguments.function} with {arguments.subject}"):
        found = scrutinize(
            arguments.function,
            arguments.subject,
            mapping=mapping,
            layout=arguments.layout,
            conventions=conventions,
        )
    if arguments.json:
        print_json(found.record())
    else:
        print(found)
    return {"agrees": 0, "differs": EXIT_DIFFERENT, "not compared": EXIT_MISUSE}[found.outcome]


def _list(*, as_json: bool) -> int:
    from modelwright.algorithms.scrutiny.subjects import ALIASES, SUBJECTS

    rows = {name: title for name, (_, title) in SUBJECTS.items()}
    if as_json:
        print_json({"subjects": rows, "aliases": dict(ALIASES)})
        return 0
    print("\n".join(f"{name:24} {title}" for name, title in rows.items()))
    print("\n" + "\n".join(f"{name:24} the same as {true}" for name, true in ALIASES.items()))
    return 0


COMMANDS = {
    "scrutinize": Command(
        help="hold a function of yours to ours: first difference, smallest input, likely mistake",
        about="Both get the same generated inputs, edge cases included. Your function is read by the names "
        "of its parameters, in NumPy or torch, in any usual layout and convention; what it was read as is "
        "said. A function of your own is named mine.py:gae. Without arguments, subjects are listed.\n\n"
        "Exit status: 0 no difference, 1 a difference, 2 it could not be compared.",
        examples=(
            "modelwright scrutinize torch.nn.functional:cross_entropy layers:cross_entropy",
            "modelwright scrutinize",
        ),
        arguments=_arguments,
        run=_scrutinize,
        keeps_record=False,
    ),
}
