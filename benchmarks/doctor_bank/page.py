"""The page of `doctor.py`, made of what it stored."""

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from .compared import peer_lines
from .detection import alarms, judge
from .evidence import Case, Evidence, gather
from .label import LEAST_SEEDS
from .mutant import half_of, mutants
from .rows import Row, Rows
from .statistics import rate_bound

__all__ = ["of_more_time", "write_page"]

HALVES = ("tuning", "held-out")
KINDS = {"supervised and data": ("supervised", "data"), "acting": ("value-based", "policy-gradient")}
FAMILIES = ("data", "supervised", "value-based", "policy-gradient")
AIMS = {
    "supervised and data": "95% found, 75% first, 90% of three",
    "acting": "90% found, 65% first, 85% of three",
}


def write_page(folder: Path, command: str) -> None:
    """Write `doctor.md` into the folder of the results."""
    evidence = gather(folder)
    lines = [
        *_head(evidence, command),
        *_detection(evidence),
        *_first_sight(folder),
        *_healthy(evidence),
        *_labels(evidence),
    ]
    lines += [*peer_lines(evidence), *_overhead(evidence), *_misses(evidence)]
    (folder / "doctor.md").write_text("\n".join(lines) + "\n", "utf-8")
    print(folder / "doctor.md")


def _head(evidence: Evidence, command: str) -> Iterator[str]:
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "gymnasium", "scikit-learn", "numpy")
    )
    yield "# The doctor on the bank of faults"
    yield ""
    yield (
        f"`{command}` made this page, out of `doctor_*.jsonl` beside it; `python benchmarks/doctor.py` runs "
        "all of it, and says what the parts are. Every run is a process of its own, one thread, with the "
        f"seed that is said. Machine: {_processor()}, {os.cpu_count()} cores; Python "
        f"{platform.python_version()}, {versions}."
    )
    yield ""
    yield (
        "The doctor was set on the faults of the *tuning* programs and on no others. Of the *held-out* ones "
        "programs and variants were run while it was made, so that it stays silent on them: its false "
        "alarms are therefore not those of unseen programs. Of their faults only totals were looked at. A "
        "fault is "
        "*detected* where a finding needs action (warning or severe), whatever it says; its cause is "
        "*right* where the first cause of the first finding is the fault's name or one that is as true of "
        "it; the *line* is right where that cause leads to the line that the bank names, and *near it* "
        "where it is at most three lines off."
    )
    if len(evidence.doctors) > 1:
        yield ""
        yield f"**These rows come from {len(evidence.doctors)} states of the doctor's code.**"
    if evidence.stale:
        yield ""
        yield f"{evidence.stale} stored rows speak of texts that have changed since, and are left out."


# ---- detection ----


def _detection(evidence: Evidence) -> Iterator[str]:
    yield ""
    yield "## What it finds"
    yield ""
    missing = sum(each.label is None or not each.label.settled for each in evidence.cases)
    silent = sum(each.row is None for each in evidence.cases)
    if missing or silent:
        yield (
            f"**Not complete**: of {len(evidence.cases)} faults, {missing} are not measured at enough of "
            f"{LEAST_SEEDS} seeds (none of them counts as harmful yet), and on {silent} the doctor has not "
            "been run."
        )
        yield ""
    yield "| half | kind | faults | run | found | right first | in three | line | near it | updates to it |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    measured = {
        "harmful": [each for each in evidence.cases if each.state == "harmful" and not each.is_repeated],
        "all that are planted": [each for each in evidence.cases if each.state != "equivalent"],
    }
    for words, cases in measured.items():
        yield f"| **{words}** | | {len(cases)} | | | | | | | |"
        for half in HALVES:
            for kind, families in KINDS.items():
                chosen = [each for each in cases if each.half == half and each.family in families]
                yield f"| {half} | {kind} | {_figures(chosen)} |"
    for kind, aim in AIMS.items():
        yield ""
        yield f"Aim for harmful faults, {kind}: {aim}."
    yield ""
    yield "By family, all that are planted:"
    yield ""
    yield "| half | family | faults | run | found | right first | in three | line | near it | updates to it |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for half in HALVES:
        for family in FAMILIES:
            chosen = [
                each
                for each in measured["all that are planted"]
                if (each.half, each.family) == (half, family)
            ]
            yield f"| {half} | {family} | {_figures(chosen)} |"


def _figures(cases: Sequence[Case]) -> str:
    asked = [each.judged for each in cases if each.judged is not None]
    counts = [
        sum(each.detected for each in asked),
        sum(each.first for each in asked),
        sum(each.three for each in asked),
        sum(each.line for each in asked),
        sum(each.is_near for each in asked),
    ]
    updates = [each.updates for each in asked if each.updates is not None]
    middle = f"{median(updates):g} (n = {len(updates)})" if updates else "-"
    shares = [f"{count} = {count / len(asked):.0%}" if asked else "-" for count in counts]
    return " | ".join([str(len(cases)), str(len(asked)), *shares, middle])


# ---- healthy runs ----


def _healthy(evidence: Evidence) -> Iterator[str]:
    rows = evidence.healthy
    yield ""
    yield "## False alarms"
    yield ""
    yield (
        "Programs as they are and variants that look odd and are right. A run counts as an alarm where any "
        "finding needs action; a program, where any of its runs does. The bound is the upper end of the "
        "one-sided 95% interval of Clopper and Pearson; with no alarm in n runs it is 1 - 0.05^(1/n)."
    )
    yield ""
    yield "| half | runs | alarms | at most | programs | with alarms | texts (program x variant) |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for half in (*HALVES, "both"):
        chosen = [row for row in rows if half in (half_of(row["program"]), "both")]
        raised = [row for row in chosen if alarms(row)]
        programs = {row["program"] for row in chosen}
        alarming = {row["program"] for row in raised}
        texts = {(row["program"], row["name"]) for row in chosen}
        bound = f"{rate_bound(len(raised), len(chosen)):.1%}" if chosen else "-"
        yield (
            f"| {half} | {len(chosen)} | {len(raised)} | {bound} | {len(programs)} | "
            f"{len(alarming)} | {len(texts)} |"
        )
    wanted = len(mutants(kinds=("base", "variant")))
    yield ""
    yield f"The bank has {wanted} such texts; at three seeds each that is {3 * wanted} runs."
    for row in rows:
        if alarms(row):
            kinds = ", ".join(finding[0] for finding in alarms(row))
            yield f"- alarm: {row['program']} {row['name']} seed {row['seed']}: {kinds}"
    yield from _same_numbers(evidence)


def _same_numbers(evidence: Evidence) -> Iterator[str]:
    """Scores of watched runs beside those of unwatched ones at the same seed: they are to be equal."""
    plain = {
        (row["program"], row["name"], int(seed)): run["score"]
        for row in evidence.labels
        for seed, run in row["runs"].items()
    }
    watched: list[Row] = [each.row for each in evidence.cases if each.row is not None]
    both = [
        (row, plain[row["program"], row["name"], row["seed"]])
        for row in (*watched, *evidence.healthy)
        if (row["program"], row["name"], row["seed"]) in plain and "broken" not in row
    ]
    other = [row for row, score in both if row["score"] != score]
    yield ""
    same = len(both) - len(other)
    yield f"Of {len(both)} watched runs that have an unwatched twin, {same} have its score, bit for bit."
    yield from (f"- not the same: {row['program']} {row['name']} seed {row['seed']}" for row in other)


# ---- labels ----


def _labels(evidence: Evidence) -> Iterator[str]:
    yield ""
    yield "## What the faults do"
    yield ""
    yield (
        "Runs without the doctor, with and without the fault, at the same seeds. *Equivalent*: the program "
        "prints the same. *Harmful*: the exact sign-flip test of the paired scores has p <= 1/32, "
        "one-sided (at five seeds: worse at each); for faults in the measuring itself, which falsify the "
        f"score, p <= 1/16, two-sided (every gap to the same side). With fewer than {LEAST_SEEDS} seeds "
        "nothing is called harmful; *active* is said as soon as five can no more be worse. The whole rule is "
        "in `benchmarks/doctor_bank/label.py`. Faults of a program that print the same are one."
    )
    yield ""
    yield "| family | faults | not measured | too few seeds | equivalent | active | harmful | repeated |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for family in (*FAMILIES, "all"):
        cases = [each for each in evidence.cases if family in (each.family, "all")]
        known = [each for each in cases if each.label is not None]
        fewer = [each for each in known if each.label is not None and not each.label.settled]
        full = [each for each in known if each not in fewer]
        states = [each.state for each in full]
        yield (
            f"| {family} | {len(cases)} | {len(cases) - len(known)} | {len(fewer)} | "
            f"{states.count('equivalent')} | {states.count('active')} | {states.count('harmful')} | "
            f"{sum(each.is_repeated for each in known)} |"
        )
    wrong = [each for each in evidence.cases if _belies(each)]
    yield ""
    if wrong:
        names = [f"{each.mutant.program.name} {each.mutant.name}" for each in wrong]
        yield f"Prints the same though the bank does not say so, or the other way round: {', '.join(names)}."
    else:
        yield "Every fault that was measured changes what is printed where the bank says so."


def _belies(case: Case) -> bool:
    fault = case.mutant.fault
    return case.label is not None and fault is not None and (case.state == "equivalent") is not fault.inert


# ---- overhead ----


def _overhead(evidence: Evidence) -> Iterator[str]:
    yield ""
    yield "## What being watched costs"
    yield ""
    yield (
        "Wall time of the program under watch over that of the process that runs it unwatched, same seed, "
        "one after the other in turns; the median of the pairs, and their range. The *whole command* also "
        "starts the doctor, tries settings on copies (8 to 20 seconds at most) and judges. The load is that "
        "of the machine when a pair began: above 1 or 2 the times are not to be trusted."
    )
    yield ""
    by_program: dict[str, dict[int, list[Row]]] = {}
    for row in evidence.overhead:
        by_program.setdefault(row["program"], {}).setdefault(row["length"], []).append(row)
    if not by_program:
        yield "Not measured yet."
        return
    yield (
        "Part of that does not grow with the program: imports, first looks, what is read at the end. "
        "So each runs four times as long, too, where it has a setting for that; *of more time* is what the "
        "watched program takes longer then, over what the unwatched one does: the cost in a long training."
    )
    yield ""
    yield (
        "| program | pairs | unwatched, s | watched / unwatched | whole command | 4 times as long, s "
        "| watched / unwatched | of more time | load |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    ratios: dict[str, dict[str, float]] = {"own length": {}, "4 times as long": {}, "of more time": {}}
    for program, lengths in sorted(by_program.items()):
        short, long = lengths.get(1, []), lengths.get(4, [])
        cells = [program, str(max(len(short), len(long)))]
        cells += [_middle(short, "plain"), _ratio(short, "watched"), _ratio(short, "doctor")]
        cells += [_middle(long, "plain"), _ratio(long, "watched")]
        more = of_more_time(short, long)
        cells += [
            f"{more:.3f}" if more is not None else "",
            f"{max(row['load'] for row in (*short, *long)):.1f}",
        ]
        yield f"| {' | '.join(cells)} |"
        for name, rows in (("own length", short), ("4 times as long", long)):
            if rows:
                ratios[name][program] = median(
                    row["seconds"]["watched"] / row["seconds"]["plain"] for row in rows
                )
        if more is not None:
            ratios["of more time"][program] = more
    yield ""
    for name, known in ratios.items():
        if known:
            worst = max(known, key=known.__getitem__)
            yield (
                f"- {name}: median over {len(known)} programs {median(known.values()) - 1:+.1%}, worst "
                f"{known[worst] - 1:+.1%} ({worst})"
            )
    yield ""
    yield "Aim: 5% and 15%."


def _middle(rows: Sequence[Row], name: str) -> str:
    return f"{median(row['seconds'][name] for row in rows):.1f}" if rows else ""


def _ratio(rows: Sequence[Row], name: str) -> str:
    return f"{median(row['seconds'][name] / row['seconds']['plain'] for row in rows):.3f}" if rows else ""


def of_more_time(short: Sequence[Row], long: Sequence[Row]) -> float | None:
    """Return how much longer the watched program takes for four times the work, over the unwatched one."""
    if not short or not long:
        return None
    more = [
        median(row["seconds"][name] for row in long) - median(row["seconds"][name] for row in short)
        for name in ("watched", "plain")
    ]
    return more[0] / more[1] if more[1] > 0 else None


# ---- what it found when it saw programs first ----


def _first_sight(folder: Path) -> Iterator[str]:
    """Runs on programs, all held out until then, that were kept before any of them was opened."""
    stored = Rows(folder / "doctor_first_sight.jsonl", ("program", "name", "seed")).load()
    known = {(each.program.name, each.name): each for each in mutants() if each.fault is not None}
    judged = [
        (known[key[:2]].acts, judge(row, known[key[:2]])) for key, row in stored.items() if key[:2] in known
    ]
    if not judged:
        return
    yield ""
    yield (
        "Programs are opened, and then count as tuning programs, only after the doctor was judged on them "
        "unseen. What it found on these then, before anything was set on them (all that are planted, most of "
        "them not measured for harm):"
    )
    yield ""
    yield "| kind | faults | found | right first | in three |"
    yield "|---|---:|---:|---:|---:|"
    for acts, kind in ((False, "supervised and data"), (True, "acting")):
        mine = [each for which, each in judged if which is acts]
        shares = [sum(part) for part in zip(*((x.detected, x.first, x.three) for x in mine), strict=True)]
        cells = " | ".join(f"{each} = {each / len(mine):.0%}" for each in shares)
        yield f"| {kind} | {len(mine)} | {cells} |"


# ---- what it misses ----


def _misses(evidence: Evidence) -> Iterator[str]:
    yield ""
    yield "## Fault by fault"
    yield ""
    yield (
        "Faults whose cause is named first, by program; names of the others (H: harmful, E: equivalent). Of "
        "held-out programs no names are shown, so that nobody sets the doctor on them."
    )
    yield ""
    yield "| program | half | right | found, another cause first | not found |"
    yield "|---|---|---:|---|---|"
    programs: dict[str, list[Case]] = {}
    for case in evidence.cases:
        if case.judged is not None:
            programs.setdefault(case.mutant.program.name, []).append(case)
    for program, cases in programs.items():
        right = sum(case.judged.first for case in cases if case.judged)
        other = [
            _named(case) for case in cases if case.judged and case.judged.detected and not case.judged.first
        ]
        missed = [_named(case) for case in cases if case.judged and not case.judged.detected]
        shown = f"{', '.join(other) or '-'} | {', '.join(missed) or '-'}"
        if half_of(program) == "held-out":
            shown = f"{len(other)} | {len(missed)}"
        yield f"| {program} | {half_of(program)} | {right} of {len(cases)} | {shown} |"


def _named(case: Case) -> str:
    mark = {"harmful": " (H)", "equivalent": " (E)"}.get(case.state, "")
    return f"{case.mutant.name}{mark}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
