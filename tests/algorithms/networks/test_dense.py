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


def passed(network, weights, x, slope_of):
    """Return outputs, gradients of parameters and of inputs by a pass, for a slope made of the outputs."""
    through = Pass(network, weights)
    out = through.forward(x).clone()
    through.backward(slope_of(out))
    parts = {name: slope.clone() for name, slope in weights.slope.items()}
    return out, parts, through.slope_of_inputs(slope_of(out))


@pytest.mark.parametrize("activation", KINDS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_outputs_and_gradients_are_those_of_torch_nn(sizes, activation):
    network = Dense(name="n", sizes=sizes, activation=activation)
    start = network.uniform(SEEDS[:3])
    weights, x = Weights(start), inputs(3, 11, sizes[0])
    out, found, of_inputs = passed(network, weights, x, torch.cos)
    assert not out.requires_grad
    for place in range(3):
        twin = stack({key: each[place : place + 1] for key, each in start.items()}, "n", KINDS[activation])
        row = x[place].double().requires_grad_()
        wanted = twin(row)
        np.testing.assert_allclose(out[place], wanted.detach(), atol=2e-6)
        wanted.backward(torch.cos(wanted.detach()))
        np.testing.assert_allclose(of_inputs[place], row.grad, atol=1e-5)
        linear = [layer for layer in twin if isinstance(layer, torch.nn.Linear)]
        for layer, each in enumerate(linear, start=1):
            np.testing.assert_allclose(found[f"n.weight_{layer}"][place].T, each.weight.grad, atol=2e-5)
            np.testing.assert_allclose(found[f"n.bias_{layer}"][place][0], each.bias.grad, atol=2e-5)


@pytest.mark.parametrize("activation", KINDS)
def test_a_pass_goes_again_and_again_with_the_parameters_as_they_are(activation):
    network = Dense(name="n", sizes=(4, 9, 8, 2), activation=activation)
    weights = Weights(network.uniform(SEEDS[:3]))
    through = Pass(network, weights)
    for scale, rows in ((1.0, 11), (-3.0, 11), (2.0, 5), (0.5, 11)):
        x = scale * inputs(3, rows, 4)
        out, found, of_inputs = passed(network, Weights(weights.state()), x, torch.cos)
        assert torch.equal(through.forward(x), out)
        assert torch.equal(through.slope_of_inputs(torch.cos(out)), of_inputs)
        through.backward(torch.cos(out))
        for name, slope in weights.slope.items():
            assert torch.equal(slope, found[name])
        weights.packed.mul_(1.5)


def test_a_pass_of_some_seeds_reads_and_writes_those_alone():
    network = Dense(name="n", sizes=(3, 7, 1), activation="relu")
    weights, x = Weights(network.uniform(SEEDS[:4])), inputs(4, 5, 3)
    out, found, of_inputs = passed(network, Weights(weights.state()), x, torch.cos)
    part = Pass(network, weights, seeds=slice(2))
    assert torch.equal(part.forward(x[:2]), out[:2])
    assert torch.equal(part.slope_of_inputs(torch.cos(out[:2])), of_inputs[:2])
    assert not weights.gradient.any()
    part.backward(torch.cos(out[:2]))
    for name, slope in weights.slope.items():
        assert torch.equal(slope[:2], found[name][:2])
        assert not slope[2:].any()


@pytest.mark.parametrize("rows", [5, 9])
def test_passes_beside_one_another_keep_their_outputs(rows):
    network = Dense(name="n", sizes=(3, 7, 6, 2), activation="relu")
    weights, x = Weights(network.uniform(SEEDS[:3])), inputs(3, rows, 3)
    other = weights.copy()
    other.packed.mul_(1.5)
    alone, online = Pass(network, weights), Pass(network, weights)
    target = Pass(network, other, beside=online)
    wanted = Pass(network, other).forward(x)
    kept = target.forward(x)
    out = online.forward(x)
    assert torch.equal(kept, wanted)
    assert torch.equal(out, alone.forward(x))
    online.backward(torch.cos(out))
    found = weights.gradient.clone()
    alone.backward(torch.cos(out))
    assert torch.equal(found, weights.gradient)
    assert not other.gradient.any()


def test_a_loss_is_made_of_what_a_pass_judges():
    network = Dense(name="n", sizes=(3, 7, 2), activation="tanh")
    weights, x = Weights(network.uniform(SEEDS[:2])), inputs(2, 5, 3)
    through = Pass(network, weights)
    judged = through.judge(x)
    (slope,) = torch.autograd.grad(judged.square().sum(), through.leaf)
    torch.testing.assert_close(slope, 2.0 * judged.detach())
    assert torch.equal(judged, through.forward(x))


@pytest.mark.parametrize("activation", KINDS)
@pytest.mark.parametrize("rows", [1, 3, 13, 128])
@pytest.mark.parametrize("sizes", [*SIZES, (4, 120, 84, 2)], ids=str)
def test_a_seed_has_the_same_bits_in_every_company(sizes, rows, activation):
    network = Dense(name="n", sizes=sizes, activation=activation)
    x = inputs(16, rows, sizes[0])

    def bits(places):
        weights = Weights(network.uniform([SEEDS[place] for place in places]))
        out, found, of_inputs = passed(network, weights, x[places], torch.cos)
        few = network.few(weights.arrays, x[places].numpy())
        parts = [out, of_inputs, *found.values(), torch.from_numpy(few)]
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
    seen, through = x.numpy().copy(), Pass(network, weights)
    np.testing.assert_allclose(network.few(weights.arrays, seen), through.forward(x), atol=1e-6)
    assert np.array_equal(seen, x.numpy())
    weights.packed.mul_(2.0)
    np.testing.assert_allclose(network.few(weights.arrays, seen), through.forward(x), atol=1e-5)


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
def test_products_and_sums_of_rows(count):
    left, right = inputs(count, 6, 3), inputs(count, 3, 4)
    apart = torch.zeros(count, 30)[:, 4:28].view(count, 6, 4)
    assert torch.equal(product(left, right, out=apart), product(left, right))
    np.testing.assert_allclose(product(left, right), left @ right, atol=1e-6)
    np.testing.assert_allclose(sum_rows(left), left.sum(dim=1, keepdim=True), atol=1e-6)
    assert sum_rows(left).shape == (count, 1, 3)
