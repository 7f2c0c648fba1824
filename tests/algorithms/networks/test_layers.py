"""Layers against PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from modelwright.algorithms.networks.layers import cross_entropy, drop_out, linear


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_affine_map_and_its_gradients_are_those_of_pytorch():
    leaves = [
        normal(3, 5, 4).requires_grad_(),
        normal(3, 4, 2).requires_grad_(),
        normal(3, 1, 2).requires_grad_(),
    ]
    ours, theirs = linear(*leaves), leaves[0] @ leaves[1] + leaves[2]
    torch.testing.assert_close(ours, theirs)
    weight = normal(3, 5, 2, seed=1)
    for found, expected in zip(
        torch.autograd.grad(ours, leaves, weight), torch.autograd.grad(theirs, leaves, weight), strict=True
    ):
        torch.testing.assert_close(found, expected)
    assert torch.autograd.gradcheck(linear, leaves)


def test_cross_entropy_is_that_of_pytorch():
    logits, target = normal(3, 5, 4), torch.randint(4, (3, 5), generator=torch.Generator().manual_seed(0))
    expected = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view(3, 5)
    torch.testing.assert_close(cross_entropy(logits, target), expected)


def test_dropout_keeps_the_mean_and_leaves_out_the_right_share():
    kept = drop_out(torch.ones(2, 100, 200), 0.3, [torch.Generator().manual_seed(seed) for seed in (0, 1)])
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert (kept == 0).double().mean(dim=(1, 2)).tolist() == pytest.approx([0.3, 0.3], abs=0.01)
    assert not torch.equal(kept[0], kept[1])


def test_a_mask_depends_on_its_own_generator_alone_and_on_nothing_global():
    state = torch.get_rng_state()
    whole = drop_out(torch.ones(3, 7, 5), 0.5, [torch.Generator().manual_seed(seed) for seed in (0, 1, 2)])
    alone = drop_out(torch.ones(1, 7, 5), 0.5, [torch.Generator().manual_seed(1)])
    assert torch.equal(whole[1], alone[0])
    assert torch.equal(state, torch.get_rng_state())
