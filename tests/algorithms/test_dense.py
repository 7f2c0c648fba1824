"""The stack of layers beside `torch.nn`, finite differences, and itself in company."""

import numpy as np
import pytest
import torch
from policy_twin import stack

from modelwright.algorithms.networks.dense import Dense, Pass, orthogonal
from modelwright.algorithms.networks.layers import product, sum_rows
from modelwright.algorithms.networks.weights import Weights
from modelwright.base.seed import derive_seeds

SEEDS = derive_seeds("dense", 16)
KINDS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}
SIZES = [(3, 2), (3, 7, 1), (4, 64, 64, 2), (1, 1, 1, 1), (5, 9, 8, 7, 3)]


def inputs(count, rows, size):
    """Return rows of numbers that depend on the seed's place alone."""
    made = [np.random.default_rng(place).normal(size=(rows, size)) for place in range(count)]
    return torch.from_numpy(np.stack(made).astype(np.float32))


def gradients(network, weights, x, scale):
    x = x.clone().requires_grad_()
    out = network(weights.named, x)
    share = scale * torch.cos(out.detach())
    found = torch.autograd.grad(out, [x, *weights.named.values()], share)
    return out.detach(), dict(zip(["inputs", *weights.named], found, strict=True))


@pytest.mark.parametrize("activation", KINDS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_outputs_and_gradients_are_those_of_torch_nn(sizes, activation):
    network = Dense(name="n", sizes=sizes, activation=activation)
    start = network.uniform(SEEDS[:3])
    weights, x = Weights(start), inputs(3, 11, sizes[0])
    out, found = gradients(network, weights, x, 1.0)
    for place in range(3):
        twin = stack({key: each[place : place + 1] for key, each in start.items()}, "n", KINDS[activation])
        row = x[place].double().requires_grad_()
        wanted = twin(row)
        np.testing.assert_allclose(out[place], wanted.detach(), atol=2e-6)
        wanted.backward(torch.cos(wanted.detach()))
        np.testing.assert_allclose(found["inputs"][place], row.grad, atol=1e-5)
        linear = [layer for layer in twin if isinstance(layer, torch.nn.Linear)]
        for layer, each in enumerate(linear, start=1):
            np.testing.assert_allclose(found[f"n.weight_{layer}"][place].T, each.weight.grad, atol=2e-5)
            np.testing.assert_allclose(found[f"n.bias_{layer}"][place][0], each.bias.grad, atol=2e-5)


@pytest.mark.parametrize("activation", KINDS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_pass_is_what_automatic_differentiation_finds_again_and_again(sizes, activation):
    network = Dense(name="n", sizes=sizes, activation=activation)
    weights = Weights(network.uniform(SEEDS[:3]))
    both_ways = Pass(network, weights, 11)
    for scale in (1.0, -3.0):
        x = scale * inputs(3, 11, sizes[0])
        out, found = gradients(network, weights, x, 1.0)
        again = both_ways.forward(x)
        assert not again.requires_grad
        np.testing.assert_allclose(again, out, atol=2e-6)
        both_ways.backward(torch.cos(out))
        for name, slope in weights.slope.items():
            np.testing.assert_allclose(slope, found[name], atol=1e-5, rtol=1e-5)
        # Parameters are read where they lie: what an optimiser does to them is seen by the next pass.
        with torch.no_grad():
            weights.packed *= 1.5


@pytest.mark.parametrize("activation", KINDS)
@pytest.mark.parametrize("rows", [1, 13, 128])
@pytest.mark.parametrize("sizes", [*SIZES, (4, 120, 84, 2)], ids=str)
def test_a_pass_gives_a_seed_the_same_bits_in_every_company(sizes, rows, activation):
    network = Dense(name="n", sizes=sizes, activation=activation)
    found = []
    for count in (16, 5, 2, 1):
        weights = Weights(network.uniform(SEEDS[:count]))
        both_ways = Pass(network, weights, rows)
        out = both_ways.forward(inputs(count, rows, sizes[0])).clone()
        both_ways.backward(torch.cos(out))
        found.append((out[0], weights.gradient[0].clone()))
    for out, gradient in found[1:]:
        assert torch.equal(out, found[0][0])
        assert torch.equal(gradient, found[0][1])


@pytest.mark.parametrize("activation", KINDS)
def test_gradients_are_finite_differences(activation):
    network = Dense(name="n", sizes=(3, 5, 4, 2), activation=activation)
    names, start = network.names, network.uniform(SEEDS[:2])
    leaves = [torch.from_numpy(start[name]).double().requires_grad_() for name in names]
    x = inputs(2, 6, 3).double().requires_grad_()

    def apply(x, *leaves):
        return network(dict(zip(names, leaves, strict=True)), x)

    assert torch.autograd.gradcheck(apply, (x, *leaves))


@pytest.mark.parametrize("activation", KINDS)
def test_constants_get_no_gradient_and_what_they_are_fed_gets_its_own(activation):
    network = Dense(name="n", sizes=(3, 7, 1), activation=activation)
    weights, x = Weights(network.uniform(SEEDS[:2])), inputs(2, 5, 3).requires_grad_()
    (whole,) = torch.autograd.grad(network(weights.named, x).sum(), x)
    fixed = {name: leaf.detach() for name, leaf in weights.named.items()}
    (alone,) = torch.autograd.grad(network(fixed, x).sum(), x)
    assert torch.equal(whole, alone)
    with torch.no_grad():
        assert not network(weights.named, x).requires_grad


@pytest.mark.parametrize("activation", KINDS)
@pytest.mark.parametrize("rows", [1, 3, 13, 128])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_seed_has_the_same_bits_in_every_company(sizes, rows, activation):
    network = Dense(name="n", sizes=sizes, activation=activation)
    x = inputs(16, rows, sizes[0])

    def bits(places):
        weights = Weights(network.uniform([SEEDS[place] for place in places]))
        out, found = gradients(network, weights, x[places], 1.0 / rows)
        few = network.few(weights.arrays, x[places].numpy())
        parts = [out, *found.values(), torch.from_numpy(few)]
        return [[part[row].numpy().tobytes() for part in parts] for row in range(len(places))]

    all_of_them = bits(list(range(16)))
    for places in ([0], [15], [7, 3], [2, 9, 4], [11, 0, 5, 1, 8]):
        for mine, place in zip(bits(places), places, strict=True):
            assert mine == all_of_them[place]


@pytest.mark.parametrize("activation", KINDS)
@pytest.mark.parametrize("rows", [1, 4, 16])
def test_acting_gives_what_learning_sees(activation, rows):
    network = Dense(name="n", sizes=(4, 64, 64, 2), activation=activation)
    weights, x = Weights(network.uniform(SEEDS[:3])), inputs(3, rows, 4)
    seen = x.numpy().copy()
    np.testing.assert_allclose(
        network.few(weights.arrays, seen), network(weights.named, x).detach(), atol=1e-6
    )
    assert np.array_equal(seen, x.numpy())
    weights.packed.mul_(2.0)
    np.testing.assert_allclose(
        network.few(weights.arrays, seen), network(weights.named, x).detach(), atol=1e-5
    )


@pytest.mark.parametrize("shape", [(5, 5), (9, 4), (4, 9), (1, 6), (6, 1)])
def test_orthogonal_matrices_are_orthonormal_and_uniform(shape):
    drawn = np.stack([orthogonal(np.random.default_rng(place), shape) for place in range(4000)])
    assert drawn.dtype == np.float32
    one = drawn[7].astype(np.float64)
    gram = one.T @ one if shape[0] >= shape[1] else one @ one.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-6)
    # Uniformly drawn: no direction is preferred, signs included. torch.nn.init.orthogonal_ is alike.
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=0.07)
    np.testing.assert_allclose(np.square(drawn).mean(axis=0), 1 / max(shape), rtol=0.12)


def test_the_start_of_policy_gradients_has_the_gains_of_its_source():
    network = Dense(name="n", sizes=(8, 64, 64, 3), activation="tanh")
    start = network.orthogonal(SEEDS[:2], last=0.01)
    for layer, (gain, count) in enumerate(((2**0.5, 8), (2**0.5, 64), (0.01, 3)), start=1):
        for weight in start[f"n.weight_{layer}"]:
            sizes = np.linalg.svd(weight.astype(np.float64), compute_uv=False)
            np.testing.assert_allclose(sizes, np.full(count, gain), rtol=1e-5)
        assert not start[f"n.bias_{layer}"].any()
    assert not np.array_equal(*start["n.weight_2"])


def test_the_uniform_start_is_that_of_torch_nn_linear():
    network = Dense(name="n", sizes=(25, 400, 300), activation="relu")
    start = network.uniform(SEEDS[:1])
    for layer in (1, 2):
        wanted = torch.nn.Linear(*start[f"n.weight_{layer}"].shape[1:])
        bound = wanted.in_features**-0.5
        for kind in ("weight", "bias"):
            values = start[f"n.{kind}_{layer}"].ravel()
            theirs = getattr(wanted, kind).detach().numpy().ravel()
            assert 0.97 * bound < np.abs(values).max() <= bound
            assert np.abs(theirs).max() <= bound
            np.testing.assert_allclose(values.std(), bound / 3**0.5, rtol=0.08)
    narrow = network.uniform(SEEDS[:1], last=3e-3)
    assert np.abs(narrow["n.weight_2"]).max() <= 3e-3
    np.testing.assert_array_equal(narrow["n.weight_1"], start["n.weight_1"])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_products_with_a_start_and_sums_of_rows(count):
    left, right, start = inputs(count, 6, 3), inputs(count, 3, 4), inputs(count, 1, 4)
    np.testing.assert_allclose(product(left, right, start), left @ right + start, atol=1e-6)
    np.testing.assert_allclose(product(left, right), left @ right, atol=1e-6)
    np.testing.assert_allclose(sum_rows(left), left.sum(dim=1, keepdim=True), atol=1e-6)
    assert sum_rows(left).shape == (count, 1, 3)
