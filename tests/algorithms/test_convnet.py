"""The convolutional network against a plain torch.nn twin and finite differences."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from modelwright.algorithms import convnet
from modelwright.algorithms.convnet import Config, ConvolutionalNetwork
from modelwright.algorithms.networks.convolution import convolve_pool
from modelwright.algorithms.parts.batches import Batches
from modelwright.base.errors import BadValue
from modelwright.data.experience import Experience


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(images, weight, bias, kernel):
    """The same with PyTorch's convolution and pooling, seed by seed."""
    seeds, channels = images.shape[0], images.shape[4]
    parts = [
        functional.max_pool2d(
            functional.conv2d(
                images[seed].permute(0, 3, 1, 2),
                weight[seed].view(kernel, kernel, channels, -1).permute(3, 2, 0, 1),
                bias[seed, 0],
                padding=kernel // 2,
            ),
            2,
        ).permute(0, 2, 3, 1)
        for seed in range(seeds)
    ]
    return torch.stack(parts)


SHAPES = [
    (3, 4, 8, 8, 1, 5, 3),
    (2, 3, 7, 5, 3, 4, 3),
    (2, 2, 9, 6, 2, 3, 5),
    (1, 1, 2, 2, 1, 1, 1),
    (2, 2, 4, 4, 3, 2, 7),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolution_with_pooling_and_its_gradients_are_those_of_pytorch(shape):
    seeds, batch, height, width, channels, out, kernel = shape
    leaves = [
        normal(seeds, batch, height, width, channels).requires_grad_(),
        normal(seeds, kernel**2 * channels, out, seed=1).requires_grad_(),
        normal(seeds, 1, out, seed=2).requires_grad_(),
    ]
    ours, theirs = convolve_pool(*leaves, kernel), plain(*leaves, kernel)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs)
    weight = normal(*theirs.shape, seed=3)
    for found, expected in zip(
        torch.autograd.grad(ours, leaves, weight), torch.autograd.grad(theirs, leaves, weight), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_of_equal_outputs_the_first_of_a_block_gets_the_gradient_as_in_pytorch():
    images = torch.zeros(1, 1, 4, 4, 1, dtype=torch.float64)
    images[0, 0, :2, :2] = 1.0
    images.requires_grad_()
    weight, bias = torch.ones(1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, dtype=torch.float64)
    ours = torch.autograd.grad(convolve_pool(images, weight, bias, 1).sum(), images)[0]
    theirs = torch.autograd.grad(plain(images, weight, bias, 1).sum(), images)[0]
    assert torch.equal(ours, theirs)
    assert ours.sum() == 4


def test_gradients_are_finite_differences():
    leaves = [normal(2, 2, 5, 4, 2), normal(2, 18, 3, seed=1), normal(2, 1, 3, seed=2)]
    assert torch.autograd.gradcheck(
        lambda *values: convolve_pool(*values, 3), [x.requires_grad_() for x in leaves]
    )


class Plain(torch.nn.Module):
    def __init__(self, start, config, channels):
        super().__init__()
        self.config = config
        self.convolutions = torch.nn.ModuleList()
        for block in range(1, config.depth + 1):
            kernel, bias = start[f"kernel_{block}"][0], start[f"kernel_bias_{block}"][0, 0]
            layer = torch.nn.Conv2d(channels, len(bias), config.kernel, padding=config.kernel // 2)
            shaped = kernel.reshape(config.kernel, config.kernel, channels, -1).transpose(3, 2, 0, 1)
            layer.weight.data, layer.bias.data = (
                torch.from_numpy(shaped.copy()),
                torch.from_numpy(bias.copy()),
            )
            self.convolutions.append(layer)
            channels = len(bias)
        names = ["weight_1", "weight_out"] if config.hidden else ["weight_out"]
        self.linears = torch.nn.ModuleList()
        for name in names:
            weight, bias = start[name][0], start[name.replace("weight", "bias")][0, 0]
            layer = torch.nn.Linear(*weight.shape)
            layer.weight.data, layer.bias.data = (
                torch.from_numpy(weight.T.copy()),
                torch.from_numpy(bias.copy()),
            )
            self.linears.append(layer)

    def forward(self, x):
        for layer in self.convolutions:
            x = functional.max_pool2d(torch.relu(layer(x)), 2)
        x = x.permute(0, 2, 3, 1).flatten(1)
        for layer in self.linears[:-1]:
            x = torch.relu(layer(x))
        return self.linears[-1](x)


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 4, 7)], ids=str)
@pytest.mark.parametrize(
    "settings",
    [{"width": 4}, {"width": 3, "depth": 1, "kernel": 5}, {"width": 4, "hidden": 9, "depth": 2, "kernel": 1}],
    ids=["two blocks", "wide kernel", "hidden layer"],
)
def test_losses_are_those_of_a_plain_torch_twin(settings, shape, given):
    cohort = given("digits", 2, shape=shape)
    config = Config(updates=15, batch_size=32, learning_rate=0.01, **settings)
    found = np.array(
        [step.metrics["train_loss"] for step in convnet.train(cohort.experience, cohort.seeds, config)]
    )
    for place, rows in enumerate(cohort.experience.rows):
        own = cohort.experience.features[rows].astype(np.float64)
        mean, deviation = (
            own.mean(axis=(0, 2, 3), keepdims=True)[0],
            own.std(axis=(0, 2, 3), keepdims=True)[0],
        )
        x = torch.from_numpy(((cohort.experience.features - mean) / deviation).astype(np.float32))
        y = torch.from_numpy(cohort.experience.target)
        network = ConvolutionalNetwork(shape=shape, outputs=10, config=config)
        twin = Plain(network.initial([cohort.seeds[place]]), config, shape[0])
        optimizer = torch.optim.Adam(twin.parameters(), lr=0.01)
        batches = Batches([rows], [cohort.seeds[place]], 32)
        for update in range(15):
            taken = batches.draw()[0]
            loss = functional.cross_entropy(twin(x[taken]), y[taken])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert found[update, place] == pytest.approx(loss.item(), rel=1e-3)


def test_it_reads_digits_better_than_chance_after_few_updates(given):
    digits = given("digits", 2)
    config = Config(updates=80, learning_rate=0.01, width=8)
    *_, last = convnet.train(digits.experience, digits.seeds, config)
    for place, probability in enumerate(last.model.predict(digits.tests())):
        np.testing.assert_allclose(probability.sum(axis=1), 1.0)
        assert (probability.argmax(axis=1) == digits.experience.target[digits.held_out[place]]).mean() > 0.9


def test_tables_and_images_that_are_too_small_are_refused(given):
    wine, digits = given("wine", 1), given("digits", 1)
    with pytest.raises(BadValue, match="mlp"):
        next(iter(convnet.train(wine.experience, wine.seeds, Config())))
    with pytest.raises(BadValue, match="depth 3"):
        next(iter(convnet.train(digits.experience, digits.seeds, Config(depth=4))))
    with pytest.raises(BadValue, match="odd"):
        Config(kernel=2)


def test_images_can_have_values_as_targets(given):
    digits = given("digits", 1).experience
    values = Experience(
        features=digits.features, target=digits.target.astype(np.float64), rows=digits.rows, task="regression"
    )
    *_, last = convnet.train(
        values, given("digits", 1).seeds, Config(updates=60, width=8, learning_rate=0.01)
    )
    (found,) = last.model.predict([digits.features])
    assert np.sqrt(np.mean((found - digits.target) ** 2)) < 2.0
