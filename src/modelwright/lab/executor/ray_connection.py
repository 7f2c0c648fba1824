"""A process's connection to a Ray cluster: found, joined, or started here, without a word on our output."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import threading
from collections.abc import Generator, Mapping
from typing import Any

from modelwright.base.errors import BadValue, SourceMissing, WorkerLost

__all__ = ["RayConnection"]

_SMALLEST_STORE = 128 * 2**20
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""No statistics to anybody, and no hiding of devices from tasks that reserve none, nor a warning about it."""
_OURS = (*_QUIET, "RAY_gcs_server_port_wait_time_s")


class RayConnection:
    """Joins a cluster when asked to, and leaves what it did not begin.

    Args:
        address: `HOST:PORT`; `auto` for the cluster that `RAY_ADDRESS` names or `ray start` began on this
            machine, and where there is none for one that is started here; `local` to start one always.
        cpus: Of a cluster that is started here.

    Attributes:
        ray: The package.

    Raises:
        SourceMissing: where Ray is not installed.
        BadValue: for an address through which messages cannot be streamed.
    """

    def __init__(self, address: str, cpus: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise SourceMissing(
                "The executor ray needs the package ray",
                got=str(error),
                next_step="pip install 'modelwright[ray]', or leave out executor=ray",
            ) from error
        if "://" in address or not address.strip():
            raise _not_a_driver(address or "an empty address")
        self.ray: Any = ray
        self._address = address
        self._cpus = cpus
        self._ours = False
        self._folder: str | None = None

    @property
    def open(self) -> bool:
        """Whether this process is connected, by us or by others."""
        return bool(self.ray.is_initialized())

    def join(self, size: int) -> None:
        """Connect, unless this process is connected already.

        Args:
            size: Bytes that the store of a cluster started here must hold with ease.

        Raises:
            WorkerLost: where no cluster answers at the address, or none can be started.
            BadValue: where the process is connected in a way that cannot stream messages.
        """
        if self.open:
            if self.ray.util.client.ray.is_connected():
                raise _not_a_driver("a connection through Ray Client")
            return
        own = {
            "num_cpus": self._cpus,
            "include_dashboard": False,
            "object_store_memory": max(_SMALLEST_STORE, 3 * size),
        }
        with _quietly(self.ray):
            try:
                if self._address == "auto":
                    self._find(own)
                elif self._address == "local":
                    self._begin("local", own)
                else:
                    _knock(self._address)
                    self._begin(self._address, {})
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                self.ray.shutdown()
                raise WorkerLost(
                    "A Ray cluster answers at the address",
                    got=f"{self._address}: {str(error).strip() or type(error).__name__}",
                    next_step="ray start --head on its first machine (ray stop first where one has crashed), "
                    "or address=local to start one here",
                ) from error
        self._ours = True

    def _find(self, own: Mapping[str, Any]) -> None:
        # Not "auto" in Ray's sense: that joins any cluster of the machine, such as one that another launch
        # started for itself and will end. Without an address Ray knows those that are meant to be joined,
        # and says so by refusing the sizes of a new one.
        try:
            self._begin(None, own)
        except ValueError:
            # Ray would try for two minutes to reach one that has crashed and left its address behind.
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "3")
            self._begin(None, {})

    def _begin(self, address: str | None, own: Mapping[str, Any]) -> None:
        context = self.ray.init(address=address, configure_logging=False, log_to_driver=False, **own)
        if own:
            self._folder = context.address_info["session_dir"]

    def leave(self) -> None:
        """Disconnect if we connected, and end the cluster if it was started here, with its files."""
        if self._ours:
            self._ours = False
            with _quietly(self.ray):
                self.ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _not_a_driver(got: str) -> BadValue:
    return BadValue(
        "The launching process joins the Ray cluster as a driver",
        got=got,
        next_step="run on a machine of the cluster, with the HOST:PORT of its head as address, or auto",
    )


def _knock(address: str) -> None:
    """Raise OSError where nobody listens; Ray itself would try for two minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("an address is HOST:PORT")
    socket.create_connection((host, int(port)), timeout=10).close()


@contextlib.contextmanager
def _quietly(ray: Any) -> Generator[None, None, None]:
    """Keep Ray from writing to our output, and from changing signals and variables of this process."""
    logger, worker = logging.getLogger("ray"), ray._private.worker
    level, listen = logger.level, getattr(worker, "listen_error_messages", None)
    before = dict(os.environ)
    handler = signal.getsignal(signal.SIGTERM)
    logger.setLevel(logging.ERROR)
    os.environ.update({name: value for name, value in _QUIET.items() if name not in before})
    if listen is not None:
        # It prints every lost worker to stdout, where a program may be reading; ours are messages.
        worker.listen_error_messages = _hear_nothing
    try:
        yield
    finally:
        if listen is not None:
            worker.listen_error_messages = listen
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        for name in os.environ.keys() - before.keys():
            if name in _OURS or not name.startswith("RAY_"):  # its own are its memory of the connection
                del os.environ[name]
        logger.setLevel(level)


def _hear_nothing(worker: Any, stopped: threading.Event) -> None:
    """Stand in for Ray's printer of error messages."""
