"""What is drawn from a learnt distribution without a gradient, and learnt from all the same."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Scene, Sensor

__all__ = ["Samples"]

_ENOUGH = 5
_MOST = 8


class Samples(Sensor):
    """Follows draws, where no environment is acted in, into the networks that are given them."""

    closely = frozenset({"on_step_end"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._drawn: deque[tuple[Any, Place | None]] = deque(maxlen=_MOST)
        self._scored = False
        self._given = 0
        self._place: Place | None = None

    def on_sample(self, distribution: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if self.scene.environments or not getattr(distribution, "has_rsample", False):
            return
        learnt = (getattr(distribution, name, None) for name in distribution.arg_constraints)
        if any(getattr(each, "requires_grad", False) for each in learnt):
            self._drawn.append((result, place))

    def on_log_prob(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if any(value is drawn for drawn, _ in self._drawn):
            self._scored = True  # its gradient goes through the log-probability

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if not call.grad or not call.args:
            return
        for drawn, place in self._drawn:
            if call.args[0] is drawn:
                self._given += 1
                self._place = place

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._drawn.clear()

    def findings(self) -> Iterable[Finding]:
        """Return a finding where draws go into a network, and no gradient comes back through them."""
        if self._scored or self._given < _ENOUGH:
            return
        yield Finding(
            kind="draws-without-gradient",
            severity=Severity.SEVERE,
            title="A network is given draws of `sample()`, through which no gradient reaches what they were "
            "drawn from.",
            evidence={"calls": self._given},
            causes=(cause("reparameterisation-lost", self._place),),
            next_check="draw with rsample(), or weigh log_prob of the draws by what they led to",
        )
