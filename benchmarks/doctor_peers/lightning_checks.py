"""PyTorch Lightning's own checks on a program without Lightning: `python lightning_checks.py RECORD all
SCRIPT [WORDS]`.

What they do inside of a `Trainer` is done here to the program as it stands, in two runs of it:

- `detect_anomaly=True` is `torch.autograd.set_detect_anomaly(True)`: an alarm where backward meets a NaN.
- `num_sanity_val_steps` runs validation before training, which shows that it raises: an alarm where the
  program raises at any time, which is more than it would show.
- `overfit_batches=1` gives the same batch of every `DataLoader` again and again; the reader of the curve
  is a rule here: an alarm where the loss is still above a tenth of its first value after 300 such steps.
  Programs that have no `DataLoader`, and those that act, have nothing that it could be put on."""

import contextlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

_STEPS = 300
_LEFT = 0.1


class Enough(BaseException):
    """The steps on one batch are over."""


def anomaly(script: list[str]) -> list[str]:
    """Run the script with anomaly detection."""
    import torch

    torch.autograd.set_detect_anomaly(True)
    try:
        _run(script)
    except Exception as error:
        return ["anomaly" if "nan values" in str(error) else "raised"]
    return []


def overfit(script: list[str]) -> list[str]:
    """Run the script on one batch of each loader."""
    import torch
    from torch.utils.data import DataLoader

    losses: list[float] = []
    loaders = 0
    backward, begin = torch.Tensor.backward, DataLoader.__iter__

    def heard(loss: Any, *args: Any, **kwargs: Any) -> Any:
        if loss.numel() == 1 and loaders:
            losses.append(float(loss.detach()))
            if len(losses) > _STEPS:
                raise Enough
        return backward(loss, *args, **kwargs)

    def one(loader: Any) -> Any:
        nonlocal loaders
        loaders += 1
        if not hasattr(loader, "_first_batch"):
            loader._first_batch = next(begin(loader))
        return iter([loader._first_batch] * len(loader))

    torch.Tensor.backward, DataLoader.__iter__ = heard, one  # pyright: ignore[reportAttributeAccessIssue]
    # A program that raises on one batch again and again says nothing by it.
    with contextlib.suppress(Enough, Exception):
        _run(script)
    if len(losses) < _STEPS or losses[0] <= 0:
        return []
    return ["one-batch-not-fitted"] if sum(losses[-10:]) / 10 > _LEFT * losses[0] else []


def _run(script: list[str]) -> None:
    sys.argv = script
    sys.path[0] = os.path.dirname(os.path.abspath(script[0]))
    runpy.run_path(script[0], run_name="__main__")


def main() -> None:
    """Run one of the two, or both in processes of their own."""
    record, which, script = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if which != "all":
        record.write_text(json.dumps({"alarms": {"anomaly": anomaly, "overfit": overfit}[which](script)}))
        return
    alarms: list[str] = []
    for each in ("anomaly", "overfit"):
        record.unlink(missing_ok=True)
        subprocess.run([sys.executable, __file__, str(record), each, *script], check=False)
        alarms += json.loads(record.read_text())["alarms"] if record.exists() else ["raised"]
    record.write_text(json.dumps({"alarms": alarms}))


if __name__ == "__main__":
    main()
