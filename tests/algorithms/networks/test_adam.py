"""The fused rule of Adam on packed parameters."""

import numpy as np
import pytest
import torch

from modelwright.algorithms.networks.adam import Adam
from modelwright.algorithms.networks.weights import Weights


@pytest.mark.parametrize("eps", [1e-8, 1e-5])
def test_it_is_torchs_own_adam_bit_for_bit_also_when_the_rate_changes(eps):
    start = np.random.default_rng(0).standard_normal((3, 7, 5)).astype(np.float32)
    ours, theirs = Weights({"w": start}), Weights({"w": start})
    rule = Adam(ours, 0.01, eps=eps)
    reference = torch.optim.Adam([theirs.packed], lr=0.01, eps=eps, fused=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(40):
        slope = torch.randn(ours.packed.shape, generator=generator)
        ours.gradient.copy_(slope)
        theirs.gradient.copy_(slope)
        rule.rate = reference.param_groups[0]["lr"] = 0.01 / (1 + step)
        rule.step()
        reference.step()
        assert torch.equal(ours.packed, theirs.packed)


def test_a_seed_whose_gradient_is_not_a_number_leaves_the_others_alone():
    weights = Weights({"w": np.ones((2, 4, 4), np.float32)})
    rule = Adam(weights, 0.1)
    weights.gradient.fill_(1.0)
    weights.gradient[0] = float("nan")
    rule.step()
    assert torch.isnan(weights.packed[0]).any()
    assert torch.isfinite(weights.packed[1]).all()


def test_moments_of_what_gets_no_gradient_any_more_end_at_zero_and_never_become_denormal():
    weights = Weights({"w": np.ones((2, 8, 8), np.float32)})
    packed = weights.packed.clone().requires_grad_()
    reference = torch.optim.Adam([packed], lr=0.01, fused=True)
    packed.grad = torch.zeros_like(packed)
    rule = Adam(weights, 0.01)
    generator = torch.Generator().manual_seed(1)
    denormal = False
    for step in range(2000):
        slope = torch.randn(weights.packed.shape, generator=generator)
        slope[:, :32] *= step < 20  # units that die
        weights.gradient.copy_(slope)
        packed.grad.copy_(slope)
        rule.step()
        reference.step()
        mean = rule._mean.abs()
        assert not ((mean > 0) & (mean < torch.finfo(torch.float32).tiny)).any()
        theirs = reference.state[packed]["exp_avg"].abs()
        denormal |= bool(((theirs > 0) & (theirs < torch.finfo(torch.float32).tiny)).any())
        # No parameter is another for it.
        assert torch.equal(weights.packed, packed.detach())
    assert denormal, "the reference shows what is prevented"
    assert (rule._mean[:, :32] == 0).all()
