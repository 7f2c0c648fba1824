"""Something wrong, with evidence. Spoken by data checks, the doctor, release gates and monitors alike."""

import enum
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.fingerprint import jsonable

__all__ = ["Cause", "Finding", "Severity"]

_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Severity(enum.StrEnum):
    """How much a finding weighs."""

    INFO = "info"
    """Needs no action."""
    WARNING = "warning"
    """May change the answer; somebody should look."""
    SEVERE = "severe"
    """The result cannot stand unless the design accepts the finding by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A likely cause, with its place in the code where one is known.

    Attributes:
        what: In words.
        file: Where it is.
        line: From 1.
        name: Stable name in kebab case, where it is one of those that the doctor knows.
    """

    what: str
    file: str | None = None
    line: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong.

    Attributes:
        kind: Stable name in kebab case, e.g. `duplicate-rows-across-split`. Designs accept findings by it.
        severity: See `Severity`.
        title: One sentence that a newcomer understands.
        evidence: The numbers that the finding rests on; kept as plain JSON types, those that are not finite
            as text ("nan", "inf"): a finding of broken numbers must be able to show them.
        causes: Likely causes, the likeliest first.
        next_check: What to look at next, as an instruction.
        subject: What it speaks of: a column, a split, a variant, a run.
        page: The command that explains its kind.

    Raises:
        BadValue: for a kind of another form, or evidence that JSON cannot hold.
        UnknownName: for a severity that does not exist.
    """

    kind: str
    severity: Severity
    title: str
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    causes: tuple[Cause, ...] = ()
    next_check: str = ""
    subject: str = ""
    page: str = field(init=False)

    def __post_init__(self) -> None:
        if not _KEBAB.fullmatch(self.kind):
            raise BadValue("A finding's kind is kebab case", got=self.kind)
        if self.severity not in list(Severity):
            raise UnknownName("severity", str(self.severity), [severity.value for severity in Severity])
        object.__setattr__(self, "severity", Severity(self.severity))
        object.__setattr__(self, "evidence", jsonable(_spelt(self.evidence)))
        object.__setattr__(self, "page", f"modelwright help {self.kind}")

    def record(self) -> dict[str, Any]:
        """Return the finding as JSON types, for the journal and `--json`."""
        return jsonable(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Finding":
        """Return the finding that `record` was made from."""
        return Finding(
            kind=record["kind"],
            severity=record["severity"],
            title=record["title"],
            evidence=record["evidence"],
            causes=tuple(Cause(**cause) for cause in record["causes"]),
            next_check=record["next_check"],
            subject=record["subject"],
        )


def _spelt(value: Any) -> Any:
    """Return evidence with its numbers that are not finite as text."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f":
        return value if np.isfinite(value).all() else _spelt(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: _spelt(each) for key, each in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_spelt(each) for each in cast("list[Any]", value)]
    return value
