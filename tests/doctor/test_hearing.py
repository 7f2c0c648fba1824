"""Which sensor is told of what: all, or only what it names, always or only while the watch looks closely."""

from typing import Any

import torch
from torch import nn

from modelwright.doctor.watch.sensor import Operation, Scene, Sensor
from modelwright.doctor.watch.torch_watch import TorchWatch
from modelwright.doctor.watch.watch import Watch


class _All(Sensor):
    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.operations_heard: set[str] = set()
        self.steps: list[bool] = []
        self.zeros = 0

    def on_operation(self, operation: Operation) -> None:
        self.operations_heard.add(operation.name)

    def on_step_end(self, optimizer: Any) -> None:
        self.steps.append(self.scene.close)

    def on_zero(self, optimizers: Any) -> None:
        self.zeros += 1


class _Some(_All):
    operations = frozenset({"relu", "tanh"})
    closely = frozenset({"on_step_end"})


def test_a_sensor_hears_the_operations_that_it_names_and_some_events_only_closely() -> None:
    sensors: list[_All] = []

    def make(scene: Scene) -> list[_All]:
        sensors[:] = [_All(scene), _Some(scene)]
        return sensors

    instrument = TorchWatch(Watch(make))
    instrument.start()
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        model(torch.ones(3, 2)).sum().backward()
        optimizer.step()
    instrument.stop()
    everything, some = sensors
    assert {"relu", "linear", "sum"} <= everything.operations_heard
    assert some.operations_heard == {"relu"}
    assert everything.zeros == some.zeros == len(everything.steps) == 200
    assert 24 <= len(some.steps) < 100
    assert some.steps == [True] * everything.steps.count(True)


def test_a_sensor_that_is_left_out_hears_nothing_more() -> None:
    class Raises(_Some):
        def on_operation(self, operation: Operation) -> None:
            super().on_operation(operation)
            raise ArithmeticError("planted")

    made: list[Raises] = []

    def make(scene: Scene) -> list[Raises]:
        made[:] = [Raises(scene)]
        return made

    watch = Watch(make)
    instrument = TorchWatch(watch)
    instrument.start()
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Tanh())
    model(torch.ones(3, 2))
    instrument.stop()
    assert made[0].operations_heard == {"relu"}
    assert [each.kind for each in watch.findings()] == ["sensor-failed"]
