"""How a policy is measured: what a split is for rows, this is for an environment."""

from dataclasses import dataclass
from typing import ClassVar

from modelwright.base.setting import Settings, setting

__all__ = ["Evaluation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Settings):
    """Fresh episodes in which each seed's policy is measured; they teach it nothing.

    They begin as a seed's own stream says, the same for all variants and at every step, and the policy acts
    as it thinks best, without exploring.
    """

    PLACE: ClassVar[str] = "evaluation"

    episodes: int = setting(20, doc="Episodes of each seed, each in a copy of its own.", low=1, high=10_000)
