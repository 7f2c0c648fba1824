"""Parts of a model that are meant to stay as they were drawn: what they give goes into nothing else."""

from dataclasses import dataclass
from typing import Any

from modelwright.doctor.watch.sensor import Call

__all__ = ["FixedNetworks"]

_FEWEST_LAYERS = 2
_MOST_CALLS = 200


@dataclass(slots=True)
class _Pass:
    """A call of one layer with parameters of its own, inside of a call of a model as a whole."""

    module: Any
    given: tuple[Any, ...]
    learns: bool
    carries: bool


class FixedNetworks:
    """Tells random networks that others imitate, as in random network distillation, from frozen layers.

    A fixed network stands beside what learns: no layer that learns is given something without a gradient that
    was not there before it was asked. A frozen layer inside of a network hands on what it gave.
    """

    def __init__(self) -> None:
        self._calls: list[_Pass] = []
        self._beside: set[int] = set()
        self._inside: set[int] = set()

    def take(self, call: Call) -> None:
        """Take note of a call, in the order in which calls end."""
        own = [each for each in call.module._parameters.values() if each is not None]
        if own and len(self._calls) < _MOST_CALLS:
            learns = any(each.requires_grad for each in own)
            carries = bool(getattr(call.output, "requires_grad", True))
            self._calls.append(_Pass(call.module, _tensors(call.args), learns, carries))
        if call.depth == 0:
            # One that is asked as a whole may hand on what it gave to whatever is asked next.
            if call.grad and 0 < sum(each.learns for each in self._calls) < len(self._calls):
                self._judge(_tensors(call.args))
            self._calls = []

    def has(self, module: Any) -> bool:
        """Return whether a layer belongs to such a network, as often as it was called."""
        return id(module) in self._beside and id(module) not in self._inside

    def _judge(self, given: tuple[Any, ...]) -> None:
        known = {id(each) for each in given}
        beside: list[int] = []
        for at, each in enumerate(self._calls):
            known |= {id(tensor) for tensor in each.given}
            if each.learns or each.carries:
                continue
            later = [
                tensor
                for other in self._calls[at + 1 :]
                if other.learns
                for tensor in other.given
                if not tensor.requires_grad and id(tensor) not in known
            ]
            if later:
                self._inside.add(id(each.module))
            else:
                beside.append(id(each.module))
        (self._beside if len(beside) >= _FEWEST_LAYERS else self._inside).update(beside)


def _tensors(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(each for each in args if hasattr(each, "requires_grad"))
