"""Which calls of a policy the actions come from that a critic is asked about."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation

__all__ = ["ActionSource", "ActionSources"]

_MOST_TENSORS = 400


class ActionSource(NamedTuple):
    """A call on observations alone from whose output actions were computed.

    Attributes:
        seen: What it was given.
        place: Of the call.
    """

    seen: Seen
    place: Place | None


class ActionSources:
    """Follows tensors from what policies give to what critics are given, within one update."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, tuple[ActionSource, ...]]] = {}
        self._of: dict[int, tuple[Seen, tuple[ActionSource, ...]]] = {}

    def clear(self) -> None:
        """Forget all: an environment or an optimizer stepped."""
        self._known.clear()
        self._of.clear()

    def called(self, seen: Seen | None, call: Call) -> None:
        """Take note of a call; `seen` is None where it was not given observations."""
        if call.depth:
            return
        sources = self._sources(call.args)
        if seen is not None and seen.rest is not None:
            self._of[id(seen)] = seen, sources
            return
        if seen is not None:
            sources = (ActionSource(seen, call.place),)
        self._keep(call.output, sources)

    def computed(self, operation: Operation) -> None:
        """Take note of an operation on what policies gave."""
        if self._known and not operation.inside:
            given = (*operation.args, *operation.kwargs.values())
            self._keep(operation.result, self._sources(given))

    def of(self, seen: Seen) -> tuple[ActionSource, ...]:
        """Return where the actions come from that a critic was given; none where it is not known."""
        return self._of.get(id(seen), (seen, ()))[1]

    def _keep(self, output: Any, sources: tuple[ActionSource, ...]) -> None:
        if sources and len(self._known) < _MOST_TENSORS:
            for tensor in _tensors(output):
                self._known[id(tensor)] = tensor, sources

    def _sources(self, given: Any) -> tuple[ActionSource, ...]:
        if not self._known:
            return ()
        found = [self._known[id(each)][1] for each in _tensors(given) if id(each) in self._known]
        return tuple(dict.fromkeys(source for sources in found for source in sources))


def _tensors(given: Any) -> Iterator[Any]:
    if isinstance(given, tuple | list):
        for each in given:  # pyright: ignore[reportUnknownVariableType]
            yield from _tensors(each)
    elif hasattr(given, "requires_grad") and given.is_floating_point():
        yield given
