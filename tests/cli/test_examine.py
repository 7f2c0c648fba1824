"""The command that probes what a factory makes: exit status, text, JSON, and factories that raise."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Call = Callable[[Path, Sequence[str]], Any]


@pytest.mark.parametrize("name", ["model.py:make", pytest.param("model.make", marks=pytest.mark.slow)])
def test_what_is_right_ends_with_what_was_checked(name: str, new_project: Path, call: Call) -> None:
    said = call(new_project, ["examine", name])
    assert said.status == 0, said
    assert "Nothing wrong was found." in said.out
    assert "checked:" in said.out
    assert "Linear of 4 parameters" in said.out


def test_what_is_wrong_is_a_finding_with_its_cause(new_project: Path, call: Call) -> None:
    said = call(new_project, ["examine", "--json", "model.py:broken"])
    assert said.status == 1
    first = json.loads(said.out)["findings"][0]
    assert first["kind"] == "loss-prefers-wrong-outputs"
    assert first["causes"][0]["name"] == "loss-sign-flipped"
    assert first["causes"][0]["file"].endswith("model.py")


def test_a_factory_that_raises_is_a_finding_with_its_line(new_project: Path, call: Call) -> None:
    said = call(new_project, ["examine", "--json", "model.py:raising"])
    (found,) = json.loads(said.out)["findings"]
    assert (said.status, found["kind"]) == (1, "program-raised")
    line = (new_project / "model.py").read_text().splitlines()[found["causes"][0]["line"] - 1]
    assert "planted" in line


def test_a_factory_that_makes_something_else_is_refused(new_project: Path, call: Call) -> None:
    said = call(new_project, ["examine", "model.py:nothing"])
    assert said.status == 2
    assert "model, loss and data" in said.err


AGENT = """
import numpy as np


class Agent:
    def __init__(self, environment):
        self.environment, self.sum, self.count = environment, np.zeros((5, 2)), np.zeros((5, 2))

    def learn(self, steps):
        for _ in range(steps):
            at = int(self.environment.reset()[0].argmax())
            action = int(self.environment.action_space.sample())
            self.sum[at, action] -= self.environment.step(action)[1]
            self.count[at, action] += 1

    def value(self, observation):
        return (self.sum / np.maximum(self.count, 1))[int(observation.argmax())]

    def act(self, observation):
        return int(self.value(observation).argmax())


def make(environment, gamma=0.9):
    return Agent(environment)


def refused(environment):
    return 3
"""
"""Learns single steps, and takes every reward for its opposite."""


@pytest.mark.slow
def test_a_function_of_an_environment_makes_an_agent_that_learns_in_processes_of_its_own(
    new_project: Path, call: Call
) -> None:
    (new_project / "agent.py").write_text(AGENT)
    said = call(new_project, ["examine", "--json", "--seconds", "60", "agent.py:make"])
    assert said.status == 1, said
    first = json.loads(said.out)["findings"][0]
    assert first["kind"] == "known-value-missed"
    assert first["causes"][0]["name"] == "reward-sign-flipped"
    assert first["causes"][0]["file"].endswith("agent.py")


def test_a_factory_that_makes_no_agent_is_told_what_one_is(new_project: Path, call: Call) -> None:
    (new_project / "agent.py").write_text(AGENT)
    said = call(new_project, ["examine", "agent.py:refused"])
    assert said.status == 2
    assert "act(observation)" in said.err
