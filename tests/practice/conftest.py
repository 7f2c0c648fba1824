"""A bank of one small program without libraries, whose runs take a moment, and drills begun with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from practice_bank import PAGE, SOURCE

import modelwright.practice.check
import modelwright.practice.hints
import modelwright.practice.start
from modelwright.faults.plant import Program, programs
from modelwright.journal.journal import Journal
from modelwright.practice.choice import Wish
from modelwright.practice.drill import Drill
from modelwright.practice.start import start_drill


@dataclass(frozen=True)
class Desk:
    """A project in which drills were begun."""

    root: Path
    journal: Journal
    drills: dict[str, Drill]


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, ...]:
    folder = tmp_path_factory.mktemp("bank")
    (folder / "slope.py").write_text(SOURCE)
    (folder / "slope.yaml").write_text(PAGE)
    return programs(folder)


@pytest.fixture(scope="session", autouse=True)
def small_bank(bank: tuple[Program, ...]) -> Iterator[None]:
    """Let drills take their programs from the small bank."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (
            modelwright.practice.start,
            modelwright.practice.check,
            modelwright.practice.hints,
        ):
            patch.setattr(module, "programs", lambda: bank)
        yield


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, small_bank: None) -> Iterator[Desk]:
    """Four open drills; checks may be entered, and the files may be written anew."""
    root = tmp_path_factory.mktemp("desk")
    with Journal.open(root / ".modelwright") as journal:
        drills = {
            name: start_drill(journal, root, Wish(fault=name), tell=lambda _: None)
            for name in ("learning-rate-too-low", "best-rows-measured", "too-mild", "loss-sign-flipped")
        }
        yield Desk(root, journal, drills)


@pytest.fixture
def written(desk: Desk) -> Callable[..., Drill]:
    """Write a drill's program as somebody changed it, and return the drill."""

    def write(fault: str, change: Callable[[str], str], start: str | None = None) -> Drill:
        drill = desk.drills[fault]
        text = desk.journal.artefacts.get(drill.planted).decode() if start is None else start
        changed = change(text)
        drill.folder.mkdir(parents=True, exist_ok=True)
        drill.file.write_text(changed)
        return drill

    return write
