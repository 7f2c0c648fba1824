"""What being watched costs: the same program watched and unwatched, one after the other, in turns."""

import os
from collections.abc import Mapping, Sequence

from .execute import execute
from .mutant import Mutant
from .rows import Row

__all__ = ["WATCHED", "pair"]

WATCHED = ("-m", "modelwright", "doctor", "--json")


def pair(mutant: Mutant, number: int, doctor: str, others: Mapping[str, Sequence[str]]) -> Row:
    """Run a program plain, under the doctor and under others, at the same seed; odd pairs begin with plain.

    Wall times are of whole processes, from start to end: imports and the doctor's own start count too.

    Args:
        mutant: The program.
        number: Of the pair, which is its seed too.
        doctor: Hash of the doctor's code.
        others: Name of a peer -> words of Python's command line before the script's path.
    """
    load = round(os.getloadavg()[0], 2)
    turns = [("plain", ()), ("doctor", WATCHED), *others.items()]
    taken: dict[str, float] = {}
    for name, before in turns if number % 2 else reversed(turns):
        taken[name] = round(execute(mutant, number, before).seconds, 3)
    head = {"program": mutant.program.name, "pair": number, "key": mutant.key, "doctor": doctor}
    return head | {"seconds": taken, "load": load}
