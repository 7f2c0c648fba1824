"""Batches go through every seed's rows in orders of its own."""

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import strategies as st

from modelwright.algorithms.parts.batches import Batches
from modelwright.base.seed import derive_seeds


@draw(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 50), st.integers(1, 30))
def test_every_row_is_used_equally_often_to_within_one(counts, size, updates):
    rows = [np.arange(100 * place, 100 * place + count) for place, count in enumerate(counts)]
    batches = Batches(rows, derive_seeds("b", len(rows)), size)
    drawn = np.stack([batches.draw() for _ in range(updates)])
    assert drawn.shape == (updates, len(rows), size)
    for place, own in enumerate(rows):
        used = np.array([(drawn[:, place] == row).sum() for row in own])
        assert used.sum() == updates * size
        assert used.max() - used.min() <= 1


def test_orders_differ_between_seeds_and_epochs_and_repeat_for_the_same_seed():
    rows = [np.arange(50)] * 3
    first, again = (Batches(rows, derive_seeds("b", 3), 50) for _ in range(2))
    one, two = first.draw(), first.draw()
    assert not np.array_equal(one[0], one[1])
    assert not np.array_equal(one[0], two[0])
    assert np.array_equal(one, again.draw())
    other = Batches(rows, derive_seeds("other", 3), 50)
    assert not np.array_equal(one, other.draw())


def test_a_seed_draws_the_same_rows_in_any_company():
    seeds = derive_seeds("b", 4)
    rows = [np.arange(10 + place) for place in range(4)]
    whole, alone = Batches(rows, seeds, 7), Batches(rows[2:3], seeds[2:3], 7)
    for _ in range(9):
        assert np.array_equal(whole.draw()[2], alone.draw()[0])


def test_all_rows_come_in_their_own_order():
    rows = [np.array([5, 3, 9]), np.array([1, 2, 4])]
    batches = Batches(rows, derive_seeds("b", 2), None)
    assert np.array_equal(batches.draw(), rows)
    with pytest.raises(ValueError, match="same shape"):
        Batches([np.arange(2), np.arange(3)], derive_seeds("b", 2), None)
