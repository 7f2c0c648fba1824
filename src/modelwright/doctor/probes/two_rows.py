"""Two rows with different targets can be told apart by anything that learns at all."""

import math
from collections.abc import Iterator

import torch

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fitting import fit, mean_loss
from modelwright.doctor.probes.fork import Fork, fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.rows import main_tensor, take_rows, tensors_of
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["TwoRows"]

_STEPS = 150
_RATES = (1e-2, 1e-3, 1e-1)
_PAIRS = 2
_SETTLED = 0.02
"""Part of the loss that the last third of the steps takes off, below which there is nothing to wait for."""

_BETTER = 0.02
"""Part of the loss by which a model that sees its inputs must beat one that sees one input for both rows."""


class TwoRows:
    """Fits pairs of rows, and the same pairs with the first one's inputs for both."""

    words = "whether two rows can be fitted"
    share = 2.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        missing = subject.lacks("model", "loss", "sample")
        return subject.crowds() if missing is None else missing

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.sample is not None
        if not any(each.requires_grad for each in subject.model.parameters()):
            return Outcome(unchecked=(f"{self.words}: no parameter of the model learns",))
        pairs = list(_pairs(subject.sample))[:_PAIRS]
        if not pairs:
            return Outcome(unchecked=(f"{self.words}: there are no two rows with different targets",))
        tried: list[dict[str, float]] = []
        settled = False
        for pair in pairs:
            ways = [(rate, steps) for steps in (_STEPS, 2 * _STEPS) for rate in (*_RATES, None)]
            for rate, steps in ways:
                if rate is None and subject.optimizer is None:
                    continue
                seen, blind, falls = _fitted(subject, pair, rate, steps, limit)
                settled |= falls < _SETTLED
                if limit.is_over:
                    return Outcome(unchecked=(f"{self.words}: {limit.seconds:.0f} s were too short",))
                if seen < blind - _BETTER * max(abs(blind), 1e-6) or math.isnan(seen):
                    return Outcome()
                tried.append({"loss": seen, "loss_without_inputs": blind, "steps": steps})
        if not settled:
            return Outcome(unchecked=(f"{self.words}: the loss falls too slowly for a few hundred steps",))
        return Outcome(findings=(_finding(subject, pairs[0], tried),))


def _pairs(sample: Sample) -> Iterator[Sample]:
    """Yield pairs of rows that differ in inputs and in targets."""
    targets, inputs = list(tensors_of(sample.targets)), list(tensors_of(sample.inputs))
    if not targets or not inputs or sample.count < 2:
        return
    first = 0
    for other in range(1, sample.count):
        differ = all(
            any(bool((each[first] != each[other]).any()) for each in parts) for parts in (targets, inputs)
        )
        if differ:
            yield sample.take([first, other])
            first = other


def _fitted(
    subject: Subject, pair: Sample, rate: float | None, steps: int, limit: Limit
) -> tuple[float, float, float]:
    """Return the loss reached with the inputs, with one input for both rows, and how this one falls at last.

    The fall is that of the last third of the steps, a share of the loss.
    """
    reached: list[float] = []
    losses: list[float] = []
    for rows in (pair, pair.with_inputs(take_rows(pair.inputs, [0, 0]))):
        made = fork(subject)
        if rate is not None:
            made.optimizer = torch.optim.Adam(
                [p for p in made.model.parameters() if p.requires_grad], lr=rate
            )
        losses = fit(made, rows, steps, limit)
        both = [mean_loss(made, rows, training=False)]
        if not _normalises(made):
            both.append(mean_loss(made, rows, training=True))
        reached.append(min(both))
    late = losses[-len(losses) // 3 :] or [0.0]
    return reached[0], reached[1], (late[0] - late[-1]) / max(abs(late[-1]), 1e-9)


def _normalises(made: Fork) -> bool:
    return any("BatchNorm" in type(each).__name__ for each in made.model.modules())


def _finding(subject: Subject, pair: Sample, tried: list[dict[str, float]]) -> Finding:
    made = fork(subject, optimizer=False)
    made.model.eval()
    output = main_tensor(made.output(pair.inputs))
    same = output is not None and len(output) == 2 and bool((output[0] == output[1]).all())
    if output is not None and output.requires_grad:
        output.sum().backward()
    reached = [name for name, each in made.model.named_parameters() if each.grad is not None]
    place = origin_of(subject.model)
    causes: tuple[Cause, ...] = tuple(
        cause(name, place)
        for name in (
            ("dead-relu", "constant-initialisation", "graph-detached")
            if same
            else ("graph-detached", "learning-rate-too-high", "initialisation-too-large")
        )
    )
    return Finding(
        kind="two-rows-not-fitted",
        severity=Severity.SEVERE,
        title=f"The model cannot learn two rows apart: after {max(each['steps'] for each in tried):.0f} "
        "steps it is no better than where both rows have one input.",
        evidence={
            "tried": tried,
            "outputs_of_the_two_rows_are_the_same": same,
            "parameters_with_a_gradient": len(reached),
            "parameters": len(list(made.model.named_parameters())),
        },
        causes=causes,
        next_check="follow one of the two rows through the modules, and find where it becomes the other",
        subject=type(subject.model).__name__,
    )
