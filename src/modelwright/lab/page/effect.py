"""One comparison as the page shows it: its words, numbers, drawings and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from modelwright.experiment.interval import Interval
from modelwright.experiment.look import Look, Reading
from modelwright.experiment.question import Question
from modelwright.experiment.verdict import Outcome
from modelwright.lab.page.facts import Facts
from modelwright.lab.page.interval_plot import (
    MOST_LOOKS,
    Marks,
    draw_effect,
    draw_looks,
    effect_scale,
    leaves_drawing,
    thin,
)
from modelwright.lab.page.number import decision_digits, fixed, general, show_count, spread_digits
from modelwright.lab.page.pair_plot import MOST_PAIRS, Pair, Side, draw_pairs

__all__ = ["Effect", "LookRow", "make_effects"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRow:
    """One look at one comparison, as text."""

    number: int
    seeds: int
    candidate: str
    baseline: str
    estimate: str
    low: str
    high: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """One seed's results, as text."""

    seed: int
    candidate: str
    baseline: str
    gain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One comparison.

    Attributes:
        identity: For anchors.
        candidate: Variant that is claimed to be better.
        baseline: Variant that it is compared with.
        outcome: What is decided, `open` while nothing is; empty before the first look.
        estimate: The gain.
        low: Lower limit.
        high: Upper limit.
        level: Of the interval, e.g. `95%`.
        seeds: How many seeds the interval rests on.
        says: The rule's words at the last look.
        bar: The interval against its marks.
        looks: The intervals of all looks.
        unused: Whether looks were planned that have not been taken.
        beyond: Whether an interval goes on beyond that drawing.
        rows: The same as a table; of more looks than can be drawn, those drawn.
        left_out: How many looks the table leaves out.
        pairs: The seeds' results.
        pair_rows: The same as a table.
        tally: In how many seeds the candidate came out better.
    """

    identity: str
    candidate: str
    baseline: str
    outcome: str
    estimate: str
    low: str
    high: str
    level: str
    seeds: int
    says: str
    bar: Markup
    looks: Markup
    unused: bool
    beyond: bool
    rows: tuple[LookRow, ...]
    left_out: int
    pairs: Markup
    pair_rows: tuple[PairRow, ...]
    tally: str


def make_effects(facts: Facts, classes: dict[str, str]) -> tuple[Effect, ...]:
    """Return every comparison of the design, in its order.

    Args:
        facts: The experiment.
        classes: Variant -> CSS class.
    """
    return tuple(_make(facts, at, classes) for at in range(len(facts.design.compare)))


def _outcome(reading: Reading, facts: Facts) -> str:
    if reading.outcome is not None:
        return reading.outcome.value
    return "inconclusive" if facts.verdict is not None else "open"


def _tone(reading: Reading, facts: Facts) -> str:
    """Return the colour: of what is decided, unless an invalid experiment decides nothing."""
    invalid = facts.verdict is not None and facts.verdict.outcome is Outcome.INVALID
    return Outcome.INVALID.value if invalid else _outcome(reading, facts)


def _make(facts: Facts, at: int, classes: dict[str, str]) -> Effect:
    question, pair = facts.design.question, facts.design.compare[at]
    marks = Marks(margin=question.margin, smallest=question.smallest_effect)
    reading = facts.looks[-1].readings[at] if facts.looks else None
    pairs = _pairs(facts, pair)
    if reading:
        pairs = tuple(item for item in pairs if item.seed < reading.seeds) or pairs
    digits = decision_digits(reading.interval, _held(marks)) if reading else 0
    numbers = [fixed(value, digits) for value in _values(reading.interval)] if reading else ["–"] * 3
    own = _own_readings(facts.looks, at)
    rows, left_out = _look_rows(own, pair, marks)
    outcome = _outcome(reading, facts) if reading else ""
    gains = [item.gain(question.sign) for item in pairs]
    return Effect(
        identity=f"{pair[0]}-against-{pair[1]}",
        candidate=pair[0],
        baseline=pair[1],
        outcome=outcome,
        estimate=numbers[0],
        low=numbers[1],
        high=numbers[2],
        level=f"{reading.interval.level * 100:.4g}%" if reading else "",
        seeds=reading.seeds if reading else 0,
        says=reading.says if reading else "",
        bar=_draw_bar(facts, reading, marks) if reading else Markup(""),
        looks=_draw_looks(facts, at, marks, f"gain on {question.metric}"),
        unused=bool(own) and own[-1][0].seeds < facts.design.seeds,
        beyond=bool(own) and leaves_drawing([item.interval for _, item in own], marks),
        rows=rows,
        left_out=left_out,
        pairs=_draw_pairs(pairs, pair, question, classes),
        pair_rows=_pair_rows(pairs, question.sign),
        tally=_tally(gains, pair[0]),
    )


def _draw_bar(facts: Facts, reading: Reading, marks: Marks) -> Markup:
    scale = effect_scale([item.interval for item in facts.looks[-1].readings], marks)
    label = f"{reading.candidate} against {reading.baseline}: {reading.interval.text()}; {reading.says}"
    return draw_effect(reading.interval, marks, scale, look=f"tone-{_tone(reading, facts)}", label=label)


def _held(marks: Marks) -> tuple[float, ...]:
    return marks.margin, marks.smallest, -marks.smallest


def _values(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def _own_readings(looks: Sequence[Look], at: int) -> list[tuple[Look, Reading]]:
    """Return the looks at which a comparison was open; a decided one is only carried along later."""
    return [(look, look.readings[at]) for look in looks if look.readings[at].look == look.index]


def _look_rows(
    own: Sequence[tuple[Look, Reading]], pair: tuple[str, str], marks: Marks
) -> tuple[tuple[LookRow, ...], int]:
    if not own:
        return (), 0
    shown = [own[place] for place in thin(range(len(own)), MOST_LOOKS)]
    # One number of digits for the table, so that its columns align: what the closest decision needs.
    digits = max(decision_digits(reading.interval, _held(marks)) for _, reading in shown)
    rows = [
        LookRow(
            number=look.index + 1,
            seeds=look.seeds,
            candidate=fixed(look.means.get(pair[0]), digits),
            baseline=fixed(look.means.get(pair[1]), digits),
            estimate=fixed(reading.interval.estimate, digits),
            low=fixed(reading.interval.low, digits),
            high=fixed(reading.interval.high, digits),
            says=reading.says,
        )
        for look, reading in shown
    ]
    return tuple(rows), len(own) - len(shown)


def _draw_looks(facts: Facts, at: int, marks: Marks, title: str) -> Markup:
    own = _own_readings(facts.looks, at)
    if not own:
        return Markup("")
    planned = facts.design.rule.looks or _default_looks(facts)
    last = own[-1][1]
    label = (
        f"Interval of the gain at {show_count(len(own), 'look')}, from {own[0][0].seeds} to "
        f"{own[-1][0].seeds} seeds; at the last: {last.interval.text()}; margin {general(marks.margin)}"
    )
    taken = [(look.seeds, reading.interval) for look, reading in own]
    return draw_looks(
        taken, planned, marks, look=f"tone-{_tone(own[-1][1], facts)}", title=title, label=label
    )


def _default_looks(facts: Facts) -> tuple[int, ...]:
    """Return the looks of a rule that names none: one at the end, or one at every seed."""
    seeds = facts.design.seeds
    return (seeds,) if facts.design.rule.kind == "fixed" else tuple(range(2, seeds + 1))


def _pairs(facts: Facts, pair: tuple[str, str]) -> tuple[Pair, ...]:
    found: list[Pair] = []
    for seed in range(facts.design.seeds):
        candidate, baseline = (facts.used.get((name, seed)) for name in pair)
        if candidate is not None and baseline is not None:
            found.append(Pair(seed=seed, candidate=candidate.row.score, baseline=baseline.row.score))
    return tuple(found)


def _draw_pairs(
    pairs: Sequence[Pair], pair: tuple[str, str], question: Question, classes: dict[str, str]
) -> Markup:
    if not pairs:
        return Markup("")
    label = f"{question.metric} of {pair[0]} and {pair[1]} for each of {show_count(len(pairs), 'seed')}"
    return draw_pairs(
        pairs,
        *(Side(name=name, kind=classes[name]) for name in pair),
        sign=question.sign,
        title=question.metric,
        label=label,
    )


def _pair_rows(pairs: Sequence[Pair], sign: int) -> tuple[PairRow, ...]:
    digits = spread_digits([value for pair in pairs for value in (pair.candidate, pair.baseline)])
    shown = [pairs[place] for place in thin(range(len(pairs)), MOST_PAIRS)]
    return tuple(
        PairRow(
            seed=item.seed,
            candidate=fixed(item.candidate, digits),
            baseline=fixed(item.baseline, digits),
            gain=fixed(item.gain(sign), digits),
        )
        for item in shown
    )


def _tally(gains: Sequence[float | None], candidate: str) -> str:
    if not gains:
        return ""
    known = [gain for gain in gains if gain is not None]
    better = sum(gain > 0 for gain in known)
    text = f"{candidate} came out better in {better} of {show_count(len(gains), 'seed')}"
    ties = sum(gain == 0 for gain in known)
    lost = len(gains) - len(known)
    text += f", level in {ties}" if ties else ""
    return (
        text + (f"; {show_count(lost, 'seed')} without a finite result on both sides" if lost else "") + "."
    )
