"""Runs a program for a drill: `python -m modelwright.practice.child RECORD STATES GIVEN SCRIPT [WORDS]`.

The script runs as `__main__`, as Python itself would run it. What it did is written to RECORD as JSON, the
weights with which it ended to STATES (`-` for nowhere). GIVEN are weights to run with (`-` for its own).
"""

import json
import os
import runpy
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from modelwright.practice.recorder import Recorder, digest_of, shapes_of

__all__ = ["main"]


def main(words: list[str]) -> None:
    """Run the script of the words; see the module."""
    record, states, given = words[:3]
    script = words[3:]
    process = os.getpid()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    recorder = Recorder()
    text = Path(script[0]).read_text("utf-8", errors="replace")
    listen = {
        "torch": recorder.listen_to_torch,
        "gymnasium": recorder.listen_to_environments,
        "sklearn": recorder.listen_to_estimators,
    }
    for library, begin in listen.items():
        if library in text:  # to import what a program does not use would take seconds
            begin()
    told: dict[str, Any] = {"error": None, "missed": False}
    transplant = None
    if given != "-":
        import torch

        from modelwright.practice.transplant import Transplant

        transplant = Transplant(torch.load(given, weights_only=True))
        transplant.begin()
    sys.argv = script
    sys.path[0] = os.path.dirname(os.path.abspath(script[0]))
    try:
        runpy.run_path(script[0], run_name="__main__")
    except SystemExit as stop:
        if stop.code not in (None, 0):
            told["error"] = {"kind": "SystemExit", "message": str(stop.code), "line": None}
    except BaseException as error:
        told["error"] = _told(error, script[0])
        raise
    finally:
        if os.getpid() == process:
            ended = recorder.networks()
            told |= {"counts": recorder.counts, "shapes": shapes_of(ended), "weights": digest_of(ended)}
            told["missed"] = transplant is not None and transplant.missed
            if states != "-":
                _keep(ended, states)
            Path(record).write_text(json.dumps(told))


def _end_with(parent: int) -> None:
    """End this process when whoever started it is gone, killed perhaps."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _keep(ended: list[Any], states: str) -> None:
    import torch

    plain = [{name: each.detach().clone() for name, each in state.items()} for state in ended]
    torch.save(plain, states)


def _told(error: BaseException, script: str) -> dict[str, Any]:
    if isinstance(error, SyntaxError):
        return {"kind": type(error).__name__, "message": str(error.msg), "line": error.lineno}
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == script]
    return {
        "kind": type(error).__name__,
        "message": str(error)[:300],
        "line": own[-1].lineno if own else None,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
