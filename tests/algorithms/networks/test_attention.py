"""Attention and normalisation against PyTorch's own and finite differences; nothing looks ahead."""

import pytest
import torch
from test_company import in_every_company, normal, threads

from modelwright.algorithms.networks.attention import attend, normalise


def gradients(function, *leaves):
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    found = function(*leaves)
    return [found.detach(), *torch.autograd.grad(found, leaves, normal(*found.shape, seed=9).to(found.dtype))]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 3), (12, 16, 8), (3, 64, 16)], ids=str)
def test_attention_and_its_gradients_are_those_of_pytorch(shape):
    parts = [normal(*shape, seed=seed).double() for seed in range(3)]

    def oracle(query, key, value):
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)

    for found, wanted in zip(gradients(attend, *parts), gradients(oracle, *parts), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 5, 3), (3, 40, 64)], ids=str)
def test_normalisation_and_its_gradients_are_those_of_pytorch(shape):
    seeds, _, width = shape
    inputs = normal(*shape).double() * 3 + 1
    gain, bias = normal(seeds, 1, width, seed=1).double(), normal(seeds, 1, width, seed=2).double()

    def oracle(x, g, b):
        return torch.stack(
            [
                torch.nn.functional.layer_norm(x[place], (width,), g[place, 0], b[place, 0])
                for place in range(seeds)
            ]
        )

    found, wanted = gradients(normalise, inputs, gain, bias), gradients(oracle, inputs, gain, bias)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_gradients_are_those_of_finite_differences():
    parts = [normal(2, 4, 3, seed=seed).double().requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(attend, parts)
    gain, bias = normal(2, 1, 3, seed=3).double(), normal(2, 1, 3, seed=4).double()
    assert torch.autograd.gradcheck(normalise, [parts[0], gain.requires_grad_(), bias.requires_grad_()])


def test_what_comes_later_changes_nothing():
    query, key, value = (normal(3, 8, 4, seed=seed) for seed in range(3))
    whole = attend(query, key, value)
    for length in range(1, 8):
        changed = [part.clone() for part in (query, key, value)]
        for part in changed:
            part[:, length:] = 1e6
        assert torch.equal(attend(*changed)[:, :length], whole[:, :length])


def test_rows_are_normal_whatever_they_were():
    found = normalise(normal(2, 7, 64) * 100 - 40, torch.ones(2, 1, 64), torch.zeros(2, 1, 64))
    torch.testing.assert_close(found.mean(dim=-1), torch.zeros(2, 7), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.std(dim=-1, correction=0), torch.ones(2, 7), rtol=1e-4, atol=0)


@pytest.mark.parametrize("length", [1, 3, 16, 33])
@pytest.mark.parametrize("width", [1, 5, 16])
@pytest.mark.parametrize("count", [1, 2])
def test_attention_ignores_company_and_threads(length, width, count):
    # Each seed has six matrices: its rows times its heads.
    parts = [normal(16, 6, length, width, seed=seed) for seed in range(3)]

    def function(*own):
        leaves = [part.flatten(0, 1).clone().requires_grad_() for part in own]
        found = attend(*leaves)
        slopes = torch.autograd.grad(found.square(), leaves, torch.ones_like(found))
        return [one.view(len(own[0]), 6, length, width) for one in (found.detach(), *slopes)]

    with threads(1):
        expected = function(*parts)
    with threads(count):
        in_every_company(function, *parts)
        assert all(torch.equal(*pair) for pair in zip(expected, function(*parts), strict=True))


@pytest.mark.parametrize("rows", [1, 7, 512])
@pytest.mark.parametrize("width", [1, 7, 64])
@pytest.mark.parametrize("count", [1, 2])
def test_normalisation_ignores_company_and_threads(rows, width, count):
    parts = [normal(16, rows, width), normal(16, 1, width, seed=1), normal(16, 1, width, seed=2)]

    def function(*own):
        # The incoming gradient of each seed is its own, whatever its place.
        leaves = [part.clone().requires_grad_() for part in own]
        found = normalise(*leaves)
        return [found.detach(), *torch.autograd.grad(found.square(), leaves, torch.ones_like(found))]

    with threads(1):
        expected = function(*parts)
    with threads(count):
        in_every_company(function, *parts)
        assert all(torch.equal(*pair) for pair in zip(expected, function(*parts), strict=True))
