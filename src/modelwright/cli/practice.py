"""The command that lets somebody practise finding faults: practice."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright.base.errors import BadValue
from modelwright.cli.command import (
    EXIT_DIFFERENT,
    Arguments,
    Command,
    find_project,
    one_of,
    print_json,
    whole_number,
)

if TYPE_CHECKING:
    from modelwright.base.finding import Finding
    from modelwright.lab.project import Project
    from modelwright.practice.drill import Drill

__all__ = ["COMMANDS"]

_ACTIONS = ("start", "hint", "check", "give-up", "restore", "progress")
_OF_START = ("program", "fault", "family", "difficulty", "folder", "seed")
_FAMILIES = ("data", "supervised", "value-based", "policy-gradient")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        metavar="ACTION",
        type=one_of("action of modelwright practice", _ACTIONS),
        help=f"{', '.join(_ACTIONS[:-1])} or {_ACTIONS[-1]}",
    )
    parser.add_argument(
        "drill",
        metavar="DRILL",
        nargs="?",
        help="a drill's name or its folder (default: the one in whose folder you are, or the only open one)",
    )
    parser.add_argument("--program", metavar="NAME", help="start: the program to break")
    parser.add_argument("--fault", metavar="NAME", help="start: the fault to plant; you will know what it is")
    parser.add_argument(
        "--family",
        metavar="FAMILY",
        type=one_of("family of faults", _FAMILIES),
        help=f"start: {', '.join(_FAMILIES[:-1])} or {_FAMILIES[-1]}",
    )
    parser.add_argument(
        "--difficulty", metavar="N", type=_difficulty, help="start: 1 easy to see, 2 middling, 3 hard"
    )
    parser.add_argument(
        "--folder", metavar="DIR", help="start: where the program is put (default: drills/NAME)"
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole_number("--seed", low=0),
        help="start: draw the same fault every time",
    )
    parser.add_argument(
        "--page", action="store_true", help="progress: write an HTML page with the curves too"
    )


def _difficulty(text: str) -> int:
    if text not in ("1", "2", "3"):
        raise BadValue("--difficulty is 1, 2 or 3", got=text, nearest="--difficulty 2")
    return int(text)


def _practice(arguments: Arguments) -> int:
    _check_words(arguments)
    return _RUN[arguments.action](arguments)


def _check_words(arguments: Arguments) -> None:
    action = arguments.action
    stray = [name for name in _OF_START if getattr(arguments, name) is not None]
    if action != "start" and stray:
        raise BadValue(
            f"--{stray[0]} goes with start",
            got=f"practice {action} --{stray[0]}",
            nearest=f"modelwright practice start --{stray[0]} {getattr(arguments, stray[0])}",
            next_step="modelwright practice --help",
        )
    if action != "progress" and arguments.page:
        raise BadValue(
            "--page goes with progress",
            got=f"practice {action} --page",
            nearest="modelwright practice progress --page",
            next_step="modelwright practice --help",
        )
    if action in ("start", "progress") and arguments.drill is not None:
        raise BadValue(
            f"modelwright practice {action} takes no more words",
            got=arguments.drill,
            nearest=f"modelwright practice {action}",
            next_step="modelwright practice --help",
        )


def _place(arguments: Arguments) -> "Project":
    """Return the project; in a drill's folder, that whose journal knows the drill."""
    from modelwright.practice.bookkeeping import marked_journal

    if arguments.journal is None and (marked := marked_journal(arguments.drill)) is not None:
        arguments.journal = str(marked)
    return find_project(arguments)


def _drill(arguments: Arguments) -> "Drill":
    """Return the drill that is meant; the journal is only read."""
    from modelwright.base.errors import SourceMissing
    from modelwright.practice.bookkeeping import drills_on_record, find_drill

    project = _place(arguments)
    if not project.journal_folder.exists():
        raise SourceMissing(
            "The project has a journal once something ran in it",
            got=f"no {project.journal_folder}",
            next_step="modelwright practice start begins a drill; --journal DIR names another journal",
        )
    with project.open_journal(read_only=True) as journal:
        return find_drill(drills_on_record(journal), arguments.drill)


def _teller(arguments: Arguments) -> Callable[[str], None]:
    def tell(line: str) -> None:
        if not arguments.json:
            print(line, flush=True)

    return tell


def _examine(file: Path) -> "Sequence[Finding]":
    """Return what the doctor finds in a program, with what the program prints left out."""
    import json
    import subprocess
    import sys

    from modelwright.base.errors import WorkerLost
    from modelwright.base.finding import Finding

    done = subprocess.run(
        [sys.executable, "-m", "modelwright", "doctor", "--json", file.name],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    try:
        return [Finding.from_record(each) for each in json.loads(done.stdout)["findings"]]
    except (ValueError, KeyError, TypeError) as error:
        raise WorkerLost("The doctor watches a program of a drill", got=done.stderr[-600:]) from error


def _start(arguments: Arguments) -> int:
    from modelwright.faults.plant import programs
    from modelwright.practice.bookkeeping import drills_on_record
    from modelwright.practice.choice import Wish, candidates
    from modelwright.practice.start import start_drill

    wish = Wish(
        program=arguments.program,
        fault=arguments.fault,
        family=arguments.family,
        difficulty=arguments.difficulty,
    )
    candidates(programs(), wish)  # a wrong word leaves no journal behind
    folder = None if arguments.folder is None else Path(arguments.folder)
    project = find_project(arguments)
    with project.open_journal() as journal:
        drill = start_drill(
            journal, project.root, wish, folder=folder, seed=arguments.seed, tell=_teller(arguments)
        )
        count = sum(each.is_open for each in drills_on_record(journal))
    page = (drill.folder / "TASK.md").read_text("utf-8")
    if arguments.json:
        print_json(_facts(drill) | {"task": page})
        return 0
    print(f"\n{page}\nThe program is {_shown(drill.file)}; this page lies beside it as TASK.md.")
    if count > 1:
        print(f"{count} drills are open.")
    return 0


def _facts(drill: "Drill") -> dict[str, Any]:
    return {
        "drill": drill.name,
        "program": drill.program,
        "folder": str(drill.folder),
        "file": str(drill.file),
        "sound": {str(seed): score for seed, score in drill.sound_scores.items()},
        "broken": {str(seed): score for seed, score in drill.planted_scores.items()},
        "hints": len(drill.hints),
        "checks": len(drill.checks),
        "state": "open" if drill.is_open else "solved" if drill.solved else "given up",
    }


def _hint(arguments: Arguments) -> int:
    from modelwright.practice.hints import GRADES, take_hint

    drill = _drill(arguments)
    with _place(arguments).open_journal() as journal:
        hint = take_hint(journal, drill, examine=_examine, tell=_teller(arguments))
    if arguments.json:
        print_json(
            {
                "drill": drill.name,
                "level": hint.level,
                "of": GRADES,
                "source": hint.source,
                "lines": hint.lines,
            }
        )
        return 0
    print(f"Hint {hint.level} of {GRADES} for {drill.name}:")
    print("\n".join(f"  {line}" for line in hint.lines))
    return 0


def _check(arguments: Arguments) -> int:
    from modelwright.practice.check import check_drill

    drill = _drill(arguments)
    with _place(arguments).open_journal() as journal:
        found = check_drill(journal, drill, examine=_examine, tell=_teller(arguments))
    if arguments.json:
        print_json(found.record())
        return 0 if found.mended else EXIT_DIFFERENT
    print(f"\n{'Mended' if found.mended else 'Not mended yet'}: {drill.name}, {found.seconds:.0f} s")
    print("\n".join(f"  {reason}." for reason in found.reasons))
    print("".join(f"  Note: {note}.\n" for note in found.notes), end="")
    if found.mended:
        print(f"It was {found.fault}." if found.fault else "The bank does not hold its fault any more.")
    return 0 if found.mended else EXIT_DIFFERENT


def _give_up(arguments: Arguments) -> int:
    from modelwright.practice.hints import give_up

    drill = _drill(arguments)
    with _place(arguments).open_journal() as journal:
        lines = give_up(journal, drill)
    if arguments.json:
        print_json({"drill": drill.name, "lines": lines})
    else:
        print("\n".join(lines))
    return 0


def _restore(arguments: Arguments) -> int:
    from modelwright.practice.check import restore_drill

    drill = _drill(arguments)
    with _place(arguments).open_journal(read_only=True) as journal:
        file = restore_drill(journal, drill)
    if arguments.json:
        print_json({"drill": drill.name, "file": str(file)})
    else:
        print(f"{_shown(file)} is as it was at the start.")
    return 0


def _progress(arguments: Arguments) -> int:
    from modelwright.practice.bookkeeping import drills_on_record
    from modelwright.practice.progress import progress_of
    from modelwright.practice.progress_text import progress_text

    project = find_project(arguments)
    drills: list[Drill] = []
    if project.journal_folder.exists():
        with project.open_journal(read_only=True) as journal:
            drills = drills_on_record(journal)
    progress = progress_of(drills)
    record = progress.record()
    if arguments.page:
        from modelwright.practice.progress_page import write_page

        record["page"] = str(write_page(progress, project.reports / "practice.html"))
    if arguments.json:
        print_json(record)
        return 0
    print(progress_text(progress))
    if arguments.page:
        print(f"\npage: {_shown(Path(record['page']))}")
    return 0


def _shown(path: Path) -> str:
    place = path.resolve()
    here = Path.cwd().resolve()
    return str(place.relative_to(here)) if place.is_relative_to(here) else str(place)


_RUN: dict[str, Callable[[Arguments], int]] = {
    "start": _start,
    "hint": _hint,
    "check": _check,
    "give-up": _give_up,
    "restore": _restore,
    "progress": _progress,
}


COMMANDS = {
    "practice": Command(
        help="find a fault that was planted in a working program, and be checked",
        about="start plants a fault, chosen or drawn by family and difficulty, in a copy of a program in a "
        "folder of its own, and does not name it. hint gives up to four hints, each plainer than the last. "
        "check runs your file at several seeds beside the sound program and decides by behaviour whether it "
        "is mended and nothing else broke. give-up shows the answer, restore puts the broken program back "
        "where its file is lost, progress draws what became of your drills over the weeks.\n\n"
        "Time and attempts are entered in the journal. Exit status of check: 0 mended, 1 not yet.",
        examples=(
            "modelwright practice start --family data --difficulty 1",
            "modelwright practice hint",
            "modelwright practice give-up",
            "modelwright practice progress",
        ),
        arguments=_arguments,
        run=_practice,
        stopped="What was entered is kept; a check that was stopped is not entered.",
    ),
}
