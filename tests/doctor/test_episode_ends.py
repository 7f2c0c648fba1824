"""How wrappers tell of ends and cuts."""

from pathlib import Path

from watched import CORRIDOR, plant, run_watched

_MADE = "environment = gymnasium.wrappers.RecordEpisodeStatistics(Corridor())\n"
_WRAPPER = """

class Outer(gymnasium.Wrapper):
    def step(self, action):
        observation, reward, terminated, truncated, told = self.env.step(action)
        return observation, reward, {ends}, told


environment = gymnasium.wrappers.RecordEpisodeStatistics(Outer(Corridor()))
"""


def test_a_wrapper_that_exchanges_ends_and_cuts_is_named_with_its_line(tmp_path: Path) -> None:
    told = run_watched(plant(CORRIDOR, (_MADE, _WRAPPER.format(ends="truncated, terminated"))), tmp_path)
    (found,) = (each for each in told.findings if each.kind == "ends-and-cuts-exchanged")
    assert found.evidence["episodes_that_ended"] == found.evidence["of_these_told_as_cut"] >= 3
    assert found.causes[0].name == "terminated-truncated-swapped"
    program = (tmp_path / "program.py").read_text().splitlines()
    assert "truncated, terminated, told" in program[(found.causes[0].line or 0) - 1]


def test_wrappers_that_end_episodes_early_or_never_by_choice_are_well(tmp_path: Path) -> None:
    for ends in (
        "terminated, truncated",
        "terminated or truncated, False",
        "False, truncated",
        "terminated, True",
    ):
        told = run_watched(plant(CORRIDOR, (_MADE, _WRAPPER.format(ends=ends))), tmp_path)
        assert "ends-and-cuts-exchanged" not in told.kinds
