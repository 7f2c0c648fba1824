"""Targets of value learning, held to what the environment did: rewards, ends, next observations, discount.

A batch's rows are found among the transitions that the environments really made. Then ways in which a target
could have been computed are tried on the same numbers: the right ones at once, wrong ones on batches that no
right one gives.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.acting.distributions.distributions import Distributions
from modelwright.doctor.sensors.acting.value.action_noise import ActionNoise
from modelwright.doctor.sensors.acting.value.action_sources import ActionSources
from modelwright.doctor.sensors.acting.value.batch import Batch, Links
from modelwright.doctor.sensors.acting.value.chosen_actions import ChosenActions
from modelwright.doctor.sensors.acting.value.expected_policies import ExpectedPolicies
from modelwright.doctor.sensors.acting.value.following import Followed, Following, shapes_of
from modelwright.doctor.sensors.acting.value.idle_networks import IdleNetworks
from modelwright.doctor.sensors.acting.value.policies import Policies
from modelwright.doctor.sensors.acting.value.record import Record
from modelwright.doctor.sensors.acting.value.seen_calls import FEWEST_ROWS, SeenCalls, is_stacked
from modelwright.doctor.sensors.acting.value.stored_rows import StoredRows
from modelwright.doctor.sensors.acting.value.target_findings import Heard, findings_of
from modelwright.doctor.sensors.acting.value.temperature import Temperature
from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.sensors.acting.value.worths import Follower, worths_of
from modelwright.doctor.watch.graph import leaves_of, nodes_near
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["Targets"]

Numbers = NDArray[np.float64]

_ENOUGH = 3
_ACTED = 100
"""Steps of environments whose place is noted."""
_MOST_VAIN = 16
"""Comparisons at a place without any network's value of what follows, after which no more are looked at."""

_MOST_CRITICS = 20
_SAME = 1e-5
_MOST_NODES = 64
"""Functions on the way from values to a prediction that are looked at."""
_COMPARES = ("mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss", "sub", "__sub__", "rsub", "__rsub__")


class Targets(Sensor):
    """Looks at updates of values, once rows of their batches are known."""

    closely = frozenset({"on_backward", "on_step_begin"})
    while_acting = frozenset(
        {"on_backward", "on_call", "on_forward", "on_step_begin", "on_step_end", "on_zero"}
    )

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._seen = SeenCalls(scene)
        self._following = Following(scene, self._seen)
        self._pairs: list[tuple[Any, Any, Place | None]] = []
        self._records: dict[Place | None, Record] = {}
        self._attached: dict[Place | None, int] = {}
        self._vain: dict[Place | None, int] = {}
        self._chosen: dict[Place | None, ChosenActions] = {}
        self._sources = ActionSources()
        self._stored = StoredRows(scene.experience)
        self._distributions = Distributions(scene, self._seen, self._following, self._stored)
        self._idle = IdleNetworks(scene)
        self._policies = Policies(scene)
        self._expected = ExpectedPolicies(scene)
        self._temperature = Temperature(scene)
        self._noise = ActionNoise()
        self._acting: dict[Place, int] = {}
        self._acted = 0
        self._partly = False
        self._said: Any = None

    def on_environment_step(self, environment: Any, action: Any, answer: tuple[Any, ...]) -> None:
        """See `Sensor`."""
        said, self._said = self._said, None
        made = self.scene.experience.transitions
        if said is None or not made or not said.is_floating_point() or said.numel() != made[-1].action.size:
            return
        numbers = said.detach().double().cpu().numpy().reshape(-1)
        self._noise.stepped(environment, made[-1].environment, numbers, made[-1].action)
        if not np.array_equal(numbers, made[-1].action):
            made[-1].said = numbers

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        if args:
            self._seen.acted(args[0])
            self._noise.asked(module)
        self._said = output if hasattr(output, "detach") else None

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        self._seen.clear()
        self._sources.clear()
        self._policies.draws.clear()
        self._partly = False
        if self._acted < _ACTED and self.scene.close:
            place = place_of_caller()
            if place is not None:
                self._acted += 1
                self._acting[place] = self._acting.get(place, 0) + 1

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if not call.depth:
            self._said = call.output if hasattr(call.output, "detach") else None
        seen = self._seen.heard(call)
        self._sources.called(seen, call)
        if seen is not None:
            self._policies.called(seen, call)
            self._expected.called(seen, call)
            self._distributions.called(seen, call)

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        self._noise.is_drawn = True
        if what == "log_prob" and self.scene.environments:
            self._policies.drawn(result, place)

    def on_log_prob(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if self.scene.environments and not self._partly:
            self._policies.asked(distribution, value, result, place)

    def on_zero(self, optimizers: Sequence[Any]) -> None:
        """See `Sensor`."""
        self._policies.zeroed(optimizers)

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if not self._partly:
            self._policies.step(optimizer)
            newest = self._expected.log_probability
            self._temperature.step(
                optimizer,
                self._policies.log_probability if newest is None else newest,
                self._seen.columns,
                of_choices=newest is not None,
            )

    def on_load(self, module: Any, state: Mapping[str, Any]) -> None:
        """See `Sensor`."""
        self._idle.loaded(module)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        calls = self._seen.calls
        self._idle.heard(operation)
        if self.scene.environments or operation.name == "linspace":
            self._distributions.computed(operation)
        if not calls:
            return
        self._sources.computed(operation)
        if any(call.rest is not None for call in calls):
            self._seen.computed(operation)
            self._policies.computed(operation)
        if operation.name not in _COMPARES:
            return
        one, other = operation.argument(0, "input"), operation.argument(1, "target")
        if not (hasattr(one, "requires_grad") and hasattr(other, "requires_grad")):
            return
        if not (one.requires_grad or other.requires_grad):
            return
        stacked = self._unstacked(one, other) or self._unstacked(other, one)
        if stacked:
            self._pairs += [(*each, operation.place) for each in stacked]
        elif one.shape == other.shape and one.numel() >= FEWEST_ROWS:
            self._pairs.append((one, other, operation.place))

    def _unstacked(self, prediction: Any, target: Any) -> list[tuple[Any, Any]]:
        """Return what each of several critics says, with its target; nothing where there is one critic."""
        if not prediction.requires_grad or prediction.dim() < 2:
            return []
        many, rows = prediction.shape[0], prediction.shape[1]
        if many > _MOST_CRITICS or rows < FEWEST_ROWS or not is_stacked(prediction, rows):
            return []
        if not any(call.rest is not None and call.rows == rows for call in self._seen.calls):
            return []
        if target.shape == prediction.shape:
            return [(prediction[at], target[at]) for at in range(many)]
        if tuple(target.shape) in (tuple(prediction.shape[1:]), (1, *prediction.shape[1:])):
            return [(each, target.reshape(each.shape)) for each in prediction]
        return []

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._pairs = []
        self._sources.clear()
        self._policies.forget()
        self._expected.forget()
        self._distributions.forget()
        self._partly = False

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._pairs = []
        self._seen.clear()
        self._sources.clear()
        self._policies.forget()
        self._expected.forget()
        self._distributions.forget()
        # Of an update during which the look begins, after its first call, only a part is heard.
        self._partly = not self.scene.begins

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        pairs, self._pairs = self._pairs, []
        if self._partly:
            return
        self._seen.read_waiting()
        self._policies.backward(loss, self._seen.calls)
        self._expected.backward(loss, self._seen.calls)
        self._distributions.backward()
        given = [target for one, other, _ in pairs for target in (one, other) if not target.requires_grad]
        for one, other, place in pairs:
            target = other if one.requires_grad else one
            shared = sum(each is target or each.data_ptr() == target.data_ptr() for each in given) > 1
            if one.requires_grad and other.requires_grad:
                self._compare(one, other, place, shared)
                self._compare(other, one, place, shared)
            else:
                self._compare(one if one.requires_grad else other, target, place, shared)

    # ---- one comparison ----

    def _compare(self, prediction: Any, target: Any, place: Place | None, shared: bool) -> None:
        known = self._records.get(place)
        if known is not None and known.satisfied(self.scene.experience.cuts):
            return
        if self._vain.get(place, 0) >= _MOST_VAIN:
            return
        y, p = _numbers(target), _numbers(prediction)
        main = self._predicts(p)
        if main is None or (target.requires_grad and _of_one_pass(prediction, target)):
            return
        self._stored.take(main, self._seen.calls)
        kept = self._following.rows(main)
        if len(kept) < FEWEST_ROWS or 2 * len(kept) < main.rows:
            return
        followed = [
            (each, self._follower(each, main, kept))
            for each in self._following.calls(main, kept)
            if each.call.outputs
        ]
        worths = worths_of([follower for _, follower in followed])
        if not worths:
            if known is None:
                self._vain[place] = self._vain.get(place, 0) + 1
            return
        columns = [each[kept] for each in self._seen.columns if len(each) == main.rows]
        pairs = main.rest is not None
        surprises = [each[kept] for each in self._policies.draws.surprises if len(each) == main.rows]
        further = np.array(columns if pairs else []).reshape(-1, len(kept))
        batch = Batch(y[kept], worths, further, shared, surprises)
        if target.requires_grad and not self._is_attached(target):
            return
        record = self._records.setdefault(place, Record(place, shapes_of(main)))
        record.pairs = pairs
        record.made = self.scene.origins.of(target) or record.made
        found = record.take(batch)
        if not self.scene.experience.ends_are_clear:
            found = record.otherwise.take(batch.with_cuts_as_ends()) or found
        if found is None:
            return
        if target.requires_grad:
            self._attached[place] = self._attached.get(place, 0) + 1
        chosen = self._chosen.setdefault(place, ChosenActions(place))
        for each, follower in followed:
            if any(worth.links is follower.links for worth in worths if worth.name == found.worth):
                chosen.take(main, p, each.rows, kept)
                chosen.take_next(main, each.call, kept, self._sources.of(each.call))
                break

    def _is_attached(self, target: Any) -> bool:
        owned = self._following.owned()
        return any(id(leaf) in owned for leaf in leaves_of(target))

    def _predicts(self, p: Numbers) -> Seen | None:
        """Return the call whose output the predictions are of."""
        for call in reversed(self._seen.calls):
            if not call.grad or call.rows != len(p):
                continue
            for output in call.outputs:
                if np.all(np.abs(output - p[:, None]).min(axis=1) <= _SAME * (1.0 + np.abs(p))):
                    return call
        return None

    def _follower(self, followed: Followed, main: Seen, kept: NDArray[np.intp]) -> Follower:
        call = followed.call
        return Follower(
            outputs=[_spread(output, followed.which, main.rows)[kept] for output in call.outputs],
            links=Links.of(followed.rows),
            learns=self._following.learns(call),
            pairs=call.rest is not None,
            alike=shapes_of(call) == shapes_of(main),
            module=call.module,
        )

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return what no right way of computing these targets explains, and one wrong way does."""
        acting = max(self._acting, key=self._acting.__getitem__, default=None)
        yield from self._stored.findings(acting)
        yield from self._distributions.findings()
        yield from self._policies.findings()
        yield from self._expected.findings()
        yield from self._temperature.findings()
        if any(record.pairs and record.looks >= _ENOUGH for record in self._records.values()):
            yield from self._noise.findings()
        for chosen in (*self._chosen.values(), *self._distributions.chosen.values()):
            yield from chosen.findings(acting)
        attached = {**self._attached, **self._distributions.attached}
        for place, record in (*self._records.items(), *self._distributions.records.items()):
            heard = Heard(
                attached=attached.get(place, 0),
                idle=self._idle.has(record.shapes),
                soft=self._policies.soft if record.pairs else self._expected.soft,
                acting=acting,
            )
            yield from findings_of(record, heard, self.scene.experience)


def _numbers(tensor: Any) -> Numbers:
    return tensor.detach().double().cpu().numpy().reshape(-1)


def _of_one_pass(prediction: Any, target: Any) -> bool:
    """Return whether both are functions of what one call gave, as with a penalty on large values."""
    common = nodes_near(prediction, _MOST_NODES) & nodes_near(target, _MOST_NODES)
    return any(node.next_functions for node in common)  # others are parameters


def _spread(output: Numbers, which: NDArray[np.intp], rows: int) -> Numbers:
    whole = np.full((rows, output.shape[1]), np.nan)
    whole[which] = output
    return whole
