"""What was found of advantages, or of targets of values, until now."""

from dataclasses import dataclass, field

__all__ = ["AdvantageRecord"]


@dataclass(slots=True)
class AdvantageRecord:
    """Of the advantages, or of the targets of values, of a program.

    Attributes:
        right: Updates that a right way fits.
        refuted: Updates that no right way fits.
        faults: Fault -> updates that only it, or others beside it, fits.
        sizes: Of refuted updates: smallest residual of a right way.
        signed: Updates that a right way fits, or one that takes cuts for ends, or nothing for what follows.
        against: Of these, updates that it fits with rewards and values turned round.
        rewards_against: Of these, updates that it fits with rewards turned round.
        known: gamma * lambda of the last fit.
        discount: gamma of the last fit.
        scale: What rewards were multiplied by, of the last fit that tells.
        searches: Updates for which everything was tried.
        ended, cut: Transitions that ended, or were cut, in updates that no right way fits.
        rows, unfinished: Transitions of those updates, and those of episodes that went on after them.
        copies: Environments of the last of those updates.
    """

    right: int = 0
    refuted: int = 0
    faults: dict[str, int] = field(default_factory=dict[str, int])
    sizes: list[float] = field(default_factory=list[float])
    signed: int = 0
    against: int = 0
    rewards_against: int = 0
    known: float | None = None
    discount: float | None = None
    scale: float = 1.0
    searches: int = 0
    ended: int = 0
    cut: int = 0
    rows: int = 0
    unfinished: int = 0
    copies: int = 1

    @property
    def sums_rewards_alone(self) -> bool:
        """Whether values are a baseline alone: lambda is one, and rewards are summed to an episode's end."""
        return self.known is not None and self.discount is not None and abs(self.known - self.discount) < 1e-3
