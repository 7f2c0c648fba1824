"""DQN: its targets against loops, and updates with every option against a plain torch.nn twin."""

import numpy as np
import pytest
import torch
from twins import SEEDS, STAGE, TwinNetwork, batches_of, follow

from modelwright.algorithms import dqn
from modelwright.algorithms.dqn import double_q_target, td_target
from modelwright.data.prioritised_replay import PrioritisedReplay


def test_targets_are_those_of_loops():
    draw = np.random.default_rng(0)
    reward, discount = draw.normal(size=(2, 5)), draw.choice([0.0, 0.9, 0.81], (2, 5))
    next_q, chooser = draw.normal(size=(2, 5, 3)), draw.normal(size=(2, 5, 3))
    tensors = [torch.from_numpy(each) for each in (reward, discount, next_q)]
    plain, double = td_target(*tensors), double_q_target(*tensors, torch.from_numpy(chooser))
    for row in np.ndindex(2, 5):
        assert plain[row].item() == pytest.approx(reward[row] + discount[row] * max(next_q[row]))
        best = int(np.argmax(chooser[row]))
        assert double[row].item() == pytest.approx(reward[row] + discount[row] * next_q[row][best])


class Twin(TwinNetwork):
    """DQN in plain PyTorch."""

    def __init__(self, config, start, actions):
        super().__init__(config, start, "q", actions + config.dueling)

    def q(self, network, observation):
        found = network(observation)
        if not self.config.dueling:
            return found
        value, advantage = found[:, :1], found[:, 1:]
        return value + advantage - advantage.mean(dim=1, keepdim=True)

    def loss(self, batch):
        config = self.config
        with torch.no_grad():
            after = self.q(self.target, batch.successor).double().numpy()
            judge = self.q(self.online, batch.successor).double().numpy() if config.double else after
        best = after[np.arange(len(after)), judge.argmax(axis=1)]
        y = torch.from_numpy(batch.reward + batch.discount * best).float()
        now = self.q(self.online, batch.observation)[torch.arange(len(y)), batch.action]
        if config.huber:
            each = torch.nn.functional.smooth_l1_loss(now, y, reduction="none")
        else:
            each = torch.nn.functional.mse_loss(now, y, reduction="none")
        self.errors = (y - now).detach().numpy()
        self.td_error = np.abs(self.errors).mean()
        return (each if batch.weight is None else each * batch.weight).mean()


OPTIONS = [
    {},
    {"double": True},
    {"dueling": True},
    {"n_step": 3},
    {"huber": True, "clip_norm": 0.3},
    {"prioritised": True},
    {"double": True, "dueling": True, "n_step": 3, "prioritised": True, "clip_norm": 0.3},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda each: "-".join(each) or "plain")
def test_updates_are_those_of_a_plain_twin(options, monkeypatch):
    config = dqn.Config(**batches_of(), hidden=(16, 12), learning_rate=3e-3, **options)
    drawn = follow(dqn, config, Twin, monkeypatch)
    assert all((weight is not None) == config.prioritised for _, weight in drawn)


def test_every_option_changes_what_is_learnt():
    found = []
    for options in OPTIONS[:-1]:
        config = dqn.Config(**{**batches_of(), "report_every": 31}, learning_rate=3e-3, **options)
        *_, step = dqn.train(STAGE, SEEDS, config)
        found.append(step.policy.state()["q.weight_1"].tobytes())
    assert len(set(found)) == len(found)


def test_priorities_are_the_errors_of_the_batch_and_beta_rises_to_one(monkeypatch):
    betas, given = [], []
    sample, prioritise = PrioritisedReplay.sample, PrioritisedReplay.prioritise
    monkeypatch.setattr(
        PrioritisedReplay, "sample", lambda self, batch, beta: betas.append(beta) or sample(self, batch, beta)
    )
    monkeypatch.setattr(
        PrioritisedReplay,
        "prioritise",
        lambda self, rows, error: given.append(error.copy()) or prioritise(self, rows, error),
    )
    config = dqn.Config(**{**batches_of(), "learning_starts": 4}, prioritised=True, priority_correction=0.4)
    for step in dqn.train(STAGE, SEEDS, config):
        np.testing.assert_allclose(np.abs(given[-1]).mean(axis=1), step.metrics["td_error"], rtol=1e-6)
    assert betas[0] == pytest.approx(0.4 + 0.6 / 40, abs=0.02)
    assert betas[-1] == pytest.approx(1.0, abs=0.05)
    assert (np.diff(betas) > 0).all()


def test_exploration_falls_along_a_straight_line_and_stays():
    config = dqn.Config(**batches_of(), explore_first=0.9, explore_last=0.1, explore_share=0.5)
    steps = list(dqn.train(STAGE, SEEDS, config))
    shares = np.array([step.metrics["exploration"][0] for step in steps])
    taken = np.array([step.metrics["environment_steps"][0] for step in steps]) - 2
    np.testing.assert_allclose(shares, 0.9 - 0.8 * np.minimum(1.0, taken / 80))


def test_the_target_is_a_saw_tooth_of_every_fourth_update():
    steps = list(dqn.train(STAGE, SEEDS, dqn.Config(**batches_of())))
    distance = np.array([step.metrics["target_distance"] for step in steps])
    own = np.array([step.metrics["update_ratio"] for step in steps])
    # Just after it was renewed, it is one update away.
    np.testing.assert_allclose(distance[4::4], own[4::4], rtol=1e-6)
    assert (distance[7::4] > distance[4:-3:4]).all()
