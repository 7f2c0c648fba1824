"""The table that the doctor orders causes by: outcomes of sensors counted by fault, on half of the bank.

Reads runs of the doctor as `benchmarks/doctor.py` keeps them in `benchmarks/results/`, in
`doctor_detection.jsonl` and `doctor_healthy.jsonl`. Only runs of the programs in `TUNING` are counted, so
that figures for the other half are figures for programs and faults that the table never saw.

    python benchmarks/likelihoods.py RESULTS.jsonl ...
        writes src/modelwright/doctor/diagnosis/likelihoods.json
    python benchmarks/likelihoods.py --check RESULTS.jsonl ...
        prints how often the first cause is right, with no table and with one of the other programs
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import modelwright.doctor.diagnosis.likelihoods as kept
from doctor_bank.mutant import TUNING
from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.diagnosis.diagnosis import diagnose
from modelwright.doctor.diagnosis.likelihoods import HEALTHY, Likelihoods, outcomes_of
from modelwright.faults.plant import programs


@dataclass(frozen=True, slots=True)
class Run:
    """One line of results."""

    program: str
    faults: tuple[str, ...]
    findings: tuple[Finding, ...]


def read(files: Iterable[Path]) -> list[Run]:
    """Return the runs of the tuning half."""
    names = {
        (program.name, fault.name): (fault.name, *fault.also)
        for program in programs()
        for fault in program.faults
    }
    runs: list[Run] = []
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            told: dict[str, Any] = json.loads(line) if line.strip() else {}
            if told.get("program") in TUNING:
                faults = names[told["program"], told["name"]] if told["kind"] == "fault" else ()
                runs.append(Run(told["program"], faults, tuple(_finding(*each) for each in told["findings"])))
    return runs


def _finding(kind: str, severity: str, causes: Sequence[tuple[str, int | None]], *_: object) -> Finding:
    return Finding(
        kind=kind,
        severity=Severity(severity),
        title="",
        causes=tuple(Cause(what=name, name=name) for name, _ in causes),
    )


def counted(runs: Iterable[Run]) -> Likelihoods:
    """Return how often each outcome was seen, by the first name of the fault."""
    made: Counter[str] = Counter()
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        row = run.faults[0] if run.faults else HEALTHY
        made[row] += 1
        seen[row].update(outcomes_of(run.findings))
    return Likelihoods(runs=dict(made), seen={row: dict(seen[row]) for row in made})


def check(runs: Sequence[Run]) -> None:
    """Print how often the first cause named is right, with no table and with one of the other programs."""
    empty, right, plain, faulty = Likelihoods(runs={}, seen={}), 0, 0, 0
    for program in sorted({run.program for run in runs}):
        table = counted(run for run in runs if run.program != program)
        mine = [run for run in runs if run.program == program and run.faults]
        hits = [sum(_is_right(run, each) for run in mine) for each in (empty, table)]
        print(f"{program:24}{hits[0]:4} of {len(mine)} without, {hits[1]:4} with")
        plain, right, faulty = plain + hits[0], right + hits[1], faulty + len(mine)
    print(f"{'all':24}{plain:4} of {faulty} without, {right:4} with")


def _is_right(run: Run, table: Likelihoods) -> bool:
    findings = [each for each in diagnose(run.findings, table).findings if each.severity is not Severity.INFO]
    return bool(findings and findings[0].causes and findings[0].causes[0].name in run.faults)


def main() -> None:
    """Count, and write or check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true")
    words = parser.parse_args()
    runs = read(words.results)
    if words.check:
        check(runs)
        return
    file = Path(kept.__file__).with_suffix(".json")
    file.write_text(json.dumps(counted(runs).record(), indent=1) + "\n", "utf-8")
    print(f"{len(runs)} runs of {len({run.program for run in runs})} programs -> {file}")


if __name__ == "__main__":
    main()
