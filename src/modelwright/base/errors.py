"""Every error that Modelwright raises on purpose, in one tree.

    ModelwrightError
    ├── Misuse                 asked wrongly: change the request and ask again
    │   ├── UnknownName        no such metric, learner, variant, column, command ...
    │   ├── BadValue           a value outside its rule
    │   └── NotPermitted       the registration or the rule forbids it
    ├── WorldFailed            the world failed: the request was right
    │   ├── StoreFailed        disk full, file locked, database unreadable
    │   ├── WorkerLost         a worker process or node went away, or its learner raised
    │   └── SourceMissing      data, source or a package is not there (any more)
    └── Untrusted              a result exists and cannot be trusted
        ├── Corrupted          stored bytes do not match their hash
        └── Deviated           what happened is not what was registered

A message gives the rule, what it got, the nearest right thing and the next step.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "BadValue",
    "Corrupted",
    "Deviated",
    "Misuse",
    "ModelwrightError",
    "NotPermitted",
    "SourceMissing",
    "StoreFailed",
    "UnknownName",
    "Untrusted",
    "WorkerLost",
    "WorldFailed",
    "nearest_name",
]


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the name most like `name`, or None where none is close."""
    pool = {candidate.lower(): candidate for candidate in sorted(names, reverse=True)}
    found = difflib.get_close_matches(name.lower(), list(pool), n=1, cutoff=0.5)
    return pool[found[0]] if found else None


class ModelwrightError(Exception):
    """Root of the tree; never raised itself.

    Args:
        rule: What must hold, as a sentence.
        got: What was found instead, shown with `repr` unless it is a string.
        nearest: The nearest right thing, if there is one.
        next_step: What to do now.
    """

    def __init__(
        self, rule: str, *, got: object = None, nearest: str | None = None, next_step: str | None = None
    ) -> None:
        self.rule = rule
        self.got = got
        self.nearest = nearest
        self.next_step = next_step
        parts = [rule.rstrip(".")]
        if got is not None:
            parts.append(f"Got {_shown(got)}")
        if nearest is not None:
            parts.append(f"Nearest: {nearest}")
        if next_step is not None:
            parts.append(f"Next: {next_step.rstrip('.')}")
        super().__init__(" ".join(part if part.endswith(".") else f"{part}." for part in parts))

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the four parts and the notes across processes.

        The default would pass the joined text as the rule. What was got goes as text, because it may be of a
        kind that cannot be pickled.
        """
        got = None if self.got is None else _shown(self.got)
        parts = {"got": got, "nearest": self.nearest, "next_step": self.next_step}
        return (_rebuild, (type(self), self.rule, parts, tuple(getattr(self, "__notes__", ()))))

    def record(self) -> dict[str, str | None]:
        """Return the parts as JSON-ready text, for `--json` and the journal."""
        return {
            "error": type(self).__name__,
            "rule": self.rule,
            "got": None if self.got is None else _shown(self.got),
            "nearest": self.nearest,
            "next_step": self.next_step,
        }


def _shown(got: object) -> str:
    # An empty text, or one of spaces, would read as nothing.
    return got if isinstance(got, str) and got.strip() else repr(got)


def _rebuild(
    kind: type[ModelwrightError], rule: str, parts: dict[str, str | None], notes: tuple[str, ...]
) -> ModelwrightError:
    error = kind.__new__(kind)
    ModelwrightError.__init__(error, rule, **parts)
    for note in notes:
        error.add_note(note)
    return error


class Misuse(ModelwrightError):
    """Asked wrongly."""


class UnknownName(Misuse):
    """A name that nothing answers to.

    Args:
        what: The kind of thing, e.g. `"metric"`.
        name: The name that was given.
        names: The names that exist.
        next_step: What to do; lists the names where left out.
    """

    def __init__(self, what: str, name: str, names: Iterable[str], *, next_step: str | None = None) -> None:
        known = sorted(names)
        shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
        super().__init__(
            f"No {what} has this name",
            got=name,
            nearest=nearest_name(name, known),
            next_step=next_step or f"choose one of: {shown or '(there are none)'}",
        )


class BadValue(Misuse):
    """A value outside its rule."""


class NotPermitted(Misuse):
    """Forbidden by the registration, the stopping rule or another process at work."""


class WorldFailed(ModelwrightError):
    """The request was right and the world failed."""


class StoreFailed(WorldFailed):
    """The journal could not be read or written."""


class WorkerLost(WorldFailed):
    """A worker went away, or the learner in it raised."""


class SourceMissing(WorldFailed):
    """Data, source or a package is not there."""


class Untrusted(ModelwrightError):
    """A result exists and cannot be trusted."""


class Corrupted(Untrusted):
    """Stored bytes do not match their hash."""


class Deviated(Untrusted):
    """What happened is not what was registered."""
