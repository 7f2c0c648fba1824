"""How Atari's games are shown to agents, by the settings of Mnih et al. 2015 and Machado et al. 2018.

Four frames pass under one action, the brightest of the last two is kept against flicker, made grey and 84 by
84 pixels, and the last four of these are one observation: uint8 (4, 84, 84).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from modelwright.base.setting import Settings, setting

__all__ = ["Atari", "show_as_atari"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Atari(Settings):
    """What is done to an Atari game before an agent sees it."""

    PLACE: ClassVar[str] = "environment.atari"

    frame_skip: int = setting(4, doc="Frames that pass under one action.", low=1)
    stack: int = setting(4, doc="Last frames that make one observation.", low=1)
    size: int = setting(84, doc="Pixels of each side.", low=1)
    sticky: float = setting(
        0.0, doc="Chance that a frame repeats the last action instead; 0.25 by Machado et al.", low=0, high=1
    )
    noops: int = setting(30, doc="At most so many idle frames, by chance, start an episode.", low=0)
    end_with_life: bool = setting(False, doc="Whether losing a life ends the episode as termination.")
    clip_reward: bool = setting(
        False,
        doc="Whether rewards become -1, 0 or 1; returns are then sums of these and not the game's score.",
    )


def show_as_atari(environment: Any, config: Atari) -> Any:
    """Return a game of ALE's, made with `frameskip=1`, as agents see it; of Gymnasium's wrappers.

    Args:
        environment: The game.
        config: What is done to it.
    """
    import numpy as np
    from gymnasium import wrappers

    shown: Any = wrappers.AtariPreprocessing(
        environment,
        noop_max=config.noops,
        frame_skip=config.frame_skip,
        screen_size=config.size,
        terminal_on_life_loss=config.end_with_life,
    )
    if config.clip_reward:
        shown = wrappers.TransformReward(shown, lambda reward: float(np.sign(float(reward))))
    return wrappers.FrameStackObservation(shown, config.stack)
