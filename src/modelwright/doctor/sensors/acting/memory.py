"""Whether a policy with memory begins each episode anew, or with what it remembers of the one before."""

import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.experience import Transition
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Call, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in, twin_of

__all__ = ["Memory"]

_ENOUGH = 3
_MOST_TRIALS = 10
"""Copies of a module that are asked what it would say without its state."""

_MOST_NUMBERS = 2**16
_MOST_WEIGHTS = 2**24
_MOST_KEPT = 3
_MOST_LOOKED_AT = 4096
_CHANGED = 1e-4
"""Change of a row of an output, over the outputs' size, that is no rounding."""


@dataclass(slots=True)
class _Beginning:
    """From an episode's last step to the first of the next, in one environment.

    Attributes:
        cut: Whether the last episode was cut.
        calls: Calls of the module.
        carried: Whether all of them were given the state that was left over.
        count: Transitions that the environments had made before the last of them.
    """

    cut: bool
    calls: int = 0
    carried: bool = True
    count: int = -1


@dataclass(slots=True)
class _Module:
    """One module that may be given a state.

    Attributes:
        module: It.
        count: Transitions before its last call.
        outputs: What it gave in its last calls, as copies.
        beginnings: Number of an environment -> the beginning that it is in.
        carried, anew: Beginnings with the state of the last episode, and with another one.
        of_cuts: Of the first, those after a cut; all as far as copies were asked.
        trials: Copies that were asked.
        place: Of the line that gave it a state of the last episode.
        inner: Whether it is part of another module.
    """

    module: Any
    count: int = 0
    outputs: deque[list[Any]] = field(default_factory=lambda: deque[list[Any]](maxlen=_MOST_KEPT))
    beginnings: dict[int, _Beginning] = field(default_factory=dict[int, _Beginning])
    carried: int = 0
    anew: int = 0
    of_cuts: int = 0
    trials: int = 0
    place: Place | None = None
    inner: bool = False


class Memory(Sensor):
    """Compares the state that a module is given after an episode's end with the one that it left.

    It speaks only where the whole state is what the module gave before the end, for all environments side by
    side, and where a copy of the module says something else for every row if it is given zeros instead: a
    module that is told of ends, and forgets by itself, does not.
    """

    closely = frozenset({"on_call"})
    while_acting = frozenset({"on_call", "on_forward"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._of: dict[int, _Module] = {}
        self._recurrent: dict[int, bool] = {}
        self._plain: deque[int] = deque(maxlen=64)
        self._width, self._width_at = 0, 0
        self._stretches = 0

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        if self.scene.experience.count:
            given = list(tensors_in(args))
            if id(module) in self._of or self._is_recurrent(module) or _may_carry(given, output):
                self._called(module, args, given, output)
            if self._of:
                self._note_plain(given)

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth and self.scene.experience.count and self._is_recurrent(call.module):
            given = list(tensors_in(call.args))
            self._called(call.module, call.args, given, call.output, call.keywords, inner=True)

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        for each in self._of.values():  # of modules inside of others only some calls are heard
            each.beginnings.clear()
            each.outputs.clear()

    def _is_recurrent(self, module: Any) -> bool:
        known = self._recurrent.get(id(module))
        if known is None:
            from torch import nn

            known = self._recurrent[id(module)] = isinstance(module, nn.RNNBase | nn.RNNCellBase)
        return known

    # ---- from one call to the next ----

    def _called(
        self,
        module: Any,
        args: tuple[Any, ...],
        given: list[Any],
        output: Any,
        keywords: Sequence[str] = (),
        inner: bool = False,
    ) -> None:
        experience = self.scene.experience
        known = self._of.get(id(module))
        if known is None or known.module is not module:
            known = self._of[id(module)] = _Module(module, experience.count, inner=inner)
        if experience.stretches != self._stretches:
            self._stretches = experience.stretches
            for each in self._of.values():
                each.beginnings.clear()
        begin = max(known.count - experience.first, 0, len(experience.transitions) - _MOST_LOOKED_AT)
        for each in experience.transitions[begin:]:
            self._stepped(known, each)
        known.count = experience.count
        if known.trials >= _MOST_TRIALS:
            known.beginnings.clear()
        if known.beginnings:
            carried = bool(self._carried(known, given)) and self._matters(known, args, output, keywords)
            if carried:
                known.place = place_of_caller(3)
            for each in known.beginnings.values():
                each.calls += 1
                each.carried &= carried
                each.count = known.count
        known.outputs.append(
            [
                each.detach().clone()
                for each in tensors_in(output)
                if each.is_floating_point() and each.dim() and each.numel() <= _MOST_NUMBERS
            ]
        )

    def _stepped(self, known: _Module, transition: Transition) -> None:
        """Open or close the time between two episodes."""
        beginning = known.beginnings.get(transition.environment)
        if transition.step == 0 and beginning is not None:
            del known.beginnings[transition.environment]
            if beginning.calls and beginning.carried and beginning.count in self._plain:
                known.carried += 1
                known.of_cuts += beginning.cut
            elif beginning.calls and not beginning.carried:
                known.anew += 1
        if transition.terminated or transition.truncated:
            known.beginnings[transition.environment] = _Beginning(not transition.terminated)

    @staticmethod
    def _carried(known: _Module, given: Sequence[Any]) -> list[Any]:
        """Return tensors given that are, as a whole, what the module gave before."""
        left = [each for outputs in known.outputs for each in outputs]
        return [
            each
            for each in given
            if each.is_floating_point()
            and any(
                each.shape == other.shape and bool((each.detach() == other).all()) and bool(other.any())
                for other in left
            )
        ]

    def _matters(self, known: _Module, args: tuple[Any, ...], output: Any, keywords: Sequence[str]) -> bool:
        """Return whether every row of what a module says changes if its state is zeros."""
        import torch

        if sum(each.numel() for each in known.module.parameters()) > _MOST_WEIGHTS:
            return False
        known.trials += 1
        states = {id(each) for each in self._carried(known, list(tensors_in(args)))}
        with contextlib.suppress(Exception):  # a stranger's copy or forward
            twin = twin_of(known.module).eval()
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                plain, without = (
                    [each.double() for each in tensors_in(_ask(twin, args, zeros, keywords))]
                    for zeros in (set[int](), states)
                )
            # With what it said it is known that it is asked in the same way.
            said = [each.detach().double() for each in tensors_in(output)]
            if _alike(plain, said):
                return all(_rows_change(*pair, self._width) for pair in zip(plain, without, strict=True))
        return False

    def _note_plain(self, given: Sequence[Any]) -> None:
        """Take note of a call with observations and nothing else but flags.

        A policy that is told rewards too may be meant to remember over episodes (Duan et al. 2016).
        """
        experience = self.scene.experience
        count = experience.count
        if count != self._width_at:
            recent = experience.transitions[max(self._width_at - experience.first, 0) :][-_MOST_LOOKED_AT:]
            self._width, self._width_at = len({each.environment for each in recent}), count
        if not given or (self._plain and self._plain[-1] == count):
            return
        first, *others = given
        sizes = {size * self._width for size in experience.sizes if size > 1}
        if first.numel() not in sizes:
            return
        states = [each for known in self._of.values() for each in self._carried(known, others)]
        flags = [each for each in others if not any(each is state for state in states)]
        if all(each.numel() <= self._width and _is_flag(each) for each in flags):
            self._plain.append(count)

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return a module that is given the state of the episode before."""
        wrong = [each for each in self._of.values() if each.carried >= _ENOUGH]
        if not wrong:
            return
        most = min(wrong, key=lambda each: (each.inner, -each.carried))
        yield Finding(
            kind="memory-of-last-episode",
            severity=Severity.SEVERE,
            title="After an episode's end, the state of a policy with memory is given on unchanged: an "
            "episode begins with what is remembered of the one before.",
            evidence={
                "module": type(most.module).__name__,
                "episodes_that_began_so": most.carried,
                "of_these_after_a_cut": most.of_cuts,
                "episodes_that_began_anew": most.anew,
            },
            causes=(cause("state-not-reset-at-done", most.place),),
            next_check="print the state that is given with the first observation of an episode",
        )


def _may_carry(given: Sequence[Any], output: Any) -> bool:
    """Return whether a module gives something of the shape of what it was given besides its first input."""
    shapes = [each.shape for each in given[1:]]
    return bool(shapes) and any(each.shape in shapes for each in tensors_in(output))


def _ask(twin: Any, args: tuple[Any, ...], states: set[int], keywords: Sequence[str]) -> Any:
    asked = tuple(_without(each, states) for each in args)
    count = len(asked) - len(keywords)
    return twin(*asked[:count], **dict(zip(keywords, asked[count:], strict=True)))


def _without(value: Any, states: set[int]) -> Any:
    """Return what was given, with zeros in place of states."""
    if hasattr(value, "detach"):
        plain = value.detach()
        return plain * 0 if id(value) in states else plain
    if isinstance(value, list | tuple):
        parts: list[Any] = [_without(each, states) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {key: _without(each, states) for key, each in value.items()}
    return value


def _alike(some: Sequence[Any], others: Sequence[Any]) -> bool:
    import torch

    return all(
        one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-5)
        for one, other in zip(some, others, strict=True)
    )


def _rows_change(plain: Any, without: Any, width: int) -> bool:
    """Return whether all rows of an output differ; what has no rows of environments does not count."""
    if plain.shape != without.shape:
        return False
    axis = next((at for at, size in enumerate(plain.shape[:2]) if size == width), None)
    if width > 1 and axis is None:
        return True
    far = (plain - without).abs()
    if width > 1 and axis is not None:
        far = far.movedim(axis, 0).reshape(width, -1).amax(dim=1)
    else:
        far = far.amax()
    return bool((far > _CHANGED * (plain.abs().max() + 1e-12)).all())


def _is_flag(tensor: Any) -> bool:
    numbers = tensor.detach()
    return bool(((numbers == 0) | (numbers == 1)).all())
