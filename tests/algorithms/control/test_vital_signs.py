"""Vital signs beside plain NumPy, one seed at a time."""

import math

import numpy as np
import pytest
import torch

from modelwright.algorithms.control.continuous import Critics
from modelwright.algorithms.control.distributions import Categorical, DiagonalNormal
from modelwright.algorithms.control.vital_signs import (
    explained_variance,
    policy_signs,
    row_max,
    row_mean,
    spread,
    standardised,
    update_ratio,
)
from modelwright.base.seed import derive_seeds

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("shape", [(3, 7), (1, 1), (2, 5, 4), (16, 129)])
def test_means_and_spreads_are_numpys_of_each_seed(shape, kind):
    values = (1e6 + RNG.normal(size=shape)).astype(np.float32)
    given = kind(values)
    found = spread("x", given) | {"mean": row_mean(given), "max": row_max(given)}
    for seed in range(shape[0]):
        mine = values[seed].ravel().astype(np.float64)
        for name, wanted in (
            ("x_mean", mine.mean()),
            ("x_std", mine.std()),
            ("x_min", mine.min()),
            ("x_max", mine.max()),
            ("mean", mine.mean()),
            ("max", mine.max()),
        ):
            assert found[name].dtype == np.float64
            assert found[name].shape == shape[:1]
            np.testing.assert_allclose(found[name][seed], wanted, rtol=1e-12, atol=1e-9)


def test_explained_variance_is_one_for_truth_zero_for_the_mean_and_negative_for_worse():
    target = RNG.normal(size=(4, 50))
    guess = np.stack([target[0], np.full(50, 3.0), -target[2], target[3] + RNG.normal(size=50)])
    found = explained_variance(guess, target)
    np.testing.assert_allclose(found[:3], [1.0, 0.0, -3.0], atol=1e-12)
    np.testing.assert_allclose(found[3], 1 - np.var(target[3] - guess[3]) / np.var(target[3]))
    # A constant error is no error of this kind; targets that do not vary have no variance to explain.
    assert np.isclose(explained_variance(target + 5.0, target), 1.0).all()
    assert np.isnan(explained_variance(target, np.ones((4, 50)))).all()


def test_update_ratios_are_of_norms_of_each_seed():
    before, after = (torch.from_numpy(RNG.normal(size=(3, 128)).astype(np.float32)) for _ in range(2))
    before[2] = 0.0
    found = update_ratio(before, after)
    for seed in range(2):
        wanted = np.linalg.norm((after - before)[seed]) / np.linalg.norm(before[seed])
        np.testing.assert_allclose(found[seed], wanted, rtol=1e-5)
    assert np.isnan(found[2])


@pytest.mark.parametrize("count", [1, 2])
def test_the_ratio_of_several_critics_is_that_of_all_their_parameters_together(count):
    critics = Critics(derive_seeds("critics", 3), 3, 1, (5,), count)
    with torch.no_grad():
        for leaf in critics.weights.named.values():
            leaf.add_(torch.from_numpy(RNG.normal(size=leaf.shape).astype(np.float32)))
    now, before = critics.state(), critics.target.state()
    found = critics.ratio(critics.target.packed, critics.weights.packed)
    for seed in range(3):
        old = np.concatenate(
            [each[critic * 3 + seed].ravel() for each in before.values() for critic in range(count)]
        )
        new = np.concatenate(
            [now[f"{critic + 1}.{name}"][seed].ravel() for name in before for critic in range(count)]
        )
        np.testing.assert_allclose(found[seed], np.linalg.norm(new - old) / np.linalg.norm(old), rtol=1e-5)


def test_the_first_critic_alone_is_the_first_of_both_and_leads_the_same_way():
    critics = Critics(derive_seeds("critics", 3), 3, 2, (8,), 2)
    seen = torch.from_numpy(RNG.normal(size=(3, 6, 3)).astype(np.float32))
    action = torch.from_numpy(RNG.normal(size=(3, 6, 2)).astype(np.float32))
    both, alone = critics.judge(seen, action), critics.judge_first(seen, action)
    assert torch.equal(both[0], alone[0])
    first = critics.slope_of_action(both[0].square())
    assert torch.equal(first, critics.slope_of_action(alone[0].square(), first=True))
    # Each critic has its part in the slope of what is made of both, and none gets a gradient of its own.
    second = critics.slope_of_action(critics.judge(seen, action)[1].square())
    whole = critics.slope_of_action(critics.judge(seen, action).square().sum(dim=0))
    torch.testing.assert_close(whole, first + second)
    assert not critics.weights.gradient.any()
    # The same by automatic differentiation.
    climbed, values = action.clone().requires_grad_(), []
    for critic in range(2):
        layer = {name: each[3 * critic : 3 * critic + 3] for name, each in critics.weights.state().items()}
        hidden = torch.cat([seen, climbed], -1) @ torch.from_numpy(layer["critic.weight_1"])
        hidden = torch.relu(hidden + torch.from_numpy(layer["critic.bias_1"]))
        out = hidden @ torch.from_numpy(layer["critic.weight_2"]) + torch.from_numpy(layer["critic.bias_2"])
        values.append(out[..., 0])
    loss = sum(each.square().mean(dim=1).sum() for each in values)
    torch.testing.assert_close(whole, torch.autograd.grad(loss, climbed)[0])


def test_standardised_numbers_have_mean_zero_and_deviation_one_and_keep_their_order():
    values = torch.from_numpy((RNG.normal(size=(3, 40)) * [[1.0], [1e4], [1e-4]] + 7.0).astype(np.float32))
    found = standardised(values)
    np.testing.assert_allclose(found.mean(dim=1), 0.0, atol=1e-5)
    np.testing.assert_allclose(found.std(dim=1), 1.0, atol=1e-3)
    wanted = (values.double() - values.double().mean(1, True)) / (values.double().std(1, keepdim=True) + 1e-8)
    torch.testing.assert_close(found, wanted.float())
    assert not standardised(torch.full((1, 5), 3.0)).any()


def test_how_far_a_policy_has_made_up_its_mind():
    logits = torch.tensor([[[0.0, 0.0, 0.0]], [[50.0, 0.0, 0.0]]])
    policy = Categorical(logits)
    found = policy_signs(policy, row_mean(policy.entropy()))
    np.testing.assert_allclose(found["relative_entropy"], [1.0, 0.0], atol=1e-6)
    one = policy_signs(Categorical(torch.zeros(2, 4, 1)), np.zeros(2))
    assert np.isnan(one["relative_entropy"]).all()
    normal = DiagonalNormal(torch.zeros(2, 4, 2), torch.tensor([[[0.0, math.log(3.0)]], [[0.0, 0.0]]]))
    np.testing.assert_allclose(policy_signs(normal, np.zeros(2))["action_std"], [2.0, 1.0], rtol=1e-6)
