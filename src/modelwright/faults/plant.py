"""Reads the bank of programs and plants their faults in the source text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelwright.base.errors import BadValue, UnknownName

__all__ = ["FOLDER", "Edit", "Fault", "Program", "Variant", "mutated", "plant", "programs"]

FOLDER = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One piece of text, which occurs exactly once, and what stands there instead."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A mistake, and how to make it in its program.

    Args:
        name: Name in the vocabulary of faults.
        family: What the fault belongs to, e.g. `"supervised"`.
        difficulty: 1 easy to see, 2 middling, 3 hard, for a reader of the running program.
        edits: Replacements, in order.
        line: Part of the line of the mutated program that a debugger should be led to.
        also: Other names of the vocabulary that describe it too.
        inert: Whether it changes nothing that the program prints.
    """

    name: str
    family: str
    difficulty: int
    edits: tuple[Edit, ...]
    line: str
    also: tuple[str, ...] = ()
    inert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A change that looks odd and is right, and why it is right."""

    name: str
    why: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A correct training script with its faults and variants.

    Args:
        name: Name of its file, without the ending.
        title: One sentence.
        family: What it belongs to, e.g. `"supervised"`.
        style: How it is written.
        score: What the last line of its output measures; larger is better.
        chance: Score of a trivial predictor or of a random policy.
        source: Text of the script.
        faults: Its faults.
        variants: Its legitimate variants.
    """

    name: str
    title: str
    family: str
    style: str
    score: str
    chance: float
    source: str
    faults: tuple[Fault, ...]
    variants: tuple[Variant, ...]


def programs(folder: Path = FOLDER) -> tuple[Program, ...]:
    """Return every program of the bank, by name; a page that lacks a field raises BadValue."""
    return tuple(_program(path) for path in sorted(folder.glob("*.yaml")))


def plant(source: str, edits: Iterable[Edit]) -> str:
    """Return the source with the edits made, in order.

    Raises:
        BadValue: An `old` does not occur exactly once in the text that the edits before it left.
    """
    for edit in edits:
        count = source.count(edit.old) if edit.old else 0
        if count != 1:
            raise BadValue(
                "The old text of an edit occurs exactly once in the program",
                got=f"{count} times: {edit.old!r}",
                next_step="copy it from the program, with a neighbouring line where it is not unique",
            )
        source = source.replace(edit.old, edit.new)
    return source


def mutated(program: Program, fault_name: str) -> str:
    """Return the program's source with this fault in it."""
    for fault in program.faults:
        if fault.name == fault_name:
            return plant(program.source, fault.edits)
    raise UnknownName(f"fault of {program.name}", fault_name, [fault.name for fault in program.faults])


def _program(path: Path) -> Program:
    try:
        page: Mapping[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        return Program(
            name=path.stem,
            source=path.with_suffix(".py").read_text("utf-8"),
            chance=float(page["chance"]),
            faults=tuple(_fault(entry) for entry in page["faults"]),
            variants=tuple(
                Variant(name=str(entry["variant"]), why=str(entry["why"]), edits=_edits(entry["edits"]))
                for entry in page["variants"]
            ),
            **{key: str(page[key]) for key in ("title", "family", "style", "score")},
        )
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise BadValue(f"{path.name} describes a program as the bank does", got=repr(error)) from error


def _fault(entry: Mapping[str, Any]) -> Fault:
    return Fault(
        name=str(entry["fault"]),
        family=str(entry["family"]),
        difficulty=int(entry["difficulty"]),
        edits=_edits(entry["edits"]),
        line=str(entry["line"]).strip(),
        also=tuple(str(name) for name in entry.get("also", ())),
        inert=bool(entry.get("inert", False)),
    )


def _edits(entries: Sequence[Mapping[str, str]]) -> tuple[Edit, ...]:
    return tuple(Edit(old=entry["old"], new=entry["new"]) for entry in entries)
