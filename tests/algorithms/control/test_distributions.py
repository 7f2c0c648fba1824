"""Densities beside torch's own, sums and integrals to one, and frequencies of what is drawn."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import AffineTransform, Independent, Normal, TanhTransform, TransformedDistribution

from modelwright.algorithms.control.distributions import Categorical, DiagonalNormal
from modelwright.algorithms.sac import squashed_log_prob

RNG = np.random.default_rng(0)


def numbers(*shape, scale=1.0):
    return torch.from_numpy(scale * RNG.normal(size=shape))


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("actions", [1, 2, 7])
def test_choices_are_torchs(actions, scale):
    logits = numbers(3, 20, actions, scale=scale)
    ours, theirs = Categorical(logits), torch.distributions.Categorical(logits=logits)
    action = torch.from_numpy(RNG.integers(actions, size=(3, 20)))
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    assert torch.equal(ours.mode(), theirs.probs.argmax(-1))
    assert ours.largest_entropy() == math.log(actions)
    assert (ours.entropy() <= ours.largest_entropy() + 1e-12).all()


def test_frequencies_of_drawn_actions_are_their_probabilities():
    logits = torch.tensor([[[0.3, -1.0, 2.0, 0.0]], [[0.0, 0.0, 0.0, -3.0]]]).expand(2, 40_000, 4)
    drawn = Categorical(logits).sample(torch.from_numpy(RNG.random((2, 40_000), np.float32)))
    for seed in range(2):
        found = np.bincount(drawn[seed].numpy(), minlength=4)
        wanted = torch.softmax(logits[seed, 0], -1).numpy().astype(np.float64)
        assert stats.chisquare(found, 40_000 * wanted / wanted.sum()).pvalue > 1e-3


@pytest.mark.parametrize("uniform", [0.0, 0.5, 0.999999, np.nextafter(np.float32(1), np.float32(0))])
def test_impossible_actions_are_never_drawn(uniform):
    never = -math.inf
    logits = torch.tensor([[never, 0.0, never, 0.1, never]])[:, None]
    drawn = Categorical(logits).sample(torch.full((1, 1), float(uniform)))
    assert drawn.item() in (1, 3)
    assert Categorical(torch.zeros(1, 1, 1)).sample(torch.full((1, 1), float(uniform))).item() == 0


def test_sums_of_probabilities_that_round_below_one_leave_no_number_over():
    for actions in (3, 7, 18, 1000):
        logits = torch.from_numpy(RNG.normal(size=(1, 500, actions)).astype(np.float32))
        most = torch.full((1, 500), float(np.nextafter(np.float32(1), np.float32(0))))
        drawn = Categorical(logits).sample(most)
        assert (drawn < actions).all()
        assert (drawn >= 0).all()


@pytest.mark.parametrize("everywhere", [True, False])
def test_densities_of_values_are_torchs(everywhere):
    mean, log_deviation = numbers(3, 20, 2), numbers(3, 1 if everywhere else 20, 2)
    ours = DiagonalNormal(mean, log_deviation)
    theirs = Independent(Normal(mean, log_deviation.exp().expand_as(mean)), 1)
    action = numbers(3, 20, 2, scale=3.0)
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    assert torch.equal(ours.mode(), mean)
    noise = numbers(3, 20, 2)
    torch.testing.assert_close((ours.sample(noise) - mean) / log_deviation.exp(), noise)


@pytest.mark.parametrize("far", [0.5, 3.0, 8.0])
def test_the_squashed_density_is_torchs_change_of_variables(far):
    low, high = torch.tensor([-1.0, -0.5, 0.0]).double(), torch.tensor([3.0, 0.5, 10.0]).double()
    scale, middle = (high - low) / 2, (high + low) / 2
    mean, log_deviation = numbers(2, 30, 3), numbers(2, 30, 3, scale=0.5)
    u = torch.from_numpy(RNG.uniform(-far, far, (2, 30, 3)))
    theirs = TransformedDistribution(
        Normal(mean, log_deviation.exp()), [TanhTransform(), AffineTransform(middle, scale)]
    )
    wanted = theirs.log_prob(middle + scale * torch.tanh(u)).sum(-1)
    # Beyond |u| of 8 torch loses digits on the way back from the action, also in float64.
    torch.testing.assert_close(
        squashed_log_prob(DiagonalNormal(mean, log_deviation), u, scale), wanted, rtol=1e-6, atol=1e-6
    )


def test_the_squashed_density_is_exact_where_the_action_is_its_bound():
    zeros, one = torch.zeros(1, 1, 1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for number in (-20.0, -12.0, -0.3, 0.0, 1e-9, 5.0, 20.0):
        u = torch.full((1, 1, 1), number, dtype=torch.float64, requires_grad=True)
        found = squashed_log_prob(DiagonalNormal(zeros, zeros), u, 2.0 * one)
        # 1 - tanh(u)^2 = 1 / cosh(u)^2
        exact = -(number**2) / 2 - math.log(2 * math.pi) / 2 + 2 * math.log(math.cosh(number)) - math.log(2)
        assert found.item() == pytest.approx(exact, rel=1e-12, abs=1e-12)
        (slope,) = torch.autograd.grad(found.sum(), u)
        assert slope.item() == pytest.approx(-number + 2 * math.tanh(number), abs=1e-9)
        single = squashed_log_prob(
            DiagonalNormal(zeros.float(), zeros.float()), u.detach().float(), 2.0 * one.float()
        )
        assert single.item() == pytest.approx(exact, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.8, 0.3), (-1.0, 2.0)])
def test_the_squashed_density_integrates_to_one_over_all_actions(mean, deviation):
    scale, middle = torch.tensor([2.5]).double(), 1.0
    u = torch.linspace(-12, 12, 400_001).double()[None, :, None]
    normal = DiagonalNormal(torch.full_like(u, mean), torch.full((1, 1, 1), math.log(deviation)).double())
    density = squashed_log_prob(normal, u, scale).exp()[0].numpy()
    action = middle + 2.5 * torch.tanh(u)[0, :, 0].numpy()
    assert np.trapezoid(density, action) == pytest.approx(1.0, abs=1e-5)
