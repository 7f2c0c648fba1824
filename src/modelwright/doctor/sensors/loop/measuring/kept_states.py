"""The weights that are measured last, beside those that were measured while a model learnt."""

import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.measuring.data_parts import DataPart, holds, part_of
from modelwright.doctor.sensors.loop.measuring.pass_scores import (
    TARGETS_OF,
    same_numbers,
    score_of,
    target_in,
)
from modelwright.doctor.sensors.loop.measuring.passes import Pass, apart, key_of, weights_of
from modelwright.doctor.watch.place import Place, places_of_callers
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["KeptStates"]

_FEWEST_STATES = 4
"""States that were measured on the same rows, from which the best and the worst are no chance."""

_WORSE = 1.2
"""Loss of the worst state over that of the middle one, at least."""

_MOST_PASSES = 400
_MOST_TARGETS = 200_000
_LEAST_S, _SHARE = 0.5, 0.02
_FEWEST_ROWS = 20
_LEARNT = 0.05
"""Share of rows that may be among those of another part."""

_SOME_ROWS = 200
_MOST_PARTS = 32


class KeptStates(Sensor):
    """Knows rows and weights of each pass without gradients, and how well these weights did."""

    operations = TARGETS_OF
    unless_acting = frozenset({"on_forward"})

    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._passes: list[Pass] = []
        scene.passes = self._passes
        self._first_rows: dict[int, set[int]] = {}
        self._learnt: set[int] = set()
        self._targets: dict[int, Any] = {}
        self._room = _MOST_TARGETS
        self._leaves: list[Any] = []
        self._leaf: int | None = None
        self._said: Any = None
        self._asked: tuple[int, Pass] | None = None
        self._model: Any = None
        self._loader: Any = None
        self._source = -1
        self._turn = 0
        self._made: list[tuple[Any, DataPart]] = []
        self._used: list[tuple[Any, DataPart | None]] = []
        self._loaded = -1, 0
        self._began, self._spent = time.perf_counter(), 0.0

    # ---- what comes ----

    def on_part(self, part: Any) -> None:
        """See `Sensor`."""
        data = part if hasattr(part, "indices") else part.dataset
        rows = part_of(data) if len(self._made) < _MOST_PARTS else None
        if rows is not None:
            self._made.append((weakref.ref(data), rows))

    def on_load(self, module: Any, state: Mapping[str, Any]) -> None:
        """See `Sensor`."""
        if self._loaded[0] != self.scene.steps:  # the first time since the last step
            self._loaded = self.scene.steps, len(self._passes)

    def on_batch(self, loader: Any, batch: Any) -> None:
        """See `Sensor`."""
        if self._loader is None or self._loader() is not loader:
            self._loader, self._turn = weakref.ref(loader), self._turn + 1
            self._source = self._number_of(getattr(loader, "_dataset", None))
        self._leaves = [each for each in tensors_in(batch) if not each.requires_grad]

    def _number_of(self, data: Any) -> int:
        for at, (known, _) in enumerate(self._used):
            if known() is data:
                return at
        if data is None or len(self._used) >= _MOST_PARTS or not hasattr(data, "__weakref__"):
            return -1
        self._used.append((weakref.ref(data), part_of(data)))
        for reference, rows in self._made:  # what it holds is used with it
            inner = reference()
            if inner is not None and inner is not data and holds(data, inner):
                self._used.append((reference, rows))
        return self._number_of(data)

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        import torch

        graded = torch.is_grad_enabled()
        if graded and not self.scene.close:
            return
        given = next((each for each in tensors_in(args) if each.dim()), None)
        said = next((each for each in tensors_in(output) if each.dim()), None)
        began = time.perf_counter()
        if given is None or said is None or self._is_dear(began):
            return
        keys = key_of(given)
        self._asked, self._said = None, said.detach()
        if keys is None:
            return
        if graded:
            self._learnt.update(keys)
        else:
            self._measure(module, keys)
        self._spent += time.perf_counter() - began

    def _is_dear(self, now: float) -> bool:
        return self._spent > _LEAST_S and self._spent > _SHARE * (now - self._began)

    def _measure(self, module: Any, keys: list[int]) -> None:
        mine = self._pass(module, keys)
        if mine is None:
            return
        mine.rows.update(keys)
        key = hash(tuple(keys))
        self._asked = key, mine
        if key in self._targets:
            self._score(self._targets[key])
        elif self._leaf is not None and self._leaf < len(self._leaves):
            self._true(self._leaves[self._leaf])

    def _pass(self, module: Any, keys: list[int]) -> Pass | None:
        """Return the pass that a batch belongs to: the present one, or a new one."""
        places = places_of_callers(3)
        now = self._passes[-1] if self._passes else None
        if (
            now is not None
            and now.step == self.scene.steps
            and now.places == places
            and self._model is module
            and now.turn == self._turn
            and not now.rows.issuperset(keys)
        ):
            return now
        self._close()
        if len(self._passes) >= _MOST_PASSES:
            return None
        self._model = module
        name, weights = type(module).__name__, weights_of(module)
        now = Pass(id(module), name, self.scene.steps, weights, self._source, self._turn, places)
        self._passes.append(now)
        return now

    def _close(self) -> None:
        if self._passes and self._passes[-1].rows:
            rows = self._passes[-1].close()
            self._first_rows.setdefault(self._passes[-1].mark, set(sorted(rows)[:_SOME_ROWS]))

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if self._said is None or _is_model(operation.root):
            return
        target = target_in(operation, self._said)
        if target is None:
            return
        if self._asked is not None:
            if self._asked[0] not in self._targets:
                self._true(target)
        elif self._leaf is None:
            same = [at for at, each in enumerate(self._leaves) if same_numbers(each, target)]
            self._leaf = same[0] if len(same) == 1 else None

    def _true(self, target: Any) -> None:
        """Know what is true of the rows that were measured last."""
        assert self._asked is not None
        if target.numel() <= self._room and score_of(self._said, target) is not None:
            self._room -= target.numel()
            self._targets[self._asked[0]] = target.detach().clone()
            self._score(target)

    def _score(self, target: Any) -> None:
        assert self._asked is not None
        mine = self._asked[1]
        found = score_of(self._said, target)
        if found is not None:
            mine.known += found[0]
            mine.loss += found[1]
            mine.right += found[2]
            mine.classes = found[3]

    # ---- what is found ----

    def findings(self) -> Iterable[Finding]:
        """Return what is wrong with the state that is measured last, where it was measured before."""
        if self._passes and self._passes[-1].step == self.scene.steps and not self._passes[-1].count:
            now = self._passes[-1]
            now.count, now.mark = now.told()
            self._first_rows.setdefault(now.mark, set(sorted(now.rows)[:_SOME_ROWS]))
        step, at = self._loaded
        after = self._passes[at:] if step == self.scene.steps else self._passes
        last = [each for each in after if each.step == self.scene.steps and each.count]
        told = [each for each in last if self._first(each) is not None]
        if not told or len({each.weights for each in told}) > 1:
            return
        kept = self._first(told[0])
        assert kept is not None
        held = self._held_out(kept, told)
        yield from self._worst(kept, held)
        yield from self._chosen(kept, told, held)

    def _first(self, last: Pass) -> Pass | None:
        """Return the pass of the same weights that came before others; None where weights never came back."""
        loaded = self._loaded[0] == last.step
        before = self._passes[: self._loaded[1]] if loaded else self._passes
        before = [each for each in before if each.step > 0 and (loaded or each.step < last.step)]
        mine = [each for each in before if each.who == last.who]
        # A copy of the model may be what is measured at the end: one that was not measured before.
        found = next((each for each in mine or before if each.weights == last.weights), None)
        if found is None:
            return None
        later = [each for each in before if each.who == found.who and each.step > found.step]
        moved = any(each.weights != last.weights for each in later)
        return found if moved or (loaded and not later) else None

    def _held_out(self, kept: Pass, told: Sequence[Pass]) -> dict[int, list[Pass]]:
        """Return passes over rows that were not learnt from, by rows, the first of each state."""
        found: dict[int, list[Pass]] = {}
        for each in self._passes:
            some = self._first_rows.get(each.mark, set())
            if each.count < _FEWEST_ROWS or len(some & self._learnt) > _LEARNT * len(some):
                continue
            mine = found.setdefault(each.mark, [])
            fresh = each.step and each.who == kept.who
            fresh = fresh and all(known.weights != each.weights for known in mine)
            if fresh and all(each is not one for one in told):
                mine.append(each)
        return {mark: passes for mark, passes in found.items() if passes}

    def _worst(self, kept: Pass, held: dict[int, list[Pass]]) -> Iterable[Finding]:
        """The state that came back is the worst of all that were measured."""
        seen: list[tuple[list[Pass], Pass]] = []
        for passes in held.values():
            states = [each for each in passes if each.known and each.known == passes[0].known]
            mine = next((each for each in states if each.weights == kept.weights), None)
            if len(states) >= _FEWEST_STATES and mine is not None:
                seen.append((states, mine))
        if not seen or not all(_is_worst(mine, states) for states, mine in seen):
            return
        states, mine = seen[-1]
        yield Finding(
            kind="worst-state-measured",
            severity=Severity.WARNING,
            title=f"Of {len(states)} states of {mine.model} that were measured on the same rows, the one "
            f"that is measured at the end is the worst: {_words(mine)}, and the best has "
            f"{_words(min(states, key=lambda each: each.mean))}.",
            evidence={
                "steps": [each.step for each in states[:40]],
                "losses": [each.mean for each in states[:40]],
                "step_of_the_state_measured_last": mine.step,
            },
            causes=(cause("worst-weights-kept", self._kept_at()),),
            next_check="look at the direction of the comparison that keeps a state: losses fall, scores rise",
            subject=mine.model,
        )

    def _kept_at(self) -> Place | None:
        scene = self.scene
        return next((p for p in map(scene.place_of, ("state", "save", "load")) if p is not None), None)

    def _chosen(self, kept: Pass, told: Sequence[Pass], held: dict[int, list[Pass]]) -> Iterable[Finding]:
        """The state that came back is the best on the rows that the last score is of, and on no others."""
        if len(held) != 1 or any(each.mark not in held for each in told):
            return
        (states,) = held.values()
        mine = next((each for each in states if each.weights == kept.weights), None)
        if len(states) < _FEWEST_STATES or mine is None:
            return
        again = {each.source for each in told} - {each.source for each in states}
        twice = again and -1 not in again and all(each.source >= 0 for each in states)
        left = self._left_out(states)
        # Where no score is known, a state that is not the last one was chosen by something: by these rows.
        blind = bool(left) and not any(each.known for each in states) and mine is not states[-1]
        if not (blind or _is_best(mine, states)) or not (twice or left):
            return
        words = (
            "two data sets that have the same rows"
            if twice
            else f"the only held-out rows that are asked for, and {left} others never are"
        )
        yield Finding(
            kind="chosen-on-measured-rows",
            severity=Severity.WARNING,
            title=f"The best of {len(states)} states of {mine.model} was chosen on the rows that it is "
            f"measured on at the end: these are {words}.",
            evidence={
                "states": len(states),
                "rows_measured": mine.count,
                "held_out_rows_never_measured": left,
            },
            causes=(cause("test-used-for-early-stopping", apart(mine.places, told[-1].places)),),
            next_check="choose the state on validation rows, and measure it once on others",
            subject=mine.model,
        )

    def _left_out(self, states: Sequence[Pass]) -> int:
        """Return how many rows were put into a part of their own that was never asked for."""
        source = states[0].source
        rows = self._used[source][1] if source >= 0 else None
        if rows is None:
            return 0
        used = [each for _, each in self._used if each is not None]
        for _, (kind, mine) in self._made:
            if kind != rows[0] or len(mine) < _FEWEST_ROWS:
                continue
            # A few rows of different parts may be the same.
            met = set[int]().union(*(mine & keys for other, keys in used if kind == other))
            if len(met) <= _LEARNT * len(mine):
                return len(mine)
        return 0


def _is_worst(mine: Pass, states: Sequence[Pass]) -> bool:
    """Return whether a state is the worst by every measure, and not the last."""
    losses = [each.mean for each in states]
    middle = float(np.median(losses))
    if mine.step == max(each.step for each in states) or not all(np.isfinite(losses)):
        return False
    right = [each.right for each in states]
    least = not mine.classes or mine.right == min(right) < max(right)
    return mine.mean == max(losses) > _WORSE * middle and least


def _is_best(mine: Pass, states: Sequence[Pass]) -> bool:
    if not all(each.known and each.known == mine.known for each in states):
        return False
    by_loss = mine.mean == min(each.mean for each in states)
    return by_loss or (mine.classes and mine.right == max(each.right for each in states))


def _is_model(root: Any) -> bool:
    """Return whether an operation was done inside of a model: a loss has no parameters."""
    return root is not None and next(root.parameters(), None) is not None


def _words(state: Pass) -> str:
    right = f", {state.right / state.known:.1%} right" if state.classes else ""
    return f"a loss of {state.mean:.3g}{right}"
