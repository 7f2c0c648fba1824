"""How episodes end inside of wrappers, beside how the program is told that they do."""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["EpisodeEnds"]

_ENOUGH = 3


@dataclass(slots=True)
class _Wrapper:
    """Of a kind of wrapper: ends and cuts inside of it, and how many came out as the other."""

    ends: int = 0
    ends_as_cuts: int = 0
    cuts: int = 0
    cuts_as_ends: int = 0


class EpisodeEnds(Sensor):
    """Compares each wrapper's answer with that of the environment in it."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._wrappers: dict[type, _Wrapper] = {}

    def on_episode_end(self, ends: Sequence[tuple[Any, bool, bool]]) -> None:
        """See `Sensor`."""
        for (inner, ended, cut), (outer, outer_ended, outer_cut) in pairwise(ends):
            if getattr(outer, "env", None) is not inner or ended is cut:
                continue
            counts = self._wrappers.setdefault(type(outer), _Wrapper())
            exchanged = outer_ended is cut and outer_cut is ended
            if ended:
                counts.ends += 1
                counts.ends_as_cuts += exchanged
            else:
                counts.cuts += 1
                counts.cuts_as_ends += exchanged

    def findings(self) -> Iterable[Finding]:
        """Return wrappers that say of every ended episode that it was cut, and of none that it ended.

        The other way round alone, to end an episode where it was cut, is a choice.
        """
        for kind, counts in self._wrappers.items():
            if counts.ends < _ENOUGH or counts.ends_as_cuts < counts.ends:
                continue
            if counts.cuts_as_ends < counts.cuts:
                continue
            yield Finding(
                kind="ends-and-cuts-exchanged",
                severity=Severity.SEVERE,
                title=f"{kind.__name__} says of all {counts.ends} episodes that ended that they were cut.",
                evidence={
                    "episodes_that_ended": counts.ends,
                    "of_these_told_as_cut": counts.ends_as_cuts,
                    "episodes_that_were_cut": counts.cuts,
                    "of_these_told_as_ended": counts.cuts_as_ends,
                },
                causes=(cause("terminated-truncated-swapped", _place(kind)),),
                next_check="compare the order of what step() takes from the inner environment and returns",
                subject=kind.__name__,
            )


def _place(kind: type) -> Place | None:
    """Return the last line of a class's `step` that returns."""
    step: Any = inspect.unwrap(kind.step)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        lines, first = inspect.getsourcelines(step)
        file = inspect.getsourcefile(step)
    except (OSError, TypeError):
        return None
    returns = [at for at, line in enumerate(lines) if line.strip().startswith("return")]
    return Place(file, first + returns[-1], "step") if file and returns else None
