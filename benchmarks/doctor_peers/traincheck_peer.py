"""TrainCheck 0.2.0 (Jiang and others, OSDI 2025) as it is installed, on the programs of the bank.

    python -m venv build/peers/traincheck
    build/peers/traincheck/bin/pip install torch==2.13.0 traincheck==0.2.0 gymnasium scikit-learn pandas
    python benchmarks/doctor_peers/traincheck_peer.py --folder build/peers/traincheck --minutes 60

TrainCheck learns from good runs and holds others to them. Of each program it gets what it is best with:
two runs of the very program, at seeds 11 and 12, are traced, with its models named where they are plain
variables; invariants are inferred from them; those that a third good run, at seed 13, breaks are dropped.
Then the program itself, its variants and its faults are traced at seed 1, and an alarm is any invariant
that is broken. Where a stage fails or outlasts its limit, the row says at which, and the text counts as one
without an alarm. Traces are large, so every run ends after its first dozen optimizer steps: what shows only
later cannot be seen.
"""

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from doctor_bank.mutant import Mutant, mutants  # noqa: E402
from doctor_bank.rows import Row, Rows  # noqa: E402

RESULTS = Path(__file__).resolve().parents[1] / "results"
_STEPS = 12
"""Optimizer steps after which a traced run ends."""

_END_EARLY = """
import torch.optim.optimizer as _optimizer

_left = [{steps}]


def _count_step(*_: object) -> None:
    _left[0] -= 1
    if _left[0] <= 0:
        raise SystemExit


_optimizer.register_optimizer_step_post_hook(_count_step)
"""

_GOOD = (11, 12)
_HELD = 13
_SEED = 1


class Failed(Exception):
    """A stage that did not come to its end."""


class TrainCheck:
    """The three commands, in one folder of work.

    Args:
        commands: Folder of the environment that TrainCheck is installed in.
        work: Folder for traces, of one program.
        limit: Seconds that a command may take.
    """

    def __init__(self, commands: Path, work: Path, limit: float) -> None:
        self._bin, self._work, self._limit = commands.resolve() / "bin", work, limit
        self.invariants: Path | None = None

    def collect(self, mutant: Mutant, seed: int) -> Path:
        """Trace a run; return the folder of the trace."""
        name = f"{mutant.kind}-{mutant.name}-{seed}"
        place, trace = self._work / name, self._work / f"{name}-trace"
        place.mkdir()
        script = place / f"{mutant.program.name}.py"
        script.write_text(_shortened(mutant.source), "utf-8")
        launch = place / "launch.sh"
        launch.write_text(f"python {script.name} --seed {seed}\n", "utf-8")
        words = ["traincheck-collect", "--pyscript", str(script), "--shscript", str(launch)]
        words += ["--output-dir", str(trace)]
        models = list(_models(mutant.source))
        if models:
            words += ["--models-to-track", *models]
        self._run("collect", words, place)
        if not any(trace.glob("*")):
            raise Failed("collect: no trace")
        return trace

    def infer(self, traces: list[Path]) -> int:
        """Infer invariants from good traces; return how many."""
        found = self._work / "invariants.json"
        self._run("infer", ["traincheck-infer", "-f", *map(str, traces), "-o", str(found)], self._work)
        if not found.exists():
            raise Failed("infer: no invariants")
        self.invariants = found
        return len(found.read_text("utf-8").splitlines())

    def broken(self, trace: Path) -> list[str]:
        """Return the invariants that a trace breaks, as text."""
        place = Path(tempfile.mkdtemp(dir=self._work))
        words = ["traincheck-check", "-f", str(trace), "-i", str(self.invariants)]
        self._run("check", words, place)
        return [
            json.dumps(told["invariant"], sort_keys=True)
            for file in sorted(place.rglob("failed*.log"))
            for told in _objects(file.read_text("utf-8"))
        ]

    def _run(self, stage: str, words: list[str], place: Path) -> None:
        environment = {"PATH": f"{self._bin}:/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(self._work)}
        try:
            done = subprocess.run(
                [str(self._bin / words[0]), *words[1:]],
                cwd=place,
                env=environment,
                capture_output=True,
                text=True,
                timeout=self._limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{stage}: longer than {self._limit:.0f} s") from None
        if done.returncode:
            told = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise Failed(f"{stage}: {told[-1][:150] if told else done.returncode}")


def _objects(text: str) -> Iterator[Any]:
    """Yield the JSON objects of a text, one after the other; numbers that are none are allowed."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at] != "{":
            at += 1
            continue
        found, at = decoder.raw_decode(text, at)
        yield found


def _shortened(source: str) -> str:
    """Return the program that ends after a few optimizer steps; what ends it stands below its docstring."""
    first = ast.parse(source).body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    lines = source.splitlines(keepends=True)
    at = (first.end_lineno or 0) if is_docstring else 0
    return "".join([*lines[:at], _END_EARLY.format(steps=_STEPS), *lines[at:]])


def _models(source: str) -> Iterator[str]:
    """Yield names of variables that are given a module which the file defines, or a Sequential."""
    tree = ast.parse(source)
    classes = {each.name for each in ast.walk(tree) if isinstance(each, ast.ClassDef)}
    made = classes | {"Sequential"}
    seen: set[str] = set()
    for each in ast.walk(tree):
        if not (isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)):
            continue
        call: Any = each.value
        while isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "to":
            call = call.func.value
        name = call.func if isinstance(call, ast.Call) else None
        called = (
            name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
        )
        if called in made and _is_module(tree, called) and each.targets[0].id not in seen:
            seen.add(each.targets[0].id)
            yield each.targets[0].id


def _is_module(tree: ast.Module, name: str) -> bool:
    if name == "Sequential":
        return True
    return any(
        isinstance(each, ast.ClassDef)
        and each.name == name
        and "Module" in ast.unparse(ast.Tuple(each.bases))
        for each in ast.walk(tree)
    )


def examine_program(texts: list[Mutant], commands: Path, limit: float, until: float) -> Iterator[Row]:
    """Yield a row of each text of a program; texts begin with the program itself."""
    base = next(each for each in texts if each.kind == "base")
    work = Path(tempfile.mkdtemp(prefix="bench-traincheck-"))
    try:
        check = TrainCheck(commands, work, limit)
        began = time.perf_counter()
        try:
            good = [check.collect(base, seed) for seed in _GOOD]
            count = check.infer(good)
            noise = set(check.broken(check.collect(base, _HELD)))
        except Failed as failure:
            for text in texts:
                yield _row(text, [], time.perf_counter() - began) | {"failed": [str(failure)]}
            return
        for text in texts:
            if time.monotonic() > until:
                return
            began = time.perf_counter()
            try:
                broken = [each for each in check.broken(check.collect(text, _SEED)) if each not in noise]
            except Failed as failure:
                yield _row(text, [], time.perf_counter() - began) | {"failed": [str(failure)]}
                continue
            alarms = sorted({json.loads(each).get("relation", "invariant") for each in broken})
            row = _row(text, alarms, time.perf_counter() - began)
            yield row | {"invariants": count, "noise": len(noise), "broken": len(broken)}
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _row(text: Mutant, alarms: list[str], seconds: float) -> Row:
    head = {"program": text.program.name, "name": text.name, "kind": text.kind, "seed": _SEED}
    told = {"alarms": alarms, "steps": None, "seconds": round(seconds, 2)}
    return head | {"peer": "traincheck", "key": text.key} | told


def main() -> None:
    """Run TrainCheck on programs that use torch and store what it says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="the environment that it is installed in")
    parser.add_argument("--programs", nargs="+", default=[])
    parser.add_argument("--names", nargs="+", default=[], help="these faults and variants only")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds that one command may take")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    rows = Rows(RESULTS / "doctor_peers.jsonl", ("program", "name", "seed", "peer"))
    texts = [each for each in mutants(given.programs) if "import torch" in each.program.source]
    for program in dict.fromkeys(each.program.name for each in texts):
        found = rows.load()
        own = [each for each in texts if each.program.name == program]
        own = [each for each in own if not given.names or each.name in ("base", *given.names)]
        kept = [
            found.get((program, each.name, _SEED, "traincheck"), {}).get("key") == each.key for each in own
        ]
        if all(kept) or time.monotonic() > until:
            continue
        for row in examine_program(own, given.folder, given.limit, until):
            rows.put(row)
            said = row.get("failed", [", ".join(row["alarms"]) or "-"])[0]
            print(f"traincheck {program} {row['name']}: {said} ({row['seconds']:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
