"""How a design is executed; none of it may change a result."""

import os
from dataclasses import dataclass

from modelwright.base.setting import Settings, setting

__all__ = ["EXECUTORS", "Launch"]

EXECUTORS = ("local", "ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch(Settings):
    """Settings of the launch, given beside a design: `modelwright run digits executor=ray workers=8`."""

    executor: str = setting("local", doc="Where trials run: here, or a Ray cluster.", choices=EXECUTORS)
    workers: int | None = setting(
        None, doc="Processes at once; null: one a core, or all of Ray's CPUs.", low=1
    )
    threads: int = setting(1, doc="Threads of numerical libraries in each worker.", low=1)
    address: str = setting("auto", doc="The Ray cluster; auto finds a running one, or starts one here.")

    @property
    def local_workers(self) -> int:
        """Number of local worker processes."""
        if self.workers is not None:
            return self.workers
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, usable // self.threads)
