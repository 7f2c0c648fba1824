"""What one run of a program left: its score, what it printed, how much it did, the weights it ended with."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

__all__ = ["Failure", "Trace", "read_score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a run came to no score.

    Attributes:
        what: As a sentence without its stop.
        line: Line of the program, where one is known.
    """

    what: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one run left.

    Attributes:
        seed: The seed it was given.
        score: What its last line says; None where it came to none.
        last: The object on its last line.
        lines: All that it printed.
        counts: How many optimizer steps, environment steps and fits.
        shapes: Names and shapes of its networks' weights.
        weights: sha256 of them at the end.
        seconds: How long it took.
        failure: Why there is no score; None where there is one.
    """

    seed: int
    score: float | None
    last: Mapping[str, Any]
    lines: tuple[str, ...]
    counts: Mapping[str, int]
    shapes: tuple[Any, ...]
    weights: str
    seconds: float
    failure: Failure | None = None

    @property
    def has_networks(self) -> bool:
        """Whether it ended with weights of a network of torch."""
        return bool(self.shapes)

    def is_exactly(self, other: "Trace") -> bool:
        """Tell whether it is the same run: the same result from the same work, with the same weights.

        More lines printed are no difference; fewer are where there are no networks to compare.
        """
        same = (
            self.failure is None
            and other.failure is None
            and dict(self.last) == dict(other.last)
            and dict(self.counts) == dict(other.counts)
        )
        if not same or self.has_networks != other.has_networks:
            return False
        if self.has_networks:
            return self.weights == other.weights
        lines = iter(self.lines)
        return all(line in lines for line in other.lines)


def read_score(text: str) -> tuple[float | None, Mapping[str, Any]]:
    """Return the score on the last line of what a program printed, and the object that holds it."""
    lines = text.strip().splitlines()
    try:
        last: object = json.loads(lines[-1]) if lines else None
    except ValueError:
        last = None
    if not isinstance(last, dict):
        return None, {}
    record = cast("dict[str, Any]", last)
    score = record.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        return None, record
    return float(score), record
