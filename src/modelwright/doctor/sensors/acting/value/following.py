"""Calls on what followed the rows of a batch, as far as it did follow them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.links import HORIZON, Link, links_of
from modelwright.doctor.sensors.acting.value.seen_calls import SeenCalls
from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.watch.experience import Transition
from modelwright.doctor.watch.sensor import Scene

__all__ = ["Followed", "Following", "shapes_of"]

_MOST_ROWS = 128


class Followed(NamedTuple):
    """A call on what follows.

    Attributes:
        call: It.
        rows: How what it was called on follows each row that is looked at.
        which: Rows of the batch that it was called on; all of them as a rule.
    """

    call: Seen
    rows: list[list[Link]]
    which: NDArray[np.intp]


class Following:
    """Finds rows of batches among the transitions that the environments really made.

    Args:
        scene: What all sensors know.
        seen: Calls of networks on batches of observations.
    """

    def __init__(self, scene: Scene, seen: SeenCalls) -> None:
        self._scene = scene
        self._seen = seen

    def rows(self, main: Seen) -> NDArray[np.intp]:
        """Return rows that began a transition, those that ended an episode first where there are many."""
        experience = self._scene.experience
        starts = [experience.starts(key) for key in main.keys]
        ends = [
            any(experience.transitions[at].terminated or experience.transitions[at].truncated for at in each)
            for each in starts
        ]
        order = sorted((at for at, each in enumerate(starts) if each), key=lambda at: not ends[at])
        return np.array(sorted(order[:_MOST_ROWS]), np.intp)

    def calls(self, main: Seen, kept: NDArray[np.intp]) -> Iterator[Followed]:
        """Yield calls on what followed those rows of a batch that are kept."""
        begins = [main.keys[at] for at in kept]
        found: dict[tuple[bytes | None, ...], list[list[Link]] | None] = {}
        for call in self._seen.calls:
            if call is main:
                continue
            for keys, which in self._placed(main, call):
                follows = tuple(keys[at] for at in kept)
                if follows not in found:
                    found[follows] = self._links(begins, list(follows))
                rows = found[follows]
                if rows is not None:
                    yield Followed(call, rows, which)
                    break

    def learns(self, call: Seen) -> bool:
        """Return whether an optimizer holds the network that was called."""
        owned = self.owned()
        return any(id(parameter) in owned for parameter in call.module.parameters())

    def owned(self) -> set[int]:
        """Return ids of parameters that optimizers hold."""
        return self._scene.owned()

    def _links(self, begins: list[bytes], follows: list[bytes | None]) -> list[list[Link]] | None:
        """Return how each row's observation was followed; None where that of some row was not."""
        for far in (False, True):
            rows = links_of(self._scene.experience, begins, follows, far)
            if all(rows):
                kinds = {link.kind for row in rows for link in row}
                if kinds - {"same", "unknown"} or (kinds == {"same"} and far):
                    return rows
        return None

    def _placed(self, main: Seen, call: Seen) -> Iterator[tuple[list[bytes | None], NDArray[np.intp]]]:
        """Yield what a call can have been given for each row of the batch, and for which rows.

        A network may be called only on what follows rows that did not end, within so many steps.
        """
        if call.rows == main.rows:
            yield list(call.keys), np.arange(main.rows)
            return
        starts = [self._scene.experience.starts(key) for key in main.keys]
        for steps in range(1, HORIZON + 1) if call.rows < main.rows else ():
            for cuts in (False, True):
                which = np.array([at for at, each in enumerate(starts) if self._goes_on(each, steps, cuts)])
                if len(which) == call.rows:
                    follows: list[bytes | None] = [None] * main.rows
                    for at, key in zip(which, call.keys, strict=True):
                        follows[int(at)] = key
                    yield follows, which

    def _goes_on(self, starts: Sequence[int], steps: int, cuts: bool) -> bool:
        """Return whether no episode that can be meant ended, or was cut where `cuts`, in so many steps."""
        experience = self._scene.experience
        for start in starts:
            here: Transition | None = experience.transitions[start]
            for _ in range(steps):
                if here is None:
                    break
                if here.terminated or (here.truncated and cuts):
                    return False
                here = experience.at(here.after) if here.after >= 0 and not here.truncated else None
        return True


def shapes_of(call: Seen) -> list[tuple[int, ...]]:
    """Return the shapes of the parameters of the network that was called."""
    return [tuple(parameter.shape) for parameter in call.module.parameters()]
