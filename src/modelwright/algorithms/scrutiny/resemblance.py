"""Which known mistakes an outside function's results look like.

Each mistake says what it would have computed on the same inputs. Only results count on which the mistake, or
the function, differs from the reference; the mistake that explains the most of them comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.agreement import Observation, expected_of, is_close, laid
from modelwright.algorithms.scrutiny.outside import Part
from modelwright.algorithms.scrutiny.reading import Reading
from modelwright.algorithms.scrutiny.subject import Mistake, Options, Outputs, Subject

__all__ = ["Resemblance", "resemblances"]

_LEAST = 0.5
_KEPT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Resemblance:
    """A known mistake and how well it explains what was seen.

    Attributes:
        name: In kebab case.
        what: What is wrong, as a sentence.
        maths: The line as it should be.
        share: Of the results that speak for or against it, those that it reproduces.
    """

    name: str
    what: str
    maths: str
    share: float


def resemblances(
    subject: Subject,
    reading: Reading,
    options: Options,
    order: Sequence[str | None],
    observations: Sequence[Observation],
    *,
    mistakes: Sequence[Mistake] | None = None,
) -> list[Resemblance]:
    """Return the known mistakes that results look like, the best first."""
    parts = [part for each in observations for part in each.parts if part.results and part.failure is None]
    found: list[tuple[float, float, Resemblance]] = []
    expected = [expected_of(subject, reading, options, part.inputs) for part in parts]
    for mistake in subject.mistakes if mistakes is None else mistakes:
        share, near = _explained(mistake, subject, reading, options, order, parts, expected)
        if share >= _LEAST or near > 0.9:
            entry = Resemblance(
                name=mistake.name, what=mistake.what, maths=mistake.maths, share=round(share, 3)
            )
            found.append((share, near, entry))
    found.sort(key=lambda each: (-each[0], -each[1]))
    first = {entry.name: at for at, (_, _, entry) in reversed(list(enumerate(found)))}
    found = [each for at, each in enumerate(found) if first[each[2].name] == at]
    whole = [entry for share, _, entry in found if share > 0.999]
    return (whole or [entry for _, _, entry in found])[:_KEPT]


def _explained(
    mistake: Mistake,
    subject: Subject,
    reading: Reading,
    options: Options,
    order: Sequence[str | None],
    parts: Sequence[Part],
    expected: Sequence[Outputs],
) -> tuple[float, float]:
    """Return the share of telling results that a mistake reproduces, and how near it comes on average."""
    hits = told = 0
    nearness: list[float] = []
    for part, outputs in zip(parts, expected, strict=True):
        try:
            with np.errstate(all="ignore"):
                made = mistake.outputs(part.inputs, options)
        except (ValueError, IndexError, ZeroDivisionError):
            continue
        for at, name in enumerate(order):
            if name is None or at >= len(part.results):
                continue
            theirs = np.squeeze(np.asarray(part.results[at][1], np.float64))
            ours = np.squeeze(outputs[name])
            guess = np.squeeze(laid(reading, made[name], subject.outputs[name])) if name in made else ours
            differs, predicted = not _equal(theirs, ours, part), not _equal(guess, ours, part)
            if not differs and not predicted:
                continue
            told += 1
            hits += _equal(theirs, guess, part)
            nearness.append(_nearness(theirs, guess, ours))
    return (hits / told, float(np.mean(nearness))) if told else (0.0, 0.0)


def _equal(theirs: Any, guess: Any, part: Part) -> bool:
    if theirs.shape != guess.shape:
        return False
    one, two = np.atleast_1d(theirs), np.atleast_1d(guess)
    if not np.array_equal(np.isfinite(one), np.isfinite(two)):
        return False
    return is_close(one, two, part.inputs, double=part.double and not part.rough)


def _nearness(theirs: Any, guess: Any, ours: Any) -> float:
    """Return how much of the distance to the reference the guess takes away, 0 to 1."""
    if theirs.shape != guess.shape:
        return 0.0
    if theirs.shape != ours.shape:
        return 0.5
    with np.errstate(all="ignore"):
        whole, left = np.abs(theirs - ours).sum(), np.abs(theirs - guess).sum()
    if not (np.isfinite(whole) and np.isfinite(left)) or whole <= 0:
        return 0.0
    return float(max(0.0, 1.0 - left / whole))
