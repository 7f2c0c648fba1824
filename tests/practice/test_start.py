"""A drill is begun: drawn, measured, put into a folder of its own, sealed in the journal."""

import json
from pathlib import Path

import pytest

from modelwright.base.errors import BadValue, StoreFailed, UnknownName
from modelwright.faults.plant import Program
from modelwright.journal.journal import Journal
from modelwright.practice.bookkeeping import drills_on_record
from modelwright.practice.choice import Wish, candidates, draw
from modelwright.practice.start import start_drill


def quiet(_: str) -> None:
    pass


def test_neither_folder_nor_journal_names_the_fault_and_the_seal_stands_for_it_alone(desk, bank) -> None:
    drill = desk.drills["learning-rate-too-low"]
    names = [fault.name for program in bank for fault in program.faults]
    said = "".join(path.read_text() + path.name for path in drill.folder.iterdir())
    said += json.dumps([dict(entry.body) for entry in desk.journal.entries(kind="drill.begun")])
    assert not [name for name in names if name in said or name.replace("-", "_") in said]
    assert [name for name in names if drill.seal.holds("slope", name)] == ["learning-rate-too-low"]
    assert drill.seal.find("slope", bank).name == "learning-rate-too-low"
    assert drill.seal.find("other", bank) is None


def test_the_page_says_what_it_is_for_how_to_run_it_and_what_both_reach(desk) -> None:
    drill = desk.drills["learning-rate-too-low"]
    page = (drill.folder / "TASK.md").read_text()
    assert "A slope is fitted" in page
    assert "python slope.py --seed 0" in page
    for seed, score in drill.sound_scores.items():
        assert f"seed {seed}    sound {score:.4g}" in page
    assert "better than a sound program" not in page
    assert "better than a sound program" in (desk.drills["best-rows-measured"].folder / "TASK.md").read_text()


def test_a_fault_that_hardly_hurts_is_not_drawn_and_one_that_does_nothing_is_refused(tmp_path: Path) -> None:
    told: list[str] = []
    with Journal.open(tmp_path / "j") as journal:
        with pytest.raises(BadValue, match="none of which does"):
            start_drill(journal, tmp_path, Wish(family="data", difficulty=3), tell=told.append)
        with pytest.raises(BadValue, match="none of which does"):
            start_drill(journal, tmp_path, Wish(fault="changes-nothing"), tell=quiet)
        assert sum("drawing another" in line for line in told) == 2
        assert not (tmp_path / "drills").exists()
        assert not journal.entries(kind="drill.begun")


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with Journal.open(tmp_path / "j") as journal, pytest.raises(BadValue, match="folder of its own"):
        start_drill(journal, tmp_path, Wish(), folder=tmp_path / "mine", tell=quiet)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_disk_that_refuses_leaves_no_half_drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def refuse(path: Path, content: bytes) -> int:
        if path.name == "TASK.md":
            raise OSError(28, "No space left on device")
        return write(path, content)

    with Journal.open(tmp_path / "j") as journal:
        monkeypatch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(StoreFailed, match="No space left"):
            start_drill(journal, tmp_path, Wish(fault="learning-rate-too-low"), tell=quiet)
        assert not list((tmp_path / "drills").iterdir())
        assert not drills_on_record(journal)


@pytest.mark.parametrize(
    ("wish", "nearest"),
    [
        (Wish(program="slop"), "slope"),
        (Wish(fault="learning-rate-to-low"), "learning-rate-too-low"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(bank, wish: Wish, nearest: str) -> None:
    with pytest.raises(UnknownName) as caught:
        candidates(bank, wish)
    assert caught.value.nearest == nearest


def test_where_nothing_fits_the_nearest_difficulty_is_said(bank) -> None:
    with pytest.raises(BadValue) as caught:
        candidates(bank, Wish(family="supervised", difficulty=3))
    assert caught.value.nearest == "--difficulty 2"


def test_what_was_not_solved_yet_is_drawn_first_and_a_seed_repeats_the_draw(
    bank: tuple[Program, ...],
) -> None:
    found = candidates(bank, Wish(family="supervised"))
    for seed in range(8):
        order = [fault.name for _, fault in draw(found, {"loss-sign-flipped"}, seed)]
        assert order == ["learning-rate-too-low", "loss-sign-flipped"]
    wide = candidates(bank, Wish())
    orders = {tuple(fault.name for _, fault in draw(wide, (), seed)) for seed in range(8)}
    assert len(orders) > 1
    assert draw(wide, (), 5) == draw(wide, (), 5)


def test_two_drills_are_open_at_once_in_folders_of_their_own(desk) -> None:
    drills = drills_on_record(desk.journal)
    assert len({drill.folder for drill in drills}) == len({drill.name for drill in drills}) == 4
