"""A design that was promised before its first trial, as it was written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Registration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One row of the immutable table of registrations.

    Attributes:
        sequence: The ledger entry that made it.
        time: When, by the clock of the machine that wrote it.
        name: Name of the experiment.
        design: Hash of the design.
        amends: Hash of the design that this one replaces; None for the first under this name.
        reason: Why it was amended; None for the first.
        body: The registered record; the journal does not interpret it.
    """

    sequence: int
    time: str
    name: str
    design: str
    amends: str | None
    reason: str | None
    body: Mapping[str, Any]
