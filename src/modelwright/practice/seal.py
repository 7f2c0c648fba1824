"""A fault's name, closed: who has the seal cannot read it, who knows the name can check it."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from modelwright.base.fingerprint import sha256_hex
from modelwright.faults.plant import Fault, Program

__all__ = ["Seal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Stands for a fault of a program.

    Attributes:
        salt: Drawn anew for each drill, so that equal faults have different seals.
        sha256: Of salt, program and fault, with line ends between.
    """

    salt: str
    sha256: str

    @staticmethod
    def close(program: str, fault: str) -> "Seal":
        """Return a new seal."""
        salt = secrets.token_hex(16)
        return Seal(salt=salt, sha256=_digest(salt, program, fault))

    def holds(self, program: str, fault: str) -> bool:
        """Tell whether the seal stands for this fault."""
        return _digest(self.salt, program, fault) == self.sha256

    def find(self, program: str, among: Iterable[Program]) -> Fault | None:
        """Return the fault that it stands for; None where the bank has no such fault (any more)."""
        faults = (each for known in among if known.name == program for each in known.faults)
        return next((fault for fault in faults if self.holds(program, fault.name)), None)


def _digest(salt: str, program: str, fault: str) -> str:
    return sha256_hex(f"{salt}\n{program}\n{fault}".encode())
