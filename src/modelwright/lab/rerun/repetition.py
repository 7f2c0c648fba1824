"""One repetition: its processes, and what they gave."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelwright.base import errors
from modelwright.base.errors import Misuse, ModelwrightError, StoreFailed, UnknownName, WorkerLost
from modelwright.base.fingerprint import canonical_json
from modelwright.lab.lineage.threads import pinned_environment

__all__ = ["Repetition", "run_repetition"]

# The import path is set before anything of Modelwright is imported, so that its recorded source is the one.
_START = """
import json, pathlib, sys
sys.path[:] = json.loads((pathlib.Path(sys.argv[2]) / "request.json").read_text())["path"]
sys.dont_write_bytecode = True
from modelwright.lab.rerun.repeat import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """What a repetition gave.

    Attributes:
        answer: The records of both processes: data, rows, config, package, environment, hardware, executed,
            score; those of them that it came to.
        columns: Columns update, metric, value.
        state: The archive of learnt numbers; None where there is no model.
        error: What ended it; None where it came to its end.
    """

    answer: Mapping[str, Any]
    columns: Mapping[str, Any]
    state: bytes | None
    error: ModelwrightError | None


def run_repetition(request: Mapping[str, Any], frames: Mapping[str, Any], place: Path) -> Repetition:
    """Load the data and train, each in a process of its own.

    Whatever ends this call ends those processes and what they started.

    Args:
        request: See `modelwright.lab.rerun.repeat`; `path` is the import path and `root` the working folder.
        frames: Tables from Python, by name.
        place: An empty folder for what goes in and out.

    Raises:
        WorkerLost: where a process ends without an answer.
        StoreFailed: where a process cannot be started.
    """
    (place / "request.json").write_text(canonical_json(request))
    (place / "frames.pickle").write_bytes(pickle.dumps(dict(frames), protocol=pickle.HIGHEST_PROTOCOL))
    answer: dict[str, Any] = {}
    for part in ("load", "train"):
        found = _run(part, request, place)
        answer |= {key: value for key, value in found.items() if key != "executed"}
        answer["executed"] = [*answer.get("executed", []), found["executed"]]
        answer["strays"] = sorted({*answer.get("strays", []), *found.get("strays", [])})
        if "failed" in found:
            return Repetition(answer=answer, columns={}, state=None, error=_rebuilt(found["failed"]))
    with np.load(place / "metrics.npz") as archive:
        columns = {name: archive[name] for name in ("update", "metric", "value")}
    state = place / "state.npz"
    return Repetition(
        answer=answer,
        columns={**columns, "metric": columns["metric"].tolist()},
        state=state.read_bytes() if state.exists() else None,
        error=None,
    )


def _run(part: str, request: Mapping[str, Any], place: Path) -> dict[str, Any]:
    words = place / f"{part}.txt"
    variables = {**os.environ, **pinned_environment(request["threads"]), "PYTHONHASHSEED": "0"}
    with words.open("wb") as output:
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", _START, part, str(place)],
                env=variables,
                cwd=request["root"],
                stdin=subprocess.PIPE,  # closes when we are gone, and so ends the process
                stdout=output,
                stderr=output,
                process_group=0,  # so that what the learner starts can be ended with it
            )
        except OSError as error:
            raise StoreFailed("A process must start to repeat a run", got=str(error)) from error
        with process:
            try:
                code = process.wait()
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
    answer = place / f"{part}.json"
    if answer.exists():
        return json.loads(answer.read_text())
    said = (words.read_bytes()[-2000:].decode(errors="replace").strip().splitlines() or ["no word"])[-1]
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    raise WorkerLost("The repetition runs to its end", got=f"{how}: {said}")


def _rebuilt(parts: Mapping[str, Any]) -> ModelwrightError:
    """Return the error that ended a process, of the kind that it was."""
    kind = getattr(errors, parts["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, ModelwrightError)):
        return WorkerLost("The learner trains without an error", got=f"{parts['error']}: {parts['rule']}")
    if kind is UnknownName:
        kind = Misuse  # its message is made already
    return kind(parts["rule"], got=parts["got"], nearest=parts["nearest"], next_step=parts["next_step"])
