"""Two networks that learn against each other: one makes rows, the other tells them from others."""

import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.losses.output_range import BOUNDS, last_operation
from modelwright.doctor.sensors.rows.source_lines import assigned_at
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["Adversaries"]

_ENOUGH = 5
_ENOUGH_NOISE = 12
_MOST_MADE = 6
_MANY = 0.05


@dataclass(slots=True)
class _Said:
    """What a network said of rows, to which the loss will have a slope.

    Attributes:
        by: The network.
        output: What it said.
        maker: The network that made the rows; None for other rows.
        reaches: Whether gradients go on to that network.
        place: Of the call.
    """

    by: Any
    output: Any
    maker: Any
    reaches: bool
    place: Place | None


@dataclass(slots=True)
class _Pair:
    """A network that makes rows and one that judges them.

    Attributes:
        judge: Sign of the slope in what is said of made rows, where the judge steps and the slope in what it
            says of others has the other sign.
        against, along: Steps of the maker with a slope of the other sign, and of the same.
        place: Of the call that the maker learns from.
        last: Operation that the made rows came out of.
        others, outside: Numbers in other rows, and how many of them that operation cannot give.
        low, high: The least and the largest of them.
        made_at: Of the call that makes rows.
    """

    judge: int = 0
    against: int = 0
    along: int = 0
    place: Place | None = None
    last: str = ""
    others: int = 0
    outside: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    made_at: Place | None = None


@dataclass(slots=True)
class _Maker:
    """What a network that makes rows was given while it learnt, and rows of others beside."""

    given: set[int] = field(default_factory=set[int])
    beside: set[int] = field(default_factory=set[int])
    calls: int = 0
    place: Place | None = None


class Adversaries(Sensor):
    """Follows what one network gives into another, and asks torch for the slopes in what that says."""

    closely = frozenset({"on_backward", "on_step_begin"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._made: deque[tuple[Any, Any, str, Place | None]] = deque(maxlen=_MOST_MADE)
        self._said: list[_Said] = []
        self._slopes: list[tuple[_Said, int]] = []
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._makers: dict[int, _Maker] = {}
        self._held: list[weakref.ref[Any]] = []

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or self.scene.environments or not call.args:
            return
        output = next(tensors_in(call.output), None)
        if not call.grad:
            if output is not None and output.dim() >= 2:
                self._made.append((output, call.module, "", call.place))
            return
        given = call.args[0]
        if not hasattr(given, "data_ptr") or not given.is_floating_point() or given.dim() < 2:
            return
        found = next((each for each in self._made if _is_same(each[0], given)), None)
        if output is None or not output.requires_grad:
            return
        maker = found[1] if found is not None and found[1] is not call.module else None
        if maker is not None and found is not None:
            pair = self._pair(maker, call.module)
            pair.last, pair.made_at = found[2] or pair.last, found[3]
        self._said.append(_Said(call.module, output, maker, given.grad_fn is not None, call.place))
        for (making, judge), pair in self._pairs.items():
            if maker is None and judge == id(call.module) and given.grad_fn is None:
                self._note_other(pair, given)
                if making in self._makers:
                    self._makers[making].beside.add(_content(given))
        self._made.append((output, call.module, last_operation(output), call.place))
        if given.grad_fn is None:
            known = self._makers.setdefault(id(call.module), _Maker())
            leaves = [each for each in tensors_in(call.args) if each.dim()]
            known.given.add(hash(tuple(_content(each) for each in leaves)))
            known.calls += 1
            known.place = call.place

    def _pair(self, maker: Any, judge: Any) -> _Pair:
        key = id(maker), id(judge)
        if key not in self._pairs:
            self._held += [weakref.ref(maker), weakref.ref(judge)]
        return self._pairs.setdefault(key, _Pair())

    def _note_other(self, pair: _Pair, given: Any) -> None:
        values = given.detach()
        low, high = BOUNDS.get(pair.last, (float("-inf"), float("inf")))
        pair.others += values.numel()
        pair.outside += int(((values < low - 1e-6) | (values > high + 1e-6)).sum())
        pair.low = min(pair.low, float(values.min()))
        pair.high = max(pair.high, float(values.max()))

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if not self._pairs or not loss.requires_grad or loss.numel() != 1:
            return
        import torch

        outputs = [each.output for each in self._said]
        slopes: Any = torch.autograd.grad(loss, outputs, retain_graph=True, allow_unused=True)
        for said, slope in zip(self._said, slopes, strict=True):
            if slope is not None and bool(slope.any()):
                sign = 1 if bool((slope >= 0).all()) else -1 if bool((slope <= 0).all()) else 0
                self._slopes.append((said, sign))

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        slopes, self._slopes = self._slopes, []
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for said, sign in slopes:
            if said.maker is None or not sign:
                continue
            pair = self._pair(said.maker, said.by)
            others = {each for other, each in slopes if other.by is said.by and other.maker is None}
            if _owns(own, said.by) and not _owns(own, said.maker):
                pair.judge = sign if others == {-sign} else 0
            elif _owns(own, said.maker) and not _owns(own, said.by) and said.reaches and pair.judge:
                pair.along += sign == pair.judge
                pair.against += sign != pair.judge
                pair.place = said.place
        self._said = [each for each in self._said if each.maker is not None][-_MOST_MADE:]

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._said, self._slopes = [], []
        self._made.clear()

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return networks that do not play against each other, and a maker that cannot make other rows."""
        for (maker, _), pair in self._pairs.items():
            if pair.along >= _ENOUGH and not pair.against:
                yield _along(pair)
            if pair.against + pair.along >= _ENOUGH:
                yield from _out_of_reach(pair)
                yield from self._noise(maker)

    def _noise(self, maker: int) -> Iterable[Finding]:
        known = self._makers.get(maker)
        if known is None or known.calls < _ENOUGH_NOISE or len(known.given) > 1 or len(known.beside) < 2:
            return
        yield Finding(
            kind="same-noise-at-every-step",
            severity=Severity.WARNING,
            title="The network that makes rows is given the same numbers at every step, while those that its "
            "rows are told from change.",
            evidence={
                "calls": known.calls,
                "different_inputs": 1,
                "different_rows_beside": len(known.beside),
            },
            causes=(cause("noise-drawn-once", assigned_at(known.place) or known.place),),
            next_check="draw noise anew at every step",
        )


def _along(pair: _Pair) -> Finding:
    return Finding(
        kind="adversaries-pull-together",
        severity=Severity.SEVERE,
        title="The network that makes rows learns to have them told apart: its step moves what is said of "
        "them the same way as the step of the network that judges them.",
        evidence={"steps": pair.along, "steps_against_each_other": 0},
        causes=(cause("loss-sign-flipped", pair.place),),
        next_check="give made rows the label of real ones in the maker's loss, or turn its sign",
    )


def _out_of_reach(pair: _Pair) -> Iterable[Finding]:
    if pair.last not in BOUNDS or pair.outside < _MANY * max(1, pair.others):
        return
    low, high = BOUNDS[pair.last]
    yield Finding(
        kind="targets-out-of-reach",
        severity=Severity.SEVERE,
        title=f"{pair.outside / pair.others:.0%} of the numbers to be imitated cannot be made: the output "
        f"ends in {pair.last.lower()}, and they go from {pair.low:.3g} to {pair.high:.3g}.",
        evidence={
            "numbers": pair.others,
            "out_of_reach": pair.outside,
            "lowest": pair.low,
            "highest": pair.high,
            "reach": [low, high if high != float("inf") else "without end"],
        },
        causes=(cause("relu-on-output" if pair.last == "Relu" else "output-bounded", pair.made_at),),
        next_check="let the last layer be linear, or bring the rows into the range of its activation",
    )


def _is_same(made: Any, given: Any) -> bool:
    return made is given or (made.data_ptr() == given.data_ptr() and made.numel() == given.numel())


def _owns(own: set[int], module: Any) -> bool:
    return any(id(parameter) in own for parameter in module.parameters())


def _content(tensor: Any) -> int:
    return hash(tensor.detach().cpu().numpy().tobytes())
