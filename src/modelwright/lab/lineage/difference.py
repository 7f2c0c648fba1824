"""One thing that differs between two lineages, and how likely that is to change a number."""

import enum
import re
from dataclasses import dataclass
from typing import Any

from modelwright.base.fingerprint import jsonable

__all__ = ["RANKS", "UNLIKELY", "Difference", "Side", "difference", "shown"]

_HASH = re.compile(r"[0-9a-f]{64}")


class Side(enum.StrEnum):
    """Which part of a lineage differs."""

    CODE = "code"
    CONFIG = "config"
    DATA = "data"
    ENVIRONMENT = "environment"
    HARDWARE = "hardware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs.

    Attributes:
        side: See `Side`.
        what: What differs: a path, a key, a distribution, a property of the machine.
        recorded: Its value then, JSON types; None where it was not there.
        now: Its value now; None where it is not there.
        rank: The lower, the likelier it changes a number; see `RANKS`.
        sentence: The same in words.
    """

    side: Side
    what: str
    recorded: Any
    now: Any
    rank: int
    sentence: str

    def record(self) -> dict[str, Any]:
        """Return the difference as JSON types."""
        return jsonable(self)


# What a number rests on directly comes first; what merely could matter comes last. The order within
# the machine follows measurements: threads and the kernels that BLAS chooses change float32 products
# on one and the same machine, the version of an operating system does not.
RANKS = {
    "config": 10,
    "data identity": 20,
    "data": 21,
    "split": 22,
    "code": 30,
    "package": 31,
    "submodule": 32,
    "setting file": 33,
    "left out": 34,
    "code elsewhere": 35,
    "numeric distribution": 40,
    "numeric variable": 45,
    "threads": 50,
    "gpu": 51,
    "blas": 52,
    "torch": 53,
    "cpu": 54,
    "flags": 55,
    "variable": 60,
    "python": 65,
    "distribution": 70,
    "cores": 75,
    "libc": 80,
    "loaded": 85,
    "package elsewhere": 86,
    "data origin": 87,
    "unused distribution": 88,
    "document": 90,
    "system": 95,
    "memory": 96,
}

UNLIKELY = RANKS["loaded"]
"""From this rank on a difference hardly ever changes a number, and is no explanation by itself: a library
that is loaded beside others, a file that nothing executed, another file with the same rows, notes, memory."""


def difference(
    side: Side, kind: str, what: str, recorded: object, now: object, *, sentence: str | None = None
) -> Difference:
    """Return a difference of one of the kinds in `RANKS`, with words of its own or plain ones."""
    if sentence is None:
        sentence = f"{what} was {shown(recorded)} and is {shown(now)}"
    return Difference(
        side=side,
        what=what,
        recorded=jsonable(recorded),
        now=jsonable(now),
        rank=RANKS[kind],
        sentence=sentence,
    )


def shown(value: object) -> str:
    """Return a value for a sentence, cut where it is long; of a hash the first twelve digits."""
    plain = jsonable(value)
    if isinstance(plain, str) and _HASH.fullmatch(plain):
        return plain[:12]
    text = "none" if plain is None or plain == [] else str(plain)
    return text if len(text) <= 60 else f"{text[:57]}..."
