"""What crosses between the process that launches and the workers that train."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.base.seed import Seed
from modelwright.experiment.question import Question
from modelwright.lab.ground.ground import Ground, Part
from modelwright.lab.lineage.environment import EnvironmentRecord
from modelwright.lab.lineage.hardware import HardwareRecord
from modelwright.lab.lineage.usage import Usage

__all__ = [
    "Executor",
    "Failed",
    "Finished",
    "Job",
    "Lost",
    "Message",
    "Progress",
    "Started",
    "Watched",
    "Workload",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What all jobs of a launch share; sent to each worker once.

    Attributes:
        root: The project's folder, where learners' files are.
        question: Names the metric.
        ground: All rows, or the environment.
        threads: Threads of numerical libraries in a worker.
    """

    root: Path
    question: Question
    ground: Ground
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Trials of one variant that train together.

    Attributes:
        identity: Unique within a launch.
        variant: Name of the variant.
        config: The variant's complete configuration.
        indices: Seed numbers of the design.
        seeds: Their seeds, in the same order.
        parts: Their splits or episodes, in the same order.
        code: Identity of the learner's source as registered; None where any will do.
        watched: Whether the doctor watches.
    """

    identity: str
    variant: str
    config: Mapping[str, Any]
    indices: tuple[int, ...]
    seeds: tuple[Seed, ...]
    parts: tuple[Part, ...]
    code: str | None = None
    watched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A worker took a job; what may follow from an earlier attempt is void."""

    job: str
    environment: EnvironmentRecord
    hardware: HardwareRecord
    pinned: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Some steps: (update, name -> (seed,)) in the order of the stream."""

    job: str
    steps: Sequence[tuple[int, Mapping[str, NDArray[np.float64]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the doctor has found so far, as something new was found, and once as the learner ended.

    Attributes:
        job: Its identity.
        seeds: Numbers of the seeds that it hears.
        ended: Whether the learner ended; what comes later replaces what came before.
        findings: All that hold, the likeliest root first.
        checked: What was looked at, in words, once it ended.
        unchecked: What could not be, and why.
        steps: Steps of optimizers that were heard.
        seconds: What listening took.
    """

    job: str
    seeds: tuple[int, ...]
    ended: bool
    findings: tuple[Finding, ...]
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A job is done.

    Attributes:
        job: Its identity.
        scores: (seed,) the design's metric at the last step; NaN where a seed diverged.
        states: One NumPy archive (`.npz`) of the learnt numbers per seed; empty where there is no model and
            no policy.
        usage: What the whole job took.
    """

    job: str
    scores: NDArray[np.float64]
    states: tuple[bytes, ...]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The learner raised.

    Attributes:
        job: Its identity.
        error: The error's class and message, or the record of one of Modelwright's own.
        trace: The traceback as text.
        misuse: Whether the request was wrong rather than the code.
    """

    job: str
    error: Mapping[str, Any]
    trace: str
    misuse: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The worker of a job went away; the executor starts the job again."""

    job: str
    why: str


Message = Started | Progress | Watched | Finished | Failed | Lost


class Executor(Protocol):
    """Where jobs run."""

    @property
    def slots(self) -> int:
        """How many jobs can be at work at once, at least 1; trials are parted into so many jobs."""
        ...

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Generator[Message]:
        """Run the jobs and yield what their workers say, until every job is finished or failed.

        Messages of one job come in order: Started, Progress and Watched ..., then Finished, Failed or Lost;
        after Lost the job starts again. Messages of several jobs are mixed. Closing the generator stops the
        jobs.

        Raises:
            WorkerLost: where a job lost its worker too often.
        """
        ...

    def close(self) -> None:
        """Stop all workers; a second time does nothing."""
        ...
