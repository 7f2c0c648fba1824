"""Rows of one update: what their targets are, and what targets can have been made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.links import HORIZON, Link

__all__ = ["Batch", "Worth"]

Numbers = NDArray[np.float64]


@dataclass(slots=True)
class Worth:
    """A value of what follows, as one way of computing targets has it.

    Attributes:
        fault: Its name; empty where this way is right.
        name: Tells it from others.
        values: The value (row,).
        links: For each row, the ways in which what it is the value of can have followed.
        surprise: Mean log-probability of the actions that it is a mean over (row,); None where it is none.
    """

    fault: str
    name: str
    values: Numbers
    links: "Links"
    surprise: Numbers | None = None


@dataclass(slots=True)
class Links:
    """All links of all rows, one after the other; every attribute is (link,) but where said.

    Attributes:
        row: Of which row it is.
        kind: See `Link`.
        steps: From the observation to the one that follows.
        rewards, beyond: See `Link` (link, step).
        before, after: Reward of the step before the first, and of the one after it; nan where none is.
        terminated, truncated: Whether the last step ended the episode, or cut it.
        first: Where each row's links begin (row,); every row has some.
    """

    row: NDArray[np.intp]
    kind: NDArray[np.str_]
    steps: NDArray[np.intp]
    rewards: Numbers
    beyond: Numbers
    before: Numbers
    after: Numbers
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: list[list[Link]]) -> "Links":
        """Lay links of rows one after the other."""
        flat = [(at, link) for at, row in enumerate(rows) for link in row]
        none = float("nan")
        return cls(
            row=np.array([at for at, _ in flat], np.intp),
            kind=np.array([link.kind for _, link in flat], np.str_),
            steps=np.array([link.steps for _, link in flat], np.intp),
            rewards=np.array([link.rewards for _, link in flat]).reshape(-1, HORIZON),
            beyond=np.array([link.beyond for _, link in flat]).reshape(-1, HORIZON),
            before=np.array([link.earlier.reward if link.earlier else none for _, link in flat]),
            after=np.array([link.later.reward if link.later else none for _, link in flat]),
            terminated=np.array([link.terminated for _, link in flat], np.bool_),
            truncated=np.array([link.truncated for _, link in flat], np.bool_),
        )

    def repeated(self, times: int, rows: int) -> "Links":
        """Return the links of so many rows, so many times one after the other."""
        tiled = {name: np.concatenate([getattr(self, name)] * times) for name in self.__slots__}
        tiled["row"] = np.concatenate([self.row + rows * at for at in range(times)])
        return Links(**tiled)


@dataclass(slots=True)
class Batch:
    """One comparison of predictions with targets.

    Attributes:
        targets: (row,).
        worths: Values of what follows.
        columns: Other numbers that were computed, one a row each (column, row).
        shared: Whether two predictions were held to the same targets.
        surprises: Log-probabilities that were given to draws without gradients (row,).
    """

    targets: Numbers
    worths: list[Worth]
    columns: Numbers
    shared: bool
    surprises: Sequence[Numbers] = ()

    def with_cuts_as_ends(self) -> "Batch":
        """Return the same rows, where what was taken for a cut is an end."""
        changed: dict[int, Links] = {}
        for worth in self.worths:
            links = worth.links
            ended = links.terminated | links.truncated
            never = np.zeros_like(ended)
            changed.setdefault(id(links), replace(links, terminated=ended, truncated=never))
        return replace(self, worths=[replace(each, links=changed[id(each.links)]) for each in self.worths])
