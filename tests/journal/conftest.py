import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import modelwright.journal
from modelwright.journal.journal import Journal

DESIGN = "d" * 64


class HandClock:
    """A clock that a test moves by hand, backwards too."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)
        self.seconds = 0.0

    def move(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)

    def now(self) -> datetime:
        self.instant += timedelta(microseconds=1)
        return self.instant

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(folder: Path, clock: HandClock) -> Iterator[Journal]:
    with Journal.open(folder, clock=clock) as opened:
        yield opened


@pytest.fixture
def start() -> Callable[..., None]:
    """Start runs of one design."""

    def start_runs(journal: Journal, *runs: str, experiment: str = "digits", variant: str = "net") -> None:
        for index, run in enumerate(runs):
            journal.start_run(
                run,
                trial=f"trial-{run}",
                design=DESIGN,
                experiment=experiment,
                variant=variant,
                seed_index=index,
                body={"note": run},
            )

    return start_runs


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start other Python processes; those that still run at the end are killed."""
    started: list[subprocess.Popen[str]] = []
    source = str(Path(modelwright.journal.__file__).parents[2])

    def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        return process

    yield run_python
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
