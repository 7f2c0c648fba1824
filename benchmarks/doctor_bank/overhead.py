"""What being watched costs: the same program watched and unwatched, one after the other, in turns."""

import json
import os
from collections.abc import Mapping, Sequence

from .execute import execute
from .mutant import Mutant
from .rows import Row

__all__ = ["WATCHED", "pair"]

WATCHED = ("-m", "modelwright", "doctor", "--json")


def pair(mutant: Mutant, number: int, doctor: str, others: Mapping[str, Sequence[str]]) -> Row:
    """Run a program plain, under the doctor and under others, at the same seed; odd pairs begin with plain.

    Wall times are of whole processes, from start to end: imports and the doctor's own start count too. Of
    the doctor's, the time that the program took under watch stands beside it: what is tried on copies comes
    after that, and has bounds of its own.

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
        done = execute(mutant, number, before)
        taken[name] = round(done.seconds, 3)
        if name == "doctor":
            taken["watched"] = round(json.loads(done.out)["seconds"], 3)
    head = {"program": mutant.program.name, "pair": number, "key": mutant.key, "doctor": doctor}
    return head | {"seconds": taken, "load": load}
