"""First values of weights: rows that are all the same, and sizes that blow signals up or let them vanish."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["FirstValues"]

_ENOUGH = 5
_FEWEST_CODES, _CODES = 8, 1000
"""Steps after which rows that still are the same will stay so."""

_LARGE, _SMALL = 4.0, 0.1
"""Root mean square of a weight, times the root of its inputs; usual first values give 0.5 to 1.7."""

_LARGE_MATRIX = 10.0
"""The same of a matrix of the program's own, which may be no layer."""

_DEEP = 3
_PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__", "mm", "addmm", "linear"})


@dataclass(slots=True)
class _Weight:
    """Of a layer that was called while gradients were recorded, before the first step.

    Attributes:
        weight: The parameter.
        turned: Whether its units are its columns.
        gain: See `_LARGE`.
        same: Whether all units are the same.
        value: The first one's first.
        own: Whether it is a matrix of the program's own, in no layer of torch.
    """

    weight: Any
    turned: bool
    gain: float
    same: bool
    value: float
    own: bool = False

    def units(self) -> Any:
        """Return the weights of each unit (unit, input)."""
        values = self.weight.detach()
        return values.t() if self.turned else values.reshape(values.shape[0], -1)


class FirstValues(Sensor):
    """Reads weights of linear layers, convolutions and a program's own matrices when first used."""

    holds_models = True

    operations = _PRODUCTS

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._weights: dict[int, _Weight] = {}
        self._normalised: set[int] = set()
        self._embedded: set[int] = set()
        self._alike: list[tuple[Any, Any]] = []

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if not call.grad:
            return
        name = type(call.module).__name__
        weight = call.module._parameters.get("weight")
        if "Norm" in name:
            self._normalised.add(id(call.root))
        if name == "Embedding":
            if call.step == 0 and id(weight) not in self._embedded:
                self._note_codes(call, weight)
            self._embedded.add(id(weight))
        if weight is None or call.step > 0 or not name.startswith(("Linear", "Conv")) or weight.dim() < 2:
            return
        if id(weight) not in self._weights or self._weights[id(weight)].own:
            self._weights[id(weight)] = _read(weight, turned=False, own=False)

    def _note_codes(self, call: Call, weight: Any) -> None:
        """Keep some codes that were looked up, where the numbers of each are all the same."""
        codes = next(tensors_in(call.args), None)
        if codes is None or codes.is_floating_point() or weight.dim() != 2 or weight.shape[1] < 2:
            return
        codes = codes.detach().reshape(-1)[:_CODES].unique()
        codes = codes[codes != (getattr(call.module, "padding_idx", None) or 0)]
        if len(codes) >= _FEWEST_CODES and _are_alike(weight, codes):
            self._alike.append((weight, codes))

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if operation.step > 0 or not operation.result.requires_grad:
            return
        for at, each in enumerate(operation.args[-2:]):
            known = getattr(each, "is_leaf", False) and each.requires_grad and each.dim() == 2
            if known and each.numel() > 1 and id(each) not in self._weights:
                turned = at == 1 and operation.name != "linear"
                self._weights[id(each)] = _read(each, turned=turned, own=True)

    def findings(self) -> Iterable[Finding]:
        """Return layers whose rows never differ, and sizes far from the usual."""
        known = [each for each in self._weights.values() if not self.scene.is_loaded(each.weight)]
        known = [each for each in known if id(each.weight) not in self._embedded]
        trained = [each for each in known if each.weight.requires_grad]
        yield from self._same(trained)
        # A single matrix of one's own may begin anywhere: what it gives is linear.
        limits = {True: _LARGE_MATRIX if len(trained) > 1 else float("inf"), False: _LARGE}
        large = [each for each in trained if each.gain > limits[each.own]]
        if large:
            yield self._size("large", large, len(trained))
        hidden = trained[:-1]
        if (
            len(trained) >= _DEEP
            and not self._normalised
            and not any(each.own for each in trained)
            and all(0 < each.gain < _SMALL for each in hidden)
        ):
            yield self._size("small", hidden, len(trained))

    def _name(self, each: _Weight) -> str:
        return self.scene.name_of(each.weight)

    def _same(self, trained: list[_Weight]) -> Iterable[Finding]:
        if self.scene.steps < _ENOUGH:
            return
        kept: list[str] = []
        for each in trained:
            rows = each.units()
            constant = each.same and each.value != 0.0 and each is not trained[-1]
            if constant or (each.same and bool((rows == rows[0]).all())):
                kept.append(self._name(each))
        for weight, codes in self._alike:  # each number of a code moves like the others, or none does
            if weight.requires_grad and not self.scene.is_loaded(weight) and _are_alike(weight, codes):
                kept.append(self.scene.name_of(weight))
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


def _are_alike(weight: Any, codes: Any) -> bool:
    """Return whether the numbers of each code, several, are all the same."""
    some = weight.detach()[codes]
    return bool((some == some[:, :1]).all())


def _read(weight: Any, *, turned: bool, own: bool) -> _Weight:
    read = _Weight(weight=weight, turned=turned, gain=0.0, same=False, value=0.0, own=own)
    rows = read.units()
    read.gain = float(rows.double().square().mean().sqrt()) * rows.shape[1] ** 0.5
    read.same = rows.shape[0] > 1 and bool((rows == rows[0]).all())
    read.value = float(rows[0, 0])
    return read
