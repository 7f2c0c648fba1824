"""The command that watches somebody's own script: doctor."""

import argparse

from modelwright.base.errors import BadValue
from modelwright.cli.command import EXIT_DIFFERENT, Arguments, Command, add_page, print_json

__all__ = ["COMMANDS"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="SCRIPT",
        nargs="*",
        help="the script, or -m MODULE, and its own arguments; options of this command come before it",
    )
    add_page(parser)


def _doctor(arguments: Arguments) -> int:
    if not arguments.words:
        raise BadValue(
            "modelwright doctor needs SCRIPT",
            got="no SCRIPT",
            nearest="modelwright doctor train.py",
            next_step="modelwright doctor --help",
        )
    from modelwright.lab.checkup.script import check_script

    found = check_script(arguments.words, quiet=arguments.json)
    if not arguments.json:
        from modelwright.lab.checkup.page import page_of

        print(page_of(found))
    page = None
    if arguments.page is not None:
        from modelwright.lab.checkup.html_page import write_html

        page = write_html(found, arguments.page, found.likeliest)
    if arguments.json:
        print_json(found.record() | ({"page": str(page)} if page else {}))
    elif page:
        print(f"\npage: {page}")
    return 0 if found.is_well else EXIT_DIFFERENT


COMMANDS = {
    "doctor": Command(
        help="run a training script of yours under watch, and name what is wrong with it",
        about="The script runs unchanged, with its own arguments, and its numbers stay what they are. At "
        "its end: what is wrong, the evidence, likely causes in order with their lines, and the next check "
        "to make; or what was checked and what could not be. modelwright help KIND explains a finding.\n\n"
        "Exit status: 0 nothing that needs action, 1 findings.",
        examples=(
            "modelwright doctor train.py",
            "modelwright doctor --page doctor.html train.py",
            "modelwright doctor --json train.py --epochs 3",
        ),
        arguments=_arguments,
        run=_doctor,
        passes_on=True,
        keeps_record=False,
    ),
}
