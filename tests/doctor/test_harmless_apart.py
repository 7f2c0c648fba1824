"""Programs in processes of their own keep their numbers under watch: large, compiled, side by side, broken.

What they cost is measured by `benchmarks/harmless.py`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "frameworks"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
DOCTOR = ("-m", "modelwright", "doctor")


def run(*words: str) -> tuple[str, str]:
    """Run Python in a process of its own and return what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env=environment, timeout=900
    )
    return done.stdout, done.stderr


def result_in(*texts: str) -> str:
    """Return the line in which a script tells its numbers."""
    (line,) = {line for text in texts for line in text.splitlines() if line.startswith("RESULT")}
    return line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ("large", []),
        ("compiled inductor", []),
        ("compiled aot_eager", []),
        ("compiled eager", []),
        ("scaled", []),
        ("odd empty_batches", []),
        ("distributed 2", []),
        ("broken_numbers", ["loss-not-finite"]),
        ("broken_numbers 0", ["loss-not-finite"]),
    ],
)
def test_a_watched_program_prints_the_numbers_of_an_unwatched_one(script: str, kinds: list[str]) -> None:
    name, *rest = script.split()
    if rest == ["inductor"] and shutil.which("g++") is None:
        pytest.skip("inductor compiles with g++, which is not here")
    words = (str(FOLDER / f"{name}.py"), *rest)
    told, printed = run(*DOCTOR, "--json", *words)
    found = json.loads(told)["findings"]
    assert [each["evidence"] for each in found if each["kind"] == "sensor-failed"] == []
    assert [each["kind"] for each in found if each["severity"] == "severe"] == kinds
    assert bool(kinds) or not [each["title"] for each in found if each["severity"] != "info"]
    assert result_in(told, printed) == result_in(*run(*words))


@pytest.mark.slow
def test_every_process_of_a_data_parallel_program_is_watched_by_a_doctor_of_its_own() -> None:
    words = (str(FOLDER / "distributed.py"), "2")
    told, printed = run(*TORCHRUN, *DOCTOR, *words)
    assert told.count("Nothing wrong was found.") == 2
    assert told.count("(56 steps") == 2
    assert result_in(told, printed) == result_in(*run(*TORCHRUN, *words))


@pytest.mark.slow
def test_a_fault_is_named_in_every_process(tmp_path: Path) -> None:
    text = (FOLDER / "distributed.py").read_text()
    planted = tmp_path / "distributed.py"
    planted.write_text(text.replace("            optimizer.zero_grad()\n", ""))
    told = " ".join(run(*TORCHRUN, *DOCTOR, str(planted), "2")[0].split())
    assert told.count("gradients of earlier steps added in") == 2
