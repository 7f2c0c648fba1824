"""Which line made a tensor: through other forms of the same numbers, not through what was computed anew."""

import torch

from modelwright.doctor.watch.origins import Origins
from modelwright.doctor.watch.place import Place

_HERE, _THERE = Place("train.py", 3, "f"), Place("train.py", 9, "f")


def test_numbers_in_another_form_come_from_the_line_that_computed_them() -> None:
    origins, rows = Origins(), torch.ones(4, 1)
    total = rows + 1
    origins.note("add", (rows, 1), total, _HERE)
    for name, change in (("detach", torch.Tensor.detach), ("squeeze", torch.Tensor.squeeze)):
        form = change(total)
        origins.note(name, (total,), form, _THERE)
        assert origins.of(form) == _HERE
    double = total * 2
    origins.note("mul", (total, 2), double, _THERE)
    assert origins.of(double) == _THERE


def test_a_form_of_what_was_not_heard_comes_from_its_own_line() -> None:
    origins, rows = Origins(), torch.ones(4, 1)
    form = rows.detach()
    origins.note("detach", (rows,), form, _HERE)
    assert origins.of(form) == _HERE
    assert origins.of(rows) is None


def test_tensors_that_are_gone_are_not_taken_for_new_ones() -> None:
    origins = Origins()
    for _ in range(50):
        made = torch.ones(3)
        origins.note("ones", (), made, _HERE)
        del made
        assert origins.of(torch.zeros(3)) is None


def test_what_is_remembered_is_bounded() -> None:
    origins = Origins()
    kept = [torch.zeros(1) for _ in range(2500)]
    for each in kept:
        origins.note("zeros", (), each, _HERE)
    assert origins.of(kept[0]) is None
    assert origins.of(kept[-1]) == _HERE
