"""Train one job to its end, in whatever process this is."""

import io
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.learner import build_learner, source_identity
from modelwright.base.errors import BadValue, Misuse, ModelwrightError, NotPermitted, UnknownName
from modelwright.base.step import THROUGHPUT, Step
from modelwright.lab.executor.job import Failed, Finished, Job, Message, Progress, Started, Workload
from modelwright.lab.ground.ground import measured_name
from modelwright.lab.lineage.environment import record_environment
from modelwright.lab.lineage.hardware import record_hardware
from modelwright.lab.lineage.threads import pinned_threads
from modelwright.lab.lineage.usage import Meter
from modelwright.lab.trial_watch import TrialWatch

__all__ = ["train_job"]

_BATCH_SECONDS = 0.25

_LARGEST_SCORE = 1e150
"""Beyond it squares overflow and no interval can be computed: such a trial has diverged."""

_OF_AN_UPDATE = ("loss", "grad_norm")
"""Ends of the names of metrics that are infinite where an update could not be computed."""

_OF_ENDED_EPISODES = ("episode_return", "episode_length", "return_100")
"""Metrics that reinforcement learners report as NaN where no episode has ended, which is no divergence."""


def train_job(workload: Workload, job: Job) -> Iterator[Message]:
    """Train a job's trials and yield messages; a learner's error becomes `Failed`, never an exception.

    The learner sees training rows only, or the environment; on held-out rows or in fresh episodes it is
    measured here, at every step that offers a model or a policy.
    """
    watch = TrialWatch(job)
    try:
        # Imported before the hardware is recorded, so that the record names the libraries that compute.
        with watch.hearing():
            learner = build_learner(job.config, root=workload.root)
        _require_code(workload, job)
        with Meter() as meter, pinned_threads(workload.threads) as pinned:
            yield Started(
                job=job.identity,
                environment=record_environment(),
                hardware=record_hardware(),
                pinned=pinned.record(),
            )
            experience = workload.ground.experience(job.parts)
            scorer = _Scorer(workload, job)
            steps: list[tuple[int, Mapping[str, NDArray[np.float64]]]] = []
            pace = _Pace(len(job.seeds))
            sent = begun = time.monotonic()
            for step in watch.train(learner, experience, job.seeds):
                seconds = time.monotonic() - begun
                metrics = scorer.read(step)
                steps.append((step.update, {**metrics, THROUGHPUT: pace.read(step, seconds)}))
                if time.monotonic() - sent > _BATCH_SECONDS:
                    yield Progress(job=job.identity, steps=steps)
                    steps, sent = [], time.monotonic()
                yield from watch.news()
                begun = time.monotonic()
            if steps:
                yield Progress(job=job.identity, steps=steps)
            scores, states = scorer.result()
        yield from watch.end()
        yield Finished(job=job.identity, scores=scores, states=states, usage=meter.usage)
    except GeneratorExit:
        raise
    except ModelwrightError as error:
        yield from watch.end(raised=True)
        yield Failed(
            job=job.identity,
            error=error.record(),
            trace=traceback.format_exc(),
            misuse=isinstance(error, Misuse),
        )
    except (Exception, SystemExit) as error:
        yield from watch.end(raised=True)
        yield Failed(
            job=job.identity,
            error={"error": type(error).__name__, "rule": str(error)},
            trace=traceback.format_exc(),
            misuse=False,
        )
    finally:
        watch.close()


def _require_code(workload: Workload, job: Job) -> None:
    """Refuse code of a learner or an environment that was edited since its trials were prepared."""
    if job.code is None:
        return
    if source_identity(job.config, root=workload.root, more=workload.ground.sources()) != job.code:
        raise NotPermitted(
            f"The source of {job.variant} stays as it is while its trials run",
            got="files that changed since the launch",
            next_step="put them back, or run again with --amend 'reason': finished trials are kept",
        )


class _Pace:
    """How fast a learner goes, counted in environment steps, or in updates where there are none."""

    def __init__(self, seeds: int) -> None:
        self._done: NDArray[np.float64] = np.zeros(seeds)

    def read(self, step: Step, seconds: float) -> NDArray[np.float64]:
        """Return what each seed did in a second, (seed,), given how long the step took."""
        updates = np.full(len(self._done), float(step.update))
        done = step.metrics.get("environment_steps", updates)
        found = (done - self._done) / max(seconds, 1e-9)
        self._done = done
        return found


class _Scorer:
    """Reads the stream of a job: has what is offered measured, and keeps the last result of each seed."""

    def __init__(self, workload: Workload, job: Job) -> None:
        self._question = workload.question
        self._seeds = len(job.seeds)
        self._score = np.full(self._seeds, np.nan)
        self._seen = False
        self._names: set[str] = set()
        self._of_update: dict[str, NDArray[np.float64]] = {}
        self._state: list[dict[str, NDArray[Any]]] = []
        self._update = 0
        self._acts = workload.ground.kind == "environment"
        if not workload.question.reported:
            self._examiner = workload.ground.examiner(workload.question, job.parts, job.seeds)

    def read(self, step: Step) -> Mapping[str, NDArray[np.float64]]:
        """Return the step's metrics with the held-out score, where it can be taken."""
        if step.update <= self._update:
            raise BadValue("Updates grow from step to step", got=f"{step.update} after {self._update}")
        self._update = step.update
        self._names.update(step.metrics)
        self._of_update |= {n: v for n, v in step.metrics.items() if n.endswith(_OF_AN_UPDATE)}
        if THROUGHPUT in step.metrics:
            raise BadValue(
                f"{THROUGHPUT} is measured by the lab, and no learner reports it",
                got="a step with that metric",
                next_step="give the metric another name",
            )
        if any(len(values) != self._seeds for values in step.metrics.values()):
            raise BadValue(
                f"A step of {self._seeds} seeds has {self._seeds} numbers for each metric",
                got={name: len(values) for name, values in step.metrics.items()},
            )
        offered = step.model if step.policy is None else step.policy
        if offered is not None:
            self._state = _split_state(offered.state(), self._seeds)
        if self._question.reported:
            return self._reported(step)
        measured = self._examiner.examine(step)
        if measured:
            self._score = measured[measured_name(self._question)]
            self._seen = True
        return {**step.metrics, **measured}

    def _reported(self, step: Step) -> Mapping[str, NDArray[np.float64]]:
        values = step.metrics.get(self._question.metric)
        if values is not None:
            self._seen = True
            missing = step.absent.get(self._question.metric, np.zeros(self._seeds, dtype=np.bool_))
            if self._acts and self._question.metric in _OF_ENDED_EPISODES:
                missing = missing | np.isnan(values)
            self._score = np.where(missing, self._score, values)
        elif self._update > 1 and not self._seen and (step.model or step.policy) is not None:
            raise self._unreported()
        return step.metrics

    def _unreported(self) -> UnknownName:
        known = ", ".join(sorted(self._names)) or "(none)"
        return UnknownName(
            "metric reported by the learner",
            self._question.metric,
            self._names,
            next_step=f"yield it, or set question.metric to one of {known}",
        )

    def result(self) -> tuple[NDArray[np.float64], tuple[bytes, ...]]:
        """Return scores (seed,), NaN where a seed diverged, and one archive of learnt numbers per seed."""
        if self._update == 0:
            raise BadValue("A learner yields at least one step", got="none")
        if not self._seen:
            if self._question.reported:
                raise self._unreported()
            what = "policy" if self._acts else "model"
            raise BadValue(
                f"{self._question.metric} is computed from a {what}, and the learner offered none",
                got=f"steps without a {what}",
                next_step="let the learner report the metric itself and set question.reported=true",
            )
        scores = np.where(np.abs(self._score) <= _LARGEST_SCORE, self._score, np.nan)
        if self._acts:
            # A policy of parameters that are no numbers still acts, and not always badly.
            for seed, state in enumerate(self._state):
                scores[seed] = scores[seed] if _is_finite(state) else np.nan
            # Parameters stay where they are while an update is not computable: such a seed learns nothing.
            for values in self._of_update.values():
                scores[np.isinf(values)] = np.nan
        return scores, tuple(_archive(state) for state in self._state)


def _split_state(state: Mapping[str, NDArray[Any]], seeds: int) -> list[dict[str, NDArray[Any]]]:
    return [{name: np.array(values[seed]) for name, values in state.items()} for seed in range(seeds)]


def _is_finite(state: Mapping[str, NDArray[Any]]) -> bool:
    return all(np.isfinite(values).all() for values in state.values() if values.dtype.kind == "f")


def _archive(state: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the same bytes for the same numbers; NumPy dates its archives 1980."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: state[name] for name in sorted(state)}
    np.savez(buffer, **arrays)
    return buffer.getvalue()
