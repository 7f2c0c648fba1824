"""Schedules in epochs that are stepped for every batch, in several ways to write them."""

from pathlib import Path

import pytest
from watched import run_watched

_PROGRAM = """
import math
from types import SimpleNamespace

import torch
from torch import nn
from torch.optim.lr_scheduler import *

torch.manual_seed(0)
settings = SimpleNamespace(epochs=12)
batches = 10
x = torch.randn(160, 8)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
sgd = torch.optim.SGD(model.parameters(), lr=0.05)
schedule = SCHEDULE
for epoch in range(1, settings.epochs + 1):
    for rows in torch.randperm(160).split(16):
        sgd.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        sgd.step()
        BATCH
    EPOCH
"""
_IN_EPOCHS = (
    "LambdaLR(sgd, lambda epoch: 1 - epoch / settings.epochs)",
    "LambdaLR(sgd, lr_lambda=lambda e: 0.5 * (1 + math.cos(math.pi * e / settings.epochs)))",
    "CosineAnnealingLR(sgd, T_max=settings.epochs, eta_min=1e-5)",
    "MultiStepLR(sgd, [int(0.5 * settings.epochs), int(0.75 * settings.epochs)])",
    "PolynomialLR(sgd, settings.epochs)",
)
_IN_BATCHES = (
    "LambdaLR(sgd, lambda step: 1 - step / (settings.epochs * batches))",
    "LambdaLR(sgd, lambda step: 1 - step / (settings.epochs * 10))",
    "OneCycleLR(sgd, 0.05, epochs=settings.epochs, steps_per_epoch=10)",
    "ExponentialLR(sgd, 0.97)",
)


def _program(schedule: str, *, batch: bool) -> str:
    step = "schedule.step()"
    program = _PROGRAM.replace("SCHEDULE", schedule)
    return program.replace("BATCH", step if batch else "pass").replace("EPOCH", "pass" if batch else step)


@pytest.mark.parametrize("schedule", [*_IN_EPOCHS, "ExponentialLR(sgd, 0.92)"])
def test_a_schedule_in_epochs_that_is_stepped_per_batch_is_found(schedule: str, tmp_path: Path) -> None:
    told = run_watched(_program(schedule, batch=True), tmp_path)
    found = [each for each in told.findings if each.kind == "schedule-passed-its-end"]
    assert [each.causes[0].name for each in found] == ["scheduler-stepped-per-batch"]
    assert told.first_cause == ("scheduler-stepped-per-batch", "schedule.step()")


@pytest.mark.parametrize("schedule", _IN_EPOCHS)
def test_it_is_right_where_it_is_stepped_per_epoch(schedule: str, tmp_path: Path) -> None:
    assert run_watched(_program(schedule, batch=False), tmp_path).kinds == []


@pytest.mark.parametrize("schedule", _IN_BATCHES)
def test_a_schedule_in_batches_is_right(schedule: str, tmp_path: Path) -> None:
    assert run_watched(_program(schedule, batch=True), tmp_path).kinds == []


_COUNTS_STEPS = (
    "OneCycleLR(sgd, 0.05, epochs=settings.epochs, steps_per_epoch=10)",
    "CosineAnnealingLR(sgd, T_max=settings.epochs * batches)",
    "PolynomialLR(sgd, settings.epochs * batches)",
    "LambdaLR(sgd, partial(lambda step, num_training_steps: 1 - step / num_training_steps, "
    "num_training_steps=120))",
)


def _of_steps(schedule: str, *, batch: bool) -> str:
    return _program(schedule, batch=batch).replace(
        "import math\n", "import math\nfrom functools import partial\n"
    )


@pytest.mark.parametrize("schedule", _COUNTS_STEPS)
def test_a_schedule_in_steps_that_is_stepped_per_epoch_is_found(schedule: str, tmp_path: Path) -> None:
    told = run_watched(_of_steps(schedule, batch=False), tmp_path)
    found = [each for each in told.findings if each.kind == "schedule-far-from-its-end"]
    assert [each.causes[0].name for each in found] == ["scheduler-stepped-per-epoch"]


@pytest.mark.parametrize(
    ("schedule", "batch"),
    [*((each, True) for each in _COUNTS_STEPS), ("CosineAnnealingLR(sgd, T_max=100)", False)],
)
def test_a_schedule_in_steps_is_right_and_so_is_a_run_that_stops_early(
    schedule: str, batch: bool, tmp_path: Path
) -> None:
    kinds = run_watched(_of_steps(schedule, batch=batch), tmp_path).kinds
    assert "schedule-far-from-its-end" not in kinds
    assert "schedule-passed-its-end" not in kinds
