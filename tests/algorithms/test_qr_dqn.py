"""QR-DQN: the loss against two loops and SciPy's quantiles, an update against a plain torch.nn twin."""

import numpy as np
import pytest
import torch
from scipy.stats.mstats import mquantiles
from twins import TwinNetwork, batches_of, follow

from modelwright.algorithms import qr_dqn
from modelwright.algorithms.qr_dqn import quantile_loss
from modelwright.base.errors import BadValue


def naive(quantiles, target, kappa):
    """Return the loss of one sample by two loops."""
    total = 0.0
    for i, theta in enumerate(quantiles):
        tau, mean = (i + 0.5) / len(quantiles), 0.0
        for y in target:
            u = y - theta
            if kappa == 0:
                huber = abs(u)
            elif abs(u) <= kappa:
                huber = 0.5 * u * u / kappa
            else:
                huber = abs(u) - 0.5 * kappa
            mean += abs(tau - (1.0 if u < 0 else 0.0)) * huber / len(target)
        total += mean
    return total


@pytest.mark.parametrize("kappa", [0.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("counts", [(1, 1), (5, 5), (10, 3), (1, 7)], ids=str)
def test_the_loss_is_that_of_two_loops(kappa, counts):
    draw = np.random.default_rng(0)
    quantiles, target = draw.normal(size=(3, 4, counts[0])) * 2, draw.normal(size=(3, 4, counts[1])) * 2
    quantiles[0, 0, 0] = target[0, 0, 0]
    found = quantile_loss(torch.from_numpy(quantiles), torch.from_numpy(target), kappa)
    for row in np.ndindex(3, 4):
        assert found[row].item() == pytest.approx(naive(quantiles[row], target[row], kappa), rel=1e-12)


def test_the_loss_is_least_at_the_quantiles_of_scipy():
    draw = np.random.default_rng(1)
    samples = np.sort(draw.gamma(2.0, size=1001))
    count = 9
    quantiles = torch.full((1, 1, count), 3.0, dtype=torch.float64, requires_grad=True)
    target = torch.from_numpy(samples)[None, None]
    optimizer = torch.optim.Adam([quantiles], lr=0.1)
    for step in range(1000):
        optimizer.param_groups[0]["lr"] = 0.1 * 0.993**step
        optimizer.zero_grad()
        quantile_loss(quantiles, target, 0.0).sum().backward()
        optimizer.step()
    levels = (np.arange(count) + 0.5) / count
    found = quantiles.detach().numpy().ravel()
    np.testing.assert_allclose(found, mquantiles(samples, levels), atol=0.03)
    # Nowhere else is it less: each side of the least is higher.
    least = quantile_loss(quantiles.detach(), target, 0.0)
    for change in (-0.2, 0.2):
        for place in range(count):
            moved = quantiles.detach().clone()
            moved[..., place] += change
            assert quantile_loss(moved, target, 0.0) > least


def test_the_loss_ignores_company():
    draw = torch.Generator().manual_seed(0)
    quantiles, target = (torch.randn(16, 33, 10, generator=draw) for _ in range(2))

    def both(theta, y):
        theta = theta.clone().requires_grad_()
        loss = quantile_loss(theta, y.clone(), 1.0)
        return loss.detach(), torch.autograd.grad(loss, theta, torch.ones_like(loss))[0]

    whole = both(quantiles, target)
    for start, count in ((0, 1), (3, 2), (7, 5), (15, 1)):
        own = slice(start, start + count)
        for part, all_of_them in zip(both(quantiles[own], target[own]), whole, strict=True):
            assert torch.equal(part, all_of_them[own])


class Twin(TwinNetwork):
    """QR-DQN in plain PyTorch: a loop over samples, PyTorch's own Huber loss, Adam."""

    def __init__(self, config, start, actions):
        super().__init__(config, start, "z", actions * config.quantiles)
        self.shape = (-1, actions, config.quantiles)
        self.optimizer = torch.optim.Adam(
            self.online.parameters(), lr=config.learning_rate, eps=0.01 / config.batch_size
        )

    def loss(self, batch):
        now = self.online(batch.observation).view(self.shape)
        with torch.no_grad():
            after = self.target(batch.successor).view(self.shape)
            judge = self.online if self.config.double else self.target
            best = judge(batch.successor).view(self.shape).mean(dim=-1).argmax(dim=-1)
        total, errors = torch.zeros(()), []
        for row in range(len(now)):
            theta = now[row, batch.action[row]]
            y = (batch.reward[row] + batch.discount[row] * after[row, best[row]].double()).float()
            for i in range(len(theta)):
                tau = (i + 0.5) / len(theta)
                size = torch.nn.functional.huber_loss(
                    theta[i].expand_as(y), y, reduction="none", delta=self.config.kappa
                )
                total = total + ((tau - (y < theta[i]).float()).abs() * size / self.config.kappa).mean()
            errors.append(abs(y.mean().item() - theta.mean().item()))
        self.td_error = np.mean(errors)
        return total / len(now)


@pytest.mark.parametrize(
    "options",
    [{}, {"double": True, "kappa": 0.5}, {"n_step": 3}, {"clip_norm": 0.05, "n_step": 2}],
    ids=lambda each: "-".join(each) or "plain",
)
def test_updates_are_those_of_a_plain_twin(options, monkeypatch):
    settings = {**batches_of(), "updates_each": 1}
    config = qr_dqn.Config(**settings, hidden=(16, 12), quantiles=5, learning_rate=2e-3, **options)
    follow(qr_dqn, config, Twin, monkeypatch)


def test_settings_out_of_range_are_refused():
    with pytest.raises(BadValue, match="kappa"):
        qr_dqn.Config(kappa=-1.0)
    with pytest.raises(BadValue, match="quantiles"):
        qr_dqn.Config(quantiles=0)
    with pytest.raises(BadValue, match="Learning starts"):
        qr_dqn.Config(total_steps=1100)
