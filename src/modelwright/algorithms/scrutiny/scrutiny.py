"""Feeds an outside function and ours the same inputs and reports the first difference.

The function is called in every reading that its parameters' names allow, until one agrees on every case.
Where none does, the difference is reported in the reading in which a known mistake explains it best.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.agreement import (
    Difference,
    Judgement,
    Observation,
    every_option,
    expected_of,
    judge,
    orders_of,
)
from modelwright.algorithms.scrutiny.answer import Scrutiny
from modelwright.algorithms.scrutiny.gradient import gradient_difference, stopped_too_little
from modelwright.algorithms.scrutiny.outside import (
    Dress,
    Part,
    call,
    dresses_for,
    libraries_of,
    parts_of,
    told,
)
from modelwright.algorithms.scrutiny.reading import Reading, Signature, read_signature, readings_of
from modelwright.algorithms.scrutiny.resemblance import Resemblance, resemblances
from modelwright.algorithms.scrutiny.smallest import smallest
from modelwright.algorithms.scrutiny.subject import Case, Inputs, Options, Outputs, Subject
from modelwright.algorithms.scrutiny.subjects import find_subject
from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.seed import derive_seeds

__all__ = ["scrutinize_function"]

_TRIALS = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trial:
    """One reading, what it gave and how it was judged."""

    reading: Reading
    dress: Dress
    options: Options
    observations: tuple[Observation, ...]
    judgement: Judgement
    rough: bool = False


def scrutinize_function(
    function: Callable[..., Any],
    subject: str,
    *,
    mapping: Mapping[str, str] | None = None,
    layout: str | None = None,
    conventions: Mapping[str, str] | None = None,
) -> Scrutiny:
    """Hold an outside function to ours.

    Args:
        function: With parameters whose names say what they are; NumPy or torch.
        subject: A name in `SUBJECTS`, e.g. `ppo:gae`.
        mapping: Names of ours -> names of its parameters, where theirs say nothing.
        layout: The only layout of its arrays.
        conventions: Choice -> value, to fix what is otherwise tried, or to allow what is otherwise an error.

    Raises:
        UnknownName: for a subject, argument, parameter, layout or convention that does not exist.
        BadValue: where its parameters cannot be matched with what it must be told.
    """
    held = find_subject(subject)
    asked = _asked(held, conventions or {})
    signature = read_signature(function)
    readings = readings_of(signature, held, mapping or {}, layout)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers out of range, which are judged as they are
        return _Search(function, held, signature, asked).answer(readings)


def _asked(subject: Subject, conventions: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in conventions.items():
        if name not in subject.choices:
            raise UnknownName(f"convention of {subject.name}", name, subject.choices)
        if value not in subject.choices[name].values:
            raise UnknownName(f"value of the convention {name}", value, subject.choices[name].values)
    return conventions


class _Search:
    """The readings of one function, tried in order."""

    def __init__(
        self, function: Callable[..., Any], subject: Subject, signature: Signature, asked: Mapping[str, str]
    ) -> None:
        self._function = function
        self._subject = subject
        self._signature = signature
        self._asked = asked
        (seed,) = derive_seeds(f"scrutiny of {subject.name}", 1)
        self._cases = subject.cases(seed.generator("inputs"))
        self._failures: Counter[str] = Counter()
        self._cache: dict[Any, Outputs] = {}
        self._kept: list[Any] = []

    def answer(self, readings: Sequence[Reading]) -> Scrutiny:
        """Try readings until one agrees."""
        trials: list[_Trial] = []
        libraries = libraries_of(self._signature.source)
        for spare in (0, 1, 2):
            done: set[str] = set()
            for dress in dresses_for(self._signature.source):
                if dress.library in done or (done and dress.library == "list"):
                    continue
                ran = False
                for reading in (each for each in readings if each.spare == spare):
                    for trial in self._try(reading, dress):
                        if trial.judgement.agrees:
                            return self._agrees(trial)
                        trials.append(trial)
                        failed = any(part.failure for each in trial.observations for part in each.parts)
                        ran = ran or (trial.judgement.shaped and not failed)
                if ran:
                    done.add(dress.library)
                if ran and libraries:
                    break
            if done:
                return self._differs(trials)
        return self._differs(trials) if trials else self._not_compared()

    def _try(self, reading: Reading, dress: Dress) -> list[_Trial]:
        """Return trials on the screening cases; one on all cases where those agree."""
        screened = self._observe(reading, dress, [case for case in self._cases if case.screening])
        parts = [part for each in screened for part in each.parts]
        if reading.refuted(each for part in parts for each in part.read.values()):
            return []
        if not parts or all(part.failure is not None for part in parts):
            self._failures.update(str(part.failure) for part in parts[:1])
            return []
        trials: list[_Trial] = []
        whole: tuple[Observation, ...] = ()
        known: set[Any] = set()
        every = every_option(self._subject, reading, self._signature.name, self._asked)
        # To three digits only where no convention agrees to more.
        for options, rough in [(each, rough) for rough in (False, True) for each in every]:
            judgement = self._judge(reading, options, screened, rough=rough)
            ours = expected_of(self._subject, reading, options, parts[0].inputs)
            mark = (rough, judgement.order, *(ours[name].tobytes() for name in judgement.order if name))
            if not judgement.agrees and (rough or mark in known):
                continue
            known.add(mark)
            if judgement.agrees:
                whole = whole or self._observe(reading, dress, self._cases)
                judgement = self._judge(reading, options, whole, judgement.order, rough=rough)
            trial = _Trial(
                reading=reading,
                dress=dress,
                options=options,
                observations=whole if judgement.cases > len(screened) else screened,
                judgement=judgement,
                rough=rough,
            )
            if judgement.agrees:
                return [trial]
            trials.append(trial)
        return trials

    def _observe(self, reading: Reading, dress: Dress, cases: Sequence[Case]) -> tuple[Observation, ...]:
        found: list[Observation] = []
        for case in cases:
            inputs = reading.seen(case.inputs)
            if inputs is None:
                continue
            parts = tuple(
                call(self._function, self._subject, reading, dress, part)
                for part in parts_of(self._subject, reading, inputs)
            )
            if any(part.untold for part in parts):
                continue
            found.append(Observation(name=case.name, parts=parts, fine=case.fine, corner=case.corner))
        self._kept += found  # outputs are remembered by the inputs' identity
        return tuple(found)

    def _judge(
        self,
        reading: Reading,
        options: Options,
        observations: Sequence[Observation],
        order: tuple[str | None, ...] | None = None,
        *,
        rough: bool = False,
    ) -> Judgement:
        if rough:
            observations = [
                replace(each, parts=tuple(replace(part, rough=True) for part in each.parts))
                for each in observations
            ]
        return judge(self._subject, reading, options, observations, order=order, cache=self._cache)

    def _agrees(self, trial: _Trial) -> Scrutiny:
        remarks = self._remarks(trial)
        if not self._repeats(trial):
            remarks.append("it gives other results when it is called again with the same inputs")
        if trial.rough:
            remarks.append("it agrees to about three digits only, though it is given double precision")
        if any(name is None for name in trial.judgement.order):
            remarks.append("further results were not compared")
        compared, difference = False, None
        for case in (case for case in self._cases if case.screening):
            seen = trial.reading.seen(case.inputs)
            if seen is not None:
                compared, difference = gradient_difference(
                    self._function, self._subject, trial.reading, trial.options, trial.judgement.order, seen
                )
                break
        if difference is not None:
            alike = stopped_too_little(self._subject, difference)
            return self._scrutiny(
                trial, "differs", remarks, difference, () if alike is None else (alike,), {"gradient": 1}
            )
        if compared:
            remarks.append("gradients with respect to its inputs agree too")
        return self._scrutiny(trial, "agrees", remarks)

    def _differs(self, trials: Sequence[_Trial]) -> Scrutiny:
        trial, alike = self._likeliest(trials)
        whole = self._observe(trial.reading, trial.dress, self._cases)
        judgement = self._judge(trial.reading, trial.options, whole, trial.judgement.order, rough=trial.rough)
        trial = replace(trial, observations=whole, judgement=judgement)
        if not judgement.differences:  # only screening cases can differ where the function is not repeatable
            raise BadValue(
                "An outside function gives the same results for the same inputs", got=self._signature.name
            )
        alike = (
            resemblances(
                self._subject,
                trial.reading,
                trial.options,
                judgement.order,
                whole,
                mistakes=self._subject.mistakes,
            )
            or alike
        )
        first = min(
            judgement.differences,
            key=lambda each: (each.kind == "raises", sum(np.size(value) for value in each.inputs.values())),
        )
        first = self._smallest(trial, first)
        differing = Counter(each.case for each in judgement.differences)
        cases = Counter(each.name for each in whole)
        differing = Counter({name: min(count, cases[name]) for name, count in differing.items()})
        if first.kind == "raises":
            alike = []
        return self._scrutiny(trial, "differs", self._remarks(trial), first, tuple(alike), differing)

    def _likeliest(self, trials: Sequence[_Trial]) -> tuple[_Trial, list[Resemblance]]:
        """Return the trial in which a known mistake explains the most, else the nearest to agreement."""
        sound = [each for each in trials if each.judgement.shaped] or list(trials)
        # A reading that agreed at first says more than one in which a mistake happens to fit.
        for trial in sound:
            if len(trial.observations) > sum(case.screening for case in self._cases):
                return trial, []
        ranked = sorted(sound, key=lambda each: -round(each.judgement.share, 2))[:_TRIALS]
        best: tuple[tuple[float, float], _Trial, list[Resemblance]] | None = None
        for trial in (each for each in sound if each in ranked):
            parts = (part for each in trial.observations for part in each.parts if part.results)
            results = next((part.results for part in parts), ())
            for order in orders_of(self._subject, results) or [trial.judgement.order]:
                alike = resemblances(self._subject, trial.reading, trial.options, order, trial.observations)
                # Among readings in which mistakes fit equally well the plainest comes first.
                score = (alike[0].share if alike else 0.0, round(trial.judgement.share, 1))
                if best is None or score > best[0]:
                    judged = replace(trial, judgement=replace(trial.judgement, order=order))
                    best = (score, judged, alike)
            if best is not None and best[0][0] > 0.999:
                break
        assert best is not None
        return best[1], best[2]

    def _smallest(self, trial: _Trial, first: Difference) -> Difference:
        subject, reading = self._subject, trial.reading

        def fit(inputs: Inputs) -> Inputs | None:
            made = subject.consistent(inputs)
            return None if made is None else reading.seen(made)

        def look(inputs: Inputs) -> Difference | None:
            part: Part = call(self._function, subject, reading, trial.dress, inputs)
            expected = expected_of(subject, reading, trial.options, inputs)
            if not all(np.isfinite(value).all() for value in expected.values()):
                return None
            seen = [Observation(name=first.case, parts=(part,))]
            found = judge(subject, reading, trial.options, seen, order=trial.judgement.order).differences
            return found[0] if found and found[0].kind == first.kind else None

        loop = reading.layout.loop
        axes = {name: tuple(axis for axis in each if axis != loop) for name, each in subject.axes.items()}
        small = smallest(first.inputs, axes, lambda x: look(x) is not None, fit)
        found = look(small) or first
        parts = [part for each in trial.observations for part in each.parts]
        read = {name: each for part in parts for name, each in part.read.items()}
        return replace(found, told=told(reading, found.inputs, read))

    def _repeats(self, trial: _Trial) -> bool:
        part = next((part for each in trial.observations for part in each.parts), None)
        if part is None:
            return True
        again = call(self._function, self._subject, trial.reading, trial.dress, part.inputs)
        return len(again.results) == len(part.results) and all(
            np.array_equal(one, two, equal_nan=one.dtype.kind == "f")
            for (_, one), (_, two) in zip(part.results, again.results, strict=True)
        )

    def _remarks(self, trial: _Trial) -> list[str]:
        remarks = [text for each in trial.observations for part in each.parts for text in part.remarks]
        remarks += [
            f"on {each.name} it raises {part.failure}"
            for each in trial.observations
            for part in each.parts
            if each.corner and part.failure is not None
        ]
        return list(dict.fromkeys(remarks))

    def _scrutiny(
        self,
        trial: _Trial,
        outcome: Any,
        remarks: Sequence[str],
        difference: Difference | None = None,
        mistakes: tuple[Resemblance, ...] = (),
        differing: Mapping[str, int] | None = None,
    ) -> Scrutiny:
        chosen = [self._subject.choices[key].values[value] for key, value in trial.options.items()]
        return Scrutiny(
            outcome=outcome,
            subject=self._subject.name,
            function=self._signature.name,
            equation=self._subject.equation,
            reading=trial.reading.record(trial.options),
            conventions=(*trial.reading.says(), *(each for each in chosen if each)),
            dress=str(trial.dress),
            cases=Counter(each.name for each in trial.observations),
            compared=trial.judgement.order,
            difference=difference,
            differing=differing or {},
            mistakes=mistakes,
            remarks=tuple(remarks),
        )

    def _not_compared(self) -> Scrutiny:
        raised = [f"in {count} ways of calling it: {text}" for text, count in self._failures.most_common(3)]
        return Scrutiny(
            outcome="not compared",
            subject=self._subject.name,
            function=self._signature.name,
            equation=self._subject.equation,
            remarks=(
                *raised,
                f"it may be told: {', '.join(self._subject.roles)}; name them with --map ours=theirs, fix "
                "--layout, or write a small adapter function",
            ),
        )
