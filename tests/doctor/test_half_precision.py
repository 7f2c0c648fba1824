"""Gradients that vanish in half precision."""

from pathlib import Path

import pytest
from watched import run_watched

_PROGRAM = """
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 8)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
scaler = torch.amp.GradScaler("cpu", SETTING)
for step in range(30):
    rows = torch.randperm(256)[:32]
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.TYPE):
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
"""


def _program(setting: str, kind: str = "float16") -> str:
    return _PROGRAM.replace("SETTING", setting).replace("TYPE", kind)


def test_a_scale_that_is_too_small_is_named_with_its_line(tmp_path: Path) -> None:
    told = run_watched(_program("init_scale=2.0**-24"), tmp_path)
    assert "gradients-lost-in-half-precision" in told.kinds
    found = next(each for each in told.findings if each.kind == "gradients-lost-in-half-precision")
    assert found.causes[0].name == "half-precision-underflow"
    assert found.causes[0].line == 10


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("init_scale=2.0**12", "float16"), ("enabled=False", "float16"), ("init_scale=2.0**-24", "bfloat16")],
)
def test_gradients_that_stay_are_nothing_wrong(setting: str, kind: str, tmp_path: Path) -> None:
    assert run_watched(_program(setting, kind), tmp_path).kinds == []
