"""Dropout as a function that is not told of the mode is named; told, or meant, it is not."""

from pathlib import Path

import pytest
from watched import DIGITS, plant, run_watched

_NET = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 10)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.nn.functional.dropout(x, 0.2)
        return self.second(x)


model = Net()
"""
_WHOLE = "model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))\n"
_CALL = "torch.nn.functional.dropout(x, 0.2)"
PROGRAM = plant(DIGITS, (_WHOLE, _NET))


def test_dropout_that_is_told_nothing_is_named_with_its_line(tmp_path: Path) -> None:
    told = run_watched(PROGRAM, tmp_path)
    assert told.first_cause == ("dropout-always-on", f"x = {_CALL}")
    assert told.kinds == ["dropout-in-evaluation-mode"]


RIGHT = {
    "told": "torch.nn.functional.dropout(x, 0.2, self.training)",
    "told in another line": "torch.nn.functional.dropout(\n            x, training=self.training\n        )",
    "on purpose": "torch.nn.functional.dropout(x, 0.2, training=True)",
    "a layer": "self.drop(x)",
    "a layer, on purpose": "self.drop.train()(x)",
    "none is dropped": "torch.nn.functional.dropout(x, 0.0)",
}


@pytest.mark.parametrize("call", RIGHT)
def test_dropout_that_is_told_or_meant_is_well(call: str, tmp_path: Path) -> None:
    assert (
        "dropout-in-evaluation-mode" not in run_watched(plant(PROGRAM, (_CALL, RIGHT[call])), tmp_path).kinds
    )
