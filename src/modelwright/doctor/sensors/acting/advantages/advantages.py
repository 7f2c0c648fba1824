"""Advantages and returns that a policy learns from, held to what the environment gave.

At the first update after acting, the slope of the loss in a log-probability is the advantage of that action,
up to a scale and, where advantages are normalised, a shift. Rewards, ends, cuts and observations are known,
and values are those of the program's own models before they change. So every way of computing advantages,
right or wrong, can be tried on the same numbers. The same holds for the slope of the value's loss.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.advantages.acted_values import ActedValues
from modelwright.doctor.sensors.acting.advantages.advantage_record import AdvantageRecord
from modelwright.doctor.sensors.acting.advantages.advantage_search import AdvantageSearch, fits
from modelwright.doctor.sensors.acting.advantages.advantage_signs import wrong_signs
from modelwright.doctor.sensors.acting.advantages.advantage_ways import REFUTED, AdvantageFit
from modelwright.doctor.sensors.acting.advantages.done_actions import DoneActions
from modelwright.doctor.sensors.acting.advantages.reset_rows import with_reset_rows
from modelwright.doctor.sensors.acting.advantages.reward_scales import RewardScales
from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.advantages.used_rewards import UsedRewards, used_rewards
from modelwright.doctor.sensors.acting.advantages.value_tables import ValueTable, ValueTables, tensors_of
from modelwright.doctor.sensors.acting.policy.loss_weights import LossWeights
from modelwright.doctor.sensors.acting.policy.policy_updates import PolicyUpdates, in_order, keys_of
from modelwright.doctor.sensors.acting.seeing.seen_as import SeenAs
from modelwright.doctor.sensors.acting.tabular.tables import users_frames
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["Advantages"]

_ENOUGH = 2
_FEWEST_ROWS = 16
_FEWEST_DIFFERENT = 10
_MOST_ROWS = 160
_MOST_SEARCHES = 6
_MOST_IN_VAIN = 3
_NEAR = 3
_MOST_UNREAD = 40
"""Losses in a row of which no row can be told, after which no more are asked."""
_WORDS = {"advantages": "Advantages that the policy learns from", "values": "Targets of values"}

_ARITHMETIC = {
    **dict.fromkeys(("rsub", "__rsub__", "logical_not", "__invert__"), "mask"),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "mul_", "__imul__"), "product"),
    **dict.fromkeys(("add", "__add__", "__radd__", "add_", "sub", "__sub__"), "sum"),
    **dict.fromkeys(("std", "var", "std_mean", "var_mean"), "deviation"),
}


class Advantages(Sensor):
    """Looks at the first update after acting."""

    closely = frozenset({"on_backward", "on_step_begin"})
    while_acting = frozenset({"on_backward", "on_forward", "on_operation", "on_step_begin", "on_step_end"})
    operations = PolicyUpdates.operations | set(_ARITHMETIC)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._updates = PolicyUpdates()
        self._tables = ValueTables()
        self._acted = ActedValues(scene.experience)
        self._seen = SeenAs(scene.experience)
        self._begin = 0
        self._steps_since_acting = 1
        self._rollout: Rollout | None = None
        self._values: list[ValueTable] = []
        self._used: tuple[UsedRewards | None] | None = None
        self._looked: set[str] = set()
        self._policy = False
        self._records = {what: AdvantageRecord() for what in _WORDS}
        self._arithmetic: dict[tuple[str, Place], int] = {}
        self._places: dict[str, Place | None] = {}
        self._time_is_seen = False
        self._unread = self._short = 0
        self._loss_weights = LossWeights()
        self._scales = RewardScales(scene.experience)
        self._done = DoneActions()

    # ---- what is heard ----

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        if self._steps_since_acting:
            self._begin, self._steps_since_acting = self.scene.experience.round, 0
            self._rollout, self._values, self._looked, self._used = None, [], set(), None
            self._time_is_seen = self._time_is_seen or _tells_time(environment)
        if self._arithmetic:
            self._arithmetic = {}

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if self.scene.environments:
            self._tables.hear(call)
            self._acted.hear(call)
            self._seen.hear(call)
            self._updates.hear_call(call)
        elif not self.scene.steps:
            self._seen.hear(call)

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        if self.scene.close or getattr(output, "requires_grad", False):
            return
        if self._seen.wanted:
            self._seen.hear_from_afar(args)
        if self._policy and self._short < _MOST_UNREAD and self._acted.wanted:
            self._acted.hear_from_afar(module, args, output)

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if what == "log_prob":
            self._policy = True
            self._updates.hear_distribution(result, None, self.scene.experience.count, place)

    def on_sample(self, distribution: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        self._updates.hear_sample(distribution, self.scene.experience.count)

    def on_log_prob(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        self._updates.hear_drawn(distribution, value, result)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        self._updates.hear_operation(operation, self.scene.experience.count)
        if operation.inside or operation.place is None or operation.name not in _ARITHMETIC:
            return
        if not getattr(operation.result, "requires_grad", False):
            key = (_ARITHMETIC[operation.name], operation.place)
            self._arithmetic[key] = self._arithmetic.get(key, 0) + 1
        elif self._updates.heard and _ARITHMETIC[operation.name] == "product":
            size, several = operation.result.numel(), len(self._updates.heard) > 1
            if several or size == self._updates.heard[-1].tensor.numel():
                self._places["policy"] = operation.place

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._updates.forget()
        self._tables.forget()
        if not self._acted.wanted:
            self._acted.forget()
        self._arithmetic = {}

    def on_clip(self, parameters: Any, limit: float, norm: Any) -> None:
        """See `Sensor`."""
        if norm is not None and self.scene.close and float(norm) > limit:
            self._loss_weights.clipped([parameters] if hasattr(parameters, "grad") else parameters)

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if self._policy or self._updates.heard:
            self._prepare()

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._steps_since_acting += 1
        self._updates.forget()
        self._tables.forget()
        self._acted.forget()
        self._seen.forget()

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if loss.numel() != 1 or not (self._updates.heard or self._policy):
            return
        self._policy = True  # from now on also where another network steps before it
        self._prepare()
        if self._rollout is None or len(self._rollout.transitions) < _FEWEST_ROWS:
            self._short += 1  # of a memory, perhaps
            return
        self._short = 0
        if "values" not in self._looked:
            self._look_at_values(loss, self._rollout)
        if "advantages" not in self._looked and self._unread < _MOST_UNREAD:
            given = self._updates.weights(loss, self._rollout)
            self._unread = self._unread + 1 if given is None else 0
            if given is not None:
                self._policy = True
                self._looked.add("advantages")
                fit = self._look("advantages", given.rows, given.weights, self._values)
                self._loss_weights.policy(loss, given.log_probabilities[-1].tensor, given.weights, fit)
                if fit is not None:
                    self._done.look(self._rollout, given.rows, given.log_probabilities)

    def _prepare(self) -> None:
        """Know the rollout and its values, before anything changes."""
        if self._steps_since_acting or self._rollout is not None:
            return
        for what in ("mask", "product", "sum", "deviation"):
            counts = {place: n for (kind, place), n in self._arithmetic.items() if kind == what}
            if counts:
                self._places.setdefault(what, max(counts, key=counts.__getitem__))
        self._rollout = Rollout.since(self.scene.experience, self._begin)
        if self._rollout is not None and len(self._rollout.transitions) >= _FEWEST_ROWS:
            self._rollout = self._seen.translated(self._rollout) or self._rollout
            self._values = self._tables.ask(self._rollout)
            self._acted.needless = self._acted.needless or bool(self._values)
            self._values = self._values or list(self._acted.tables(self._rollout))

    # ---- comparison ----

    def _look_at_values(self, loss: Any, rollout: Rollout) -> None:
        import torch

        numbers = len(rollout.transitions[0].observation) // 4
        keys: list[bytes] | None = None
        for call in self._updates.calls:
            # What is given no observations may be about those that the model before it was given.
            keys = keys_of(call.args[0], numbers) or keys
            if keys is None or len(keys) < _FEWEST_ROWS:
                continue
            rows = in_order(keys, rollout)
            for part in tensors_of(call.output):
                if part.numel() != len(keys) or not part.requires_grad or self._updates.depend_on(part):
                    continue
                flat = part.detach().double().cpu().numpy().reshape(-1)
                there = rows >= 0
                tables = [
                    each
                    for each in self._values
                    if there.any()
                    and np.allclose(each.before[rows[there]], flat[there], rtol=1e-4, atol=1e-5)
                ]
                if not tables:
                    continue
                try:
                    slopes: Any = torch.autograd.grad(loss, [part], retain_graph=True, allow_unused=True)
                    slope = slopes[0]
                except RuntimeError:
                    return
                if slope is not None and bool(slope.count_nonzero()):
                    self._looked.add("values")
                    weights = -slope.detach().double().cpu().numpy().reshape(-1)
                    self._loss_weights.values(loss, part, self._look("values", rows, weights, tables))
                    return

    def _look(
        self, what: str, rows: NDArray[np.int64], weights: NDArray[np.float64], tables: list[ValueTable]
    ) -> AdvantageFit | None:
        """Take note of which ways fit; return the right one that does, as far as ends are told from cuts."""
        assert self._rollout is not None
        there = np.flatnonzero((rows >= 0) & np.isfinite(weights))
        there = there[:: max(1, len(there) // _MOST_ROWS)]
        if len(there) < _FEWEST_ROWS:
            return None
        rows, weights = rows[there], weights[there]
        far = float(np.abs(weights - weights.mean()).max())
        if far <= 1e-4 * float(np.abs(weights).max()) or _different(weights / far) < _FEWEST_DIFFERENT:
            return None  # too much alike to tell ways apart
        record = self._records[what]
        if record.searches >= (_MOST_SEARCHES if record.faults else _MOST_IN_VAIN):
            return None
        smallest = np.inf
        found: dict[str, AdvantageFit] = {}
        search = AdvantageSearch(
            self._rollout, tables, rows, there, weights, record, what == "values", self._used_rewards
        )
        for fault, fit in search.tried(self._records["values"]):
            if not fault:
                smallest = min(smallest, fit.residual)
            if fits(fit) and fault not in found:
                found[fault] = fit
        self._note(record, found, smallest)
        used = self._used[0] if self._used is not None else None
        if used is not None and len(used.factor) * int(self._rollout.last.sum()) != len(used.rewards):
            used = None  # with rows in which environments only began anew
        if used is not None and found and what == "advantages":
            self._scales.look(self._rollout, used, next(iter(found.values())))
        return found.get("") or (None if self.scene.experience.ends_are_clear else _fit_of_signs(found))

    def _used_rewards(self) -> UsedRewards | None:
        """Return rewards as the user's functions hold them; sought once after acting."""
        assert self._rollout is not None
        if self._used is None:
            whole = with_reset_rows(self._rollout)
            used = used_rewards(whole.rollout if whole else self._rollout, users_frames())
            if used is not None and whole is not None:
                used = replace(used, rewards=used.rewards[~whole.added])
            self._used = (used,)
        return self._used[0]

    def _note(self, record: AdvantageRecord, found: dict[str, AdvantageFit], smallest: float) -> None:
        assert self._rollout is not None
        fit = _fit_of_signs(found) or found.get("bootstrap-missing")
        if fit is not None:
            record.signed += 1
            record.rewards_against += fit.reward < 0 < -fit.value
            record.against += fit.reward < 0 and fit.value >= 0
            if record is self._records["advantages"] and fit.reward < 0 and fit.value >= 0:
                self.scene.saw("policy loss against", self._place("policy-loss-sign"))
        if "" in found:
            record.right += 1
        elif smallest > REFUTED:
            record.refuted += 1
            record.sizes += [smallest] if np.isfinite(smallest) else []
            record.ended += int(self._rollout.terminated.sum())
            record.cut += int(self._rollout.cut.sum())
            record.rows += len(self._rollout.transitions)
            record.unfinished += self._rollout.unfinished
            record.copies = int(self._rollout.last.sum())
            for fault in found:
                record.faults[fault] = record.faults.get(fault, 0) + 1
        for fit in list(found.values())[:1]:
            record.known, record.discount = fit.p, fit.discount
            record.scale = -fit.reward / fit.value if fit.value else record.scale

    # ---- what is wrong ----

    def findings(self) -> Iterable[Finding]:
        """Return what no right way of computing advantages explains, and one wrong way does."""
        yield from wrong_signs(self.scene, self._records["advantages"], self._place)
        yield from self._done.findings()
        yield from self._loss_weights.findings(self.scene.place_of("loss"))
        yield from self._scales.findings(self._place(""))
        named: set[str] = set()
        for what, record in self._records.items():
            if record.refuted < (1 if record.right > _ENOUGH else _ENOUGH) or not record.faults:
                continue
            fault = max(record.faults, key=record.faults.__getitem__)
            if record.faults[fault] < max(1, 0.8 * record.refuted) or fault in named:
                continue
            if fault == "truncation-as-terminal" and not self.scene.experience.ends_are_clear:
                continue  # nobody says which of the two it was
            if fault == "reward-centred" and not record.ended:
                continue  # of tasks that never end, the mean reward may be taken off (Naik et al. 2024)
            named.add(fault)
            yield Finding(
                kind=f"{what}-differ-from-experience",
                severity=self._severity(fault, record),
                title=f"{_WORDS[what]} are not what rewards and ends give: {fault.replace('-', ' ')}.",
                evidence={
                    "updates_that_a_right_way_fits": record.right,
                    "updates_that_only_a_wrong_way_fits": record.faults[fault],
                    "difference_from_the_nearest_right_way": record.sizes[:40],
                    "transitions_that_ended": record.ended,
                    "transitions_that_were_cut": record.cut,
                    "discount": record.discount,
                    "discount_times_lambda": record.known,
                },
                causes=(cause(fault, self._place(fault)),),
                next_check="compute by hand the advantage of a step before an end and of a rollout's last",
            )

    def _severity(self, fault: str, record: AdvantageRecord) -> Severity:
        few = record.copies == 1 and 2 * record.unfinished < record.rows
        if fault == "bootstrap-missing" and record.sums_rewards_alone and few:
            # Whole episodes and one that is cut off, as agents with a list as memory do.
            return Severity.INFO
        if fault == "reward-centred":
            return Severity.WARNING
        if fault != "truncation-as-terminal":
            return Severity.SEVERE
        seen = self._time_is_seen or self.scene.experience.tells_time()
        return Severity.INFO if seen else Severity.WARNING

    def _place(self, fault: str) -> Place | None:
        """Return where masks, or else sums over what follows, are computed, as far as tensors do it."""
        wanted = {
            "policy-loss-sign": ("policy",),
            "advantage-normalised-over-wrong-axis": ("deviation", "policy"),
        }.get(fault, ("mask", "product", "sum", "policy"))
        mask, total = (self._places.get(each) for each in ("mask", "sum"))
        if fault == "terminal-mask-missing" and mask and total and abs(mask.line - total.line) > _NEAR:
            wanted = ("sum",)  # of what else ends mask, a memory for example
        found = [self._places[each] for each in wanted if self._places.get(each) is not None]
        return found[0] if found else self.scene.place_of("loss")


def _fit_of_signs(found: Mapping[str, AdvantageFit]) -> AdvantageFit | None:
    return found.get("") or found.get("truncation-as-terminal")


def _different(numbers: NDArray[np.float64]) -> int:
    return len(np.unique(np.round(numbers, 4)))


def _tells_time(environment: Any) -> bool:
    """Return whether observations hold the time: an episode's last step is then known for one."""
    while environment is not None:
        if type(environment).__name__ == "TimeAwareObservation":
            return True
        environment = vars(environment).get("env")
    return False
