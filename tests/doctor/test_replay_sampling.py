"""What a memory gives: one that takes in nothing new, or gives only the newest, is named; others are not."""

from pathlib import Path

import pytest
from watched import CORRIDOR, plant, run_watched

LONG = plant(
    CORRIDOR, ("range(900)", "range(1900)"), ("if step >= 100:", "if step >= 100 and step % 4 == 0:")
)
_STORE = "memory.append((observation, action, reward, following, terminated))"
_DRAW = "rows = random.sample(memory, 32)"
_CALL = "value = online(states).gather(1, actions[:, None]).squeeze(1)"
_WHAT = "(observation, action, reward, following, terminated)"

FAULTS = {
    "the last place is written over and over": (
        [(_STORE, f"memory[399:] = [{_WHAT}]")],
        ("buffer-not-wrapping", _CALL),
    ),
    "nothing is stored once it is full": (
        [(_STORE, f"memory += [{_WHAT}] if step < 400 else []")],
        ("buffer-not-wrapping", _CALL),
    ),
    "the last rows in place of any": ([(_DRAW, "rows = memory[-32:]")], ("newest-only-sampled", _CALL)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_a_memory_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, expected = FAULTS[fault]
    told = run_watched(plant(LONG, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause == expected


VARIANTS = {
    "larger than the run": [],
    "a ring": [(_STORE, f"memory[step % 300 : step % 300 + 1] = [{_WHAT}]")],
    "a small window": [(_STORE, f"memory = memory[-150:] + [{_WHAT}]")],
    "some are preferred": [
        (_DRAW, "rows = random.choices(memory, [1 + 9 * (each[2] > 0) for each in memory], k=32)")
    ],
    "episodes are stored at their end": [
        (
            _STORE,
            "episode = (episode if step else []) + "
            f"[{_WHAT}]\n    if terminated or truncated:\n        memory += episode\n        episode = []",
        )
    ],
    "a batch for each stretch of steps": [
        (_DRAW, "rows = memory[-32:]"),
        ("step % 4 == 0", "step % 32 == 0"),
    ],
    "learning ends early": [("if step >= 100", "if 100 <= step < 600")],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_memory_that_only_looks_odd_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    told = run_watched(plant(LONG, *VARIANTS[variant]), tmp_path)
    assert not {"newest-experience-never-replayed", "only-newest-experience-replayed"} & set(told.kinds)
