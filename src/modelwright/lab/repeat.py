"""Execute one recorded trial in a process of its own: `python -m modelwright.lab.repeat REQUEST ANSWER`.

The request is JSON and the answer is JSON beside a NumPy archive, so that the recorded source may be of another
version than the process that asks.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelwright.base.configure import configure
from modelwright.base.errors import Misuse, ModelwrightError
from modelwright.base.fingerprint import canonical_json, jsonable, sha256_hex
from modelwright.base.seed import Seed
from modelwright.data.source import Source, load_dataset
from modelwright.data.split import SplitPlan, make_split
from modelwright.experiment.question import Question
from modelwright.lab.job import Failed, Finished, Job, Progress, Started, Workload
from modelwright.lab.lineage.package import record_package
from modelwright.lab.training import train_job

__all__ = ["repeat_trial"]


def repeat_trial(request: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a trial alone, and return what it gave.

    Args:
        request: `root` (where the learner's files are), `data_root`, `frames` (name -> Parquet file), `source`,
            `split`, `question`, `config`, `seed` and `split_seed` (keys), `threads`.

    Returns:
        A record (score, state, split, data, package, environment, hardware) and columns update, metric, value.

    Raises:
        ModelwrightError: where the data or the learner fail.
    """
    from pyarrow import parquet

    frames = {name: parquet.read_table(path) for name, path in request["frames"].items()}
    source = configure(Source, request["source"], where="data")
    dataset = load_dataset(source, root=Path(request["data_root"]), frames=frames)
    plan = configure(SplitPlan, request["split"], where="split")
    split = make_split(dataset, plan, Seed(request["split_seed"]))
    workload = Workload(
        root=Path(request["root"]),
        question=configure(Question, request["question"], where="question"),
        dataset=dataset,
        threads=request["threads"],
    )
    job = Job(
        identity="repeat",
        variant="repeat",
        config=request["config"],
        indices=(0,),
        seeds=(Seed(request["seed"]),),
        splits=(split,),
    )
    answer: dict[str, Any] = {
        "split": split.identity,
        "data": jsonable(
            {
                "identity": dataset.identity,
                "origin": dataset.origin,
                "transformations": dataset.transformations,
                "split": plan,
            }
        ),
        "package": record_package().record(),
    }
    columns: dict[str, list[Any]] = {"update": [], "metric": [], "value": []}
    for message in train_job(workload, job):
        match message:
            case Started():
                answer["environment"] = message.environment.record()
                answer["hardware"] = message.hardware.record()
            case Progress():
                for update, metrics in message.steps:
                    for name, values in metrics.items():
                        columns["update"].append(update)
                        columns["metric"].append(name)
                        columns["value"].append(float(values[0]))
            case Finished():
                score = float(message.scores[0])
                answer["score"] = score if np.isfinite(score) else None
                answer["state"] = sha256_hex(message.states[0]) if message.states else None
                answer["usage"] = message.usage.record()
            case Failed():
                parts = message.error
                raise Misuse(
                    str(parts["rule"]),
                    got=parts.get("got") or parts["error"],
                    nearest=parts.get("nearest"),
                    next_step=parts.get("next_step"),
                )
            case _:
                pass
    return answer, columns


def _main(request_file: str, answer_file: str) -> int:
    answer_path = Path(answer_file)
    try:
        answer, columns = repeat_trial(json.loads(Path(request_file).read_text()))
    except ModelwrightError as error:
        answer_path.write_text(canonical_json({"failed": error.record()}))
        return 1
    np.savez(
        answer_path.with_suffix(".npz"),
        update=np.array(columns["update"], dtype=np.int64),
        metric=np.array(columns["metric"], dtype=np.str_),
        value=np.array(columns["value"], dtype=np.float64),
    )
    answer_path.write_text(canonical_json(answer))
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:3]))
