"""How the observation that a target is computed from follows the one whose value is learnt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.experience import Experience, Transition

__all__ = ["HORIZON", "Link", "links_of"]

HORIZON = 10
"""Steps that a return can have, at most."""

_SOME = 8
_MOST_STARTS = 30
"""Places at which the same observation was seen, beyond which a row is too common to be told from others."""

_MANY_STARTS = 1500


@dataclass(slots=True)
class Link:
    """One way in which a row can have come about.

    Attributes:
        kind: `within` an episode; `reset`: the first observation of the next one; `across`: later in it;
            `same`: the observation itself; `unknown`: none that is known, after an episode's last step.
        steps: From the observation to the one that follows.
        rewards: Of those steps and of the ones after, as far as the episode goes (HORIZON,).
        beyond: The same, on into the next episodes (HORIZON,).
        action: Of the first step.
        earlier, later: Actions and rewards of the steps before and after; None where there are none.
        terminated, truncated: Whether the last of the steps ended the episode, or cut it.
        step: Number of the first step in its episode.
        said: See `Transition`, of the first step.
    """

    kind: str
    steps: int
    rewards: NDArray[np.float64]
    beyond: NDArray[np.float64]
    action: NDArray[np.float64]
    earlier: Transition | None
    later: Transition | None
    terminated: bool
    truncated: bool
    step: int
    said: NDArray[np.float64] | None = None


def links_of(
    experience: Experience, begins: list[bytes], follows: list[bytes | None], far: bool
) -> list[list[Link]]:
    """Return for each row the ways in which what follows can have followed; none where it did not.

    Args:
        experience: What the environments gave.
        begins: Keys of observations (row,).
        follows: Keys of what followed (row,); None where nothing is known to have.
        far: Whether to look farther than one step.
    """
    pairs = list(zip(begins, follows, strict=True))
    if not far:
        return [_row(experience, begin, follow, False, 1) for begin, follow in pairs]
    # How far to look at all rows, some rows say.
    some = [_row(experience, begin, follow, True, HORIZON) for begin, follow in pairs[:_SOME]]
    if not all(some):
        return some
    needed = max(min(link.steps for link in row) for row in some) + 1
    return [_row(experience, begin, follow, True, min(needed, HORIZON)) for begin, follow in pairs]


def _row(experience: Experience, begin: bytes, follow: bytes | None, far: bool, most: int) -> list[Link]:
    starts = experience.every_start(begin) if far else experience.starts(begin)
    if not far and _MOST_STARTS < len(starts) <= _MANY_STARTS:
        made = experience.transitions
        # In a small world much follows the same observation: of one step, only what can be meant is kept.
        starts = [
            at for at in starts if made[at].following == follow or made[at].terminated or made[at].truncated
        ]
    if len(starts) > _MOST_STARTS:
        return []
    found: list[Link] = []
    ended: list[Link] = []
    for start in starts:
        first = experience.transitions[start]
        number, crossed = start + experience.first, False
        for steps in range(1, most + 1):
            here = experience.at(number)
            if here is None:
                break
            if here.following == follow:
                found.append(_link("across" if crossed else "within", steps, first, here, experience))
            after = experience.at(here.after) if here.after >= 0 else None
            if here.terminated or here.truncated:
                shown = after.observation if after is not None else experience.now(here.environment)[1]
                begun = after is not None or shown != here.following
                if begun and shown == follow and not crossed:
                    found.append(_link("reset", steps, first, here, experience))
                elif not crossed:
                    ended.append(_link("unknown", steps, first, here, experience))
                crossed = True
            if after is None:
                break
            number = here.after
    if not found and follow == begin:
        found = [
            _link("same", 0, experience.transitions[at], experience.transitions[at], experience)
            for at in starts
        ]
    return found or ended


def _link(kind: str, steps: int, first: Transition, last: Transition, experience: Experience) -> Link:
    rewards, beyond = np.zeros(HORIZON), np.zeros(HORIZON)
    each: Transition | None = first
    inside = True
    for at in range(HORIZON if steps != 1 or kind != "within" else 2):
        if each is None:
            break
        beyond[at] = each.reward
        if inside:
            rewards[at] = each.reward
        inside = inside and not (each.terminated or each.truncated)
        each = experience.at(each.after) if each.after >= 0 else None
    return Link(
        kind=kind,
        steps=steps,
        rewards=rewards,
        beyond=beyond,
        action=first.action,
        earlier=experience.at(first.before) if first.before >= 0 else None,
        later=experience.at(first.after) if first.after >= 0 else None,
        terminated=last.terminated,
        truncated=last.truncated and not last.terminated,
        step=first.step,
        said=first.said,
    )
