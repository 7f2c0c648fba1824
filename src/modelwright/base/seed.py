"""Named random streams. Nothing in Modelwright draws from anywhere else.

A `Seed` is 256 bits of text. Every stream is derived from it by name with sha256, so streams are
independent of one another, of the order in which they are asked for, and of all global state.
"""

from dataclasses import dataclass

import numpy as np

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import sha256_hex

__all__ = ["Seed", "derive_seeds"]

_HEX_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Seed:
    """The root of the named streams of one trial.

    Attributes:
        key: 64 hexadecimal digits.
    """

    key: str

    def __post_init__(self) -> None:
        if len(self.key) != _HEX_DIGITS or set(self.key) - set("0123456789abcdef"):
            raise BadValue("A seed's key is 64 lower-case hexadecimal digits", got=self.key)

    def child(self, name: str) -> "Seed":
        """Return the seed of the stream called `name`."""
        return Seed(sha256_hex(f"{self.key}/{name}".encode()))

    def integer(self, name: str) -> int:
        """Return the stream's starting integer in [0, 2**63), for generators of other libraries."""
        return int(self.child(name).key[:16], 16) >> 1

    def generator(self, name: str) -> np.random.Generator:
        """Return a new NumPy generator (PCG64) at the start of the stream called `name`."""
        return np.random.Generator(np.random.PCG64(int(self.child(name).key, 16)))


def derive_seeds(root: str, count: int, *, start: int = 0) -> tuple[Seed, ...]:
    """Return the seeds `start` to `start + count - 1` that belong to `root`.

    Args:
        root: Any text; for an experiment the fingerprint of its registered design, so that nobody can
            choose seeds after seeing results.
        count: How many seeds, at least 0.
        start: Index of the first, at least 0.

    Raises:
        BadValue: for a negative count or start.
    """
    if count < 0 or start < 0:
        raise BadValue("Seeds are numbered from 0", got=f"{count} seeds from number {start}")
    return tuple(Seed(sha256_hex(f"{root}#{index}".encode())) for index in range(start, start + count))
