"""What can be wrong with a learning program, by name: the causes that findings point to.

A cause's name is that of the fault in the bank that has it.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import yaml

from modelwright.base.finding import Cause
from modelwright.doctor.watch.place import Place

__all__ = ["Known", "cause", "known_causes"]


class Known(NamedTuple):
    """What a cause is.

    Attributes:
        what: As a sentence without its stop.
        mend: What to do, as an instruction.
    """

    what: str
    mend: str


@cache
def known_causes() -> Mapping[str, Known]:
    """Return what each cause is, by its name."""
    # libyaml's reader is ten times as quick; not every platform's wheel has it.
    reader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    files = sorted((Path(__file__).parent / "known").glob("*.yaml"))
    rows = [row for file in files for row in yaml.load(file.read_text("utf-8"), reader).items()]
    return MappingProxyType({name: Known(**row) for name, row in rows})


def cause(name: str, place: Place | None = None) -> Cause:
    """Return a cause by its name, at a place.

    Args:
        name: One of `known_causes`.
        place: The line that it concerns.
    """
    return Cause(
        what=known_causes()[name].what,
        file=place.file if place else None,
        line=place.line if place else None,
        name=name,
    )
