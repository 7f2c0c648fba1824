"""Runs one text of a program in a process of its own, plain or under somebody's watch."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .mutant import Mutant

__all__ = ["Done", "execute", "score_in"]

_CHILD = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a process.

    Attributes:
        out: Its standard output.
        err: Its standard error.
        status: Its exit status; 124 where it took too long.
        seconds: Wall time of the whole process.
    """

    out: str
    err: str
    status: int
    seconds: float


def execute(
    mutant: Mutant,
    seed: int,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    *,
    python: str = sys.executable,
    limit: float = 900.0,
) -> Done:
    """Run a text with a seed.

    Args:
        mutant: The text.
        seed: Its `--seed`.
        before: Words of Python's command line that stand before the script's path, e.g. `-m` and a module.
        after: The script's own words, beside its seed.
        python: The interpreter.
        limit: Seconds after which it is stopped.
    """
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder:
        script = Path(folder) / f"{mutant.program.name}.py"
        script.write_text(mutant.source, "utf-8")
        words = [python, *before, str(script), "--seed", str(seed), *after]
        began = time.perf_counter()
        try:
            ended = subprocess.run(
                words, capture_output=True, text=True, env=_CHILD, cwd=folder, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            return Done(out="", err="", status=124, seconds=time.perf_counter() - began)
        seconds = time.perf_counter() - began
    return Done(out=ended.stdout, err=ended.stderr, status=ended.returncode, seconds=seconds)


def score_in(text: str) -> float | None:
    """Return the score of the last line that has one; None where there is none, or it is no number."""
    for line in reversed(text.splitlines()):
        if line.startswith("{") and '"score"' in line:
            score = json.loads(line)["score"]
            return float(score) if score is not None and math.isfinite(score) else None
    return None
