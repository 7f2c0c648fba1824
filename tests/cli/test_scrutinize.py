"""The command that holds a function to ours: exit status, text, JSON."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Call = Callable[[Path, Sequence[str]], Any]

MINE = """
import numpy as np

def right(rewards, values, dones, last_value, gamma, lam):
    advantage, out = 0.0, np.zeros_like(rewards)
    for t in reversed(range(len(rewards))):
        following = last_value if t == len(rewards) - 1 else values[t + 1]
        delta = rewards[t] + gamma * (1 - dones[t]) * following - values[t]
        out[t] = advantage = delta + gamma * lam * (1 - dones[t]) * advantage
    return out

def wrong(rewards, values, dones, last_value, gamma, lam):
    return right(rewards, values, dones, last_value, lam, gamma)

def failing(rewards, values, dones, last_value, gamma, lam):
    raise RuntimeError("not yet")

def weighed(w, values, dones, last_value, gamma, lam, r=None):
    return right(w, values, dones, last_value, gamma, lam)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


@pytest.mark.parametrize(
    ("function", "status", "outcome"),
    [("right", 0, "agrees"), ("wrong", 1, "differs"), ("failing", 2, "not compared")],
)
def test_the_exit_status_tells_the_outcome(
    function: str, status: int, outcome: str, folder: Path, call: Call
) -> None:
    said = call(folder, ["scrutinize", f"mine.py:{function}", "ppo:gae"])
    assert said.status == status, said
    record = json.loads(call(folder, ["scrutinize", f"mine.py:{function}", "ppo:gae", "--json"]).out)
    assert record["outcome"] == outcome
    assert record["subject"] == "returns:gae"


def test_a_difference_is_shown_with_its_input_both_outputs_and_the_mistake(folder: Path, call: Call) -> None:
    text = call(folder, ["scrutinize", "mine.py:wrong", "ppo:gae"]).out
    for words in ("First difference: advantage", "theirs", "ours", "gamma-lambda-swapped", "last_value"):
        assert words in text


def test_subjects_are_listed(folder: Path, call: Call) -> None:
    text = call(folder, ["scrutinize"]).out
    assert "ppo:loss" in text
    assert "ppo:gae" in text
    assert set(json.loads(call(folder, ["scrutinize", "--json"]).out)) == {"subjects", "aliases"}


def test_arguments_can_be_mapped(folder: Path, call: Call) -> None:
    words = ["scrutinize", "mine.py:weighed", "ppo:gae", "--map", "rewards=w"]
    assert call(folder, words).status == 0
    said = call(folder, [*words[:-1], "rewards"])
    assert said.status == 2
    assert "--map takes two names" in said.err
