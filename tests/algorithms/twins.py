"""Plain PyTorch twins of learners with a replay: the same start and batches, one seed, no seed axis."""

from types import SimpleNamespace

import numpy as np
import torch

from modelwright.algorithms.networks.dense import Dense
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import Environment
from modelwright.data.prioritised_replay import PrioritisedReplay
from modelwright.data.replay import Replay

SEEDS = derive_seeds("twins", 2)
# Cut off early, so that episodes end in both ways.
STAGE = Environment(name="CartPole-v1", time_limit=17)


def batches_of():
    """Return settings of a short run that reports every update."""
    return {
        "total_steps": 160,
        "copies": 2,
        "capacity": 100,
        "batch_size": 16,
        "learning_starts": 40,
        "train_every": 2,
        "target_every": 4,
        "gamma": 0.9,
        "report_every": 1,
        "evaluate_every": 1,
    }


class TwinNetwork:
    """Online and target networks as `torch.nn.Sequential`; subclasses give the loss."""

    def __init__(self, config, start, name, outputs):
        self.config = config
        self.online, self.target = (self._stack(start, name) for _ in range(2))
        assert self.online[-1].out_features == outputs
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=config.learning_rate)
        self.updates = 0

    @staticmethod
    def _stack(start, name):
        layers = []
        for place in range(1, len(start) // 2 + 1):
            weight, bias = start[f"{name}.weight_{place}"], start[f"{name}.bias_{place}"]
            layer = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(weight.T.copy()))
                layer.bias.copy_(torch.from_numpy(bias[0]))
            layers += [layer, torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    def update(self, batch):
        """Return the loss and the norm of its gradient."""
        self.updates += 1
        loss = self.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        limit = self.config.clip_norm if self.config.clip_norm is not None else float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.online.parameters(), limit)
        self.optimizer.step()
        if self.updates % self.config.target_every == 0:
            self.target.load_state_dict(self.online.state_dict())
        return loss.item(), norm.item()


def one_seed(sample, weight, seed, gamma):
    """Return a drawn batch of one seed, its returns added up one reward after another."""
    count, n = sample.reward.shape[1:]
    reward, discount = np.zeros(count), np.zeros(count)
    for row in range(count):
        factor = 1.0
        for step in range(n):
            reward[row] += factor * float(sample.reward[seed, row, step])
            factor *= gamma
            if sample.terminated[seed, row, step]:
                factor = 0.0
            if sample.ended[seed, row, step]:
                break
        discount[row] = factor
    return SimpleNamespace(
        observation=torch.from_numpy(sample.observation[seed]),
        action=torch.from_numpy(sample.action[seed]),
        reward=reward,
        discount=discount,
        successor=torch.from_numpy(sample.successor[seed]),
        weight=None if weight is None else torch.from_numpy(weight[seed]),
    )


def follow(module, config, kind, monkeypatch):
    """Train a cohort and its twins on the same batches; compare losses, norms and parameters all along."""
    drawn = []

    def watching(method):
        def sample(self, *args):
            found = method(self, *args)
            drawn.append(found if isinstance(found, tuple) else (found, None))
            return found

        return sample

    monkeypatch.setattr(Replay, "sample", watching(Replay.sample))
    monkeypatch.setattr(PrioritisedReplay, "sample", watching(PrioritisedReplay.sample))
    name, twins, ended = None, [], 0
    for step in module.train(STAGE, SEEDS, config):
        state = step.policy.state()
        if not twins:
            name = next(iter(state)).split(".")[0]
            outputs = state[f"{name}.bias_{len(state) // 2}"].shape[-1]
            start = Dense(name=name, sizes=(4, *config.hidden, outputs), activation="relu").uniform(SEEDS)
            twins = [kind(config, {key: each[seed] for key, each in start.items()}, 2) for seed in range(2)]
        sample, weight = drawn[-1]
        ended += int(sample.ended.sum())
        for seed, twin in enumerate(twins):
            loss, norm = twin.update(one_seed(sample, weight, seed, config.gamma))
            np.testing.assert_allclose(step.metrics["loss"][seed], loss, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(step.metrics["grad_norm"][seed], norm, rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(step.metrics["td_error"][seed], twin.td_error, rtol=1e-3, atol=1e-5)
            layers = [layer for layer in twin.online if isinstance(layer, torch.nn.Linear)]
            for place, layer in enumerate(layers, start=1):
                mine = state[f"{name}.weight_{place}"][seed]
                np.testing.assert_allclose(mine, layer.weight.detach().numpy().T, atol=2e-4)
                np.testing.assert_allclose(
                    state[f"{name}.bias_{place}"][seed][0], layer.bias.detach().numpy(), atol=2e-4
                )
    assert len(drawn) == step.update == 31
    assert ended > 0
    return drawn
