"""A short loop of learning on a copy, in the right order."""

from collections.abc import Iterator
from typing import Any

import torch

from modelwright.doctor.probes.fork import Fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.sample import Sample

__all__ = ["fit", "mean_loss", "scale_rates"]


def fit(made: Fork, sample: Sample, steps: int, limit: Limit) -> list[float]:
    """Let the optimizer take steps; return the loss of each batch.

    Ends early where time is over or the loss is no number. Batches are drawn anew in each epoch, by
    numbers of the loop's own.
    """
    made.model.train()
    losses: list[float] = []
    size = max(1, min(sample.batch_size, sample.count))
    for index in _numbers(sample.count, size, steps):
        if limit.is_over:
            break
        batch = sample.take(index)

        def closure(batch: Sample = batch) -> Any:
            made.optimizer.zero_grad()
            loss = made.loss_of(batch)
            loss.backward()
            return loss

        loss: Any
        if isinstance(made.optimizer, torch.optim.LBFGS):
            loss = made.optimizer.step(closure)
        else:
            loss = closure()
            made.optimizer.step()
        losses.append(float(loss.detach()))
        if not abs(losses[-1]) < float("inf"):
            break
    return losses


def _numbers(rows: int, size: int, steps: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    done = 0
    while done < steps:
        order = torch.randperm(rows, generator=generator)
        for at in range(0, rows - size + 1, size):
            yield order[at : at + size]
            done += 1
            if done == steps:
                return


def mean_loss(made: Fork, sample: Sample, *, training: bool = False, most: int = 256) -> float:
    """Return the loss of up to `most` rows as one batch; the mode of the model is changed."""
    made.model.train(training)
    with torch.no_grad():
        return float(made.loss_of(sample.take(slice(0, most))))


def scale_rates(made: Fork, factor: float) -> None:
    """Multiply all learning rates, those from which a schedule begins too."""
    for group in made.optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"]) * factor
