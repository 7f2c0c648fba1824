"""What rewards are divided by as a program learns: the deviation of discounted returns, or of something else.

The usual rule (Engstrom et al. 2020, section 3; `NormalizeReward` of Gymnasium) keeps a discounted sum of
rewards for each environment, which begins anew with each episode, and divides by the deviation of all sums.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.advantages.advantage_ways import AdvantageFit
from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.advantages.used_rewards import UsedRewards
from modelwright.doctor.watch.experience import Experience
from modelwright.doctor.watch.place import Place

__all__ = ["RewardScales"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MOST_LOOKS, _ENOUGH = 4, 2
_MOST_STEPS, _FEWEST_BEFORE = 20_000, 32
_USUAL = (0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)
_IS, _IS_NOT = 2e-3, 2e-2
"""Largest relative difference of a rule that it is, and smallest of those that it is not."""

_TOLD = {
    "return-not-reset-at-done": "Rewards are divided by the deviation of discounted sums that go on past the "
    "ends of episodes, into the next ones.",
    "reward-scaled-twice": "Rewards are divided by the deviation of returns twice.",
    "gamma-lambda-swapped": "Rewards are divided by the deviation of returns with one discount, advantages "
    "take this number for lambda and another for the discount.",
}


@dataclass(slots=True)
class _History:
    """Rewards of environments that stepped side by side since the program began (step, environment)."""

    rewards: Floats
    ended: Flags
    terminated: Flags


class RewardScales:
    """Computes what usual rules would have divided by, and what they would have with something wrong.

    Args:
        experience: What the environments did.
    """

    def __init__(self, experience: Experience) -> None:
        self._experience = experience
        self._looks = self._right = 0
        self._faults: dict[str, int] = {}
        self._discounts: tuple[float | None, float | None] = None, None

    def look(self, rollout: Rollout, used: UsedRewards, fit: AdvantageFit) -> None:
        """Take note of which rule gives what rewards were multiplied by.

        Args:
            rollout: What was done.
            used: Rewards as the program uses them.
            fit: The way of computing advantages that fits.
        """
        if used.shifted or self._looks >= _MOST_LOOKS:
            return
        history = self._history(rollout)
        steps = len(used.factor)
        if history is None or len(history.rewards) < steps + _FEWEST_BEFORE:
            return
        self._looks += 1
        lambda_ = fit.p / fit.discount if fit.discount else None
        self._discounts = fit.discount, lambda_
        known = [each for each in (fit.discount, lambda_) if each is not None and 0 < each <= 1]
        right: list[tuple[float, float]] = []
        for discount in dict.fromkeys((*known, *_USUAL)):
            for deviation in _right(history, discount):
                right.append((_far(deviation, used.factor), discount))
        best, discount = min(right)
        if best < _IS_NOT:
            self._right += 1
            own = min(
                (far for far, each in right if fit.discount and abs(each - fit.discount) < 1e-3), default=0
            )
            as_lambda = lambda_ is not None and abs(discount - lambda_) < 1e-4
            if best < _IS and own > _IS_NOT and as_lambda:
                self._note("gamma-lambda-swapped")
            return
        wrong = [
            (_far(deviation, used.factor), fault)
            for each in dict.fromkeys((*known, *_USUAL))
            for fault, deviation in _wrong(history, each)
        ]
        far, fault = min(wrong)
        if far < _IS:
            self._note(fault)

    def _note(self, fault: str) -> None:
        self._faults[fault] = self._faults.get(fault, 0) + 1

    def _history(self, rollout: Rollout) -> _History | None:
        experience = self._experience
        if experience.first or experience.unheard or len(experience.transitions) > 4_000_000:
            return None
        wanted = list(dict.fromkeys(each.environment for each in rollout.transitions))
        rows: dict[int, list[tuple[float, bool, bool]]] = {each: [] for each in wanted}
        for each in experience.transitions:
            if each.environment in rows:
                ended = each.terminated or each.truncated
                rows[each.environment].append((each.reward, ended, each.terminated))
        counts = {len(each) for each in rows.values()}
        if len(counts) != 1 or max(counts) > _MOST_STEPS:
            return None
        told = np.array([rows[each] for each in wanted], np.float64).transpose(2, 1, 0)
        return _History(told[0], told[1] > 0, told[2] > 0)

    def findings(self, place: Place | None) -> Iterable[Finding]:
        """Return a rule that is not the usual one, where nothing else gives these numbers.

        Args:
            place: Of the line where the loss is differentiated.
        """
        for fault, count in self._faults.items():
            if count >= _ENOUGH and (count == self._looks or fault == "gamma-lambda-swapped"):
                yield Finding(
                    kind="rewards-scaled-by-other-returns",
                    severity=Severity.WARNING,
                    title=_TOLD[fault],
                    evidence={
                        "updates": self._looks,
                        "updates_that_say_so": count,
                        "discount_of_advantages": self._discounts[0],
                        "lambda_of_advantages": self._discounts[1],
                    },
                    causes=(cause(fault, place),),
                    next_check="print what rewards of two episodes are divided by, and the sums behind it",
                )


def _far(deviation: Floats, factor: Floats) -> float:
    """Return the largest relative difference of the newest deviations and what rewards were multiplied by."""
    newest = deviation[-len(factor) :]
    known = np.isfinite(factor)
    far = float(np.abs(newest * factor - 1.0)[known].max(initial=0.0)) if known.any() else np.inf
    return far if np.isfinite(far) else np.inf


def _right(history: _History, discount: float) -> Iterator[Floats]:
    nobody = np.zeros_like(history.ended)
    if not history.ended.any():
        yield _deviation(_returns(history.rewards, nobody, discount))
        return
    for ends in (history.ended, history.terminated):
        yield _deviation(_returns(history.rewards, ends, discount))
        early = _returns(history.rewards, np.concatenate([ends[1:], ends[:1] & False]), discount)
        yield _deviation(early)  # with the end of the step itself, as Gymnasium has it
    yield _deviation(history.rewards)


def _wrong(history: _History, discount: float) -> Iterator[tuple[str, Floats]]:
    nobody = np.zeros_like(history.ended)
    once = _returns(history.rewards, history.ended, discount)
    if history.ended.any():
        yield "return-not-reset-at-done", _deviation(_returns(history.rewards, nobody, discount))
    first = _deviation(once)
    for bound in (10.0, 5.0, np.inf):
        scaled = np.clip(history.rewards / first[:, None], -bound, bound)
        again = _deviation(_returns(scaled, history.ended, discount))
        yield "reward-scaled-twice", first * again
        yield "reward-scaled-twice", _twice(history, discount, bound)
    yield "reward-scaled-twice", first * first


def _returns(rewards: Floats, ends: Flags, discount: float) -> Floats:
    """Return sums of rewards so far, each of which begins anew after an end (step, environment)."""
    total = np.zeros(rewards.shape[1])
    sums = np.empty_like(rewards)
    goes_on = discount * ~ends
    for at, reward in enumerate(rewards):
        total = total + reward
        sums[at] = total
        total = total * goes_on[at]
    return sums


def _deviation(numbers: Floats) -> Floats:
    """Return the deviation of all numbers until each step (step,)."""
    count = 1e-4 + numbers.shape[1] * np.arange(1.0, len(numbers) + 1.0)
    sums, squares = np.cumsum(numbers.sum(axis=1)), 1e-4 + np.cumsum((numbers**2).sum(axis=1))
    return np.sqrt(np.maximum(squares / count - (sums / count) ** 2, 0.0) + 1e-8)


def _twice(history: _History, discount: float, bound: float) -> Floats:
    """Return what divides rewards that go through the same sums and moments twice at each step (step,)."""
    rewards = history.rewards
    total = np.zeros(rewards.shape[1])
    count, sums, squares = 1e-4, 0.0, 1e-4
    out = np.empty(len(rewards))
    for at, reward in enumerate(rewards):
        now, product = reward, 1.0
        for _ in range(2):
            total = total * discount + now
            count, sums, squares = count + len(total), sums + total.sum(), squares + (total**2).sum()
            deviation = float(np.sqrt(max(squares / count - (sums / count) ** 2, 0.0) + 1e-8))
            total = np.where(history.ended[at], 0.0, total)
            now, product = np.clip(now / deviation, -bound, bound), product * deviation
        out[at] = product
    return out
