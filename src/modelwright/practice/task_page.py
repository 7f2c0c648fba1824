"""What a drill says of itself: what the program is for, how to run it, what it reached and what it should."""

from collections.abc import Mapping
from statistics import fmean

from modelwright.faults.plant import Program

__all__ = ["task_page"]


def task_page(
    name: str, program: Program, sound: Mapping[int, float], planted: Mapping[int, float | None]
) -> str:
    """Return the page, without a word of what was planted.

    Args:
        name: Of the drill.
        program: The working program.
        sound: Its score by seed.
        planted: The broken program's score by seed; None where it came to none.
    """
    file = f"{program.name}.py"
    rows = "\n".join(
        f"    seed {seed}    sound {sound[seed]:<10.4g}  this one {_shown(planted[seed])}" for seed in planted
    )
    reached = [score for score in planted.values() if score is not None]
    how = ""
    if reached and fmean(reached) > fmean(sound.values()):
        how = "It scores better than a sound program can: what it says of itself is not true.\n\n"
    return (
        f"# Drill {name}\n\n"
        f"{program.title} Written as: {program.style}.\n\n"
        f"Somebody changed `{file}`, and it no longer does what it should. Find out why and mend it.\n\n"
        f"Run it:    python {file} --seed 0\n"
        f"Score:     {program.score}; guessing or doing nothing reaches {program.chance:g}\n\n"
        f"{rows}\n\n"
        f"{how}"
        f"A hint:      modelwright practice hint {name}\n"
        f"Is it done?  modelwright practice check {name}\n"
        f"Enough:      modelwright practice give-up {name}\n\n"
        "The check runs your file with several seeds beside the sound program. It goes by what your program\n"
        "does, so that any mend counts that has the same effect. How long it trains and how it measures\n"
        "have to stay.\n"
    )


def _shown(score: float | None) -> str:
    return "comes to no score" if score is None else f"{score:.4g}"
