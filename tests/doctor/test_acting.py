"""Faults of learning by acting, planted in a small value learner: held to what its environment did."""

from pathlib import Path

import numpy as np
import pytest
from watched import CORRIDOR, plant, run_watched

from modelwright.doctor.watch.experience import Experience

_GOAL = "goal = "
_STEP = "environment.step(action)"
_SYNC = "        if step % 50 == 0:\n            target.load_state_dict(online.state_dict())\n"

FAULTS = {
    "no mask of ends": ([(" * (1.0 - ends.float())", "")], ("terminal-mask-missing", _GOAL)),
    "the mask the wrong way round": (
        [("(1.0 - ends.float())", "ends.float()")],
        ("done-mask-inverted", _GOAL),
    ),
    "cut episodes taken for ended ones": (
        [("following, terminated))", "following, terminated or truncated))")],
        ("truncation-as-terminal", _STEP),
    ),
    "no value of what follows": (
        [("rewards.float() + 0.95 * best *", "rewards.float() + 0.0 * best *")],
        ("bootstrap-missing", _GOAL),
    ),
    "rewards turned round": (
        [("goal = rewards.float()", "goal = -rewards.float()")],
        ("reward-sign-flipped", _STEP),
    ),
    "the worst action's value": (
        [("max(dim=1)", "min(dim=1)")],
        ("smallest-in-place-of-largest", _GOAL),
    ),
    "a target that never follows": (
        [(_SYNC, "")],
        ("target-never-updated", "target.load_state_dict(online.state_dict())"),
    ),
    "tau and its rest swapped": (
        [
            (
                _SYNC,
                "        with torch.no_grad():\n"
                "            for one, other in zip(target.parameters(), online.parameters()):\n"
                "                one.copy_(0.01 * one + 0.99 * other)\n",
            )
        ],
        ("tau-swapped", "one.copy_(0.01 * one + 0.99 * other)"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_values_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, expected = FAULTS[fault]
    found, line = run_watched(plant(CORRIDOR, *edits), tmp_path).first_cause
    assert found == expected[0]
    assert expected[1] in line


VARIANTS = {
    "as it is": [],
    "both networks choose": [
        (
            "best = target(nexts).max(dim=1).values",
            "best = target(nexts).gather(1, online(nexts).argmax(dim=1)[:, None]).squeeze(1)",
        )
    ],
    "no target network": [
        ("target = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))\n", ""),
        ("target.load_state_dict(online.state_dict())\noptimizer", "optimizer"),
        (_SYNC, ""),
        ("best = target(nexts)", "best = online(nexts)"),
    ],
    "a soft update": [
        (
            _SYNC,
            "        with torch.no_grad():\n"
            "            for one, other in zip(target.parameters(), online.parameters()):\n"
            "                one.lerp_(other, 0.01)\n",
        )
    ],
    "a discount of one": [("0.95 * best", "1.0 * best")],
    "half the reward": [("rewards.float() +", "0.5 * rewards.float() +")],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_only_looks_odd_in_values_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(CORRIDOR, *VARIANTS[variant]), tmp_path).findings == []


def test_cuts_taken_for_ends_need_no_action_where_the_time_is_seen(tmp_path: Path) -> None:
    edits, _ = FAULTS["cut episodes taken for ended ones"]
    timed = [
        (
            "return np.array([self.place, 1.0], np.float32), {}",
            "return np.array([self.place, 0.0], np.float32), {}",
        ),
        (
            "observation = np.array([self.place, 1.0], np.float32)",
            "observation = np.array([self.place, self.steps / 12], np.float32)",
        ),
    ]
    told = run_watched(plant(CORRIDOR, *edits, *timed), tmp_path)
    assert told.kinds == []
    assert [each.causes[0].name for each in told.findings] == ["truncation-as-terminal"]


def test_rows_are_found_among_what_happened() -> None:
    experience = Experience()
    experience.began(7, np.array([0.0, 1.0]))
    experience.stepped(7, 1, np.array([1.0, 1.0]), 2.0, False, False)
    experience.stepped(7, 0, np.array([3.0, 1.0]), 4.0, True, False)
    rows = np.array([[1.0, 1.0], [9.0, 9.0]], np.float32)
    assert experience.from_observations(rows) == [[1], []]
    assert experience.to_observations(rows) == [[0], []]
    assert experience.transitions[1].reward == 4.0


def test_the_same_again_and_again_is_kept_once_in_the_index() -> None:
    experience = Experience()
    for _ in range(1000):
        experience.began(7, [0.0])
        experience.stepped(7, 1, [1.0], 1.0, True, False)
    assert experience.from_observations([[0.0]]) == [[0]]
