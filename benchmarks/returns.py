"""Every reinforcement learner at a published budget, beside the published figure.

Ten seeds (or more, `--seeds`) of each case are trained as cohorts in two processes of one thread. Two numbers
are taken of each seed, because published figures are of one kind or the other: the mean return of its last
100 training episodes, exploration included, and the mean return of 100 greedy episodes after training, in
fresh copies of the environment. Over seeds: the interquartile mean with a 95% bootstrap interval.

    python benchmarks/returns.py                     all cases but the long ones
    python benchmarks/returns.py sac-pendulum ...    these cases
    python benchmarks/returns.py --page              only writes the page again

Results are kept in `benchmarks/results/returns.json`, case by case; `benchmarks/results/returns.md` is made
of that. A case *holds* where the reference is not above the upper end of the interval of ours.
"""

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms import REINFORCEMENT
from modelwright.base.configure import configure
from modelwright.base.seed import Seed, derive_seeds
from modelwright.data.environments.environment import Environment
from modelwright.experiment.bootstrap import bootstrap_interval
from modelwright.experiment.estimate import interquartile_mean
from published import CASES, Case

RESULTS = Path(__file__).parent / "results"
EPISODES = 100


def run_seeds(name: str, first: int, count: int) -> dict[str, Any]:
    """Train some seeds of a case and return both numbers of each."""
    import torch

    torch.set_num_threads(1)
    case = CASES[name]
    module = import_module(REINFORCEMENT[case.learner])
    config = configure(module.Config, dict(case.config), where=case.learner)
    seeds = derive_seeds("benchmarks/returns", count, start=first)
    environment = Environment(name=case.environment)
    begun = time.perf_counter()
    *_, last = module.train(environment, seeds, config)
    assert last.policy is not None
    seconds = time.perf_counter() - begun
    return {
        "first": first,
        "training": last.metrics["return_100"].tolist(),
        "greedy": greedy_returns(environment, seeds, last.policy).tolist(),
        "steps": last.metrics["environment_steps"].tolist(),
        "seconds": seconds,
    }


def greedy_returns(environment: Environment, seeds: Sequence[Seed], policy: Any) -> NDArray[np.float64]:
    """Return each seed's mean return over fresh episodes, (seed,)."""
    simulation = environment.simulate([seed.child("evaluation") for seed in seeds], EPISODES)
    total, running = np.zeros((len(seeds), EPISODES)), np.ones((len(seeds), EPISODES), np.bool_)
    while running.any():
        found = simulation.step(policy.act(simulation.observation))
        total += np.where(running, found.reward, 0.0)
        running &= ~found.ended
    simulation.close()
    return total.mean(axis=1)


def load() -> dict[str, Any]:
    """Return what is stored."""
    file = RESULTS / "returns.json"
    return json.loads(file.read_text()) if file.exists() else {}


def store(name: str, entry: dict[str, Any]) -> None:
    """Keep a case; several processes may run different cases."""
    from filelock import FileLock

    file = RESULTS / "returns.json"
    with FileLock(str(RESULTS / ".returns.lock")):
        found = load()
        found[name] = entry
        file.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")


def run_case(name: str, seeds: int, processes: int) -> None:
    """Run all seeds of a case and store the result."""
    parts = [int(part[0]) for part in np.array_split(np.arange(seeds), processes)]
    sizes = [len(part) for part in np.array_split(np.arange(seeds), processes)]
    begun = time.perf_counter()
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(run_seeds, name, first, count) for first, count in zip(parts, sizes, strict=True)]
        found = sorted((job.result() for job in as_completed(jobs)), key=lambda part: part["first"])
    entry: dict[str, Any] = {
        **{kind: [value for part in found for value in part[kind]] for kind in ("training", "greedy")},
        "steps": int(found[0]["steps"][0]),
        "seconds": round(time.perf_counter() - begun, 1),
        "processes": processes,
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip(),
    }
    store(name, entry)
    print(f"{name}: {summary(entry['training'])} training, {summary(entry['greedy'])} greedy", flush=True)


def summary(values: Sequence[float]) -> str:
    """Return interquartile mean and interval as text."""
    scores = np.asarray(values)
    found = bootstrap_interval(scores, interquartile_mean, generator=np.random.default_rng(0))
    return f"{float(interquartile_mean(scores)):.1f} ({found.low:.1f} to {found.high:.1f})"


def verdict(case: Case, entry: Mapping[str, Any]) -> str:
    """Return whether the reference lies above all that our interval allows."""
    if case.reference is None:
        return ""
    scores = np.asarray(entry[case.protocol])
    found = bootstrap_interval(scores, interquartile_mean, generator=np.random.default_rng(0))
    return "yes" if case.reference <= found.high else "no"


def page(stored: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Returns of the reinforcement learners",
        "",
        "`python benchmarks/returns.py` makes this page (`make bench BENCH=returns`; long cases by name).",
        "Ours: interquartile mean over seeds, 95% bootstrap interval. *training* is the mean of a seed's",
        f"last 100 training episodes, *greedy* that of {EPISODES} greedy episodes after training. A case",
        "holds where the published figure is not above the upper end of our interval, protocol in bold.",
        "",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
        "",
        "| case | steps | seeds | training | greedy | published | whose, how | holds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, case in CASES.items():
        entry = stored.get(name)
        if entry is None:
            continue
        shown = {
            kind: f"**{summary(entry[kind])}**" if kind == case.protocol else summary(entry[kind])
            for kind in ("training", "greedy")
        }
        published = "" if case.reference is None else f"{case.reference:g}"
        if case.spread is not None:
            published += f" ± {case.spread:g}"
        lines.append(
            f"| {name} | {entry['steps']:,} | {len(entry['training'])} | {shown['training']} | "
            f"{shown['greedy']} | {published} | {case.source}{'; ' + case.note if case.note else ''} | "
            f"{verdict(case, entry)} |"
        )
    lines += ["", "Settings that differ from the learners' defaults:", ""]
    lines += [
        f"- {name}: " + (", ".join(f"`{key}={value}`" for key, value in case.config.items()) or "none")
        for name, case in CASES.items()
        if name in stored
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="cases; all but the long ones if none")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--page", action="store_true", help="only write the page again")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = given.cases or [name for name, case in CASES.items() if not case.long]
    for name in [] if given.page else names:
        run_case(name, given.seeds, given.processes)
    (RESULTS / "returns.md").write_text(page(load()))


if __name__ == "__main__":
    main()
