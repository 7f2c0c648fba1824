"""What comes out of nonlinearities: units that are never on, and such that are always at their bounds."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["Activations"]

_DEAD = 0.8
_SATURATED = 0.8
_EARLY = 24
_ENOUGH = 6
_BOUNDS = {"tanh": (-0.99, 0.99), "sigmoid": (0.005, 0.995)}


@dataclass(slots=True)
class _Layer:
    """One nonlinearity, by its line and its number of units."""

    name: str
    place: Place | None
    alive: Any = None
    calls: int = 0
    saturated: list[float] = field(default_factory=list[float])


class Activations(Sensor):
    """Reads what relu, tanh and sigmoid give while gradients are recorded."""

    operations = frozenset(f"{name}{end}" for name in ("relu", *_BOUNDS) for end in ("", "_"))

    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._layers: dict[tuple[Any, ...], _Layer] = {}
        self._order: dict[int, int] = {}

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        name = operation.name.rstrip("_")
        if not operation.inside or not operation.result.requires_grad:
            return
        out = operation.result.detach()
        if out.dim() < 2:
            return
        units = int(out.shape[1] if out.dim() == 4 else out.shape[-1])
        # Layers of one size at one line (a Sequential) are told apart by their order within a step.
        at = self._order[operation.step] = self._order.get(operation.step, 0) + 1
        key = (name, operation.place, units, at)
        layer = self._layers.setdefault(key, _Layer(name, operation.place))
        layer.calls += 1
        if name == "relu":
            axes = [axis for axis in range(out.dim()) if axis != (1 if out.dim() == 4 else out.dim() - 1)]
            alive = (~(out <= 0)).sum(dim=axes) > 0  # what is no number is not off
            layer.alive = alive if layer.alive is None else layer.alive | alive
        elif operation.step < _EARLY:
            low, high = _BOUNDS[name]
            layer.saturated.append(float(((out < low) | (out > high)).double().mean()))

    def findings(self) -> Iterable[Finding]:
        """Return layers that are mostly dead, or mostly saturated from the beginning."""
        for layer in self._layers.values():
            if layer.calls < _ENOUGH:
                continue
            if layer.alive is not None:
                dead = 1.0 - float(layer.alive.double().mean())
                if dead >= _DEAD and len(layer.alive) >= 4:
                    yield self._dead(layer, dead)
            if len(layer.saturated) >= _ENOUGH and sum(layer.saturated) / len(layer.saturated) > _SATURATED:
                yield self._saturated(layer)

    def _dead(self, layer: _Layer, dead: float) -> Finding:
        return Finding(
            kind="units-never-on",
            severity=Severity.WARNING if dead < 1 else Severity.SEVERE,
            title=f"{dead:.0%} of {len(layer.alive)} units after a relu were zero for every example seen.",
            evidence={"dead": dead, "units": len(layer.alive), "batches": layer.calls},
            causes=(
                cause("dead-relu", layer.place),
                cause("learning-rate-too-high", self.scene.place_of("on_optimizer")),
            ),
            next_check="look at the biases' first values and at the learning rate; try leaky_relu",
            subject=str(layer.place or ""),
        )

    def _saturated(self, layer: _Layer) -> Finding:
        share = sum(layer.saturated) / len(layer.saturated)
        return Finding(
            kind="units-saturated",
            severity=Severity.WARNING,
            title=f"{share:.0%} of what {layer.name} gives is at its bounds from the first steps on: "
            "hardly any gradient passes.",
            evidence={"share": layer.saturated[:60], "bounds": list(_BOUNDS[layer.name])},
            causes=(
                cause("saturated-activations", layer.place),
                cause("initialisation-too-large"),
                cause("inputs-not-scaled"),
            ),
            next_check="print the deviation of what enters it; scale inputs and first weights",
            subject=str(layer.place or ""),
        )
