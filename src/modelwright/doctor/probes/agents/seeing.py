"""What becomes of observations inside of an agent that misses their values."""

from collections.abc import Callable, Sequence

from modelwright.doctor.probes.agents.course import Look
from modelwright.doctor.probes.agents.task import Task

__all__ = ["SWAPPED", "merged_as"]

_ONE = 1e-5
"""Difference of values, as a share of them, that only the order of additions leaves."""

SWAPPED = "frames-in-another-order"
"""The mistake that takes values of one order for those of the other, whatever else it does to them."""

_NEAR = 0.12
_LEARNT = 0.05
_APART = 0.5
"""Difference of right values from which on two situations are not one."""


def merged_as(task: Task, looks: Sequence[Look], right: Sequence[float]) -> tuple[str, ...]:
    """Return the mistakes that would hold just those observations for one that an agent holds for one.

    Numbers that were learnt for two different things are never the same; so the same numbers in the last two
    looks, where others are not, are those of one thing.

    Args:
        task: One about what is seen.
        looks: In order.
        right: (situation,) values.
    """
    if len(looks) < 2 or not looks[-2].steps or len(right) != len(task.paths) or not _has_moved(looks):
        return ()
    both = [_same(look) for look in looks[-2:]]
    alike = {
        (one, other)
        for one in range(len(right))
        for other in range(one)
        if all(same(one, other) for same in both) and abs(right[one] - right[other]) >= _APART
    }
    if alike and all(both[-1](each, 0) for each in range(len(right))):
        return ()
    if not task.needs_memory:
        return ("observations-merged",) if alike else ()
    seen = [path[-1] for path in task.paths]
    if alike and alike >= {
        (one, other)
        for one in range(len(right))
        for other in range(one)
        if seen[one] == seen[other] and abs(right[one] - right[other]) >= _APART
    }:
        return ("memory-not-used",)
    ends = [at for at, path in enumerate(task.paths) if len(path) == max(map(len, task.paths))]
    if (ends[1], ends[0]) in alike:
        return ("frame-order-lost",)
    return (SWAPPED,) if all(_is_swapped(look, ends, right) for look in looks[-2:]) else ()


def _is_swapped(look: Look, ends: Sequence[int], right: Sequence[float]) -> bool:
    """Return whether the last situations have each other's values, and not all values the other sign."""
    values = look.values or ()
    turned = [abs(one + other) <= _NEAR for one, other in zip(values, right, strict=True)]
    crossed = zip(ends, ends[::-1], strict=True)
    return all(abs(values[at] - right[other]) <= _NEAR for at, other in crossed) and not all(turned)


def _has_moved(looks: Sequence[Look]) -> bool:
    """Return whether anything was learnt; all looks of the last two have values then."""
    last = looks[-1].values
    if last is None or looks[-2].values is None:
        return False
    before = [look.values for look in looks[:-1] if look.values is not None]
    return any(abs(one - other) > _LEARNT for each in before for one, other in zip(each, last, strict=True))


def _same(look: Look) -> Callable[[int, int], bool]:
    """Return whether all that is known of two situations are the same numbers."""
    assert look.values is not None
    rows = [(each,) for each in look.values] if look.action_values is None else look.action_values

    def are(one: int, other: int) -> bool:
        return all(abs(a - b) <= _ONE * max(1.0, abs(a)) for a, b in zip(rows[one], rows[other], strict=True))

    return are
