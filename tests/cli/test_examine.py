"""The command that probes what a factory makes: exit status, text, JSON, and factories that raise."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Call = Callable[[Path, Sequence[str]], Any]


@pytest.mark.parametrize("name", ["model.py:make", "model.make"])
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
