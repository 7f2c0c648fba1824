"""How quick the journal is, beside MLflow's embedded store, on the same disk in the same run.

    python benchmarks/journal.py [--json] [--seconds 8] [--folder PLACE] [--no-results]

Both stores take the same metrics: standard normal numbers, 8 metrics for each of 16 seeds. MLflow is
measured for as long as `--seconds` allows, with its default SQLite store; nothing is extrapolated.
Writes `benchmarks/results/journal.md`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modelwright.journal.journal import Journal

SEEDS, METRICS, RUNS = 16, 8, 30_000
QUEUED = 300
RESULTS = Path(__file__).parent / "results" / "journal.md"
Row = dict[str, Any]


def numbers(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return `count` standard normal numbers, the same each time."""
    return np.random.default_rng(0).standard_normal(count)


def size(folder: Path) -> int:
    """Return the bytes of all files in `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def best_of(action: Callable[[], Any], times: int = 7) -> float:
    """Return the median seconds of `action`."""
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def listed(what: str, runs: int, action: Callable[[], Any], times: int) -> Row:
    """Return one line about listing: median seconds by the wall and of this process on the CPU."""
    wall: list[float] = []
    busy: list[float] = []
    found = 0
    for _ in range(times):
        began, began_busy = time.perf_counter(), time.process_time()
        found = len(action())
        wall.append(time.perf_counter() - began)
        busy.append(time.process_time() - began_busy)
    row: Row = {"what": what, "runs": runs, "found": found}
    return row | {"seconds": float(np.median(wall)), "cpu_seconds": float(np.median(busy))}


def calls_row(what: str, taken: list[int], metrics: int, seconds: float, stored: int) -> Row:
    """Return one line about writing: rates, microseconds of a call, bytes of a metric."""
    micros = np.array(taken) / 1000
    return {
        "what": what,
        "metrics": metrics,
        "metrics_per_second": metrics / seconds,
        "call_median_us": float(np.median(micros)),
        "call_mean_us": float(micros.mean()),
        "call_p99_us": float(np.percentile(micros, 99)),
        "bytes_per_metric": stored / metrics,
    }


def write_journal(folder: Path, seeds: int, metrics: int, calls: int) -> Row:
    """Write through a cohort's writer until the metric file is durable."""
    with Journal.open(folder) as journal:
        runs = [f"run-{seed}" for seed in range(seeds)]
        for seed, run in enumerate(runs):
            journal.start_run(
                run, trial=run, design="d", experiment="e", variant="v", seed_index=seed, body={}
            )
        before = size(folder)
        values = numbers(calls * metrics * seeds).reshape(calls, metrics, seeds)
        names = [f"metric-{index}" for index in range(metrics)]
        steps = [dict(zip(names, step, strict=True)) for step in values]
        taken: list[int] = []
        began = time.perf_counter()
        with journal.metric_writer(runs) as writer:
            for update, step in enumerate(steps):
                start = time.perf_counter_ns()
                writer.write(update, step)
                taken.append(time.perf_counter_ns() - start)
            writer.finish()
        seconds = time.perf_counter() - began
        stored = size(folder) - before
    what = f"Modelwright, {metrics} x {seeds} numbers a call"
    return calls_row(what, taken, calls * metrics * seeds, seconds, stored)


def write_mlflow(client: Any, experiment: str, database: Path, batch: int, limit: float) -> Row:
    """Write with log_metric (batch 1) or log_batch until `limit` seconds are over."""
    from mlflow.entities import Metric

    runs = [client.create_run(experiment).info.run_id for _ in range(SEEDS)]
    values = iter(numbers(2_000_000).tolist())
    before = size(database.parent)
    taken: list[int] = []
    count = 0
    began = time.perf_counter()
    while time.perf_counter() - began < limit:
        for run in runs:
            if batch == 1:
                value = next(values)
                start = time.perf_counter_ns()
                client.log_metric(run, f"metric-{count % METRICS}", value, step=count)
            else:
                steps = range(count // SEEDS // METRICS, count // SEEDS // METRICS + batch // METRICS)
                entities = [
                    Metric(f"metric-{index}", next(values), 0, step)
                    for step in steps
                    for index in range(METRICS)
                ]
                start = time.perf_counter_ns()
                client.log_batch(run, metrics=entities)
            taken.append(time.perf_counter_ns() - start)
            count += batch
            if time.perf_counter() - began >= limit:
                break
    seconds = time.perf_counter() - began
    name = "log_metric" if batch == 1 else f"log_batch({batch})"
    return calls_row(f"MLflow, {name}", taken, count, seconds, size(database.parent) - before)


def queue_mlflow(client: Any, experiment: str, database: Path) -> Row:
    """Write with MLflow's background queue, and wait for it."""
    run = client.create_run(experiment).info.run_id
    before = size(database.parent)
    taken: list[int] = []
    waiting: list[Any] = []
    began = time.perf_counter()
    for step, value in enumerate(numbers(QUEUED).tolist()):
        start = time.perf_counter_ns()
        waiting.append(client.log_metric(run, "metric", value, step=step, synchronous=False))
        taken.append(time.perf_counter_ns() - start)
    for operation in waiting:
        operation.wait()
    seconds = time.perf_counter() - began
    return calls_row(
        "MLflow, log_metric(synchronous=False)", taken, QUEUED, seconds, size(database.parent) - before
    )


def fill_journal(folder: Path, runs: int) -> None:
    """Enter finished runs; in one transaction, because making them is not what is measured."""
    with Journal.open(folder) as journal, journal._database.writing() as connection:  # pyright: ignore[reportPrivateUsage]
        ledger = journal._ledger  # pyright: ignore[reportPrivateUsage]
        for index in range(runs):
            body = {"trial": f"trial-{index}", "experiment": f"experiment-{index % 10}"}
            body |= {"variant": f"variant-{index % 3}", "seed_index": index % 50, "body": {}}
            run = f"{index * 2654435761 % 2**32:08x}-{index:06d}"
            ledger.append(connection, "run.started", body, design="d" * 64, run=run)
            end = {"status": "finished", "score": index / runs, "metrics": None, "body": {}}
            ledger.append(connection, "run.finished", end, run=run)


def list_journal(folder: Path, runs: int) -> list[Row]:
    """Time whole and filtered lists."""
    fill_journal(folder, runs)
    with Journal.open(folder) as journal:
        wanted: list[tuple[str, dict[str, Any]]] = [
            ("all", {}),
            ("one experiment of ten", {"experiment": "experiment-3"}),
            (
                "one experiment, finished, best 100",
                {"experiment": "experiment-3", "order": "-score", "limit": 100},
            ),
        ]
        return [
            listed(f"Modelwright, {what}", runs, lambda words=words: journal.runs(**words), 7)
            for what, words in wanted
        ]


def list_mlflow(client: Any, limit: float) -> list[Row]:
    """Make finished runs for `limit` seconds, then time the same lists."""
    experiments = [client.create_experiment(f"experiment-{index}") for index in range(10)]
    began, runs = time.perf_counter(), 0
    while time.perf_counter() - began < limit and runs < RUNS:
        run = client.create_run(experiments[runs % 10], tags={"variant": f"variant-{runs % 3}"})
        client.log_metric(run.info.run_id, "score", runs / RUNS)
        client.set_terminated(run.info.run_id)
        runs += 1
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("all", {"experiment_ids": experiments}),
        ("one experiment of ten", {"experiment_ids": [experiments[3]]}),
        (
            "one experiment, finished, best 100",
            {
                "experiment_ids": [experiments[3]],
                "filter_string": "attributes.status = 'FINISHED'",
                "order_by": ["metrics.score DESC"],
                "max_results": 100,
            },
        ),
    ]
    return [
        listed(
            f"MLflow search_runs, {what}",
            runs,
            lambda words=words: client.search_runs(**{"max_results": 50_000, **words}),
            5,
        )
        for what, words in wanted
    ]


def opening(code: str, where: Path, times: int) -> float:
    """Return the median seconds of a fresh process that runs `code`, less an empty Python's."""

    def launch(text: str) -> None:
        subprocess.run([sys.executable, "-c", text, str(where)], check=True, capture_output=True)

    return best_of(lambda: launch(code), times) - best_of(lambda: launch("pass"), 3)


OPEN_OURS = """
import sys
from pathlib import Path
from modelwright.journal.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    journal.runs(limit=10)
"""
OPEN_MLFLOW = """
import sys
from mlflow import MlflowClient
client = MlflowClient("sqlite:///" + sys.argv[1] + "/mlflow.db")
client.search_runs(["0"], max_results=10)
"""


def measure(folder: Path, limit: float) -> dict[str, Any]:
    """Measure both stores in `folder`."""
    import logging

    logging.disable(logging.WARNING)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    store = folder / "mlflow"
    store.mkdir()
    ours_new = opening(OPEN_OURS, folder / "opened", 1)
    mlflow_new = opening(OPEN_MLFLOW, store, 1)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store}/mlflow.db")
    experiment = client.create_experiment("writing")
    writing = [
        write_journal(folder / "cohort", SEEDS, METRICS, 40_000),
        write_journal(folder / "single", 1, 1, 200_000),
        write_mlflow(client, experiment, store / "mlflow.db", 1, limit),
        queue_mlflow(client, experiment, store / "mlflow.db"),
        write_mlflow(client, experiment, store / "mlflow.db", 1000, limit),
    ]
    with Journal.open(folder / "ledger") as journal:
        began = time.perf_counter()
        for index in range(500):
            journal.append("note", {"index": index})
        appended = 500 / (time.perf_counter() - began)
    theirs = list_mlflow(client, 3 * limit)
    listing = [
        *list_journal(folder / "listed", RUNS),
        *list_journal(folder / "fewer", theirs[0]["runs"]),
        *theirs,
    ]
    opened = [
        {"what": "Modelwright, new store", "seconds": ours_new},
        {"what": f"Modelwright, store of {RUNS} runs", "seconds": opening(OPEN_OURS, folder / "listed", 5)},
        {"what": "MLflow, new store", "seconds": mlflow_new},
        {"what": f"MLflow, store of {theirs[0]['runs']} runs", "seconds": opening(OPEN_MLFLOW, store, 2)},
    ]
    with Journal.open(folder / "listed") as journal:
        verified = best_of(lambda: journal.verify(files=False), 3)  # as an experiment does first
    rates = {"appends_per_second": appended, "verify_seconds": verified}
    return {"writing": writing, "listing": listing, "opening": opened} | rates


def processor() -> str:
    """Return the name of the CPU."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def report(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Journal",
        "",
        f"`{found['command']}` on {found['cpu']}, {found['cores']} cores; "
        + ", ".join(f"{name} {number}" for name, number in found["versions"].items())
        + f". Load average at the start {found['load']:.1f}; the disk is the one of the temporary folder.",
        "",
        "Values are standard normal, so that little but names and steps can be compressed. MLflow wrote "
        f"for {found['limit']:g} s in each way and made runs for {3 * found['limit']:g} s; nothing is "
        "extrapolated.",
        "",
        "A call of `log_metric` or `log_batch` returns when the metric is in the database. A call of ours "
        "returns when it is in memory, at most five seconds before it is durable, as with MLflow's "
        "background queue; the rates count until everything is durable, our compaction to Parquet included.",
        "",
        "| writing | metrics | metrics/s until durable | call, median us | mean us | p99 us | bytes/metric |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['what']} | {row['metrics']:,} | {row['metrics_per_second']:,.0f} "
        f"| {row['call_median_us']:,.1f} | {row['call_mean_us']:,.1f} | {row['call_p99_us']:,.1f} "
        f"| {row['bytes_per_metric']:.1f} |"
        for row in found["writing"]
    ]
    lines += [
        "",
        "| listing | runs in the store | found | ms, median | CPU ms |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['what']} | {row['runs']:,} | {row['found']:,} | {1000 * row['seconds']:,.1f} "
        f"| {1000 * row['cpu_seconds']:,.1f} |"
        for row in found["listing"]
    ]
    lines += ["", "| opening, from a fresh process to ten runs listed | seconds |", "|---|---:|"]
    lines += [f"| {row['what']} | {row['seconds']:.2f} |" for row in found["opening"]]
    ratios = ", ".join(f"{name} {number:,.1f}" for name, number in found["ratios"].items())
    lines += [
        "",
        f"Durable entries one by one: {found['appends_per_second']:,.0f}/s. Verifying the {2 * RUNS:,} of "
        f"{RUNS:,} runs, as an experiment does when it starts: {found['verify_seconds']:.1f} s.",
        "",
        f"Modelwright over MLflow, how many times better: {ratios}.",
        "",
    ]
    return "\n".join(lines)


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Return how many times better ours is; listing is compared at MLflow's number of runs."""
    cohort, single, metric, queued, batch = found["writing"]
    fewer, theirs = found["listing"][3:6], found["listing"][6:9]
    opened = [row["seconds"] for row in found["opening"]]
    return {
        "metrics/s against log_batch": cohort["metrics_per_second"] / batch["metrics_per_second"],
        "metrics/s of single metrics against log_metric": single["metrics_per_second"]
        / metric["metrics_per_second"],
        "median call against log_metric": metric["call_median_us"] / single["call_median_us"],
        "median call against the background queue": queued["call_median_us"] / single["call_median_us"],
        "bytes/metric against log_batch": batch["bytes_per_metric"] / cohort["bytes_per_metric"],
        "listing all": theirs[0]["seconds"] / fewer[0]["seconds"],
        "listing filtered": theirs[1]["seconds"] / fewer[1]["seconds"],
        "opening a new store": opened[2] / opened[0],
        "opening a used store": opened[3] / opened[1],
    }


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long MLflow writes in each way")
    parser.add_argument("--folder", type=Path, help="where to make the stores, to choose the disk")
    parser.add_argument(
        "--no-results", action="store_true", help="do not write benchmarks/results/journal.md"
    )
    chosen = parser.parse_args()
    packages = ("mlflow", "numpy", "pyarrow")
    found: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/journal.py", *sys.argv[1:]]),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "limit": chosen.seconds,
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in packages}},
    }
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        found |= measure(Path(folder), chosen.seconds)
    found["ratios"] = ratios(found)
    text = report(found)
    print(json.dumps(found, indent=2) if chosen.json else text)
    if not chosen.no_results:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
