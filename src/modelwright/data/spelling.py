"""What a text spells that a reader of exact numbers does not take: decimal commas, percent, dates."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spelling", "spelling_of"]

_DIGITS = r"(\d+([.,]\d*)?|[.,]\d+|\d{1,3}([ ,.'\u00a0\u202f]\d{3})+([.,]\d+)?)"
_NUMBER = re.compile(rf"[+\-\u2212]?[$€£]?\s?{_DIGITS}([eE][+-]?\d+)?\s?[%$€£]?")
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s?([aApP][mM]|Z|[+-]\d{2}:?\d{2})?"
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = "|".join(
    (
        r"\d{4}(?P<year_sign>[-/.])\d{1,2}(?P=year_sign)\d{1,2}",
        r"\d{1,2}(?P<day_sign>[-/.])\d{1,2}(?P=day_sign)(\d{4}|\d{2})",
        rf"\d{{1,2}}[ -]{_MONTH}[ -]\d{{2,4}}",
        rf"{_MONTH} \d{{1,2}},? \d{{4}}",
    )
)
_DATE = re.compile(rf"(({_DAY})([T ]{_CLOCK})?|{_CLOCK})", re.IGNORECASE)
_MOSTLY = 0.9
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """What most texts of a column spell.

    Attributes:
        kind: `number` or `date`.
        share: Share of rows that spell it.
        usual: Some texts that do.
        odd: Some texts that do not, the most common first.
    """

    kind: Literal["number", "date"]
    share: float
    usual: tuple[str, ...]
    odd: tuple[str, ...]


def spelling_of(levels: Sequence[str], counts: NDArray[np.int64]) -> Spelling | None:
    """Return what at least nine rows in ten spell, or None.

    Args:
        levels: The different texts.
        counts: (text,) rows that hold each.
    """
    rows = int(counts.sum())
    if not rows:
        return None
    kinds: tuple[tuple[Literal["number", "date"], re.Pattern[str]], ...] = (
        ("number", _NUMBER),
        ("date", _DATE),
    )
    for kind, pattern in kinds:
        fits = np.array([pattern.fullmatch(level) is not None for level in levels])
        share = int(counts[fits].sum()) / rows
        if share >= _MOSTLY:
            order = np.argsort(-counts, kind="stable").tolist()
            return Spelling(
                kind=kind,
                share=share,
                usual=tuple([str(levels[place]) for place in order if fits[place]][:_SHOWN]),
                odd=tuple([str(levels[place]) for place in order if not fits[place]][:_SHOWN]),
            )
    return None
