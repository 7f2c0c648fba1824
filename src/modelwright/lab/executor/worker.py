"""A local worker: `python -m modelwright.lab.executor.worker FD`. Speaks through one end of a socket pair.

It is a fresh interpreter rather than a fork or a spawned copy of the caller, so it works from scripts without
a main guard, from notebooks, and after torch has started threads.
"""

import contextlib
import os
import pickle
import select
import signal
import sys
import threading
from multiprocessing.connection import Connection

from modelwright.lab.training import train_job

__all__ = ["serve"]


def serve(connection: Connection) -> None:
    """Take the launcher's import path and a workload, then jobs, until the other end closes."""
    # Ctrl-C goes to the whole foreground group; the launcher decides what happens to its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a learner starts must not hold our end open: the launcher would wait for it after our death.
    os.set_inheritable(connection.fileno(), False)
    os.register_at_fork(after_in_child=connection.close)
    threading.Thread(target=_end_with_launcher, args=(connection.fileno(),), daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):
        sys.path[:] = pickle.loads(connection.recv_bytes())
        workload = pickle.loads(connection.recv_bytes())
        while True:
            job = pickle.loads(connection.recv_bytes())
            for message in train_job(workload, job):
                connection.send_bytes(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))


def _end_with_launcher(descriptor: int) -> None:
    """End this process, and what its learner started, when the launcher's end of the socket closes."""
    hangup = select.poll()
    hangup.register(descriptor, select.POLLHUP)
    hangup.poll()
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
