"""The doctor beside a learner: it hears a cohort of trials from their first step, in the process that trains.

Learners of ours train all seeds in one program, which is heard as a whole. Functions and classes of others
train one seed each, side by side: the first seed of the cohort is heard, and the doctor pauses while the
others go on. Nothing that fails here fails a trial.
"""

import dataclasses
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from modelwright.algorithms import LEARNERS
from modelwright.algorithms.learner import Learner
from modelwright.algorithms.parts.cohort import join_steps, part_of
from modelwright.base.finding import Finding, Severity
from modelwright.base.seed import Seed
from modelwright.base.step import Model, Step
from modelwright.data.environments.environment import Environment
from modelwright.data.experience import Experience
from modelwright.doctor.watch.failure import failure
from modelwright.lab.executor.job import Job, Watched

if TYPE_CHECKING:
    from modelwright.doctor.doctor import Doctor

__all__ = ["WITHDRAWN", "TrialWatch"]

WITHDRAWN = "finding-withdrawn"
"""Kind of the finding that one of before did not hold to the trial's end."""

_PATIENCE = 0.0, 5.0, 0.025
"""Of what is tried on copies at the end; what is tried may take four times its share, so a tenth in all."""

_OF_DATA = frozenset(
    {
        *("accuracy-says-little", "classes-differ-between-splits", "feature-gives-target-away"),
        *("measured-on-training-rows", "measured-outside-of-what-was-learnt", "near-copies-across-split"),
        *("missing-value-taken-for-number", "rows-in-two-units", "rows-learnt-and-measured"),
        *("targets-of-other-rows", "times-interleaved", "window-reaches-target"),
    }
)
"""Kinds that speak of data and how they are split: the lab splits, and checks that before anything trains."""

_WORDS_OF_DATA = ("rows and columns of estimators", "rows learnt and measured")
_LEFT_TO_CHECKS = "rows, columns and splits: the checks of the data speak of them"

_ROUNDS = 0.02
"""Share of the time that asking for findings may take."""


_OF_OURS = (
    "layers, losses and targets: a learner of Modelwright's trains all its seeds as one array, which sensors "
    "do not read; it is held to references by its own tests"
)


class TrialWatch:
    """Listens from its making to `close`; a job that is not to be watched is left alone.

    Args:
        job: What is trained.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._stacked = job.config.get("learner") in LEARNERS
        self._doctor: Doctor | None = None
        self._told: dict[str, Finding] = {}
        self._failed: list[Finding] = []
        self._next_round = 0.0
        if job.watched:
            with self._guarded():
                self._doctor = _start()

    @property
    def _seeds(self) -> tuple[int, ...]:
        return self._job.indices if self._stacked else self._job.indices[:1]

    # ---- listening ----

    @contextmanager
    def hearing(self) -> Generator[None]:
        """Hear what happens meanwhile."""
        doctor = self._doctor
        if doctor is None:
            yield
            return
        doctor.resume()
        try:
            yield
        finally:
            doctor.pause()

    def train(
        self, learner: Learner, experience: Experience | Environment, seeds: Sequence[Seed]
    ) -> Iterator[Step]:
        """Train all seeds as the learner does, and hear those that are to be heard.

        A trial's numbers do not depend on its company, so the first seed may be trained beside the others.
        """
        if self._doctor is None:
            return learner.train(experience, seeds)
        if self._stacked or len(seeds) == 1:
            return self._heard(learner.train(experience, seeds))
        first, others = experience, experience
        if isinstance(experience, Experience):
            first = part_of(experience, [0])
            others = part_of(experience, range(1, len(seeds)))
        streams = [self._heard(learner.train(first, seeds[:1])), learner.train(others, seeds[1:])]
        return join_steps(streams, [[0], list(range(1, len(seeds)))])

    def _heard(self, stream: Iterator[Step]) -> Iterator[Step]:
        while True:
            with self.hearing():
                step = next(stream, None)
            if step is None:
                return
            if step.model is not None and not self._stacked:
                # How somebody's own model predicts is part of what can be wrong with it.
                step = dataclasses.replace(step, model=_HeardModel(step.model, self))
            yield step

    # ---- telling ----

    def news(self) -> Iterator[Watched]:
        """Yield what the doctor knows by now, where something is new; called after each step."""
        if self._doctor is None:
            return
        began = time.monotonic()
        if began < self._next_round:
            return
        found: list[Finding] = []
        with self._guarded():
            if self._doctor.round():
                found = self._named_all(self._doctor.findings())
        self._next_round = began + (time.monotonic() - began) / _ROUNDS
        if found:
            self._told |= {each.kind: each for each in found}
            yield self._message(found, ended=False)

    def end(self, *, raised: bool = False) -> Iterator[Watched]:
        """Listen no more and yield what was found.

        Args:
            raised: Whether the learner raised: then nothing is tried on copies any more.
        """
        doctor = self._doctor
        if not self._job.watched:
            return
        found: list[Finding] = []
        if doctor is not None:
            with self._guarded():
                doctor.stop(tries=not raised)
                found = self._named_all(doctor.findings())
        self._doctor = None
        found += self._failed
        kinds = {each.kind for each in found}
        found += [self._withdrawn(each) for kind, each in self._told.items() if kind not in kinds]
        yield self._message(found, ended=True, doctor=doctor)

    def close(self) -> None:
        """Put back what was replaced, whatever happened; a second time does nothing."""
        doctor, self._doctor = self._doctor, None
        if doctor is not None:
            with self._guarded():
                doctor.stop(tries=False)

    def _message(self, found: Sequence[Finding], *, ended: bool, doctor: "Doctor | None" = None) -> Watched:
        record: Mapping[str, Any] = {}
        if doctor is not None:
            with self._guarded():
                record = doctor.record()
        return Watched(
            job=self._job.identity,
            seeds=self._seeds,
            ended=ended,
            findings=tuple(found),
            checked=()
            if self._stacked
            else tuple(each for each in record.get("checked", ()) if each not in _WORDS_OF_DATA),
            unchecked=(_OF_OURS,) if self._stacked else (*record.get("unchecked", ()), _LEFT_TO_CHECKS),
            steps=int(record.get("steps", 0)),
            seconds=doctor.seconds if doctor is not None else 0.0,
        )

    def _named_all(self, findings: Sequence[Finding]) -> list[Finding]:
        return [self._named(each) for each in findings if each.kind not in _OF_DATA]

    def _named(self, finding: Finding) -> Finding:
        """Return the finding with the variant that it speaks of."""
        variant = self._job.variant
        subject = f"{variant}: {finding.subject}" if finding.subject else variant
        return dataclasses.replace(finding, subject=subject, title=f"{variant}: {finding.title}")

    def _withdrawn(self, finding: Finding) -> Finding:
        return Finding(
            kind=WITHDRAWN,
            severity=Severity.INFO,
            title=f"{self._job.variant}: {finding.kind} was found at first, and did not hold to the end.",
            evidence={"finding": finding.title},
            next_check="none; it counts no longer",
            subject=f"{finding.subject}: {finding.kind}",
        )

    @contextmanager
    def _guarded(self) -> Generator[None]:
        """Make a finding of what goes wrong with the doctor itself."""
        try:
            yield
        except Exception as error:
            told = failure("The doctor itself failed, and the trial went on without it.", error)
            self._failed.append(self._named(told))


def _start() -> "Doctor":
    # Only where it is needed: reruns train in the same way, and their record of executed code stays small.
    from modelwright.doctor.doctor import Doctor

    doctor = Doctor(patience=_PATIENCE).start()
    doctor.pause()
    return doctor


class _HeardModel:
    """A model whose predictions are heard too."""

    def __init__(self, model: Model, watch: TrialWatch) -> None:
        self._model = model
        self._watch = watch
        self.probabilistic = getattr(model, "probabilistic", True)

    def predict(self, features: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        with self._watch.hearing():
            return self._model.predict(features)

    def state(self) -> Mapping[str, NDArray[Any]]:
        return self._model.state()
