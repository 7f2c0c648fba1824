"""Programs of the fault bank: every edit fits, every mutated program compiles, bad edits are refused."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from modelwright.base.errors import BadValue, UnknownName
from modelwright.faults.plant import FOLDER, Edit, Program, mutated, plant, programs

BANK = {program.name: program for program in programs()}
PLANTED = [(program.name, fault.name) for program in BANK.values() for fault in program.faults]
VARIED = [(program.name, variant.name) for program in BANK.values() for variant in program.variants]
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def test_every_program_has_its_page_and_every_page_its_program() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(BANK)
    assert len(BANK) >= 15


@pytest.mark.parametrize("name", BANK)
def test_names_are_unique_in_a_program_and_in_kebab_case(name: str) -> None:
    faults = [fault.name for fault in BANK[name].faults]
    variants = [variant.name for variant in BANK[name].variants]
    assert len(set(faults)) == len(faults) >= 4
    assert len(set(variants)) == len(variants) >= 3
    assert all(KEBAB.fullmatch(word) for word in (*faults, *variants))
    assert all(fault.name not in fault.also for fault in BANK[name].faults)


@pytest.mark.parametrize("name", BANK)
def test_a_program_is_described(name: str) -> None:
    program = BANK[name]
    assert program.title.endswith(".")
    assert all((program.family, program.style, program.score))
    assert '"score"' in program.source.rstrip().rpartition("json.dumps")[2]


@pytest.mark.parametrize(("name", "fault_name"), PLANTED)
def test_a_planted_fault_compiles_and_has_the_line_that_it_points_at(name: str, fault_name: str) -> None:
    program = BANK[name]
    (fault,) = (fault for fault in program.faults if fault.name == fault_name)
    text = mutated(program, fault_name)
    compile(text, name, "exec")
    assert text != program.source
    assert fault.difficulty in (1, 2, 3)
    assert fault.line
    assert any(fault.line in line for line in text.splitlines())


@pytest.mark.parametrize(("name", "variant_name"), VARIED)
def test_a_variant_compiles_and_says_why_it_is_right(name: str, variant_name: str) -> None:
    program = BANK[name]
    (variant,) = (variant for variant in program.variants if variant.name == variant_name)
    text = plant(program.source, variant.edits)
    compile(text, name, "exec")
    assert text != program.source
    assert variant.why.endswith(".")


@pytest.mark.parametrize("name", BANK)
def test_no_two_faults_of_a_program_are_the_same_text(name: str) -> None:
    texts = [mutated(BANK[name], fault.name) for fault in BANK[name].faults]
    assert len(set(texts)) == len(texts)


def test_edits_are_made_in_order_on_the_text_that_the_last_one_left() -> None:
    edits = [Edit(old="a = 1", new="b = 1"), Edit(old="b = 1\n", new="")]
    assert plant("a = 1\nc = 2\n", edits) == "c = 2\n"


@pytest.mark.parametrize(
    ("edit", "count"),
    [(Edit(old="x", new="y"), 2), (Edit(old="z", new="y"), 0), (Edit(old="", new="y"), 0)],
    ids=["twice", "never", "empty"],
)
def test_an_edit_that_does_not_fit_exactly_once_is_refused(edit: Edit, count: int) -> None:
    with pytest.raises(BadValue, match=f"{count} times"):
        plant("x = x\n", [edit])


def test_a_fault_that_no_longer_fits_its_program_is_refused(tmp_path: Path) -> None:
    program = copied(tmp_path, "digits_mlp", lambda text: text.replace("optimizer.zero_grad()", "pass"))
    with pytest.raises(BadValue, match="exactly once"):
        mutated(program, "zero-grad-missing")


def test_an_unknown_fault_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="zero-grad-missing"):
        mutated(BANK["digits_mlp"], "zero-grad-mising")


@pytest.mark.parametrize("broken", ["chance: 0.1\n", "- a list\n", "faults: [\n"])
def test_a_page_that_describes_no_program_is_refused_by_its_name(tmp_path: Path, broken: str) -> None:
    copied(tmp_path, "digits_mlp", str)
    (tmp_path / "digits_mlp.yaml").write_text(broken, "utf-8")
    with pytest.raises(BadValue, match=re.escape("digits_mlp.yaml")):
        programs(tmp_path)


def copied(folder: Path, name: str, change: Callable[[str], str]) -> Program:
    """Return the program as read from a folder with a changed copy of its source."""
    (folder / f"{name}.py").write_text(change((FOLDER / f"{name}.py").read_text("utf-8")), "utf-8")
    (folder / f"{name}.yaml").write_text((FOLDER / f"{name}.yaml").read_text("utf-8"), "utf-8")
    (program,) = programs(folder)
    return program
