"""A watched program computes what it computes unwatched, bit for bit, and leaves no trace in torch."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from watched import DIGITS, plant, run_watched

from modelwright.base.finding import Finding
from modelwright.doctor.watch.failure import SENSOR_FAILED
from modelwright.doctor.watch.sensor import Scene, Sensor
from modelwright.doctor.watch.torch_watch import TorchWatch
from modelwright.doctor.watch.watch import Watch


def numbers_of(variables: dict[str, Any]) -> list[bytes]:
    model = variables["model"]
    weights = [each.detach().numpy().tobytes() for each in model.state_dict().values()]
    return [np.array(variables["losses"]).tobytes(), str(variables["right"]).encode(), *weights]


def test_the_numbers_of_a_watched_run_are_those_of_an_unwatched_one(tmp_path: Path) -> None:
    watched = run_watched(DIGITS, tmp_path)
    alone = runpy.run_path(str(tmp_path / "program.py"))
    assert numbers_of(watched.variables) == numbers_of(alone)


def test_nothing_stays_behind_in_torch() -> None:
    before = [torch.autograd.backward, nn.Module.train, nn.utils.clip_grad_norm_, nn.Linear.forward]
    instrument = TorchWatch(Watch(lambda scene: ()))
    instrument.start()
    nn.Linear(2, 2)(torch.ones(1, 2)).sum().backward()
    assert torch.autograd.backward is not before[0]
    instrument.stop()
    assert [torch.autograd.backward, nn.Module.train, nn.utils.clip_grad_norm_, nn.Linear.forward] == before
    assert not nn.modules.module._global_forward_hooks
    assert not torch.overrides._get_current_function_mode_stack()


class _Broken(Sensor):
    def on_backward(self, loss: Any) -> None:
        raise ArithmeticError("it broke on purpose")


class _Counting(Sensor):
    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.heard = 0

    def on_backward(self, loss: Any) -> None:
        self.heard += 1


def test_a_sensor_that_raises_is_left_out_and_said_so() -> None:
    kept: list[_Counting] = []

    def sensors(scene: Scene) -> list[Sensor]:
        kept.append(_Counting(scene))
        return [_Broken(scene), kept[0]]

    watch = Watch(sensors)
    instrument = TorchWatch(watch)
    instrument.start()
    layer = nn.Linear(2, 2)
    for _ in range(3):
        layer(torch.ones(1, 2)).sum().backward()
    instrument.stop()
    assert [each.kind for each in watch.findings()] == [SENSOR_FAILED]
    assert "it broke on purpose" in str(watch.findings()[0].evidence)
    assert kept[0].heard >= 2


class _Divides(Sensor):
    """Divides by zero as it judges."""

    asked = 0

    def findings(self) -> list[Finding]:
        self.asked += bool(np.isnan(np.zeros(1) / np.zeros(1)).all())
        return []


def test_what_numpy_does_of_zeros_is_the_doctors_own_affair(recwarn: pytest.WarningsRecorder) -> None:
    sensor = _Divides(Scene())
    with np.errstate(all="raise"):
        assert not Watch(lambda scene: [sensor]).findings()
    assert not Watch(lambda scene: [sensor]).findings()
    assert sensor.asked == 2
    assert not list(recwarn)


MANY = """
import weakref

import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(256, 6), torch.randn(256, 1)
made = []
for fold in range(30):
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    made.append(weakref.ref(net))
    for step in range(10):
        rows = torch.randint(0, 256, (32,))
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x[rows]), y[rows]).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        net(x[:64])
    if fold == 28:
        net = optimizer = None
        import gc
        gc.collect()
        alive = sum(each() is not None for each in made)
"""


def test_a_program_that_makes_many_models_may_let_go_of_them(tmp_path: Path) -> None:
    told = run_watched(MANY, tmp_path)
    assert told.variables["alive"] <= 20
    assert "sensor-failed" not in [each.kind for each in told.findings]
    late = plant(
        MANY,
        ("        optimizer.zero_grad()\n", "        if fold < 12:\n            optimizer.zero_grad()\n"),
    )
    assert "gradients-kept-across-steps" in run_watched(late, tmp_path).kinds
