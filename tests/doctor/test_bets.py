"""Bets against what was declared: their bound holds by simulation, and a bet made wrongly breaks it."""

from collections.abc import Callable
from math import exp, log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import betaln
from scipy.stats import binom

from modelwright.base.errors import BadValue
from modelwright.doctor.chance.bernoulli_bet import BernoulliBet
from modelwright.doctor.chance.draw_bet import DrawBet
from modelwright.doctor.chance.mean_bet import MeanBet
from modelwright.doctor.chance.rank_bet import RankBet
from modelwright.doctor.chance.wealth import Wealth

RUNS, STEPS, LIMIT = 600, 200, 20.0
"""Runs of each simulation; the evidence that at most 1 in 20 of them may ever reach."""

MOST = int(binom.ppf(0.999, RUNS, 1 / LIMIT))
"""Alarms among the runs that a bet of error 1 / 20 exceeds once in a thousand such tests."""

Run = Callable[[np.random.Generator], Wealth]


def alarms(run: Run, seed: int = 0) -> int:
    rng = np.random.default_rng(seed)
    return sum(run(rng).ever_reached(LIMIT) for _ in range(RUNS))


def fair_bernoulli(rng: np.random.Generator) -> Wealth:
    rates = np.clip(np.linspace(1.2, -0.1, STEPS), 0.0, 1.0)  # a schedule that ends at never
    bet = BernoulliBet()
    bet.see(rng.random(STEPS) < rates, rates)
    return bet


def fair_bernoulli_of_the_past(rng: np.random.Generator) -> Wealth:
    """The rate of each step depends on the outcomes before."""
    rates, outcomes, rate = list[float](), list[bool](), 0.5
    for draw in rng.random(STEPS):
        outcomes.append(bool(draw < rate))
        rates.append(rate)
        rate = min(0.95, rate * 1.3) if outcomes[-1] else max(0.05, rate * 0.8)
    bet = BernoulliBet()
    bet.see(outcomes, rates)
    return bet


def fair_below(rng: np.random.Generator) -> Wealth:
    bet = BernoulliBet("below")
    bet.see(rng.random(STEPS) < 0.4, 0.3)  # more than "at least 0.3"
    return bet


def fair_mean(rng: np.random.Generator) -> Wealth:
    means = rng.uniform(0.1, 0.9, STEPS)
    bet = MeanBet()
    bet.see(np.where(rng.random(STEPS) < 0.5, rng.random(STEPS) < means, means), means)
    return bet


def fair_rank(rng: np.random.Generator) -> Wealth:
    counts = np.arange(3, 3 + STEPS)
    bet = RankBet()
    bet.see(rng.integers(0, counts), counts)
    return bet


def fair_draw(rng: np.random.Generator) -> Wealth:
    p = rng.dirichlet(np.ones(4) * 0.5, STEPS)
    bet = DrawBet()
    bet.see((rng.random(STEPS)[:, None] > np.cumsum(p, axis=1)).sum(axis=1).clip(0, 3), p)
    return bet


FAIR = (
    fair_bernoulli,
    fair_bernoulli_of_the_past,
    fair_below,
    fair_mean,
    fair_rank,
    fair_draw,
)


@pytest.mark.parametrize("run", FAIR, ids=lambda run: run.__name__)
def test_where_the_hypothesis_holds_the_bound_does(run: Run) -> None:
    assert alarms(run) <= MOST


def peeking(rng: np.random.Generator) -> Wealth:
    """Wrong: the side of a step's bet is chosen by a mean that its own outcome is part of."""
    outcomes = rng.random(STEPS) < 0.3
    above = np.cumsum(outcomes) / np.arange(1, STEPS + 1) > 0.3
    q = np.where(above, 0.45, 0.2)
    bet = Wealth([1.0])
    bet.pay(np.log(np.where(outcomes, q / 0.3, (1 - q) / 0.7))[:, None])
    return bet


def best_bettor_alone(rng: np.random.Generator) -> Wealth:
    """Wrong: the largest of several e-values is taken in place of their mean."""
    outcomes = rng.random(STEPS) < 0.3
    bets = [BernoulliBet(side, odds=(odds,)) for side in ("above", "below") for odds in (1.2, 1.5, 2.0, 4.0)]
    for bet in bets:
        bet.see(outcomes, 0.3)
    return max(bets, key=lambda bet: bet.log_peak)


def sure_of_densities(rng: np.random.Generator) -> Wealth:
    """Wrong: the density at the far end of a rank in place of its mean over the rank."""
    ranks = rng.integers(0, 6, STEPS)
    bet = Wealth([1.0])
    bet.pay(np.log(1.2 * ((ranks[:, None] + 1) / 6) ** 0.2))
    return bet


def of_a_wrong_rate(rng: np.random.Generator) -> Wealth:
    bet = BernoulliBet()
    bet.see(rng.random(STEPS) < 0.42, 0.3)
    return bet


@pytest.mark.parametrize(
    "run", [peeking, best_bettor_alone, sure_of_densities, of_a_wrong_rate], ids=lambda run: run.__name__
)
def test_a_bet_made_wrongly_breaks_the_bound(run: Run) -> None:
    assert alarms(run) > MOST


def sharper(rng: np.random.Generator) -> Wealth:
    p = rng.dirichlet(np.ones(4), STEPS)
    bet = DrawBet()
    bet.see(p.argmax(axis=1), p)
    return bet


def next_place(rng: np.random.Generator) -> Wealth:
    p = rng.dirichlet(np.ones(4), STEPS)
    bet = DrawBet()
    bet.see(((rng.random(STEPS)[:, None] > np.cumsum(p, axis=1)).sum(axis=1).clip(0, 3) + 1) % 4, p)
    return bet


def only_the_newest(rng: np.random.Generator) -> Wealth:
    counts = np.arange(100, 100 + STEPS)
    bet = RankBet()
    bet.see(rng.integers(counts // 2, counts), counts)
    return bet


def lower_mean(rng: np.random.Generator) -> Wealth:
    bet = MeanBet()
    bet.see(rng.beta(2, 3, STEPS), 0.5)
    return bet


@pytest.mark.parametrize(
    "run", [sharper, next_place, only_the_newest, lower_mean], ids=lambda run: run.__name__
)
def test_what_differs_from_what_was_declared_is_found_nearly_always(run: Run) -> None:
    rng = np.random.default_rng(1)
    assert sum(run(rng).ever_reached(LIMIT) for _ in range(60)) >= 57


def test_a_mixture_over_all_rates_gives_the_posterior_of_lindleys_paradox() -> None:
    """49,581 boys of 98,451 children: the posterior of "as many as girls" is 0.95, its prior 1/2."""
    boys, children = 49_581, 98_451
    rates = (np.arange(40_000) + 0.5) / 40_000
    outcomes = np.arange(children) < boys
    wealth = Wealth(np.ones(len(rates)))
    # Of a fixed rate the order is all one: pay all boys at once, then all girls.
    wealth.pay(np.stack([boys * np.log(rates / 0.5), (children - boys) * np.log((1 - rates) / 0.5)]))
    exact = children * log(2) + float(betaln(boys + 1, children - boys + 1))
    assert wealth.log_evidence == pytest.approx(exact, abs=1e-6)
    assert 1 / (1 + exp(wealth.log_evidence)) == pytest.approx(0.95, abs=0.005)
    one = BernoulliBet("above", odds=(1.2,))
    one.see(outcomes, 0.5)
    q = 1.2 / 2.2
    closed = boys * log(q / 0.5) + (children - boys) * log((1 - q) / 0.5)
    assert one.log_evidence == pytest.approx(closed)


def test_the_best_power_gives_the_published_bound_on_p_values() -> None:
    """Sellke, Bayarri and Berger (2001), table 1: -e p ln p at p 0.2, 0.1, 0.05, 0.01, 0.005, 0.001."""
    published = {0.2: 0.870, 0.1: 0.625, 0.05: 0.407, 0.01: 0.125, 0.005: 0.072, 0.001: 0.0188}
    for p, bound in published.items():
        best = -np.inf
        for power in np.linspace(0.02, 0.98, 97):
            bet = RankBet(powers=(power,))
            bet.see([int(p * 1e6)], 1e6)
            # Of its four bettors the first is the power itself.
            first = bet._log_wealth[0]  # pyright: ignore[reportPrivateUsage]
            best = max(best, float(first) + log(4))
        assert exp(-best) == pytest.approx(bound, rel=0.01)


def test_payments_of_ranks_have_a_mean_of_one() -> None:
    for count in (1, 2, 7):
        paid = []
        for rank in range(count):
            bet = RankBet()
            bet.see([rank], count)
            paid.append(exp(bet.log_evidence))
        assert np.mean(paid) == pytest.approx(1.0)


def test_on_yes_and_no_both_bets_are_the_same_bet() -> None:
    rng = np.random.default_rng(3)
    outcomes = rng.random(50) < 0.6
    rate, odds = 0.4, 2.0
    part = (odds * rate / (1 - rate + odds * rate) - rate) / (1 - rate)
    one, other = BernoulliBet("above", odds=(odds,)), MeanBet("above", parts=(part,))
    one.see(outcomes, rate)
    other.see(outcomes, rate)
    assert one.log_evidence == pytest.approx(other.log_evidence)


def test_seeing_step_by_step_is_seeing_at_once() -> None:
    rng = np.random.default_rng(4)
    outcomes, rates = rng.random(40) < 0.5, rng.random(40)
    at_once, stepwise = BernoulliBet(), BernoulliBet()
    at_once.see(outcomes, rates)
    for yes, rate in zip(outcomes, rates, strict=True):
        stepwise.see([yes], rate)
    assert (at_once.log_evidence, at_once.log_peak) == pytest.approx(
        (stepwise.log_evidence, stepwise.log_peak)
    )
    assert stepwise.steps == 40


def test_what_cannot_happen_is_evidence_without_end_and_what_must_is_none() -> None:
    bet = BernoulliBet()
    bet.see([False, True], [0.0, 1.0])
    assert bet.log_evidence == pytest.approx(0.0)
    bet.see([True], 0.0)
    assert bet.ever_reached(1e300)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: BernoulliBet("left"),  # pyright: ignore[reportArgumentType]
        lambda: BernoulliBet().see([True], 1.5),
        lambda: MeanBet().see([0.5], 1.0),
        lambda: MeanBet(parts=(1.0,)),
        lambda: RankBet().see([3], 3),
        lambda: DrawBet().see([2], [[0.5, 0.5]]),
        lambda: Wealth([0.0]),
    ],
)
def test_what_makes_no_sense_is_refused(ask: Callable[[], object]) -> None:
    with pytest.raises(BadValue):
        ask()


def test_nothing_seen_is_no_evidence() -> None:
    empty: NDArray[np.float64] = np.zeros(0)
    for bet in (BernoulliBet(), MeanBet(), RankBet(), DrawBet()):
        bet.see(empty, empty if not isinstance(bet, MeanBet | BernoulliBet) else 0.5)
        assert (bet.log_peak, bet.steps) == (0.0, 0)
