"""Whether results are the reference's, to the precision in which they were computed.

Results without names are matched with outputs by the orders that a subject knows; the order that explains
most of them holds for every case.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.outside import Part
from modelwright.algorithms.scrutiny.reading import Reading, snake
from modelwright.algorithms.scrutiny.subject import Axes, Inputs, Options, Outputs, Subject

__all__ = [
    "Difference",
    "Judgement",
    "Observation",
    "every_option",
    "expected_of",
    "is_close",
    "judge",
    "laid",
    "orders_of",
]

_DOUBLE, _SINGLE = 1e-5, 3e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """What an outside function made of one case.

    Attributes:
        name: The case's.
        parts: One for each call.
        fine: Whether single precision does not suffice for it.
        corner: Whether a function may refuse it.
    """

    name: str
    parts: tuple[Part, ...]
    fine: bool = False
    corner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Difference:
    """One output that differs on one input.

    Attributes:
        case: The case's name.
        output: Its name; empty where the function raised.
        kind: `value`, `shape`, `not finite`, `raises`, `nothing returned` or `gradient`.
        inputs: As the function was told them.
        theirs: What it gave; the exception's text where it raised.
        ours: What the reference gives.
        told: What the function was called with, by its own parameters.
    """

    case: str
    output: str
    kind: str
    inputs: Inputs
    theirs: Any
    ours: Any
    told: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """The results of all cases against the reference.

    Attributes:
        order: The output that each result is held to; None for one that is not compared.
        differences: The first of each part that differs, in order.
        cases: How many cases were compared.
        share: Of results that agree, over all parts.
        shaped: Whether any result had the right shape.
    """

    order: tuple[str | None, ...]
    differences: tuple[Difference, ...]
    cases: int
    share: float
    shaped: bool

    @property
    def agrees(self) -> bool:
        """Whether every case does."""
        return not self.differences and self.cases > 0


def is_close(theirs: Any, ours: Any, inputs: Inputs, *, double: bool) -> bool:
    """Tell whether two arrays of one shape are equal to the precision; where ours is not finite all holds."""
    with np.errstate(all="ignore"):
        counted = np.isfinite(ours)
        if not np.isfinite(theirs[counted]).all():
            return False
        if not counted.any():
            return True
        size = float(np.abs(ours[counted]).max())
        given = [np.abs(value).max() for value in inputs.values() if np.size(value) and _is_real(value)]
        largest = max([1.0, *(float(each) for each in given if np.isfinite(each))])
        bound = _DOUBLE * size + 1e-10 * largest if double else _SINGLE * size + 2e-6 * largest
        return bool((np.abs(theirs[counted] - ours[counted]) <= bound).all())


def _is_real(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"


def laid(reading: Reading, output: Any, axes: Axes) -> Any:
    """Return an output as the outside function would lay it out; where axes do not fit it is reduced."""
    left = tuple(axis for axis in axes if axis != reading.layout.loop)
    array = np.asarray(output, dtype=np.float64)
    return reading.layout.lay(array, left) if array.ndim == len(left) else array


def expected_of(subject: Subject, reading: Reading, options: Options, inputs: Inputs) -> Outputs:
    """Return what the reference gives, as the outside function would lay it out."""
    with np.errstate(all="ignore"):
        return {
            name: laid(reading, value, subject.outputs[name])
            for name, value in subject.reference(inputs, options).items()
        }


def orders_of(subject: Subject, results: Sequence[tuple[str, Any]]) -> list[tuple[str | None, ...]]:
    """Return the outputs that results may be, in order."""
    names = {snake(name): output for name, output in subject.names.items()}
    names.update({snake(name): name for name in subject.outputs})
    named = tuple(names.get(snake(name)) if name else None for name, _ in results)
    if any(named):
        bare = [at for at, (name, _) in enumerate(results) if not name]
        if len(bare) == 1 and "loss" in subject.outputs:
            named = tuple("loss" if at == bare[0] else each for at, each in enumerate(named))
        return [named]
    count = len(results)
    if count == 1:
        return [(name,) for name in subject.single]
    exact: list[tuple[str | None, ...]] = [order for order in subject.orders if len(order) == count]
    if exact:
        return exact
    short = sorted((order for order in subject.orders if len(order) < count), key=len, reverse=True)
    heads = [*short, *((name,) for name in subject.single)]
    return [(*head, *(None,) * (count - len(head))) for head in heads]


def _compare(theirs: Any, ours: Any, part: Part) -> str | None:
    """Return the kind of difference, or None."""
    given, wanted = np.squeeze(np.asarray(theirs, np.float64)), np.squeeze(ours)
    if given.shape != wanted.shape:
        return "shape"
    if is_close(
        np.atleast_1d(given), np.atleast_1d(wanted), part.inputs, double=part.double and not part.rough
    ):
        return None
    return "value" if np.isfinite(given[np.isfinite(wanted)]).all() else "not finite"


def judge(
    subject: Subject,
    reading: Reading,
    options: Options,
    observations: Sequence[Observation],
    *,
    order: tuple[str | None, ...] | None = None,
    cache: dict[Any, Outputs] | None = None,
) -> Judgement:
    """Hold results to the reference.

    Args:
        subject: What the function is held to.
        reading: How it was called.
        options: The conventions of what is computed.
        observations: Its results.
        order: What each result is; found where left out.
        cache: Outputs that were computed before.
    """
    kept = {} if cache is None else cache
    expected: list[list[Outputs]] = []
    for observation in observations:
        expected.append([])
        for part in observation.parts:
            key = (id(part.inputs), reading.layout.name, tuple(sorted(options.items())))
            if key not in kept:
                kept[key] = expected_of(subject, reading, options, part.inputs)
            expected[-1].append(kept[key])
    sample = next((part.results for each in observations for part in each.parts if part.results), ())
    orders = [order] if order is not None else orders_of(subject, sample)
    found = [_judge_order(each, subject, observations, expected) for each in orders or [()]]
    return max(found, key=lambda each: (each.agrees, each.share, each.shaped))


def _judge_order(
    order: tuple[str | None, ...],
    subject: Subject,
    observations: Sequence[Observation],
    expected: Sequence[Sequence[Outputs]],
) -> Judgement:
    differences: list[Difference] = []
    right = total = 0
    shaped = False
    places = sorted(
        ((list(subject.outputs).index(name), at, name) for at, name in enumerate(order) if name is not None)
    )
    for observation, wanted in zip(observations, expected, strict=True):
        for part, outputs in zip(observation.parts, wanted, strict=True):
            if observation.fine and part.failure is None and not part.double:
                continue
            if observation.corner and part.failure is not None:
                continue
            total += max(1, len(places))
            if part.failure is not None or len(part.results) != len(order) or not places:
                kind = "raises" if part.failure is not None else "nothing returned"
                kind = "other results" if part.results and part.failure is None else kind
                theirs = str(part.failure) if part.failure is not None else len(part.results)
                differences.append(_difference(observation, part, kind, "", theirs, None))
                continue
            first: Difference | None = None
            for _, at, name in places:
                theirs, ours = part.results[at][1], outputs[name]
                kind = _compare(theirs, ours, part)
                shaped = shaped or kind != "shape"
                if kind is None:
                    right += 1
                elif first is None:
                    first = _difference(observation, part, kind, name, theirs, ours)
            if first is not None:
                differences.append(first)
    return Judgement(
        order=order,
        differences=tuple(differences),
        cases=len(observations),
        share=right / max(1, total),
        shaped=shaped,
    )


def _difference(
    observation: Observation, part: Part, kind: str, output: str, theirs: Any, ours: Any
) -> Difference:
    return Difference(
        case=observation.name, output=output, kind=kind, inputs=part.inputs, theirs=theirs, ours=ours
    )


def every_option(
    subject: Subject, reading: Reading, name: str, asked: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return the conventions of what is computed that may be tried, the plain ones first."""
    told = {each.role for each in reading.arguments.values() if each is not None}
    bag = None in reading.arguments.values()
    values: list[list[str]] = []
    for key, choice in subject.choices.items():
        if key in asked:
            values.append([asked[key]])
            continue
        if choice.needs and told.isdisjoint(choice.needs) and not bag:
            values.append([next(iter(choice.values))])
            continue
        announced = [value for value, form in choice.named.items() if re.search(form, name.lower())]
        parameters = {snake(parameter) for parameter in reading.arguments}
        announced += [value for value, names in choice.told.items() if not parameters.isdisjoint(names)]
        bound = {*choice.asked, *choice.named, *choice.told}
        free = [value for value in choice.values if value not in bound]
        values.append([*free, *announced])
    found = [
        dict(zip(subject.choices, combination, strict=True)) for combination in itertools.product(*values)
    ]
    plain = {key: next(iter(choice.values)) for key, choice in subject.choices.items()}
    return sorted(found, key=lambda each: sum(each[key] != plain[key] for key in plain))
