"""Decides by behaviour whether a drill is mended, and enters what came out."""

import ast
import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import stdev
from typing import Any

from modelwright.base.errors import BadValue, SourceMissing, WorkerLost
from modelwright.base.finding import Finding, Severity
from modelwright.faults.plant import programs
from modelwright.journal.journal import Journal
from modelwright.journal.lock import experiment_lock
from modelwright.practice.drill import CHECKED, SOLVED, Drill
from modelwright.practice.execution import AT_ONCE, Execution, Task
from modelwright.practice.folder import fill_folder
from modelwright.practice.judgement import (
    Judgement,
    Yardstick,
    judge_runs,
    judge_weights,
    short_of_it,
)
from modelwright.practice.reference import LONGEST_SECONDS, Reference
from modelwright.practice.start import CACHE
from modelwright.practice.trace import Trace

__all__ = ["Examine", "Outcome", "check_drill"]

Examine = Callable[[Path], Sequence[Finding]]
"""Runs the doctor on a program's file and returns what it finds."""

_FIRST, _ALL = (0, 1, 2), (0, 1, 2, 3, 4, 5)
_SLOWEST = 4.0
"""A mended program may take so many times as long as the sound one."""
_LEAST_LIMIT = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check found.

    Attributes:
        drill: Name of the drill.
        mended: Whether it passed.
        exactly: Whether it computes what the sound program computes.
        reasons: Why not, or what it rests on.
        notes: What could not be looked at.
        scores: The program's score by seed.
        sound: The sound program's.
        seconds: How long the check took.
        fault: What it was; None where it is not mended.
    """

    drill: str
    mended: bool
    exactly: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    scores: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    sound: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    seconds: float = 0.0
    fault: str | None = None

    def record(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return dataclasses.asdict(self)


def check_drill(journal: Journal, drill: Drill, *, examine: Examine, tell: Callable[[str], None]) -> Outcome:
    """Run a drill's program beside the sound one, decide, and enter the outcome.

    Args:
        journal: Where the drill is on record.
        drill: An open one.
        examine: The doctor.
        tell: Called with a line whenever something took a while.

    Raises:
        SourceMissing: where the drill's file is gone.
        NotPermitted: where another process checks the same drill.
        StoreFailed: where the disk refuses.
    """
    with experiment_lock(journal.folder, f"drill {drill.name}"):
        text = _read(drill)
        begun = time.monotonic()
        checker = _Checker(journal, drill, text, examine, tell)
        judgement = checker.judge()
        fault = drill.seal.find(drill.program, programs()) if judgement.mended else None
        outcome = Outcome(
            drill=drill.name,
            mended=judgement.mended,
            exactly=judgement.exactly,
            reasons=judgement.reasons,
            notes=judgement.notes,
            scores={str(run.seed): run.score for run in checker.runs},
            sound={str(run.seed): checker.sound[run.seed].score for run in checker.runs},
            seconds=time.monotonic() - begun,
            fault=None if fault is None else fault.name,
        )
        source = journal.artefacts.put(text)
        journal.append(CHECKED, outcome.record() | {"fault": None, "source": source})
        if outcome.mended:
            journal.append(
                SOLVED,
                {
                    "drill": drill.name,
                    "exactly": outcome.exactly,
                    "fault": None if fault is None else fault.name,
                    "family": None if fault is None else fault.family,
                    "difficulty": None if fault is None else fault.difficulty,
                },
            )
    return outcome


def _read(drill: Drill) -> bytes:
    try:
        return drill.file.read_bytes()
    except OSError as error:
        raise SourceMissing(
            "A drill's program lies in its folder",
            got=f"{drill.file}: {error.strerror}",
            next_step=f"modelwright practice restore {drill.name} puts it there again as it was at the start",
        ) from error


class _Checker:
    def __init__(
        self, journal: Journal, drill: Drill, text: bytes, examine: Examine, tell: Callable[[str], None]
    ) -> None:
        self._drill, self._text, self._examine, self._tell = drill, text, examine, tell
        self._planted = journal.artefacts.get(drill.planted)
        self._sound = journal.artefacts.get(drill.sound)
        self._execution = Execution(drill.file.name, tell)
        self._reference = Reference(journal.folder / CACHE, self._sound, self._execution)
        self.runs: list[Trace] = []
        self.sound: dict[int, Trace] = {}

    def judge(self) -> Judgement:
        wrong = self._at_a_glance()
        if wrong is not None:
            return _not_yet(wrong)
        with tempfile.TemporaryDirectory(prefix="modelwright-drill-", ignore_cleanup_errors=True) as name:
            return self._judge(Path(name))

    def _at_a_glance(self) -> str | None:
        try:
            mine = ast.dump(ast.parse(self._text))
        except (SyntaxError, ValueError) as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            return f"{self._drill.file.name} is no Python that can be read{line}: {error.args[0]}"
        if mine == ast.dump(ast.parse(self._planted)):
            return f"{self._drill.file.name} is what it was at the start, but for comments and spaces"
        return None

    def _judge(self, folder: Path) -> Judgement:
        self._announce()
        failed = self._run(_FIRST, folder)
        if failed is not None:
            return _not_yet(failed)
        if all(run.is_exactly(self.sound[run.seed]) for run in self.runs):
            return Judgement(
                mended=True,
                exactly=True,
                reasons=(f"it does exactly what the sound program does, at {len(self.runs)} seeds",),
            )
        yardstick = self._yardstick()
        if yardstick.is_mild:
            return _not_yet(
                "it does not do exactly what the sound program does, and this fault changes scores too "
                "little to tell by them whether another way is as good"
            )
        if not short_of_it(yardstick, self.runs, self.sound):
            failed = self._run(_ALL[len(_FIRST) :], folder)
            if failed is not None:
                return _not_yet(failed)
            yardstick = self._yardstick()
        wrong = judge_runs(yardstick, self.runs, self.sound)
        if wrong:
            return _not_yet(*wrong)
        notes, wrong = self._weigh(yardstick, folder)
        wrong = wrong or self._consult()
        if wrong:
            return _not_yet(*wrong, notes=notes)
        return Judgement(
            mended=True,
            exactly=False,
            reasons=(
                f"by another way than the sound one's: scores of {len(self.runs)} seeds are as its own",
                *(() if notes else ("what it learnt is worth as much when the sound program measures it",)),
                "the doctor finds nothing that needs action",
            ),
            notes=notes,
        )

    def _announce(self) -> None:
        each, most = self._drill.seconds, self._limit()
        wanting = len(self._reference.wanting(_FIRST))
        first = (len(_FIRST) + wanting) * each / AT_ONCE
        self._tell(
            f"{len(_FIRST) + wanting} runs first, two at a time: about {first:.0f} s if it is mended "
            f"exactly, about {8 * each:.0f} s more if by another way. A run is stopped after {most:.0f} s."
        )

    def _limit(self) -> float:
        return min(LONGEST_SECONDS, max(_LEAST_LIMIT, _SLOWEST * self._drill.seconds))

    def _run(self, seeds: Sequence[int], folder: Path) -> str | None:
        """Run both programs at these seeds; return why one of the user's came to no score."""
        wanting = self._reference.wanting(seeds)
        mine = [
            Task(
                name="your program",
                source=self._text,
                seed=seed,
                limit=self._limit(),
                states=folder / f"{seed}.pt",
            )
            for seed in seeds
        ]
        traces = self._execution.run([*wanting, *mine])
        for trace in traces[: len(wanting)]:
            if trace.failure is not None:
                raise WorkerLost("The sound program of a drill runs on this machine", got=trace.failure.what)
            self._reference.keep(trace)
            self.sound[trace.seed] = trace
        for seed in seeds:
            known = self._reference.trace(seed)
            if known is not None:
                self.sound[seed] = known
        self.runs += traces[len(wanting) :]
        for trace in traces[len(wanting) :]:
            if trace.failure is not None:
                line = f" (line {trace.failure.line})" if trace.failure.line else ""
                return f"with seed {trace.seed} {trace.failure.what}{line}"
        return None

    def _yardstick(self) -> Yardstick:
        chance = next((each.chance for each in programs() if each.name == self._drill.program), 0.0)
        found = Yardstick.of(self._drill.sound_scores, self._drill.planted_scores, chance)
        own = [trace.score or 0.0 for trace in self.sound.values()]
        return Yardstick(gap=found.gap, spread=stdev(own) if len(own) > 1 else found.spread)

    def _weigh(self, yardstick: Yardstick, folder: Path) -> tuple[tuple[str, ...], list[str]]:
        """Let the sound program measure the weights that the user's program ended with."""
        fits = [
            run
            for run in self.runs
            if run.seed in _FIRST and run.has_networks and run.shapes == self.sound[run.seed].shapes
        ]
        if not self.sound[_FIRST[0]].has_networks:
            return ("without networks of torch, what it learnt is not measured apart",), []
        if len(fits) < len(_FIRST):
            return ("its networks have other shapes: the sound program cannot measure what it learnt",), []
        self._tell("The scores fit. The sound program now measures what yours has learnt.")
        own = [seed for seed in _FIRST if self._reference.measured(seed) is None]
        weights = {**{("own", seed): self._reference.states(seed) for seed in own}}
        weights |= {("yours", run.seed): folder / f"{run.seed}.pt" for run in fits}
        tasks = [
            Task(
                name="sound program with its own weights"
                if whose == "own"
                else "sound program with your weights",
                source=self._sound,
                seed=seed,
                limit=LONGEST_SECONDS,
                given=file,
            )
            for (whose, seed), file in weights.items()
            if file.exists()
        ]
        traces = self._execution.run(tasks)
        yours: dict[int, float] = {}
        for (whose, seed), trace in zip(
            [key for key, file in weights.items() if file.exists()], traces, strict=True
        ):
            if trace.score is None or not trace.has_networks:
                continue
            if whose == "own":
                self._reference.keep_measured(trace)
            else:
                yours[seed] = trace.score
        measured = {
            seed: (score, own_trace.score)
            for seed, score in yours.items()
            if (own_trace := self._reference.measured(seed)) is not None and own_trace.score is not None
        }
        if len(measured) < len(_FIRST):
            return ("the sound program did not come to a score with what it learnt",), []
        return (), judge_weights(yardstick, self.runs, self.sound, measured)

    def _consult(self) -> list[str]:
        """Return what the doctor finds in the user's program and not in the sound one."""
        self._tell("The doctor now watches one run of yours.")
        found = self._look(self._text)
        if not found:
            return []
        usual = self._look(self._sound)
        return [
            f"the doctor finds: {finding.title} ({kind})"
            for kind, finding in found.items()
            if kind not in usual
        ]

    def _look(self, text: bytes) -> dict[str, Finding]:
        with tempfile.TemporaryDirectory(prefix="modelwright-drill-", ignore_cleanup_errors=True) as name:
            file = Path(name) / self._drill.file.name
            file.write_bytes(text)
            return {
                finding.kind: finding
                for finding in self._examine(file)
                if finding.severity is not Severity.INFO
            }


def _not_yet(*reasons: str, notes: tuple[str, ...] = ()) -> Judgement:
    return Judgement(mended=False, exactly=False, reasons=reasons, notes=notes)


def restore_drill(journal: Journal, drill: Drill) -> Path:
    """Put back what is missing of the drill's folder as it was at the start, and return the program's file.

    Raises:
        BadValue: where a file is there that differs from it.
        SourceMissing: where the bank has no such program any more.
    """
    planted = journal.artefacts.get(drill.planted)
    if drill.file.exists() and drill.file.read_bytes() != planted:
        raise BadValue(
            "A file that somebody changed is not written over",
            got=str(drill.file),
            next_step="move it away first",
        )
    program = next((each for each in programs() if each.name == drill.program), None)
    if program is None:
        raise SourceMissing(
            "The program of a drill is in the bank",
            got=drill.program,
            next_step="restore it with the version of Modelwright that began the drill",
        )
    scores = drill.sound_scores, drill.planted_scores
    return fill_folder(drill.folder, journal, drill.name, program, planted, scores)
