"""What a check of the whole journal found."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Damage", "Verification"]

Part = Literal[
    "database",
    "schema",
    "entry",
    "head",
    "registration",
    "run",
    "cohort",
    "artefact",
    "metrics",
    "segment",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing that does not hold.

    Attributes:
        part: What sort of thing it is; `run`, `cohort` and `registration` are rows of those tables, `schema`
            is a table, index or trigger itself.
        subject: Which one: an entry's number, a run, a file's path in the folder, an artefact's sha256,
            e.g. `trigger entry_no_update`.
        what: What differs.
    """

    part: Part
    subject: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome of recomputing everything.

    Attributes:
        entries: How many entries were read.
        head: Hash of the newest entry; compare it with one that you noted elsewhere.
        first_broken: Number of the first entry that does not hold, None where the chain is whole.
            Nothing from there on can be trusted.
        damages: Everything that does not hold; the first broken entry, if any, comes first.
        notes: What is unusual and no damage.
        metric_files: How many metric files were hashed.
        segments: How many segments were read.
        artefacts: How many artefacts were hashed.
    """

    entries: int
    head: str
    first_broken: int | None
    damages: tuple[Damage, ...]
    notes: tuple[str, ...]
    metric_files: int
    segments: int
    artefacts: int

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.damages

    def record(self) -> dict[str, Any]:
        """Return the outcome as JSON types."""
        return {"ok": self.ok, **asdict(self)}
