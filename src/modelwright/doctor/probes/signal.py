"""Whether inputs tell targets: a small forest and the model, beside permuted targets and inputs of zero."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fitting import fit, mean_loss, scale_rates
from modelwright.doctor.probes.fork import fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.oracle import Skills, measure, table_of
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.rows import join_rows, map_tensors
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["Signal"]

_STEPS = 400
_SURE, _UNSURE = 0.05, 0.2
"""p-values at which the forest has found something, and at which it has found nothing."""

_SKILLED = 0.2
"""Skill that a model should not miss."""

_BETTER = 0.01
"""Part of its loss by which a model that sees its inputs must beat one that sees zeros."""

_REMEMBERS = 0.05
"""The same of the very rows that it learnt, beside one that learnt zeros: it knows them, and no others."""

_FASTER = (10.0, 100.0)
_STILL = 1e-3
"""Part of the loss that a rate takes off, below which it does nothing; others are not tried in its place."""

_SETTLED = 0.02
_MOST_ROWS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learnt:
    """What a copy of the model came to, with its inputs and with zeros.

    Attributes:
        seen: Loss of measured rows, learnt with inputs.
        blind: The same, learnt and measured with inputs of zero.
        fall: Part of the loss of learnt rows that learning with inputs took off.
        late: Part that its last third took off.
        known: Loss of the learnt rows, learnt with inputs.
        unknown: The same, learnt and measured with inputs of zero.
    """

    seen: float
    blind: float
    known: float
    unknown: float
    fall: float
    late: float

    @property
    def sees(self) -> bool:
        """Whether inputs help."""
        return self.seen < self.blind - _BETTER * max(abs(self.blind), 1e-6)

    @property
    def remembers(self) -> bool:
        """Whether inputs help with the rows that were learnt: they reach what learns, row by row."""
        return self.known < self.unknown - _REMEMBERS * max(abs(self.unknown), 1e-6)


class Signal:
    """Lets a forest and copies of the model learn one part of the rows, and predict the other."""

    words = "what a small forest finds in the same rows"
    share = 2.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        missing = subject.lacks("model", "loss", "sample")
        return subject.crowds() if missing is None else missing

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.sample is not None
        rows, learnt, measured = _parts(subject.sample, subject.held_out)
        table = table_of(rows)
        if table is None:
            return Outcome(
                unchecked=(f"{self.words}: it takes 80 rows of numbers, each with one class or number",)
            )
        forest = measure(table, learnt, measured)
        if forest.true < 0 and rows is not subject.sample:
            order = np.random.default_rng(0).permutation(learnt)
            other = measure(table, *np.array_split(order, 2))
            if other.p_value <= _SURE and other.true > _SKILLED:
                return Outcome(findings=(_another(forest, other, subject),))
        if not any(each.requires_grad for each in subject.model.parameters()):
            return Outcome(unchecked=(f"{self.words}: no parameter of the model learns",))
        came = _learn(subject, rows.take(learnt), rows.take(measured), limit)
        if came is None:
            return Outcome(unchecked=(f"{self.words}: {limit.seconds:.0f} s were too short",))
        if came.sees:
            return Outcome()
        if forest.p_value <= _SURE and forest.true > _SKILLED:
            reason = self._excuse(subject, rows.take(learnt), rows.take(measured), came, limit)
            if reason:
                return Outcome(unchecked=(f"{self.words}: {reason}",))
            return Outcome(findings=(_missed(forest, came, subject),))
        if forest.p_value > _UNSURE:
            return Outcome(findings=(_nothing(forest, came, len(learnt), subject),))
        return Outcome()

    @staticmethod
    def _excuse(subject: Subject, learnt: Sample, measured: Sample, came: _Learnt, limit: Limit) -> str:
        """Return why a model that does no better than a blind one may be whole; else nothing."""
        slow = f"the loss falls too slowly for {_STEPS} steps"
        if came.late >= _SETTLED:
            return slow
        if came.remembers:
            return (
                f"the model tells apart the {learnt.count} rows that it learnt, and no others: too few for it"
            )
        for factor in _FASTER if came.fall > _STILL else ():
            faster = _learn(subject, learnt, measured, limit, factor)
            if faster is not None and faster.sees:
                return slow
        return ""


def _parts(sample: Sample, held_out: Sample | None) -> tuple[Sample, NDArray[Any], NDArray[Any]]:
    """Return all rows, the numbers of those to learn from, and of those to measure."""
    count = min(sample.count, _MOST_ROWS)
    if held_out is None or held_out.targets is None or held_out.count < 20:
        order = np.random.default_rng(0).permutation(count)
        return sample, order[: count // 2], order[count // 2 :]
    other = min(held_out.count, _MOST_ROWS)
    rows = Sample(
        inputs=join_rows([sample.take(slice(0, count)).inputs, held_out.take(slice(0, other)).inputs]),
        targets=join_rows([sample.take(slice(0, count)).targets, held_out.take(slice(0, other)).targets]),
        batch_size=sample.batch_size,
    )
    return rows, np.arange(count), np.arange(count, count + other)


def _learn(
    subject: Subject, learnt: Sample, measured: Sample, limit: Limit, factor: float = 1.0
) -> _Learnt | None:
    """Let two copies learn at `factor` times the rate; None where time is over or the loss is no number."""
    reached: list[float] = []
    known: list[float] = []
    losses: list[float] = []
    for zero in (True, False):
        made = fork(subject)
        scale_rates(made, factor)
        rows, others = (_zeroed(each) if zero else each for each in (learnt, measured))
        losses = fit(made, rows, _STEPS, limit.part(0.5 if zero else 1.0))
        if len(losses) < _STEPS:
            return None
        reached.append(mean_loss(made, others, most=_MOST_ROWS))
        known.append(mean_loss(made, rows, most=_MOST_ROWS))
    if not all(map(math.isfinite, (*reached, *known, losses[0], losses[-1]))):
        return None
    third = _STEPS // 3
    first, middle, last = (
        float(np.mean(part)) for part in (losses[:5], losses[-third : -third // 2], losses[-third // 2 :])
    )
    return _Learnt(
        seen=reached[1],
        blind=reached[0],
        known=known[1],
        unknown=known[0],
        fall=(first - last) / max(abs(first), 1e-9),
        late=(middle - last) / max(abs(middle), 1e-9),
    )


def _zeroed(sample: Sample) -> Sample:
    return sample.with_inputs(map_tensors(sample.inputs, torch.zeros_like))


def _evidence(forest: Skills, came: _Learnt | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "skill_of_the_forest": forest.true,
        "largest_skill_where_targets_are_permuted": max(forest.permuted),
        "p_value": forest.p_value,
    }
    if came is not None:
        told |= {
            "loss_of_the_model": came.seen,
            "loss_where_its_inputs_are_zero": came.blind,
            "part_of_the_loss_that_learning_took_off": came.fall,
        }
    return told


def _nothing(forest: Skills, came: _Learnt, rows: int, subject: Subject) -> Finding:
    return Finding(
        kind="inputs-tell-nothing",
        severity=Severity.WARNING,
        title=f"Neither a small forest nor the model finds in {rows} rows what tells targets of others.",
        evidence=_evidence(forest, came),
        causes=(cause("features-shuffled-against-labels", origin_of(subject.loss)), cause("label-noise")),
        next_check="look at ten rows beside their targets; make the rows once more, from the source, and "
        "hold each to its own",
        subject=type(subject.model).__name__,
    )


def _missed(forest: Skills, came: _Learnt, subject: Subject) -> Finding:
    place = origin_of(subject.model)
    names = (
        ("examples-mixed", "preprocessing-differs-at-evaluation")
        if came.fall > 2 * _SKILLED
        else ("graph-detached", "learning-rate-too-low", "learning-rate-too-high", "inputs-not-scaled")
    )
    return Finding(
        kind="less-than-a-small-forest",
        severity=Severity.WARNING,
        title="A small forest predicts rows that it has not seen; the model does no better with its inputs "
        "than with zeros.",
        evidence=_evidence(forest, came),
        causes=tuple(cause(name, place) for name in names),
        next_check="follow two rows of different targets through the model; does its loss fall on one batch?",
        subject=type(subject.model).__name__,
    )


def _another(forest: Skills, within: Skills, subject: Subject) -> Finding:
    return Finding(
        kind="validation-is-another-task",
        severity=Severity.WARNING,
        title="What a small forest finds in rows to learn from holds among them, and of the validation rows "
        "it tells nothing.",
        evidence={**_evidence(forest), "skill_among_rows_to_learn_from": within.true},
        causes=tuple(
            cause(name)
            for name in (
                "preprocessing-differs-at-evaluation",
                "features-shuffled-against-labels",
                "covariate-shift-between-splits",
            )
        ),
        next_check="print means and deviations of each column, and shares of classes, of both; are both made "
        "by the same function?",
        subject=type(subject.model).__name__,
    )
