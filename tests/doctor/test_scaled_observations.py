"""Programs that scale observations by themselves: their batches are read all the same."""

from pathlib import Path

import numpy as np
import pytest
from watched import CORRIDOR, plant, run_watched

from modelwright.doctor.watch.experience import key_of
from modelwright.doctor.watch.scaled_observations import ScaledObservations

_RULE = """def scaled(seen):
    return ((seen - 0.5) / np.array([3.0, 2.0])).astype(np.float32)


random.seed(0)
"""
SCALED = plant(
    CORRIDOR,
    ("random.seed(0)\n", _RULE),
    ("observation, _ = environment.reset(seed=0)", "observation = scaled(environment.reset(seed=0)[0])"),
    ("memory.append(", "following = scaled(following)\n    memory.append("),
    ("environment.reset()[0] if", "scaled(environment.reset()[0]) if"),
)
FAULTS = {
    "no mask": ("terminal-mask-missing", ("best * (1.0 - ends.float())", "best")),
    "cuts as ends": (
        "truncation-as-terminal",
        ("following, terminated))", "following, terminated or truncated))"),
    ),
    "the step's own": ("next-observation-wrong", ("best = target(nexts)", "best = target(states)")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_targets_is_named_where_observations_are_scaled(fault: str, tmp_path: Path) -> None:
    name, edit = FAULTS[fault]
    assert run_watched(plant(SCALED, edit), tmp_path).first_cause[0] == name


def test_scaling_by_hand_is_well(tmp_path: Path) -> None:
    assert run_watched(SCALED, tmp_path).kinds == []


def test_the_rule_is_found_and_rows_are_found_by_it() -> None:
    rng = np.random.default_rng(0)
    shown = rng.normal(size=(400, 3)).astype(np.float32)
    factor, shift = np.array([0.5, -2.0, 1.0]), np.array([0.0, 1.0, 3.0])
    given = (shown * factor + shift).astype(np.float32)
    scaled = ScaledObservations()
    for row, seen in zip(given[:40], shown[:40], strict=True):
        scaled.saw(row, key_of(seen))
    assert scaled.size == 3
    keys = [key_of(row) for row in shown]
    assert scaled.keys(given[100:200], lambda: keys, 400) == keys[100:200]
    assert scaled.keys(given[:3] + np.float32(0.1), lambda: keys, 401) == [b""] * 3


def test_the_rule_is_found_where_models_are_asked_of_what_was_shown_before() -> None:
    rng = np.random.default_rng(2)
    shown = rng.normal(size=(41, 3)).astype(np.float32)
    scaled = ScaledObservations()
    for at in range(1, 41):
        scaled.saw(shown[at - 1] * np.float32(0.25), key_of(shown[at]), key_of(shown[at - 1]))
    assert scaled.size == 3
    keys = [key_of(row) for row in shown]
    assert scaled.keys(shown[5:9] * np.float32(0.25), lambda: keys, 41) == keys[5:9]


def test_what_changes_by_another_rule_is_not_taken_for_scaled() -> None:
    rng = np.random.default_rng(1)
    scaled = ScaledObservations()
    for _ in range(300):
        seen = rng.normal(size=3).astype(np.float32)
        scaled.saw(np.tanh(seen), key_of(seen))
    assert scaled.size == 0
    same = ScaledObservations()
    for _ in range(100):
        seen = rng.normal(size=3).astype(np.float32)
        same.saw(seen, key_of(seen))
    assert same.size == 0
