"""Begins a drill: draws a fault, sees that it hurts, puts the program into a folder of its own."""

import contextlib
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modelwright.base.errors import BadValue, WorkerLost
from modelwright.base.fingerprint import sha256_hex
from modelwright.faults.plant import Program, plant, programs
from modelwright.journal.database import disk_failure
from modelwright.journal.journal import Journal
from modelwright.practice.bookkeeping import MARK, drills_on_record
from modelwright.practice.choice import Candidate, Wish, candidates, draw
from modelwright.practice.drill import BEGUN, Drill
from modelwright.practice.execution import Execution, Task
from modelwright.practice.folder import TASK, fill_folder
from modelwright.practice.judgement import Yardstick
from modelwright.practice.reference import LONGEST_SECONDS, Reference
from modelwright.practice.seal import Seal
from modelwright.practice.trace import Trace

__all__ = ["CACHE", "start_drill"]

CACHE = "practice"
"""Folder beside the journal where runs of sound programs are remembered."""
_SEEDS = (0, 1, 2)
_TRIES = 6


def start_drill(
    journal: Journal,
    root: Path,
    wish: Wish,
    *,
    folder: Path | None = None,
    seed: int | None = None,
    tell: Callable[[str], None],
) -> Drill:
    """Plant a fault in a copy of a program and enter it, sealed.

    Args:
        journal: Where it is entered.
        root: The project's folder; drills lie in `drills` in it.
        wish: What to practise.
        folder: Where the program is put; left out, `drills/NAME`.
        seed: Makes the draw the same every time.
        tell: Called with a line whenever something took a while.

    Raises:
        BadValue: where the folder holds something, or what was asked for changes nothing.
        UnknownName: for a name that the bank does not have.
        StoreFailed: where the disk refuses.
    """
    bank = programs()
    found = candidates(bank, wish)
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadValue(
            "A drill lies in a folder of its own, which is new or empty",
            got=str(folder),
            nearest=f"--folder {folder}-1",
        )

    def where(name: str) -> Path:
        return folder or root / "drills" / name

    drills = drills_on_record(journal)
    done = {drill.end["fault"] for drill in drills if drill.solved}
    busy = {(drill.program, drill.planted) for drill in drills if drill.is_open}
    for candidate in draw(found, done, seed)[:_TRIES]:
        source = plant(candidate.program.source, candidate.fault.edits).encode()
        if (candidate.program.name, sha256_hex(source)) in busy:
            continue
        sound, planted = _measure(journal.folder / CACHE, candidate.program, source, tell)
        yardstick = Yardstick.of(*_scores(sound, planted), candidate.program.chance)
        same = all(a.is_exactly(b) for a, b in zip(planted, sound, strict=True))
        if not same and (wish.fault is not None or not yardstick.is_mild):
            return _begin(journal, where, candidate, source, sound, planted, wish)
        tell("That one does not hurt enough here to be practised on; drawing another.")
    raise BadValue(
        "A drill's fault changes what the program does on this machine, and is in no other open drill",
        got=f"{len(found)} that fit, none of which does",
        next_step="ask for another program, family or difficulty",
    )


def _measure(
    cache: Path, program: Program, source: bytes, tell: Callable[[str], None]
) -> tuple[list[Trace], list[Trace]]:
    execution = Execution(f"{program.name}.py", tell)
    reference = Reference(cache, program.source.encode(), execution)
    wanting = reference.wanting(_SEEDS)
    tell(f"Measuring {program.name}, sound and broken: {len(wanting) + len(_SEEDS)} runs, two at a time.")
    broken = [Task(name="broken program", source=source, seed=seed, limit=LONGEST_SECONDS) for seed in _SEEDS]
    traces = execution.run([*wanting, *broken])
    fresh = {trace.seed: trace for trace in traces[: len(wanting)]}
    for trace in fresh.values():
        if trace.failure is not None:
            raise WorkerLost(
                "The sound program of a drill runs on this machine",
                got=f"{program.name}: {trace.failure.what}",
                next_step="modelwright practice start --program NAME takes another",
            )
        reference.keep(trace)
    sound = [fresh.get(seed) or reference.trace(seed) for seed in _SEEDS]
    return [trace for trace in sound if trace is not None], traces[len(wanting) :]


def _scores(
    sound: Sequence[Trace], planted: Sequence[Trace]
) -> tuple[Mapping[int, float], Mapping[int, float | None]]:
    return {trace.seed: trace.score or 0.0 for trace in sound}, {trace.seed: trace.score for trace in planted}


def _begin(
    journal: Journal,
    where: Callable[[str], Path],
    candidate: Candidate,
    source: bytes,
    sound: Sequence[Trace],
    planted: Sequence[Trace],
    wish: Wish,
) -> Drill:
    program = candidate.program
    taken = {drill.name for drill in drills_on_record(journal)}
    name = next(each for each in _names(program.name) if each not in taken)
    place = where(name).resolve()
    seal = Seal.close(program.name, candidate.fault.name)
    sound_scores, planted_scores = _scores(sound, planted)
    body = {
        "drill": name,
        "program": program.name,
        "folder": str(place),
        "salt": seal.salt,
        "seal": seal.sha256,
        "sound": journal.artefacts.put(program.source.encode()),
        "planted": journal.artefacts.put(source),
        "sound_scores": {str(seed): score for seed, score in sound_scores.items()},
        "planted_scores": {str(seed): score for seed, score in planted_scores.items()},
        "seconds": max(trace.seconds for trace in sound),
        "asked": {"family": wish.family, "difficulty": wish.difficulty, "fault": wish.fault is not None},
    }
    made = not place.exists()
    try:
        fill_folder(place, journal, name, program, source, (sound_scores, planted_scores))
        journal.append(BEGUN, body)
    except BaseException as error:
        if made:
            shutil.rmtree(place, ignore_errors=True)
        else:
            for file in (f"{program.name}.py", MARK, TASK):
                with contextlib.suppress(OSError):
                    (place / file).unlink()
        if isinstance(error, OSError):
            raise disk_failure(error, place, "put a drill into a folder") from error
        raise
    return next(drill for drill in drills_on_record(journal) if drill.name == name)


def _names(program: str) -> "list[str]":
    return [f"{program}-{secrets.token_hex(2)}" for _ in range(100)]
