"""Global random states that belong to one seed."""

import random

import numpy as np
import torch

from modelwright.algorithms.outside.private_random import PrivateRandom
from modelwright.base.seed import derive_seeds


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(1))  # noqa: NPY002


def draws(private, count):
    found = []
    for _ in range(count):
        with private.installed():
            found.append(draw())
    return found


def test_a_seed_continues_its_own_draws_whatever_happens_between():
    first, second = derive_seeds("p", 2)
    alone = draws(PrivateRandom(first), 3)
    mine, other = PrivateRandom(first), PrivateRandom(second)
    mixed = []
    for _ in range(3):
        mixed += draws(mine, 1)
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)
        draws(other, 2)
    assert mixed == alone
    assert len(set(alone)) == 3


def test_seeds_differ():
    assert draws(PrivateRandom(derive_seeds("p", 1)[0]), 1) != draws(
        PrivateRandom(derive_seeds("q", 1)[0]), 1
    )


def test_nobody_elses_state_is_touched_even_by_an_error():
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    private = PrivateRandom(derive_seeds("p", 1)[0])
    try:
        with private.installed():
            draw()
            raise KeyError
    except KeyError:
        pass
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before  # noqa: NPY002
