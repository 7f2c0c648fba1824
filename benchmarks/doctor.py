"""The doctor on the bank of faults, beside its peers: what it finds, how often it is right, what it costs.

    python benchmarks/doctor.py                          all parts; goes on where it stopped, and takes a day
    python benchmarks/doctor.py detection --half tuning  one part, on one half of the programs
    python benchmarks/doctor.py labels --seeds 1 --minutes 30 --programs digits_mlp dqn_cartpole
    python benchmarks/doctor.py page                     only writes the page again

Parts: `labels` (does a fault do harm? runs without the doctor), `detection` (the doctor on every fault),
`healthy` (on programs without one, and on variants that look odd and are right), `peers` (others on the
same), `overhead` (watched beside unwatched, in pairs; wants a quiet machine), `page`.

Results are kept run by run in `benchmarks/results/doctor_*.jsonl`, with a hash of the text that was run
and, for the doctor's own, of its code; what has changed or is missing is run, the rest is kept.
`benchmarks/results/doctor.md` is made of them. Every run is a process of its own, with one thread and
`--seed`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

from doctor_bank.detection import alarms, doctor_key, examine, judge
from doctor_bank.label import label, measure
from doctor_bank.mutant import Mutant, half_of, mutants
from doctor_bank.overhead import LENGTHS, lasts, pair
from doctor_bank.page import write_page
from doctor_bank.rows import Row, Rows
from doctor_peers.wiring import PEERS, examine_peers, peers_key, words_of

RESULTS = Path(__file__).parent / "results"
PARTS = ("labels", "detection", "healthy", "peers", "overhead", "page")
SEEDS = {"labels": (1, 2, 3, 4, 5), "detection": (1,), "healthy": (1, 2, 3), "peers": (1,), "overhead": (1,)}
TELLING = ("program", "name", "seed")

Job = tuple[str, Callable[[], str]]


def stored(part: str) -> Rows:
    """Return the file of a part."""
    fields = ("program", "name") if part == "labels" else TELLING
    return Rows(RESULTS / f"doctor_{part}.jsonl", fields)


def label_jobs(chosen: Sequence[Mutant], seeds: Sequence[int]) -> Iterator[Job]:
    """Yield runs without the doctor, seed by seed; none where those before have settled what a fault does."""
    rows = stored("labels")
    found = rows.load()

    def is_settled(mutant: Mutant) -> bool:
        known = rows.load()
        own = known.get((mutant.program.name, mutant.name), {})
        base = known.get((mutant.program.name, "base"), {}).get("runs", {})
        if mutant.fault is None or own.get("key") != mutant.key or not set(base) & set(own["runs"]):
            return False
        return label(mutant.name, base, own["runs"]).settled

    def run(mutant: Mutant, seed: int) -> str:
        if is_settled(mutant):
            return "settled"
        taken = measure(mutant, seed)
        head = {"program": mutant.program.name, "name": mutant.name, "kind": mutant.kind, "key": mutant.key}

        def grown(row: Row) -> Row:
            runs = row["runs"] if row.get("key") == mutant.key else {}
            return head | {"runs": dict(sorted((runs | {str(seed): taken}).items()))}

        rows.change((mutant.program.name, mutant.name), grown)
        return f"score {taken['score']} trace {taken['trace']} {taken['seconds']:.0f} s"

    for seed in seeds:
        for mutant in chosen:
            row = found.get((mutant.program.name, mutant.name), {})
            if row.get("key") == mutant.key and str(seed) in row["runs"]:
                continue
            yield _title(mutant, seed), lambda mutant=mutant, seed=seed: run(mutant, seed)


def doctor_jobs(part: str, chosen: Sequence[Mutant], seeds: Sequence[int], any_doctor: bool) -> Iterator[Job]:
    """Yield runs of the doctor that are missing, or were made with another text or another doctor."""
    rows, doctor = stored(part), doctor_key()
    found = rows.load()

    def run(mutant: Mutant, seed: int) -> str:
        row = examine(mutant, seed, doctor)
        rows.put(row)
        return said(row, mutant)

    for seed in seeds:
        for mutant in chosen:
            row = found.get((mutant.program.name, mutant.name, seed), {})
            if row.get("key") == mutant.key and (any_doctor or row["doctor"] == doctor):
                continue
            yield _title(mutant, seed), lambda mutant=mutant, seed=seed: run(mutant, seed)


def said(row: Row, mutant: Mutant) -> str:
    """Return what the doctor said of a text, in a line."""
    if "broken" in row:
        word = "BROKEN " + row["broken"]
    elif mutant.fault is None:
        word = "FALSE-ALARM" if alarms(row) else "clean"
    else:
        found = judge(row, mutant)
        word = "RIGHT" if found.first else "TOP3" if found.three else "FOUND" if found.detected else "MISSED"
        word += " line" if found.line else ""
    shown = [
        f"{kind}({severity[0]}) <- {', '.join(f'{name}:{line}' for name, line in causes)}"
        for kind, severity, causes, *_ in alarms(row)
    ]
    return f"{word} {row['seconds']:.0f} s | {' ; '.join(shown)}"


def peer_jobs(chosen: Sequence[Mutant], seeds: Sequence[int], names: Sequence[str]) -> Iterator[Job]:
    """Yield runs of the peers."""
    rows, code = Rows(RESULTS / "doctor_peers.jsonl", (*TELLING, "peer")), peers_key()
    found = rows.load()

    def is_kept(mutant: Mutant, seed: int, name: str) -> bool:
        row = found.get((mutant.program.name, mutant.name, seed, name), {})
        return row.get("key") == mutant.key and row.get("code") == code

    def run(mutant: Mutant, seed: int, wanted: Sequence[str]) -> str:
        taken = examine_peers(mutant, seed, wanted)
        for row in taken:
            rows.put(row)
        return "; ".join(f"{row['peer']}: {', '.join(row['alarms']) or '-'}" for row in taken)

    for seed in seeds:
        for mutant in chosen:
            wanted = [name for name in names if not is_kept(mutant, seed, name)]
            if wanted:
                yield (
                    _title(mutant, seed),
                    lambda mutant=mutant, seed=seed, wanted=wanted: run(mutant, seed, wanted),
                )


def overhead_jobs(chosen: Sequence[Mutant], pairs: int, peers: Sequence[str]) -> Iterator[Job]:
    """Yield pairs of a watched and an unwatched run of each program, with peers beside them where wanted."""
    rows, doctor = Rows(RESULTS / "doctor_overhead.jsonl", ("program", "pair", "length")), doctor_key()
    found = rows.load()

    def run(mutant: Mutant, number: int, length: int) -> str:
        row = pair(mutant, number, doctor, {name: words_of(name) for name in peers}, length)
        rows.put(row)
        taken = row["seconds"]
        return f"{taken['watched'] / taken['plain']:.3f} of {taken['plain']:.2f} s, load {row['load']}"

    for number in range(1, pairs + 1):
        for mutant, length in product(chosen, LENGTHS):
            row = found.get((mutant.program.name, number, length), {})
            lacks = not set(peers) <= set(row.get("seconds", ()))
            kept = row.get("key") == mutant.key and row["doctor"] == doctor and not lacks
            if not kept and lasts(mutant.program.name, length):
                title = f"{mutant.program.name} pair {number} length {length}"
                yield title, lambda m=mutant, n=number, long=length: run(m, n, long)


def _title(mutant: Mutant, seed: int) -> str:
    return f"{mutant.program.name} {mutant.kind} {mutant.name} seed {seed}"


def in_turns(chosen: Sequence[Mutant]) -> list[Mutant]:
    """Return texts of programs that do not act first, one of each program in turn, cheap programs first.

    What is done when the time is over is then a fair sample of the bank.
    """
    taken: dict[str, float] = {}
    for row in stored("labels").load().values():
        if row["kind"] == "base":
            taken[row["program"]] = min(run["seconds"] for run in row["runs"].values())
    turns: dict[str, int] = {}
    keyed: list[tuple[bool, int, float, Mutant]] = []
    for mutant in chosen:
        name = mutant.program.name
        turns[name] = turns.get(name, 0) + 1
        keyed.append((mutant.acts, turns[name], taken.get(name, 30.0), mutant))
    return [mutant for *_, mutant in sorted(keyed, key=lambda each: each[:3])]


def work(part: str, jobs: Iterator[Job], until: float, workers: int) -> None:
    """Do jobs in order, some at a time, each with a line, until the time is over."""
    todo = list(jobs)
    left: list[str] = []

    def do(number: int, title: str, job: Callable[[], str]) -> None:
        if time.monotonic() > until:
            left.append(title)
            return
        print(f"{part} {number}/{len(todo)} {title}: {job()}", flush=True)

    with ThreadPoolExecutor(workers) as pool:
        # Each job waits for a process of its own.
        for done in [pool.submit(do, number, *each) for number, each in enumerate(todo, start=1)]:
            done.result()
    if left:
        print(f"{part}: time is over, {len(left)} of {len(todo)} runs are left", flush=True)


def main() -> None:
    """Run the parts and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--programs", nargs="+", default=[], help="these programs only")
    parser.add_argument("--names", nargs="+", default=[], help="these faults and variants only")
    parser.add_argument("--half", choices=("tuning", "held-out"), help="one half of the programs only")
    parser.add_argument("--seeds", nargs="+", type=int, help="these seeds, in place of the part's own")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS, help="these peers only")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs for the overhead")
    parser.add_argument("--peer-overhead", action="store_true", help="time the peers too")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time; overhead has one")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after this time")
    parser.add_argument(
        "--any-doctor", action="store_true", help="keep what an earlier state of the doctor found"
    )
    given = parser.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part: {', '.join(sorted(unknown))}")
    until = time.monotonic() + 60 * given.minutes
    RESULTS.mkdir(exist_ok=True)

    def texts(*kinds: str) -> list[Mutant]:
        found: list[Any] = mutants(given.programs, kinds)
        found = [each for each in found if not given.half or half_of(each.program.name) == given.half]
        return in_turns([each for each in found if not given.names or each.name in given.names])

    for part in given.parts or PARTS:
        if part == "page":
            write_page(RESULTS, " ".join(["python", "benchmarks/doctor.py", *sys.argv[1:]]))
            continue
        seeds = given.seeds or SEEDS[part]
        if part == "labels":
            # The program itself first: a fault's label needs it.
            jobs = label_jobs([*texts("base"), *texts("fault")], seeds)
        elif part == "detection":
            jobs = doctor_jobs(part, texts("fault"), seeds, given.any_doctor)
        elif part == "healthy":
            jobs = doctor_jobs(part, texts("base", "variant"), seeds, given.any_doctor)
        elif part == "peers":
            jobs = peer_jobs(texts("base", "fault", "variant"), seeds, given.peers)
        else:
            jobs = overhead_jobs(texts("base"), given.pairs, given.peers if given.peer_overhead else ())
        work(part, jobs, until, 1 if part == "overhead" else given.workers)


if __name__ == "__main__":
    main()
