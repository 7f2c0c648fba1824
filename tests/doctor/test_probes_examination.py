"""An examination keeps its subject, its random numbers and its time, and outlives probes that fail."""

import random

import numpy as np
import pytest
import torch
from examined import look
from torch import nn

from modelwright.base.errors import BadValue
from modelwright.doctor.probes.all import make_probes
from modelwright.doctor.probes.examination import PROBE_FAILED, examine
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.modes import Modes
from modelwright.doctor.probes.preserved import print_of
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.reading import read_factory
from modelwright.doctor.probes.subject import Subject


def make() -> dict[str, object]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 2))
    inputs = torch.randn(64, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    labels = (inputs[:, 0] > 0).long()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    optimizer.step()
    return {"model": model, "loss": nn.CrossEntropyLoss(), "data": (inputs, labels), "optimizer": optimizer}


def global_states() -> list[object]:
    numbers = np.random.get_state()  # noqa: NPY002 - to see whether it moves
    return [random.getstate(), numbers[1].tolist(), numbers[2], torch.get_rng_state().tolist()]


class Failing:
    words, share = "planted", 1.0

    def lacks(self, subject: Subject) -> str | None:
        return None

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        raise ZeroDivisionError("planted")


class Changing(Failing):
    def look(self, subject: Subject, limit: Limit) -> Outcome:
        subject.model[0].weight.data += 1
        return Outcome()


def test_the_subject_and_all_random_numbers_are_afterwards_as_they_were() -> None:
    subject = read_factory(make)
    before = print_of(subject)
    states = global_states()
    found = examine(subject, make_probes(), 60)
    assert print_of(subject) == before
    assert states == global_states()
    assert not found.findings


def test_a_probe_that_changes_its_subject_is_told() -> None:
    assert [each.kind for each in look(make, Changing()).findings] == ["subject-changed"]


def test_a_probe_that_fails_is_a_finding_and_the_others_go_on() -> None:
    found = look(make, Failing(), Modes())
    assert [(each.kind, each.severity.value) for each in found.findings] == [(PROBE_FAILED, "info")]
    assert found.checked == (Modes.words,)
    assert found.unchecked == ("planted: it failed",)


def test_what_no_time_is_left_for_is_said() -> None:
    found = look(make, Modes(), seconds=0.0)
    assert found.unchecked == (f"{Modes.words}: no time was left",)
    assert not found.checked


def test_probes_that_learn_are_left_out_where_memory_does_not_hold_them() -> None:
    from dataclasses import replace

    found = examine(replace(read_factory(make), memory=10), make_probes(), 30)
    assert sum("GB are free" in each for each in found.unchecked) == 5


@pytest.mark.parametrize(
    "made",
    [
        3,
        {},
        nn.Linear(2, 2),
        {"model": 3, "data": torch.zeros(3, 2)},
        {"loss": nn.MSELoss, "data": torch.zeros(3)},
    ],
)
def test_what_cannot_be_examined_is_refused(made: object) -> None:
    with pytest.raises(BadValue):
        read_factory(lambda: made)


def test_parts_may_come_as_a_tuple_or_with_other_names() -> None:
    parts = make()
    one = read_factory(lambda: (parts["model"], parts["loss"], parts["data"]))
    other = read_factory(
        lambda: {"net": parts["model"], "criterion": parts["loss"], "train_loader": parts["data"]}
    )
    for subject in (one, other):
        assert subject.model is parts["model"]
        assert subject.loss is parts["loss"]
        assert subject.sample is not None
        assert subject.sample.count == 64
