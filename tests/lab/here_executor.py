"""An executor of the same process."""

from collections.abc import Generator, Sequence

from modelwright.lab.executor.job import Job, Message, Workload
from modelwright.lab.training import train_job


class HereExecutor:
    """Trains in this process: the same training without the seconds that a worker takes to start."""

    slots = 2

    def run(self, workload: Workload, jobs: Sequence[Job]) -> Generator[Message]:
        for job in jobs:
            yield from train_job(workload, job)

    def close(self) -> None:
        pass
