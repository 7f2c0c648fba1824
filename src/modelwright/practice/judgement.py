"""Is a program mended? Decided by what it does beside the sound one, never by how it is written.

Scores are compared at matched seeds, against the sound program's, in both directions: a score that is too
good is as wrong as one that is too low. With d the differences at n seeds, `gap` the distance between the
sound and the broken program's mean, and `spread` the sound program's standard deviation over seeds,

    as the sound one  <=>  |mean d| <= gap / 2  and  (|mean d| <= spread  or  sign-flip p of d > 0.05).

With six seeds the test's smallest two-sided p is 1/32: a sound mend by another route, whose differences are
symmetric about zero, is turned away by the second condition in at most 3.2% of cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from modelwright.experiment.paired_test import sign_flip_test
from modelwright.practice.trace import Trace

__all__ = ["Judgement", "Yardstick", "judge_runs", "judge_weights", "short_of_it", "work_differs"]

LEVEL = 0.05
MILD = 2.5
"""A fault whose effect is less than so many spreads is too mild to be judged by scores."""
_FEWEST, _MOST = 2 / 3, 3 / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What scores are held to.

    Attributes:
        gap: Distance between the means of the sound and the broken program.
        spread: The sound program's standard deviation over seeds.
    """

    gap: float
    spread: float

    @staticmethod
    def of(sound: Mapping[int, float], planted: Mapping[int, float | None], chance: float) -> "Yardstick":
        """Return the yardstick of a drill; a broken program that comes to no score counts as chance."""
        broken = [chance if planted[seed] is None else planted[seed] or 0.0 for seed in planted]
        return Yardstick(
            gap=abs(fmean(sound[seed] for seed in planted) - fmean(broken)),
            spread=stdev(sound.values()) if len(sound) > 1 else 0.0,
        )

    @property
    def is_mild(self) -> bool:
        """Whether the effect is too small to be told from other runs of a sound program."""
        return self.gap < MILD * self.spread or self.gap == 0

    def admits(self, differences: Sequence[float]) -> bool:
        """Tell whether scores that differ so are those of a sound program; see the module."""
        mean = abs(fmean(differences))
        if mean > self.gap / 2:
            return False
        return mean <= self.spread or sign_flip_test(differences).p_value > LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a check came to.

    Attributes:
        mended: Whether it passed.
        exactly: Whether it computes what the sound program computes.
        reasons: Why it did not pass, or what it rests on.
        notes: What could not be looked at.
    """

    mended: bool
    exactly: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


def short_of_it(yardstick: Yardstick, runs: Sequence[Trace], sound: Mapping[int, Trace]) -> bool:
    """Tell after the first seeds whether more of them can be spared: it is no better than it was."""
    differences = _differences(runs, sound)
    return abs(fmean(differences)) > 0.75 * yardstick.gap


def judge_runs(yardstick: Yardstick, runs: Sequence[Trace], sound: Mapping[int, Trace]) -> list[str]:
    """Return what is wrong with what a program printed and how much it did.

    Args:
        yardstick: What scores are held to.
        runs: Runs of the program, each with a score.
        sound: The sound program's at the same seeds.
    """
    said = [run.score or 0.0 for run in runs]
    right = [sound[run.seed].score or 0.0 for run in runs]
    wrong: list[str] = []
    if not yardstick.admits(_differences(runs, sound)):
        how = "better" if fmean(said) > fmean(right) else "worse"
        wrong.append(
            f"it scores {fmean(said):.4g} where the sound program scores {fmean(right):.4g} "
            f"(mean of {len(runs)} seeds): {how} than another run of a sound program would"
        )
    if len(set(right)) > 1 and len(set(said)) == 1 and len(said) > 1:
        wrong.append(f"it prints the same score at every seed, {said[0]:.6g}")
    return wrong + work_differs(runs, [sound[run.seed] for run in runs])


def work_differs(runs: Sequence[Trace], sound: Sequence[Trace]) -> list[str]:
    """Return where a program learns from much less, or much more, than the sound one does."""
    wrong: list[str] = []
    for what in ("optimizer steps", "environment steps", "fits"):
        right = [trace.counts.get(what, 0) for trace in sound]
        done = fmean(run.counts.get(what, 0) for run in runs)
        if max(right) and not _FEWEST * min(right) <= done <= _MOST * max(right):
            wrong.append(f"it takes {done:.0f} {what} where the sound program takes {fmean(right):.0f}")
    return wrong


def judge_weights(
    yardstick: Yardstick,
    runs: Sequence[Trace],
    sound: Mapping[int, Trace],
    measured: Mapping[int, tuple[float, float]],
) -> list[str]:
    """Return what is wrong with weights by the sound program's own measurement.

    Args:
        yardstick: What scores are held to.
        runs: Runs of the program.
        sound: The sound program's at the same seeds.
        measured: By seed, what the sound program measures of the program's last weights and of its own.
    """
    runs = [run for run in runs if run.seed in measured]
    worth = [measured[run.seed][0] - measured[run.seed][1] for run in runs]
    said = _differences(runs, sound)
    mean = fmean(measured[run.seed][0] for run in runs)
    own = fmean(measured[run.seed][1] for run in runs)
    if abs(fmean(worth)) > yardstick.gap / 2:
        return [
            f"what it learnt scores {mean:.4g} when the sound program measures it, "
            f"where {own:.4g} is what the sound program's own weights come to"
        ]
    if abs(fmean(a - b for a, b in zip(said, worth, strict=True))) > yardstick.gap / 2:
        return [
            f"it says {fmean(run.score or 0.0 for run in runs):.4g}, and the sound program "
            f"measures {mean:.4g} with the same weights: its measurement is not the sound one"
        ]
    return []


def _differences(runs: Sequence[Trace], sound: Mapping[int, Trace]) -> list[float]:
    return [(run.score or 0.0) - (sound[run.seed].score or 0.0) for run in runs]
