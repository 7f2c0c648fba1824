"""The list of what was measured names what the whole bank holds, and nothing twice."""

from pathlib import Path

import yaml

import modelwright.practice.choice
from modelwright.faults.plant import FOLDER
from modelwright.practice.choice import FAMILIES

PAGE = yaml.safe_load(Path(modelwright.practice.choice.__file__).with_name("measured.yaml").read_text())


def test_every_name_on_the_list_is_one_of_the_bank() -> None:
    for name, row in PAGE.items():
        page = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
        known = {fault["fault"] for fault in page["faults"]}
        listed = [*row["hurt"], *row["mild"]]
        assert set(listed) <= known, name
        assert len(set(listed)) == len(listed), name
        assert row["seconds"] > 0


def test_the_families_of_drills_are_those_of_the_bank() -> None:
    pages = [yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yaml")]
    assert {fault["family"] for page in pages for fault in page["faults"]} == set(FAMILIES)
