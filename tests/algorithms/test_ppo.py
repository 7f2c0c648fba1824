"""PPO beside a plain twin, and what must hold of its numbers whatever it learns."""

from importlib import import_module

import numpy as np
import pytest
import torch
from drifting import drift
from policy_twin import PPOTwin, distance

from modelwright.algorithms import ppo
from modelwright.base.errors import BadValue
from modelwright.base.seed import derive_seeds

SEEDS = derive_seeds("proximal", 2)
CONFIG = {
    "total_steps": 3 * 20 * 4,
    "copies": 3,
    "rollout": 20,
    "minibatches": 4,
    "epochs": 3,
    "width": 8,
    "learning_rate": 3e-3,
    "clip": 0.05,
    "evaluate_every": 1,
}
OPTIONS = {
    "as it is": {},
    "raw advantages": {"normalize_advantage": False},
    "value not clipped": {"clip_value": False},
    "constant rate": {"anneal": False, "clip": 0.2},
    "no clip of the gradient": {"clip_norm": None, "entropy_coefficient": 0.0},
    "one minibatch": {"minibatches": 1, "lam": 1.0, "gamma": 1.0},
    "rows left over": {"minibatches": 7, "lam": 0.0, "value_coefficient": 1.0},
}
MISTAKES = {
    "truncation taken for termination": {},
    "termination ignored": {},
    "start of the next episode for the end of this one": {},
    "advantages run over the end of an episode": {},
    "gamma and lambda swapped": {"gamma": 0.99, "lam": 0.7},
    "no clip": {},
    "clipped alone, without the minimum": {},
    "advantages standardised in the rollout": {},
    "old policy renewed every epoch": {},
    "value not clipped": {},
    "entropy punished": {"entropy_coefficient": 0.3},
}
NEAR, FAR = 1e-5, 1e-3


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "values"])
@pytest.mark.parametrize("options", OPTIONS)
def test_every_update_is_that_of_a_plain_twin(options, discrete):
    config = ppo.Config(**{**CONFIG, **OPTIONS[options]})
    assert distance(ppo, drift(discrete=discrete), SEEDS, config, PPOTwin) < NEAR


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_twin_with_a_classic_mistake_parts_from_the_learner(mistake):
    config = ppo.Config(**{**CONFIG, **MISTAKES[mistake]})
    assert distance(ppo, drift(discrete=True), SEEDS[:1], config, PPOTwin, mistake) > FAR


def test_the_mean_log_probability_in_place_of_the_sum_is_noticed():
    wrong = "log-probability averaged over components"
    assert distance(ppo, drift(discrete=False), SEEDS[:1], ppo.Config(**CONFIG), PPOTwin, wrong) > FAR


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "values"])
def test_the_first_ratio_is_one_and_the_divergence_never_negative(discrete):
    config = ppo.Config(**{**CONFIG, "learning_rate": 1e-7, "clip": 0.2})
    quick = ppo.Config(**{**CONFIG, "total_steps": 900, "learning_rate": 1e-2})
    for each, near in ((config, 1e-6), (quick, 1e-5)):
        steps = list(ppo.train(drift(discrete=discrete), SEEDS, each))
        signs = {name: np.stack([step.metrics[name] for step in steps]) for name in steps[0].metrics}
        assert (signs["first_ratio_distance"] < near).all()
        assert (signs["approx_kl"] >= 0).all()
    # A large rate moves the policy: what was just small by right is now large.
    assert signs["ratio_distance"].max() > 0.1
    assert signs["approx_kl"].max() > 1e-3
    assert signs["clip_fraction"].max() > 0.1


def test_the_rate_falls_to_zero_along_a_line_update_by_update():
    steps = list(ppo.train(drift(discrete=True), SEEDS, ppo.Config(**CONFIG)))
    wanted = [3e-3 * left for left in (1.0, 0.75, 0.5, 0.25)]
    np.testing.assert_allclose([step.metrics["learning_rate"][0] for step in steps], wanted)


def test_each_epoch_goes_through_every_step_once(monkeypatch):
    drawn = []
    minibatches = ppo.Shuffle.minibatches

    def watched(self, count):
        drawn.append(minibatches(self, count))
        return drawn[-1]

    monkeypatch.setattr(ppo.Shuffle, "minibatches", watched)
    list(ppo.train(drift(discrete=True), SEEDS, ppo.Config(**CONFIG)))
    assert len(drawn) == 4 * 3
    for parts in drawn:
        whole = np.concatenate(parts, axis=1)
        assert len(parts) == 4
        assert np.array_equal(np.sort(whole, axis=1), np.tile(np.arange(60), (2, 1)))
    assert not np.array_equal(drawn[0][0], drawn[1][0])
    assert not np.array_equal(drawn[0][0][0], drawn[0][0][1])


def test_the_losses_on_cases_worked_by_hand():
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1, 1.0])
    advantage = torch.tensor([2.0, -2.0, 2.0, -2.0, 1.0, -3.0])
    # Held back where it already went far in the wanted direction, never where it went the wrong way.
    wanted = torch.tensor([-2.4, 3.0, -1.0, 1.6, -1.1, 3.0])
    torch.testing.assert_close(ppo.clipped_loss(ratio, advantage, 0.2), wanted)
    value, old, target = (
        torch.tensor([1.0, 1.0, 3.0]),
        torch.tensor([0.0, 0.0, 3.0]),
        torch.tensor([1.0, 4.0, 1.0]),
    )
    torch.testing.assert_close(ppo.value_loss(value, old, target, 0.5), torch.tensor([0.125, 6.125, 2.0]))
    torch.testing.assert_close(ppo.value_loss(value, old, target, None), torch.tensor([0.0, 4.5, 2.0]))


def test_a_step_far_beyond_the_clip_in_the_wanted_direction_has_no_gradient():
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5], requires_grad=True)
    loss = ppo.clipped_loss(ratio, torch.tensor([1.0, -1.0, -1.0, 1.0]), 0.2)
    (slope,) = torch.autograd.grad(loss.sum(), ratio)
    assert slope.tolist() == [0.0, 0.0, 1.0, -1.0]


@pytest.mark.parametrize(
    "wrong", [{"copies": 1, "rollout": 2, "minibatches": 4}, {"copies": 1, "rollout": 4, "minibatches": 4}]
)
def test_minibatches_too_small_to_learn_from_are_refused(wrong):
    with pytest.raises(BadValue, match="A minibatch has at least 2"):
        ppo.Config(**wrong)
    ppo.Config(copies=1, rollout=4, minibatches=4, normalize_advantage=False)


def test_vital_signs_are_those_of_the_rollout_and_of_all_its_minibatches(monkeypatch):
    seen = []
    judge = ppo.generalised_advantages

    def watched(reward, value, next_value, terminated, ended, gamma, lam):
        advantage = judge(reward, value, next_value, terminated, ended, gamma, lam)
        seen.append((advantage, value))
        return advantage

    monkeypatch.setattr(ppo, "generalised_advantages", watched)
    for step in ppo.train(drift(discrete=True), SEEDS, ppo.Config(**CONFIG)):
        advantage, value = seen[-1]
        for seed in range(2):
            a, v = advantage[seed].ravel(), value[seed].ravel().astype(np.float64)
            for name, values in (("advantage", a), ("value", v), ("value_target", a + v)):
                for kind in ("mean", "std", "min", "max"):
                    np.testing.assert_allclose(
                        step.metrics[f"{name}_{kind}"][seed], getattr(np, kind)(values), rtol=1e-6, atol=1e-7
                    )
            wanted = 1 - a.var() / (a + v).var()
            np.testing.assert_allclose(step.metrics["explained_variance"][seed], wanted, rtol=1e-6)
        assert (step.metrics["relative_entropy"] <= 1.0).all()
        np.testing.assert_allclose(step.metrics["relative_entropy"] * np.log(3), step.metrics["entropy"])


@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce"])
def test_fewer_steps_than_one_rollout_are_refused(name):
    config = import_module(f"modelwright.algorithms.{name}").Config
    with pytest.raises(BadValue, match="at least one rollout"):
        config(total_steps=100, copies=4, rollout=64)
