"""What the doctor costs where it could do harm: large and compiled models, two processes, NaN.

Run as `python benchmarks/harmless.py`; it writes `benchmarks/results/harmless.md`. Each script of
`tests/doctor/frameworks` runs alone and under watch, in processes of their own; both must print the same
numbers.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "tests" / "doctor" / "frameworks"
RESULT = ROOT / "benchmarks" / "results" / "harmless.md"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
PROGRAMS = {
    "a hundred million parameters, 40 steps": ("large",),
    "torch.compile, inductor": ("compiled", "inductor"),
    "torch.compile, aot_eager": ("compiled", "aot_eager"),
    "DistributedDataParallel, 2 processes of torchrun": ("distributed", "2"),
    "autocast to bfloat16 and a gradient scaler": ("scaled",),
    "weights that become NaN": ("broken_numbers",),
    "batches of no rows": ("odd", "empty_batches"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run.

    Attributes:
        result: The line of numbers that the script printed.
        seconds: On the clock.
        processor: Seconds of processors, of all its processes.
        memory: Most that one of its processes held, in MiB.
        findings: Kinds that were found.
    """

    result: str
    seconds: float
    processor: float
    memory: int
    findings: tuple[str, ...]


def run(words: tuple[str, ...], *, watched: bool) -> Ran:
    """Run a script, alone or under watch."""
    name, *rest = words
    apart = TORCHRUN if name == "distributed" else ()
    script = (str(SCRIPTS / f"{name}.py"), *rest)
    doctor = ("-m", "modelwright", "doctor", *(() if apart else ("--json",))) if watched else ()
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(
            [sys.executable, *apart, *doctor, *script],
            stdout=out,
            stderr=err,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        )
        _, _, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        told, printed = out.read(), err.read()
    lines = [line for line in (told + printed).splitlines() if line.startswith("RESULT")]
    found = json.loads(told)["findings"] if watched and not apart else ()
    return Ran(
        result=lines[0] if lines else f"nothing: {printed[-300:]}",
        seconds=seconds,
        processor=used.ru_utime + used.ru_stime,
        memory=used.ru_maxrss // 1024,
        findings=tuple(f"`{each['kind']}`" for each in found),
    )


def main() -> int:
    """Run all and write the page; return 1 where numbers differ."""
    rows: list[str] = []
    same = True
    for words_of, words in PROGRAMS.items():
        if "inductor" in words and shutil.which("g++") is None:
            rows.append(f"| {words_of} | left out: no g++ | | | | |")
            continue
        alone, watched = run(words, watched=False), run(words, watched=True)
        equal = alone.result == watched.result and alone.result.startswith("RESULT")
        same &= equal
        rows.append(
            f"| {words_of} | {'the same' if equal else '**different**'} | {alone.processor:.1f} | "
            f"{watched.processor:.1f} | {alone.memory:,} | {watched.memory:,} | "
            f"{', '.join(watched.findings) or 'none'} |"
        )
        print(rows[-1], flush=True)
    page = f"""# What the doctor leaves as it is, and what it costs there

Made by `python benchmarks/harmless.py`: scripts of `tests/doctor/frameworks`, alone and under `modelwright
doctor`, one thread each. Memory is the most that one process held, its libraries included; seconds are
those of processors, with what is tried on copies once the script has ended.

Machine: {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}.

| script | printed numbers | s alone | s watched | MiB alone | MiB watched | found |
|---|---|--:|--:|--:|--:|---|
{chr(10).join(rows)}
"""
    RESULT.write_text(page)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
