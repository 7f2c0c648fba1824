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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from modelwright.doctor.watch.imports import ImportNotice
from modelwright.doctor.watch.place import is_users
from modelwright.doctor.watch.watch import Watch

__all__ = ["main"]


def main(words: list[str]) -> None:
    """Run the script of the words; see the module."""
    record, script = Path(words[0]), words[1:]
    from modelwright.doctor.sensors.all import make_sensors, watch_words

    watch = Watch(make_sensors)
    instruments: list[Any] = []
    listen = {
        "torch": _listen_to_torch,
        "gymnasium": _listen_to_environments,
        "sklearn": _listen_to_estimators,
        "sklearn.metrics": _listen_to_metrics,
        "sklearn.model_selection": _listen_to_splits,
        "pandas": _listen_to_frames,
    }
    notice = ImportNotice(
        {name: partial(_begin, begin, watch, instruments) for name, begin in listen.items()}
    )
    began, process = time.perf_counter(), os.getpid()
    ended: dict[str, Any] = {}
    watch.live = True
    notice.start()
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
            notice.stop()
            seconds = time.perf_counter() - began
            findings = watch.findings()
            for instrument in instruments:
                instrument.stop()
            told = {
                "findings": [finding.record() for finding in findings],
                "steps": watch.scene.steps,
                "checked": list(watch_words(watch.scene)),
                "unchecked": list(_unchecked(watch)),
                "seconds": seconds,
                "sensor_seconds": watch.seconds,
                "ended": ended,
            }
            record.write_text(json.dumps(told))


def _unchecked(watch: Watch) -> Iterator[str]:
    scene = watch.scene
    if "torch" not in sys.modules:
        if not scene.estimations:
            yield "learning: the script uses neither torch nor an estimator of scikit-learn"
    elif not scene.steps:
        yield "learning: no optimizer of torch took a step"
    elif not scene.environments:
        yield "learning by acting: no environment of Gymnasium was stepped"
    if scene.environments and "torch" in sys.modules:
        yield "advantages, and targets over several steps"


def _begin(listen: Callable[[Watch], Any], watch: Watch, instruments: list[Any]) -> None:
    instruments.append(listen(watch))


def _listen_to_torch(watch: Watch) -> Any:
    from modelwright.doctor.watch.torch_watch import TorchWatch

    instrument = TorchWatch(watch)
    instrument.start()
    return instrument


def _listen_to_environments(watch: Watch) -> Any:
    from modelwright.doctor.watch.gym_watch import GymWatch

    instrument = GymWatch(watch)
    instrument.start()
    return instrument


def _listen_to_estimators(watch: Watch) -> Any:
    from modelwright.doctor.watch.sklearn_watch import SklearnWatch

    instrument = SklearnWatch(watch)
    instrument.start()
    return instrument


def _listen_to_metrics(watch: Watch) -> Any:
    from modelwright.doctor.watch.sklearn_watch import SklearnWatch

    instrument = SklearnWatch(watch)
    instrument.start_metrics(sys.modules["sklearn.metrics"])
    return instrument


def _listen_to_splits(watch: Watch) -> Any:
    from modelwright.doctor.watch.sklearn_watch import SklearnWatch

    instrument = SklearnWatch(watch)
    instrument.start_selection(sys.modules["sklearn.model_selection"])
    return instrument


def _listen_to_frames(watch: Watch) -> Any:
    from modelwright.doctor.watch.pandas_watch import PandasWatch

    instrument = PandasWatch(watch)
    instrument.start(sys.modules["pandas"])
    return instrument


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
