"""C51: the projection against a loop over samples and atoms, an update against a plain torch.nn twin."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from twins import SEEDS, STAGE, TwinNetwork, batches_of, follow

from modelwright.algorithms import c51, qr_dqn
from modelwright.algorithms.c51 import project
from modelwright.base.errors import BadValue

GRIDS = pytest.mark.parametrize(
    ("low", "high", "count"), [(-10.0, 10.0, 51), (-100.0, 100.0, 101), (0, 1, 2)]
)


def atoms_of(low, high, count):
    return torch.from_numpy(np.linspace(low, high, count).astype(np.float32))


def naive(reward, discount, probability, atoms):
    """Return the projection, one atom of one sample after another, as algorithm 1 of the paper does."""
    count, found = len(atoms), np.zeros_like(probability)
    width = (atoms[-1] - atoms[0]) / (count - 1)
    for row in np.ndindex(reward.shape):
        for j in range(count):
            moved = min(max(reward[row] + discount[row] * atoms[j], atoms[0]), atoms[-1])
            b = (moved - atoms[0]) / width
            if abs(b - round(b)) < 1e-9:
                found[row][round(b)] += probability[row][j]
            else:
                lower, upper = int(np.floor(b)), int(np.ceil(b))
                found[row][lower] += probability[row][j] * (upper - b)
                found[row][upper] += probability[row][j] * (b - lower)
    return found


def samples(low, high, count, seed=0):
    """Return rewards at every kind of place, discounts with termination, and probabilities."""
    draw = np.random.default_rng(seed)
    width = (high - low) / (count - 1)
    special = [low, high, low - 3 * width, high + 3 * width, 0.0, width, low + width / 2, 1e12, -1e12]
    reward = np.concatenate([special, draw.uniform(low, high, 27)]).reshape(3, 12)
    discount = draw.choice([0.0, 0.9, 1.0], (3, 12))
    probability = softmax(draw.normal(size=(3, 12, count)) * 3, axis=-1)
    return reward, discount, probability


@GRIDS
@pytest.mark.parametrize("seed", range(3))
def test_the_projection_is_that_of_a_loop(low, high, count, seed):
    reward, discount, probability = samples(low, high, count, seed)
    tensors = [torch.from_numpy(each.astype(np.float32)) for each in (reward, discount, probability)]
    found = project(*tensors, atoms_of(low, high, count)).numpy()
    expected = naive(reward, discount, probability, np.linspace(low, high, count))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-5)


@GRIDS
def test_the_projection_keeps_the_mean_where_nothing_is_clipped(low, high, count):
    draw = np.random.default_rng(1)
    probability = softmax(draw.normal(size=(2, 40, count)), axis=-1)
    discount = draw.uniform(0, 0.5, (2, 40))
    reward = draw.uniform(0.5 * low, 0.5 * high, (2, 40)) + 0.25 * (low + high) * (low >= 0)
    reward = np.clip(reward, low - discount * low, high - discount * high)
    atoms = atoms_of(low, high, count)
    tensors = [torch.from_numpy(each.astype(np.float32)) for each in (reward, discount, probability)]
    found = (project(*tensors, atoms) * atoms).sum(dim=-1).numpy()
    expected = reward + discount * (probability @ np.linspace(low, high, count))
    np.testing.assert_allclose(found, expected, atol=2e-5 * (high - low))


def test_atoms_that_land_on_atoms_stay_whole():
    atoms = atoms_of(-100, 100, 101)  # two apart: b is exact in single precision
    probability = torch.softmax(torch.randn(1, 5, 101, generator=torch.Generator().manual_seed(0)), dim=-1)
    reward = torch.tensor([[0.0, 2.0, -6.0, 0.0, 100.0]])
    discount = torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0]])
    found = project(reward, discount, probability, atoms)[0]
    assert torch.equal(found[0], probability[0, 0])
    assert torch.equal(found[1, 1:-1], probability[0, 1, :-2])
    assert torch.equal(found[2, 1:-3], probability[0, 2, 4:])
    assert found[2, 0].item() == pytest.approx(probability[0, 2, :4].sum().item())
    # Terminal: all of it at the reward.
    one = torch.nn.functional.one_hot(torch.tensor([50, 100]), 101).float()
    torch.testing.assert_close(found[3:], one, rtol=0, atol=2e-6)


def test_a_row_that_is_no_number_leaves_the_others_alone():
    reward, discount, probability = (
        torch.from_numpy(each.astype(np.float32)) for each in samples(-10.0, 10.0, 51)
    )
    atoms = atoms_of(-10, 10, 51)
    healthy = project(reward, discount, probability, atoms)
    reward[1, 3], probability[2] = torch.nan, torch.nan
    sick = project(reward, discount, probability, atoms)
    touched = torch.zeros(3, 12, dtype=torch.bool)
    touched[1, 3] = touched[2] = True
    assert torch.equal(sick[~touched], healthy[~touched])
    assert sick[2].isnan().any(dim=-1).all()


def test_the_projection_ignores_company():
    draw = np.random.default_rng(3)
    reward, discount = draw.normal(size=(16, 33)) * 9, draw.choice([0.0, 0.97], (16, 33))
    probability = softmax(draw.normal(size=(16, 33, 51)), axis=-1)
    tensors = [torch.from_numpy(each.astype(np.float32)) for each in (reward, discount, probability)]
    atoms = atoms_of(-10, 10, 51)
    whole = project(*tensors, atoms)
    for start, count in ((0, 1), (3, 2), (7, 5), (15, 1)):
        own = slice(start, start + count)
        assert torch.equal(project(*(each[own].clone() for each in tensors), atoms), whole[own])


class Twin(TwinNetwork):
    """C51 in plain PyTorch: a loop over samples for the projection, Adam, no seed axis."""

    def __init__(self, config, start, actions):
        super().__init__(config, start, "z", actions * config.atoms)
        self.atoms = np.linspace(config.v_min, config.v_max, config.atoms)
        self.shape = (-1, actions, config.atoms)
        self.optimizer = torch.optim.Adam(
            self.online.parameters(), lr=config.learning_rate, eps=0.01 / config.batch_size
        )

    def probability(self, network, observation):
        return torch.softmax(network(observation).view(self.shape), dim=-1)

    def loss(self, batch):
        with torch.no_grad():
            after = self.probability(self.target, batch.successor).double().numpy()
            judge = self.online if self.config.double else self.target
            mean = self.probability(judge, batch.successor).double().numpy() @ self.atoms
        best = after[np.arange(len(after)), mean.argmax(axis=1)]
        m = naive(batch.reward, batch.discount, best, self.atoms)
        p = self.probability(self.online, batch.observation)[torch.arange(len(best)), batch.action]
        self.td_error = np.abs(m @ self.atoms - p.detach().double().numpy() @ self.atoms).mean()
        return -(torch.from_numpy(m).float() * p.log()).sum(dim=-1).mean()


@pytest.mark.parametrize(
    "options",
    [{}, {"double": True}, {"n_step": 3}, {"clip_norm": 0.05, "double": True, "n_step": 2}],
    ids=lambda each: "-".join(each) or "plain",
)
def test_updates_are_those_of_a_plain_twin(options, monkeypatch):
    config = c51.Config(
        **batches_of(), hidden=(16, 12), atoms=21, v_min=-5, v_max=30, learning_rate=2e-3, **options
    )
    follow(c51, config, Twin, monkeypatch)


def test_the_grid_rises():
    with pytest.raises(BadValue, match=r"grid rise from c51.v_min to c51.v_max"):
        c51.Config(v_min=1.0, v_max=1.0)
    with pytest.raises(BadValue, match="atoms"):
        c51.Config(atoms=1)


@pytest.mark.parametrize("module", [c51, qr_dqn], ids=["c51", "qr_dqn"])
def test_double_targets_and_longer_returns_change_what_is_learnt(module):
    # So far apart that network and copy prefer other actions.
    settings = {**batches_of(), "updates_each": 1, "target_every": 50, "report_every": 31}
    found = []
    for options in ({}, {"double": True}, {"n_step": 3}):
        config = module.Config(**settings, learning_rate=3e-2, hidden=(16,), **options)
        *_, step = module.train(STAGE, SEEDS, config)
        found.append(step.policy.state()["z.weight_1"].tobytes())
    assert len(set(found)) == 3
