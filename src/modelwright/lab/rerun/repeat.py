"""Execute one recorded trial in processes of its own, from the recorded source.

`main(["load", FOLDER])` reads the data, or asks after the environment, then `main(["train", FOLDER])` trains
in a process that has loaded nothing else, just as a worker does: a library that is merely loaded may start
threads or replace another one. What goes in and out is JSON in the folder, so that the recorded source may be
of another version than the process that asks; see `modelwright.lab.rerun.repetition`.
"""

import json
import os
import pickle
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelwright.algorithms.learner import complete_config
from modelwright.base.configure import configure
from modelwright.base.errors import ModelwrightError, SourceMissing
from modelwright.base.fingerprint import canonical_json, jsonable
from modelwright.base.seed import Seed
from modelwright.data.environments.environment import Environment
from modelwright.data.source import Source, load_dataset
from modelwright.data.split import SplitPlan, make_split
from modelwright.data.table import file_origin
from modelwright.experiment.evaluation import Evaluation
from modelwright.experiment.question import Question
from modelwright.lab.executor.job import Failed, Finished, Job, Progress, Started, Workload
from modelwright.lab.ground.episodes import Episodes
from modelwright.lab.ground.ground import Ground, Part
from modelwright.lab.ground.rows import Rows
from modelwright.lab.lineage.executed import record_executed
from modelwright.lab.lineage.package import record_package
from modelwright.lab.training import train_job

__all__ = ["load_ground", "main", "train_trial"]


def load_ground(request: Mapping[str, Any], frames: Mapping[str, Any]) -> tuple[Ground, Part]:
    """Return what a trial learns from, and its seed's part of it, as they are now.

    Args:
        request: `data_root`, with `source`, `split` and `split_seed`, or with `environment`, `evaluation`,
            `seed` and `root`.
        frames: Tables from Python.

    Raises:
        ModelwrightError: where the data are not there, or cannot be read or split as recorded; where the
            environment cannot be made.
    """
    if "environment" in request:
        environment = configure(Environment, request["environment"], where="environment")
        evaluation = configure(Evaluation, request["evaluation"], where="evaluation")
        # The source of an environment of the user's is recorded as the learner's is.
        episodes = Episodes.of(environment, evaluation, Path(request["root"]))
        return episodes, episodes.part(Seed(request["seed"]), "")
    source = configure(Source, request["source"], where="data")
    dataset = load_dataset(source, root=Path(request["data_root"]), frames=frames)
    plan = configure(SplitPlan, request["split"], where="split")
    # The seed is the one that the split was drawn from, be it shared or the trial's own.
    split = make_split(dataset, plan, Seed(request["split_seed"]))
    return Rows(dataset=dataset, plan=plan), split


def train_trial(
    request: Mapping[str, Any], ground: Ground, part: Part
) -> tuple[dict[str, Any], dict[str, list[Any]], bytes | None]:
    """Train a trial alone.

    Args:
        request: `root` (where the learner's files are), `question`, `config`, `changes`, `seed`, `threads`.
        ground: What it learns from.
        part: Its seed's part of it.

    Returns:
        A record: config, environment, hardware, usage and score, or what `failed`; columns update, metric,
        value; the archive of learnt numbers.

    Raises:
        ModelwrightError: for a changed setting that is wrong.
    """
    root = Path(request["root"])
    config = request["config"]
    if request["changes"]:
        config = complete_config({**config, **request["changes"]}, root=root)
    workload = Workload(
        root=root,
        question=configure(Question, request["question"], where="question"),
        ground=ground,
        threads=request["threads"],
    )
    job = Job(
        identity="repeat",
        variant=request["variant"],
        config=config,
        indices=(0,),
        seeds=(Seed(request["seed"]),),
        parts=(part,),
    )
    record: dict[str, Any] = {"config": config}
    columns: dict[str, list[Any]] = {"update": [], "metric": [], "value": []}
    state = None
    for message in train_job(workload, job):
        match message:
            case Started():
                record["environment"] = message.environment.record()
                record["hardware"] = message.hardware.record()
            case Progress():
                for update, metrics in message.steps:
                    for name, values in metrics.items():
                        columns["update"].append(update)
                        columns["metric"].append(name)
                        columns["value"].append(float(values[0]))
            case Finished():
                score = float(message.scores[0])
                record["score"] = score if np.isfinite(score) else None
                record["usage"] = message.usage.record()
                state = message.states[0] if message.states else None
            case Failed():
                record["failed"] = dict(message.error)
            case _:
                pass
    return record, columns, state


def main(words: Sequence[str]) -> int:
    """Do one of the two parts and write its answer beside the request.

    Args:
        words: `load` or `train`, and the folder.
    """
    _end_with_asker()
    part, folder = words[0], Path(words[1])
    request = json.loads((folder / "request.json").read_text())
    answer: dict[str, Any] = {}
    try:
        answer = _load(request, folder) if part == "load" else _train(request, folder)
    except ModelwrightError as error:
        answer = {**_file_now(request), "failed": error.record()}
    answer["package"] = record_package().record()
    answer["executed"] = record_executed(Path(request["top"])).record()
    if request["original"] is not None:
        # Files of the folder as it is now that were executed although the recorded source was asked for.
        answer["strays"] = sorted(record_executed(Path(request["original"])).files)
    (folder / f"{part}.json").write_text(canonical_json(answer))
    return 1 if "failed" in answer else 0


def _load(request: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    frames = pickle.loads((folder / "frames.pickle").read_bytes())
    ground, part = load_ground(request, frames)
    (folder / "data.pickle").write_bytes(pickle.dumps((ground, part), protocol=pickle.HIGHEST_PROTOCOL))
    return {"data": jsonable(ground.record()), "rows": part.identity}


def _train(request: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    ground, part = pickle.loads((folder / "data.pickle").read_bytes())
    answer, columns, state = train_trial(request, ground, part)
    np.savez(
        folder / "metrics.npz",
        update=np.array(columns["update"], dtype=np.int64),
        metric=np.array(columns["metric"], dtype=np.str_),
        value=np.array(columns["value"], dtype=np.float64),
    )
    if state is not None:
        (folder / "state.npz").write_bytes(state)
    return answer


def _file_now(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a data file that could not be used."""
    if not request.get("source", {}).get("path"):
        return {}
    try:
        return {"file": file_origin(Path(request["data_root"]) / request["source"]["path"])}
    except SourceMissing:
        return {"file": None}


def _end_with_asker() -> None:
    """End this process, and what its learner started, when the asking process is gone.

    The other end of our standard input closes then. The learner gets an empty one.
    """
    life = os.dup(0)
    os.set_inheritable(life, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> None:
        os.read(life, 1)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
