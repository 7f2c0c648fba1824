"""Whether a learner of action values explores: its random actions, and its best and worst ones.

Nobody tells which schedule was meant. What is held is only what every schedule has: that the values which are
learnt are acted upon at some time; that something else than the best known action is tried at some time; that
there are not more random actions at the end than at the beginning; that random actions do not make room for
those of a model before it learnt anything; and that the best action, where one is chosen, is that which
targets take for the best.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.chance.bernoulli_bet import BernoulliBet
from modelwright.doctor.chance.budget import limit_of
from modelwright.doctor.sensors.acting.acts import BEST, UNASKED, UNKNOWN, WORST, Acts, Told
from modelwright.doctor.watch.experience import Transition
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["Exploration"]

_RARE = 1 / 250
"""Share of steps in which every schedule acts by what it learnt, or tries something else, in the mean."""

_FALLEN = 1 / 4
"""Share of random actions: before anything was learnt, no schedule falls below it from above."""

_ODDS = (1e3,)
_FEWEST_ROWS = 8
_POLICY = ("softmax", "log_softmax", "cross_entropy", "nll_loss", "multinomial", "gumbel_softmax")
_DRAWS = ("rand", "randn", "rand_like", "randn_like", "normal", "normal_", "bernoulli", "dropout")
_EXTREMES = ("max", "amax", "argmax", "min", "amin", "argmin")
_CHOICES = ("gather", "__getitem__")
_FEWEST_NAMED = 40


class Exploration(Sensor):
    """Counts how actions came about, in programs that take the largest of action values for targets."""

    operations = frozenset({*_POLICY, *_DRAWS, *_EXTREMES, *_CHOICES})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._acts = Acts()
        self._feeding: set[int] = set()
        self._batches = 0
        self._largest: set[int] = set()
        self._smallest: set[int] = set()
        self._takes_least = False
        self._other_law = False
        self._models: dict[int, Any] = {}
        self._place: Place | None = None
        self._valued: tuple[Any, list[int | None]] = (None, [])
        self._named: dict[int, int] = {}
        self._renamed = False

    def on_environment_reset(self, environment: Any, observation: Any) -> None:
        """See `Sensor`."""
        self._acts.began(environment, observation)

    def on_environment_step(self, environment: Any, action: Any, answer: tuple[Any, ...]) -> None:
        """See `Sensor`."""
        if self._other_law:
            return
        transitions = self.scene.experience.transitions
        if transitions:
            self._acts.stepped(environment, transitions[-1], self.scene.steps)
        if self._place is None and self.scene.steps:
            self._place = place_of_caller(2)

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        if not self._other_law and (self.scene.environments or not self.scene.steps):
            self._acts.called(args, output)

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or not call.args:
            return
        self._acts.called(call.args, call.output)
        shape = getattr(call.args[0], "shape", ())
        if not call.grad or len(shape) < 2 or shape[0] < _FEWEST_ROWS or not self.scene.environments:
            return
        self._models[id(call.module)] = call.module
        if self._batches < 60:
            self._batches += 1
            rows = call.args[0].detach()[:_FEWEST_ROWS].cpu().numpy()
            found = self.scene.experience.from_observations(rows)
            transitions = self.scene.experience.transitions
            self._feeding.update(transitions[each[0]].environment for each in found if each)
            self._valued = call.output, [_action_of([transitions[at] for at in each]) for each in found]

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        law = operation.name in _POLICY and not _is_of_distributions(operation)
        if law or (operation.inside and operation.name in _DRAWS):
            self._other_law = True
        if operation.name in _CHOICES:
            self._chosen(operation)
        if operation.name not in _EXTREMES:
            return
        given = operation.argument(0, "input")
        along = operation.argument(1, "dim", operation.kwargs.get("axis"))
        shape = getattr(given, "shape", ())
        if isinstance(along, int) and len(shape) == 2 and shape[0] >= _FEWEST_ROWS:
            (self._largest if "max" in operation.name else self._smallest).add(int(shape[1]))
        elif "min" in operation.name:
            self._takes_least = True

    def _chosen(self, operation: Operation) -> None:
        """Take note whether values of actions are picked by the numbers that the environment was given."""
        output, actions = self._valued
        if output is None or not operation.args or operation.args[0] is not output:
            return
        picked: Any = operation.argument(2, "index") if operation.name == "gather" else operation.args[1]
        if isinstance(picked, tuple):
            picked = picked[-1]
        numbers: Any = getattr(picked, "tolist", list[int])()
        shape = getattr(picked, "shape", ())
        if not shape or int(np.prod(shape)) != len(output) or getattr(picked, "is_floating_point", bool)():
            return
        for number, action in zip(np.ravel(numbers).tolist(), actions, strict=False):
            if action is not None:
                self._renamed |= number != action
                self._named[action] = self._named.get(action, 0) + 1

    def on_distribution(self, what: str, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        self._other_law |= what != "divergence"

    def findings(self) -> Iterable[Finding]:
        """Return a learner that only ever explores, never does, does so ever more, or takes the worst."""
        numbers = self._numbers()
        if not numbers or self._other_law:
            return
        told = list(self._acts.while_learning(numbers, self.scene.steps))
        codes = [each for each, _ in told]
        yield from self._always(told, numbers)
        yield from self._never(told)
        yield from self._before_learning(told)
        yield from self._ever_more(codes)
        yield from self._worst(np.concatenate(codes), numbers)

    def _numbers(self) -> set[int]:
        """Return the environments that values are learnt from."""
        known = {
            number
            for number, series in self._acts.of.items()
            if series.choices >= 2 and series.choices in self._largest
        }
        return known & self._feeding if self._feeding else known if len(known) == 1 else set()

    def _always(self, told: list[Told], numbers: set[int]) -> Iterable[Finding]:
        codes = np.concatenate([each[when > 0] for each, when in told])
        bet = BernoulliBet("below", _ODDS)
        bet.see(codes != UNASKED, _RARE)
        if (codes != UNASKED).any() or not bet.ever_reached(limit_of("exploration stays", 2)):
            return
        if not self._is_random(numbers):
            return
        yield Finding(
            kind="learnt-values-never-acted-on",
            severity=Severity.WARNING,
            title=f"All {len(codes)} actions during learning were random: none was chosen by what is learnt.",
            evidence={
                "steps_while_learning": len(codes),
                "steps_before_which_the_model_was_asked": 0,
                "log_evidence": bet.log_peak,
            },
            causes=(cause("exploration-not-decaying", self._place),),
            next_check="print the probability of a random action at the beginning, the middle and the end",
        )

    def _is_random(self, numbers: set[int]) -> bool:
        """Return whether actions look like draws that depend on nothing: a model may act outside of torch."""
        mine = [each for each in self.scene.experience.transitions[-20_000:] if each.environment in numbers]
        mine = mine[-4000:]
        actions = np.array([each.action[0] for each in mine])
        beside = [actions[:-1]]
        if len({len(each.observation) for each in mine}) == 1:
            seen = np.stack([np.frombuffer(each.observation, np.float32) for each in mine])
            beside += [np.digitize(each, np.quantile(each, [0.25, 0.5, 0.75])) for each in seen.T[:8, 1:]]
        return all(_look_independent(each, actions[1:]) for each in beside)

    def _never(self, told: list[Told]) -> Iterable[Finding]:
        begun = max(1, self.scene.steps // 50)
        later = np.concatenate([each[when >= begun] for each, when in told])
        known = later[later != UNKNOWN]
        if len(known) < len(later) / 2 or (known != BEST).any() or self._is_noisy():
            return
        bet = BernoulliBet("below", _ODDS)
        bet.see(known != BEST, _RARE)
        if not bet.ever_reached(limit_of("exploration stays", 2)):
            return
        before = np.concatenate([each[when < begun] for each, when in told])
        tried = int(np.isin(before, [UNKNOWN, BEST], invert=True).sum())
        names = ("exploration-ends-at-once", "exploration-missing")
        yield Finding(
            kind="nothing-but-the-best-is-tried",
            severity=Severity.WARNING,
            title=f"All {len(known)} actions during learning are those of the largest value.",
            evidence={
                "steps_while_learning": len(known),
                "other_actions_among_them": 0,
                "other_actions_before": tried,
                "log_evidence": bet.log_peak,
            },
            causes=tuple(cause(name, self._place) for name in (names if tried else names[::-1])),
            next_check="take a random action with a probability that falls slowly, and print it",
        )

    def _is_noisy(self) -> bool:
        """Return whether models bring noise of their own: buffers of the shape of parameters."""
        for model in self._models.values():
            shapes = {tuple(each.shape) for each in model.parameters() if each.dim() >= 2}
            if any(tuple(each.shape) in shapes for each in model.buffers()):
                return True
        return False

    def _before_learning(self, told: list[Told]) -> Iterable[Finding]:
        before = [each[(when == 0) & (each != UNKNOWN)] != BEST for each, when in told]
        first = np.concatenate([each[: len(each) // 5] for each in before])
        last = np.concatenate([each[len(each) // 2 :] for each in before])
        # A rate that never falls is above this one in the first part's steps, or below it in all of them.
        many, few = BernoulliBet("above"), BernoulliBet("below")
        many.see(first, _FALLEN)
        few.see(last, _FALLEN)
        limit = limit_of("exploration rises", 3)
        if not (many.ever_reached(limit) and few.ever_reached(limit)):
            return
        if any(self.scene.is_loaded(each) for model in self._models.values() for each in model.parameters()):
            return
        whole = np.concatenate(before)
        yield Finding(
            kind="exploration-over-before-learning",
            severity=Severity.WARNING,
            title=f"Before anything was learnt, the share of random actions fell from {first.mean():.0%} to "
            f"{last.mean():.0%}.",
            evidence={
                "steps_before_learning": len(whole),
                "share_random_in_parts_of_them": [float(each.mean()) for each in np.array_split(whole, 10)],
                "log_evidence": min(many.log_peak, few.log_peak),
            },
            causes=(cause("exploration-ends-at-once", self._place),),
            next_check="let the probability of a random action fall while the model learns, and print it",
        )

    def _ever_more(self, codes: list[NDArray[np.uint8]]) -> Iterable[Finding]:
        first = np.concatenate([each[: len(each) // 4] for each in codes]) == UNASKED
        last = np.concatenate([each[len(each) - len(each) // 4 :] for each in codes]) == UNASKED
        # Where rates never rise, either the first quarter's are all above 1/2, or the last one's all below.
        few, many = BernoulliBet("below"), BernoulliBet("above")
        few.see(first, 0.5)
        many.see(last, 0.7)
        limit = limit_of("exploration rises", 3)
        if not (few.ever_reached(limit) and many.ever_reached(limit)):
            return
        shares = np.array_split(codes[0] == UNASKED, 16)
        yield Finding(
            kind="random-actions-become-more",
            severity=Severity.WARNING,
            title=f"At first {first.mean():.0%} of the actions are random, and at last {last.mean():.0%}.",
            evidence={
                "share_random_in_parts_of_the_run": [float(each.mean()) for each in shares],
                "log_evidence": min(few.log_peak, many.log_peak),
            },
            causes=(cause("greedy-inverted", self._place),),
            next_check="act at random where a draw from [0, 1) is below epsilon, and greedily otherwise",
        )

    def _worst(self, codes: NDArray[np.uint8], numbers: set[int]) -> Iterable[Finding]:
        chosen = codes[(codes != UNASKED) & (codes != UNKNOWN)]
        # Of two actions, a program may call either the first.
        named = not self._renamed and len(self._named) > 1 and sum(self._named.values()) >= _FEWEST_NAMED
        many = all(self._acts.of[each].choices > 2 for each in numbers)
        told_apart = self._takes_least or many or named
        if self._smallest or len(chosen) < 100 or not told_apart:
            return
        bet = BernoulliBet("above")
        bet.see(chosen == WORST, 0.5)
        share = float((chosen == WORST).mean())
        if share < 0.9 or not bet.ever_reached(limit_of("exploration rises", 3)):
            return
        yield Finding(
            kind="worst-action-is-taken",
            severity=Severity.SEVERE,
            title=f"{share:.0%} of the actions that a model was asked for have its smallest value, and "
            "targets use the largest.",
            evidence={
                "actions": len(chosen),
                "share_of_the_smallest_value": share,
                "share_of_the_largest_value": float((chosen == BEST).mean()),
                "log_evidence": bet.log_peak,
            },
            causes=(cause("greedy-inverted", self._place),),
            next_check="act by argmax of the action values",
        )


def _action_of(transitions: list[Transition]) -> int | None:
    """Return the action that all of some transitions took; None where they took several, or none."""
    taken = {int(each.action[0]) for each in transitions if each.action.size == 1}
    return taken.pop() if len(taken) == 1 else None


def _is_of_distributions(operation: Operation) -> bool:
    """Return whether a softmax is of shares for each action (row, action, atom), and of no policy."""
    return operation.name in ("softmax", "log_softmax") and getattr(operation.result, "ndim", 0) == 3


def _look_independent(one: NDArray[Any], other: NDArray[Any]) -> bool:
    from scipy.stats import chi2_contingency  # slow to import, and rarely needed

    values, rows = np.unique(one, return_inverse=True)
    choices, columns = np.unique(other, return_inverse=True)
    if len(values) < 2 or len(choices) < 2:
        return len(choices) > 1
    table = np.zeros((len(values), len(choices)))
    np.add.at(table, (rows, columns), 1)
    told: Any = chi2_contingency(table)
    return float(told.pvalue) > 1e-3
