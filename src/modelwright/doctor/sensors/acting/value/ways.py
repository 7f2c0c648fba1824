"""Ways to compute a target, right and wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelwright.doctor.sensors.acting.value.links import HORIZON

__all__ = ["Way", "right_ways", "wrong_ways"]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to compute targets; every part is the name of a fault, or empty where right.

    What stands after a colon tells ways of the same name, or of none, from one another.

    Attributes:
        steps: Steps of the return.
        mask: Where the value of what follows counts.
        reward: Which rewards are summed.
        link: Which observation is taken for the one that follows.
        power: How the discount grows with steps.
        whole: What is done to the target as a whole.
    """

    steps: int = 1
    mask: str = ""
    reward: str = ""
    link: str = ""
    power: str = ""
    whole: str = ""

    @property
    def faults(self) -> tuple[str, ...]:
        """Names of what is wrong with it."""
        # Without a mask, what follows an end may be the next beginning: the mask is what lacks.
        parts = (self.whole, self.power, self.mask, self.link, self.reward)
        return tuple(name for name in (part.split(":")[0] for part in parts) if name)


def right_ways(steps: Sequence[int]) -> Iterator[Way]:
    """Yield ways that are right, or right by choice: rewards may be clipped."""
    for many in steps:
        for reward in ("", ":clipped", ":sign"):
            yield Way(steps=many, reward=reward)


_MASKS = ("terminal-mask-missing", "truncation-as-terminal", "done-mask-inverted", "bootstrap-missing")


def wrong_ways(steps: Sequence[int]) -> Iterator[Way]:
    """Yield wrong ways, those with one fault first."""
    for many in steps:
        for mask in _MASKS:
            yield Way(steps=many, mask=mask)
        yield Way(steps=many, reward="reward-off-by-one")
        yield Way(steps=many, reward="reward-off-by-one:before")
        yield Way(steps=many, whole="target-truncated")
        yield Way(steps=many, link="next-observation-after-reset")
        yield Way(steps=many, link="next-observation-after-reset", mask="terminal-mask-missing")
        if many > 1:
            for power in ("", ":one more", ":one less", ":all the same"):
                yield Way(steps=many, power=f"discount-power-wrong{power}")
            yield Way(steps=many, reward="discount-power-wrong:rewards")
            yield Way(steps=many, reward="discount-power-wrong:from the end")
    # The step's own observation; or the one that followed, stored as both.
    yield Way(link="next-observation-wrong", reward=":before")
    for many in range(1, HORIZON + 1):
        yield Way(steps=many, link="next-observation-wrong")
        if many > 1:
            yield Way(steps=many, link="return-not-reset-at-done")
    for many in steps:
        for mask in _MASKS[:3]:
            yield Way(steps=many, mask=mask, reward="reward-off-by-one")
