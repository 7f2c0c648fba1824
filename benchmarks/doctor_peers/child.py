"""Runs a script with peers that listen: `python child.py RECORD PEER[,PEER...] SCRIPT [WORDS]`.

The script runs as `__main__`. Alarms are written to RECORD as JSON, also where the script raises.
"""

import json
import os
import runpy
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from doctor_peers.peer import Peer  # noqa: E402
from modelwright.doctor.watch.imports import ImportNotice  # noqa: E402
from modelwright.doctor.watch.sensor import Scene  # noqa: E402
from modelwright.doctor.watch.watch import Watch  # noqa: E402


def made(names: list[str], peers: dict[str, Peer], scene: Scene) -> list[Peer]:
    """Make the peers; they are not imported before torch is, which a script may not use."""
    from doctor_peers.deep_checker import DeepChecker
    from doctor_peers.loss_curve import LossCurve
    from doctor_peers.rl_debugger import RLDebugger

    kinds = {"loss-curve": LossCurve, "deep-checker": DeepChecker, "rl-debugger": RLDebugger}
    peers.update({name: kinds[name](scene) for name in names})
    return list(peers.values())


def listen_to_torch(watch: Watch) -> None:
    """Begin with torch."""
    from modelwright.doctor.watch.torch_watch import TorchWatch

    TorchWatch(watch).start()


def listen_to_environments(watch: Watch) -> None:
    """Begin with environments."""
    from modelwright.doctor.watch.gym_watch import GymWatch

    GymWatch(watch).start()


def main() -> None:
    """Run the script."""
    record, names, script = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:]
    peers: dict[str, Peer] = {}
    watch = Watch(partial(made, names, peers))
    listen: dict[str, Any] = {"torch": listen_to_torch, "gymnasium": listen_to_environments}
    ImportNotice({name: partial(begin, watch) for name, begin in listen.items()}).start()
    watch.live = True
    began, process = time.perf_counter(), os.getpid()
    raised = ""
    sys.argv = script
    sys.path[0] = os.path.dirname(os.path.abspath(script[0]))
    try:
        runpy.run_path(script[0], run_name="__main__")
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"[:200]
        raise
    finally:
        if os.getpid() == process:
            with watch.quiet():
                for peer in peers.values():
                    peer.end()
            # A peer that raised was dropped by the watch, which keeps a finding about it.
            failed = [finding.evidence for finding in watch.findings()]
            told = {
                "peers": {name: peer.record() for name, peer in peers.items()},
                "failed": failed,
                "raised": raised,
                "seconds": time.perf_counter() - began,
                "peer_seconds": watch.seconds,
            }
            record.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
