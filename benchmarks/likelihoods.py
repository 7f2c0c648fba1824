"""The table that the doctor orders causes by: outcomes of sensors counted by fault, on half of the bank.

Reads detection results, one run a line:

    {"program": "digits_mlp", "mutant": "zero-grad-missing", "faults": ["zero-grad-missing"], "seed": 0,
     "findings": [{"kind": ..., "severity": ..., "causes": [{"name": ...}, ...], ...}, ...]}

`faults` is empty for a base or a variant, and begins with the name that the bank gives the fault. `findings`
are those of `modelwright doctor --json`. Only runs of the programs in `TUNING` are counted, so that figures
for the other half are figures for programs and faults that the table never saw.

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
from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.diagnosis.diagnosis import diagnose
from modelwright.doctor.diagnosis.likelihoods import HEALTHY, Likelihoods, outcomes_of

TUNING = (
    "a2c_cartpole",
    "cancer_binary",
    "char_transformer",
    "clinic_pipeline",
    "demand_forecast",
    "diabetes_regression",
    "digits_mlp",
    "dqn_cartpole",
    "per_dqn",
    "ppo_cartpole",
    "reinforce_cartpole",
    "sac_drone",
    "transfer_digits",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One line of results."""

    program: str
    faults: tuple[str, ...]
    findings: tuple[Finding, ...]


def read(files: Iterable[Path]) -> list[Run]:
    """Return the runs of the tuning half."""
    runs: list[Run] = []
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            told: dict[str, Any] = json.loads(line) if line.strip() else {}
            if told.get("program") in TUNING:
                findings = tuple(_finding(each) for each in told["findings"])
                runs.append(Run(told["program"], tuple(told["faults"]), findings))
    return runs


def _finding(told: dict[str, Any]) -> Finding:
    names = [each.get("name") or "" for each in told.get("causes", ())]
    return Finding(
        kind=told["kind"],
        severity=Severity(told["severity"]),
        title=told.get("title", ""),
        causes=tuple(Cause(what=name, name=name) for name in names),
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
