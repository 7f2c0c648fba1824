"""The perceptron against a plain torch.nn twin, backpropagation by hand and finite differences."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from modelwright.algorithms import mlp
from modelwright.algorithms.mlp import Config, Perceptron
from modelwright.algorithms.networks.layers import cross_entropy
from modelwright.algorithms.parts.batches import Batches

RULES = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.1}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.01}),
}


def plain_losses(cohort, place, config):
    """Train a torch.nn twin on the same start and batches, in the plainest way, and return its losses."""
    experience = cohort.experience
    classify = experience.task == "classification"
    rows = experience.rows[place]
    flat = experience.features.reshape(len(experience.features), -1)
    # Images are standardised by channel, tables by column.
    whole = experience.features[rows].astype(np.float64)
    axes = (0, 2, 3) if whole.ndim == 4 else 0
    mean, deviation = whole.mean(axis=axes).reshape(-1), whole.std(axis=axes).reshape(-1)
    x = torch.from_numpy(((flat - mean) / np.where(deviation == 0, 1, deviation)).astype(np.float32))
    if classify:
        y = torch.from_numpy(experience.target)
    else:
        own = experience.target[rows]
        y = torch.from_numpy(((experience.target - own.mean()) / own.std()).astype(np.float32))
    outputs = len(experience.classes) if classify else 1
    sizes = [flat.shape[1], *[config.width] * config.depth, outputs]
    start = Perceptron(features=sizes[0], outputs=outputs, config=config).initial([cohort.seeds[place]])
    layers = []
    for layer in range(1, len(sizes)):
        linear = torch.nn.Linear(sizes[layer - 1], sizes[layer])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(start[f"weight_{layer}"][0].T))
            linear.bias.copy_(torch.from_numpy(start[f"bias_{layer}"][0, 0]))
        layers += [linear, torch.nn.ReLU() if config.activation == "relu" else torch.nn.Tanh()]
    network = torch.nn.Sequential(*layers[:-1])
    kind, more = RULES[config.optimizer]
    if kind is torch.optim.SGD:
        more = {**more, "nesterov": True}
    optimizer = kind(network.parameters(), lr=config.learning_rate, **more)
    batches = Batches([rows], [cohort.seeds[place]], config.batch_size)
    losses = []
    for _ in range(config.updates):
        taken = batches.draw()[0]
        found = network(x[taken])
        if classify:
            loss = torch.nn.functional.cross_entropy(found, y[taken])
        else:
            loss = torch.nn.functional.mse_loss(found[:, 0], y[taken])
        optimizer.zero_grad()
        loss.backward()
        if config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("data", ["wine", "diabetes", "digits"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "more",
    [{}, {"activation": "tanh", "width": 7}, {"clip_norm": 0.1, "depth": 1}, {"batch_size": None}],
    ids=["plain", "tanh", "clipped", "all rows"],
)
def test_losses_are_those_of_a_plain_torch_twin(data, rule, more, given):
    cohort = given(data, 2, ragged=True)
    decay, momentum = RULES[rule][1].get("weight_decay", 0.0), RULES[rule][1].get("momentum", 0.0)
    config = Config(
        **{"width": 16, "updates": 25, "learning_rate": 0.01, **more},
        optimizer=rule,
        weight_decay=decay,
        momentum=momentum,
    )
    found = np.array(
        [step.metrics["train_loss"] for step in mlp.train(cohort.experience, cohort.seeds, config)]
    )
    for place in range(2):
        np.testing.assert_allclose(found[:, place], plain_losses(cohort, place, config), rtol=2e-3, atol=1e-5)


def test_gradients_are_those_of_backpropagation_by_hand():
    rng = np.random.default_rng(0)
    network = Perceptron(features=5, outputs=4, config=Config(width=6, depth=1, activation="tanh"))
    shapes = {"weight_1": (5, 6), "bias_1": (1, 6), "weight_2": (6, 4), "bias_2": (1, 4)}
    values = {name: rng.normal(size=(2, *shape)) for name, shape in shapes.items()}
    x, y = rng.normal(size=(2, 9, 5)), rng.integers(4, size=(2, 9))
    leaves = {name: torch.from_numpy(value).requires_grad_() for name, value in values.items()}
    outputs, _ = network.forward(leaves, torch.from_numpy(x), None)
    losses = cross_entropy(outputs, torch.from_numpy(y))
    found = torch.autograd.grad(losses.mean(dim=1).sum(), list(leaves.values()))
    for seed in range(2):
        w1, b1, w2, b2 = (values[name][seed] for name in shapes)
        h = np.tanh(x[seed] @ w1 + b1)
        z = h @ w2 + b2
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(losses[seed].detach(), -np.log(p[np.arange(9), y[seed]]), rtol=1e-12)
        d2 = (p - np.eye(4)[y[seed]]) / 9
        d1 = (d2 @ w2.T) * (1 - h**2)
        by_hand = [x[seed].T @ d1, d1.sum(axis=0, keepdims=True), h.T @ d2, d2.sum(axis=0, keepdims=True)]
        for ours, theirs in zip(found, by_hand, strict=True):
            np.testing.assert_allclose(ours[seed], theirs, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_are_finite_differences(activation):
    network = Perceptron(features=3, outputs=2, config=Config(width=4, depth=2, activation=activation))
    generator = torch.Generator().manual_seed(0)
    names = ["weight_1", "bias_1", "weight_2", "bias_2", "weight_3", "bias_3"]
    shapes = [(3, 4), (1, 4), (4, 4), (1, 4), (4, 2), (1, 2)]
    leaves = [
        torch.randn(2, *shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes
    ]
    x = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)

    def outputs(*values):
        return network.forward(dict(zip(names, values, strict=True)), x, None)[0]

    assert torch.autograd.gradcheck(outputs, leaves)


def test_the_start_has_the_deviation_that_keeps_signals_alive(given):
    digits = given("digits", 3)
    network = Perceptron(features=64, outputs=10, config=Config(width=400))
    start = network.initial(digits.seeds)
    assert start["weight_1"].std() == pytest.approx(np.sqrt(2 / 64), rel=0.02)
    assert start["weight_2"].std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert start["weight_3"].std() == pytest.approx(0.1 / np.sqrt(400), rel=0.05)
    assert not start["bias_1"].any()
    assert not np.array_equal(start["weight_1"][0], start["weight_1"][1])
    assert np.array_equal(start["weight_1"][1], network.initial([digits.seeds[1]])["weight_1"][0])


def test_rate_epoch_and_accuracy_are_what_they_say(given):
    digits = given("digits", 2)
    config = Config(updates=60, width=16, learning_rate=0.02, schedule="cosine")
    for step in mlp.train(digits.experience, digits.seeds, config):
        course = 0.5 * (1 + np.cos(np.pi * (step.update - 1) / 60))
        assert step.metrics["learning_rate"][0] == pytest.approx(0.02 * course)
        assert step.metrics["epoch"][0] == pytest.approx(step.update * 64 / 1347)
        assert (step.model is not None) == (step.update == 60)
    assert step.update == 60
    assert step.metrics["train_accuracy"].min() > 0.8


def test_dead_units_are_those_that_are_zero_on_the_whole_batch(given):
    digits = given("digits", 2)
    # One enormous step drives most rectifiers below zero for good.
    config = Config(updates=4, width=32, optimizer="sgd", learning_rate=100.0)
    steps = list(mlp.train(digits.experience, digits.seeds, config))
    assert steps[0].metrics["dead_units"].max() < 0.2
    assert steps[-1].metrics["dead_units"].min() > 0.5
    tanh = Config(updates=2, width=32, activation="tanh")
    assert all(
        step.metrics["dead_units"].max() == 0 for step in mlp.train(digits.experience, digits.seeds, tanh)
    )


def test_the_update_ratio_is_the_change_over_the_size(given):
    wine = given("wine", 2)
    config = Config(updates=3, width=5, evaluate_every=1)
    states = []
    for step in mlp.train(wine.experience, wine.seeds, config):
        learnt = step.model.state()
        own = [learnt[name].reshape(2, -1) for name in learnt if name.startswith(("weight", "bias"))]
        states.append((np.concatenate(own, axis=1), step.metrics))
    for (before, _), (after, metrics) in pairwise(states):
        ratio = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
        np.testing.assert_allclose(metrics["update_ratio"], ratio, rtol=1e-4)
        np.testing.assert_allclose(metrics["weight_norm"], np.linalg.norm(before, axis=1), rtol=1e-5)


def test_it_learns_digits_and_diabetes(given):
    digits = given("digits", 2)
    *_, last = mlp.train(digits.experience, digits.seeds, Config(updates=400))
    for place, probability in enumerate(last.model.predict(digits.tests())):
        assert (probability.argmax(axis=1) == digits.experience.target[digits.held_out[place]]).mean() > 0.95
    diabetes = given("diabetes", 2)
    *_, last = mlp.train(diabetes.experience, diabetes.seeds, Config(updates=100))
    for place, value in enumerate(last.model.predict(diabetes.tests())):
        truth = diabetes.experience.target[diabetes.held_out[place]]
        assert np.sqrt(np.mean((value - truth) ** 2)) < 0.9 * truth.std()
