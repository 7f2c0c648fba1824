"""Runs a script under watch: `python -m modelwright.lab.checkup.child RECORD (SCRIPT | -m MODULE) [WORDS]`.

The script runs as `__main__`, as Python itself would run it. What was found is written to RECORD as JSON,
also where the script raises or exits.
"""

import json
import os
import runpy
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from modelwright.doctor.diagnosis.diagnosis import diagnose
from modelwright.doctor.diagnosis.likelihoods import Likelihoods
from modelwright.doctor.unchecked import unchecked_words
from modelwright.doctor.watch.listening import Listening
from modelwright.doctor.watch.place import is_users
from modelwright.doctor.watch.watch import Watch

__all__ = ["main"]


def main(words: list[str]) -> None:
    """Run the script of the words; see the module."""
    record, script = Path(words[0]), words[1:]
    from modelwright.doctor.sensors.all import make_sensors, watch_words

    watch = Watch(make_sensors)
    listening = Listening(watch)
    began, process = time.perf_counter(), os.getpid()
    ended: dict[str, Any] = {}
    listening.start()
    record.touch()  # from here on, what goes wrong is the script's
    try:
        _run(script)
    except SystemExit as stop:
        ended = {"exit": stop.code if isinstance(stop.code, int | None) else str(stop.code)}
        raise
    except BaseException as error:
        ended = {"error": _told(error)}
        raise
    finally:
        if os.getpid() == process:
            seconds, sensor_seconds = time.perf_counter() - began, watch.seconds
            watch.end()
            diagnosis = diagnose(watch.findings(), Likelihoods.measured())
            listening.stop()
            told = {
                "findings": [finding.record() for finding in diagnosis.findings],
                "likeliest": {name: diagnosis.probabilities[name] for name in diagnosis.likeliest},
                "steps": watch.scene.steps,
                "checked": list(watch_words(watch.scene)),
                "unchecked": list(unchecked_words(watch.scene)),
                "seconds": seconds,
                "sensor_seconds": sensor_seconds,
                "ended": ended,
            }
            record.write_text(json.dumps(told))


def _run(script: list[str]) -> None:
    if script[0] == "-m":
        sys.argv = script[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(script[1], run_name="__main__", alter_sys=True)
        return
    sys.argv = script
    sys.path[0] = os.path.dirname(os.path.abspath(script[0]))
    runpy.run_path(script[0], run_name="__main__")


def _told(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if is_users(frame.filename)]
    last = own[-1] if own else frames[-1]
    return {"kind": type(error).__name__, "message": str(error), "file": last.filename, "line": last.lineno}


if __name__ == "__main__":
    main(sys.argv[1:])
