"""Whether observations were overwritten between the time that a model saw them and that of its gradients."""

from collections.abc import Iterable, Iterator
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Scene, Sensor

__all__ = ["OverwrittenInputs"]

_ENOUGH = 3
_MOST_INPUTS = 256
_MOST_NUMBERS = 2**14
_MOST_NODES = 5000
_MOST_LOSSES = 20


class OverwrittenInputs(Sensor):
    """Compares what a loss is differentiated with with what was given when it was computed.

    Torch notices tensors that are changed in place; it cannot notice an array of NumPy's that shares their
    memory.
    """

    closely = frozenset({"on_call", "on_backward", "on_step_end"})
    while_acting = frozenset({"on_backward", "on_call", "on_step_end"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._given: list[tuple[Any, Any, Place | None]] = []
        self._losses = 0
        self._wrong = 0
        self._overwritten = 0
        self._place: Place | None = None

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        given: Any = call.args[0] if call.args else None
        if call.depth or not call.grad or not hasattr(given, "detach"):
            return
        if len(self._given) >= _MOST_INPUTS or self._losses >= _MOST_LOSSES:
            return
        if given.device.type == "cpu" and not given.requires_grad and 0 < given.numel() <= _MOST_NUMBERS:
            self._given.append((given, given.detach().clone(), call.place))

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if not self._given or not loss.requires_grad:
            return
        self._losses += 1
        changed = [(given, place) for given, kept, place in self._given if not bool((given == kept).all())]
        if changed:
            needed = set(_saved(loss))
            lost = [place for given, place in changed if given.data_ptr() in needed]
            self._wrong += bool(lost)
            self._overwritten += len(lost)
            self._place = lost[0] if lost else self._place

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._given = []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._given = []

    def findings(self) -> Iterable[Finding]:
        """Return inputs that are other ones by the time gradients are computed with them."""
        if self._wrong < _ENOUGH:
            return
        yield Finding(
            kind="inputs-overwritten-before-gradients",
            severity=Severity.SEVERE,
            title="Observations that a model was given hold other numbers by the time gradients are computed "
            "with them: an array that shares their memory was overwritten.",
            evidence={
                "losses": self._losses,
                "losses_with_such_inputs": self._wrong,
                "inputs": self._overwritten,
            },
            causes=(cause("observation-aliased", self._place),),
            next_check="give the model a copy: torch.tensor(observation), not torch.from_numpy(observation)",
        )


def _saved(loss: Any) -> Iterator[int]:
    """Yield where tensors lie that the gradients of a loss are computed with."""
    open_nodes, known = [loss.grad_fn], set[Any]()
    while open_nodes and len(known) < _MOST_NODES:
        node = open_nodes.pop()
        if node is None or node in known:
            continue
        known.add(node)
        open_nodes += [each for each, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_saved_"):
                try:
                    saved: Any = getattr(node, name)
                except RuntimeError:
                    continue  # freed, or changed in a way that torch noticed
                if hasattr(saved, "data_ptr"):
                    yield saved.data_ptr()
