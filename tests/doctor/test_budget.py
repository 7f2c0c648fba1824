"""The run's budget of false alarms: shares sum to one, and all statements together keep to it."""

import numpy as np
import pytest
from scipy.stats import binom

from modelwright.base.errors import UnknownName
from modelwright.doctor.chance.bernoulli_bet import BernoulliBet
from modelwright.doctor.chance.budget import ALPHA, SHARES, limit_of


def test_shares_sum_to_one_and_the_budget_is_one_run_in_a_hundred() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    assert min(SHARES.values()) > 0
    assert ALPHA == 0.01
    assert sum(1 / limit_of(statement) for statement in SHARES) == pytest.approx(ALPHA)


def test_parts_of_a_statement_share_what_it_has() -> None:
    statement = next(iter(SHARES))
    assert limit_of(statement, 4) == 4 * limit_of(statement) == 4 * limit_of(statement, 0)


def test_a_statement_without_a_share_is_refused() -> None:
    with pytest.raises(UnknownName):
        limit_of("anything else")


def test_in_runs_in_which_all_hold_at_most_one_in_a_hundred_alarms() -> None:
    rng, runs, alarms = np.random.default_rng(0), 300, 0
    for _ in range(runs):
        bets = {statement: BernoulliBet() for statement in SHARES}
        for bet in bets.values():
            bet.see(rng.random(100) < 0.2, 0.2)
        alarms += any(bet.ever_reached(limit_of(statement)) for statement, bet in bets.items())
    assert alarms <= binom.ppf(0.999, runs, ALPHA)
