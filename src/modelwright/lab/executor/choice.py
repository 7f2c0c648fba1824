"""The executor that a launch asks for."""

from modelwright.lab.executor.job import Executor
from modelwright.lab.launch import Launch

__all__ = ["open_executor"]


def open_executor(launch: Launch) -> Executor:
    """Return the executor that a launch asks for; the caller closes it."""
    if launch.executor == "ray":
        from modelwright.lab.executor.ray_cluster import RayExecutor

        return RayExecutor(workers=launch.workers, threads=launch.threads, address=launch.address)
    from modelwright.lab.executor.local import LocalExecutor

    return LocalExecutor(launch.local_workers, launch.threads)
