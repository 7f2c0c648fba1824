"""First values of weights: rows that are all the same, and sizes that blow signals up or let them vanish."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Call, Scene, Sensor

__all__ = ["FirstValues"]

_ENOUGH = 5
"""Steps after which rows that still are the same will stay so."""

_LARGE, _SMALL = 4.0, 0.1
"""Root mean square of a weight, times the root of its inputs; usual first values give 0.5 to 1.7."""

_DEEP = 3


@dataclass(slots=True)
class _Weight:
    """Of a layer that was called while gradients were recorded, before the first step."""

    module: Any
    gain: float
    same: bool
    value: float


class FirstValues(Sensor):
    """Reads the weights of linear layers and convolutions when they are first called."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._weights: dict[int, _Weight] = {}
        self._normalised: set[int] = set()
        self._embedded: set[int] = set()

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if not call.grad or id(call.module) in self._weights:
            return
        name = type(call.module).__name__
        weight = call.module._parameters.get("weight")
        if "Norm" in name:
            self._normalised.add(id(call.root))
        if name == "Embedding":
            self._embedded.add(id(weight))
        if weight is None or call.step > 0 or not name.startswith(("Linear", "Conv")) or weight.dim() < 2:
            return
        values = weight.detach()
        rows = values.reshape(values.shape[0], -1)
        self._weights[id(call.module)] = _Weight(
            module=call.module,
            gain=float(rows.double().square().mean().sqrt()) * rows.shape[1] ** 0.5,
            same=rows.shape[0] > 1 and bool((rows == rows[0]).all()),
            value=float(rows[0, 0]),
        )

    def findings(self) -> Iterable[Finding]:
        """Return layers whose rows never differ, and sizes far from the usual."""
        known = [each for each in self._weights.values() if not self.scene.is_loaded(each.module.weight)]
        known = [each for each in known if id(each.module.weight) not in self._embedded]
        trained = [each for each in known if each.module.weight.requires_grad]
        yield from self._same(trained)
        large = [each for each in trained if each.gain > _LARGE]
        if large:
            yield self._size("large", large, len(trained))
        hidden = trained[:-1]
        if len(trained) >= _DEEP and not self._normalised and all(0 < each.gain < _SMALL for each in hidden):
            yield self._size("small", hidden, len(trained))

    def _name(self, each: _Weight) -> str:
        return self.scene.name_of(each.module.weight)

    def _same(self, trained: list[_Weight]) -> Iterable[Finding]:
        if self.scene.steps < _ENOUGH:
            return
        kept: list[str] = []
        for each in trained:
            rows = each.module.weight.detach().reshape(each.module.weight.shape[0], -1)
            constant = each.same and each.value != 0.0 and each is not trained[-1]
            if constant or (each.same and bool((rows == rows[0]).all())):
                kept.append(self._name(each))
        if kept:
            yield Finding(
                kind="rows-that-stay-the-same",
                severity=Severity.SEVERE,
                title=f"All units of {kept[0]} began with the same weights: what tells them apart later is "
                "chance, if anything does.",
                evidence={"layers": kept[:20], "steps": self.scene.steps},
                causes=(cause("constant-initialisation"),),
                next_check="draw first weights at random; constants are for biases and for a last layer",
                subject=kept[0],
            )

    def _size(self, word: str, layers: list[_Weight], known: int) -> Finding:
        gains = {self._name(each): each.gain for each in layers[:20]}
        return Finding(
            kind=f"first-weights-{word}",
            severity=Severity.WARNING,
            title=f"First weights of {len(layers)} of {known} layers are very {word}: "
            f"{next(iter(gains))} has "
            f"{layers[0].gain:.2g} times 1/sqrt(inputs), and 0.5 to 1.7 is usual.",
            evidence={"gains": gains},
            causes=(cause(f"initialisation-too-{word}"),),
            next_check="use the layers' own initialisation, or divide by the root of the number of inputs",
            subject=next(iter(gains)),
        )
