"""Rows that are measured, from one evaluation to the next."""

from pathlib import Path

import pytest
from watched import DIGITS, plant, run_watched

_NOISY = """
class Changed(TensorDataset):
    def __getitem__(self, at):
        x, y = super().__getitem__(at)
        return x + 0.05 * torch.rand(64), y


"""
_MODEL = "model = nn.Sequential("
_HELD_OUT = "DataLoader(TensorDataset(held_out, held_out_labels), batch_size=64)"
_ALSO_LEARNT = "batches = DataLoader(Changed(seen, seen_labels), batch_size=64, shuffle=True)\n"

SOUND = {
    "as it is": [],
    "only what is learnt from is changed": [(_MODEL, _NOISY + _ALSO_LEARNT + _MODEL)],
    "validation in random order": [(_HELD_OUT, _HELD_OUT.replace("size=64", "size=64, shuffle=True"))],
}


def test_held_out_rows_that_are_changed_at_random_are_named(tmp_path: Path) -> None:
    changed = _NOISY + "validation = " + _HELD_OUT.replace("TensorDataset", "Changed") + "\n"
    told = run_watched(plant(DIGITS, (_MODEL, changed + _MODEL)), tmp_path)
    assert told.kinds == ["measured-rows-change"]
    found, line = told.first_cause
    assert found == "augmented-in-evaluation"
    assert "model(x)" in line


@pytest.mark.parametrize("variant", SOUND)
def test_rows_that_stay_or_come_in_another_order_are_not_called_wrong(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(DIGITS, *SOUND[variant]), tmp_path).findings == []
