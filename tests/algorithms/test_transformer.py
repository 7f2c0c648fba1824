"""The transformer against a twin made of torch.nn's own parts; nothing looks ahead; what it cannot read."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from modelwright.algorithms import transformer
from modelwright.algorithms.networks.layers import cross_entropy
from modelwright.algorithms.parts.batches import Batches
from modelwright.algorithms.transformer import Config, Transformer, next_symbols
from modelwright.base.errors import BadValue
from modelwright.data.experience import Experience


class Twin(nn.Module):
    """The same function in the plainest parts: torch.nn's embedding, attention, normalisation."""

    def __init__(self, length, symbols, width, heads, depth):
        super().__init__()
        self.embedding, self.position = nn.Embedding(symbols, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "attention_norm": nn.LayerNorm(width),
                    "attention": nn.MultiheadAttention(width, heads, batch_first=True),
                    "perceptron_norm": nn.LayerNorm(width),
                    "inner": nn.Linear(width, 4 * width),
                    "outer": nn.Linear(4 * width, width),
                }
            )
            for _ in range(depth)
        )
        self.last_norm, self.out = nn.LayerNorm(width), nn.Linear(width, symbols)

    def forward(self, windows):
        length = windows.shape[1]
        mask = torch.full((length, length), -math.inf).triu(diagonal=1)
        h = self.embedding(windows) + self.position(torch.arange(length))
        for block in self.blocks:
            n = block["attention_norm"](h)
            h = h + block["attention"](n, n, n, attn_mask=mask, need_weights=False)[0]
            h = h + block["outer"](torch.relu(block["inner"](block["perceptron_norm"](h))))
        return self.out(self.last_norm(h))

    def start(self, values):
        """Take over the start of one seed."""

        def fill(parameter, name, *, turned=True):
            value = torch.from_numpy(values[name][0])
            parameter.copy_(value.T if turned else value.reshape(parameter.shape))

        with torch.no_grad():
            fill(self.embedding.weight, "embedding", turned=False)
            fill(self.position.weight, "position", turned=False)
            for number, block in enumerate(self.blocks, start=1):
                fill(block["attention"].in_proj_weight, f"qkv_weight_{number}")
                fill(block["attention"].in_proj_bias, f"qkv_bias_{number}", turned=False)
                for name, part in (
                    ("attended", block["attention"].out_proj),
                    ("inner", block["inner"]),
                    ("outer", block["outer"]),
                ):
                    fill(part.weight, f"{name}_weight_{number}")
                    fill(part.bias, f"{name}_bias_{number}", turned=False)
            fill(self.out.weight, "weight_out")
            fill(self.out.bias, "bias_out", turned=False)
        return self


@pytest.mark.parametrize(
    "shape",
    [{"width": 16, "heads": 4, "depth": 2}, {"width": 6, "heads": 1, "depth": 1, "batch_size": 5}],
    ids=["two blocks", "one head"],
)
@pytest.mark.parametrize("rule", ["adam", "adamw", "sgd"])
def test_losses_and_predictions_are_those_of_a_plain_torch_twin(shape, rule, given):
    text = given("text", 2, ragged=True)
    config = Config(updates=12, optimizer=rule, learning_rate=0.02, weight_decay=0.01, **shape)
    steps = list(transformer.train(text.experience, text.seeds, config))
    length, symbols = text.experience.features.shape[1], len(text.experience.classes)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[rule]
    for place, rows in enumerate(text.experience.rows):
        start = Transformer(length=length, symbols=symbols, config=config).initial([text.seeds[place]])
        twin = Twin(length, symbols, config.width, config.heads, config.depth).start(start)
        optimizer = kind(twin.parameters(), lr=0.02, weight_decay=0.01)
        batches = Batches([rows], [text.seeds[place]], config.batch_size)
        windows = torch.from_numpy(text.experience.features).long()
        targets = torch.from_numpy(text.experience.target)
        losses = []
        for _ in range(config.updates):
            taken = batches.draw()[0]
            wanted = torch.cat([windows[taken][:, 1:], targets[taken][:, None]], dim=1)
            loss = nn.functional.cross_entropy(twin(windows[taken]).flatten(0, 1), wanted.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found = [step.metrics["train_loss"][place] for step in steps]
        np.testing.assert_allclose(found, losses, rtol=2e-4)
        assert losses[-1] < losses[0]
        with torch.no_grad():
            expected = torch.softmax(twin(windows[text.held_out[place]])[:, -1], dim=-1).numpy()
        np.testing.assert_allclose(steps[-1].model.predict(text.tests())[place], expected, atol=1e-4)


def logits_of(text, windows, *, training):
    length, symbols = windows.shape[1], len(text.experience.classes)
    network = Transformer(length=length, symbols=symbols, config=Config(width=8, heads=2))
    weights = {name: torch.from_numpy(values) for name, values in network.initial(text.seeds[:1]).items()}
    noise = [torch.Generator()] if training else None
    return network.forward(weights, torch.from_numpy(windows)[None], noise)[0][0]


def test_no_place_knows_what_comes_later(given):
    text = given("text", 1)
    windows = text.experience.features[:4]
    changed = windows.copy()
    changed[:, 9:] = windows[::-1, 9:]
    assert not np.array_equal(changed, windows)
    before = logits_of(text, windows, training=True).view(4, 16, -1)
    after = logits_of(text, changed, training=True).view(4, 16, -1)
    assert torch.equal(before[:, :9], after[:, :9])
    assert not torch.equal(before[:, 9:], after[:, 9:])


def test_a_prediction_is_the_answer_at_the_last_place(given):
    text = given("text", 1)
    windows = text.experience.features[:4]
    everywhere = logits_of(text, windows, training=True).view(4, 16, -1)
    assert torch.allclose(logits_of(text, windows, training=False), everywhere[:, -1], atol=1e-6)


def test_every_place_is_asked_for_its_successor():
    inputs = torch.tensor([[[3.0, 1.0, 4.0], [1.0, 5.0, 9.0]]])
    assert next_symbols(inputs, torch.tensor([[7, 8]])).tolist() == [[1, 4, 7, 5, 9, 8]]


def test_gradients_of_the_whole_are_those_of_finite_differences(given):
    text = given("text", 1)
    windows = torch.from_numpy(text.experience.features[:2, :5].copy())[None].double()
    network = Transformer(
        length=5, symbols=len(text.experience.classes), config=Config(width=4, heads=2, depth=1)
    )
    start = {
        name: torch.from_numpy(values).double() for name, values in network.initial(text.seeds[:1]).items()
    }
    wanted = next_symbols(windows, torch.from_numpy(text.experience.target[None, :2]))

    def loss(changed):
        logits, _ = network.forward(changed, windows, [torch.Generator()])
        return cross_entropy(logits, wanted).mean()

    leaves = {name: value.clone().requires_grad_() for name, value in start.items()}
    slopes = torch.autograd.grad(loss(leaves), list(leaves.values()))
    generator = torch.Generator().manual_seed(0)
    for (name, value), slope in zip(start.items(), slopes, strict=True):
        direction = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        ends = [loss({**start, name: value + sign * 1e-6 * direction}) for sign in (1, -1)]
        expected = float(ends[0] - ends[1]) / 2e-6
        assert float((slope * direction).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-8), name


def test_it_starts_at_the_loss_of_chance_and_beats_the_frequencies_of_characters(given):
    text = given("text", 2)
    config = Config(width=32, heads=2, depth=1, updates=150, learning_rate=0.01, schedule="cosine")
    steps = list(transformer.train(text.experience, text.seeds, config))
    symbols = len(text.experience.classes)
    np.testing.assert_allclose(steps[0].metrics["train_loss"], np.log(symbols), rtol=0.02)
    for place, probability in enumerate(steps[-1].model.predict(text.tests())):
        target = text.experience.target[text.held_out[place]]
        counts = np.bincount(text.experience.target[text.experience.rows[place]], minlength=symbols) + 1
        unigram = -np.log(counts[target] / counts.sum()).mean()
        found = -np.log(probability[np.arange(len(target)), target]).mean()
        assert found < 0.9 * unigram


def test_dropout_acts_while_training_only(given):
    text = given("text", 1)
    kept, dropped = (
        next(iter(transformer.train(text.experience, text.seeds, Config(width=8, updates=1, dropout=share))))
        for share in (0.0, 0.5)
    )
    assert kept.metrics["train_loss"] != dropped.metrics["train_loss"]
    again = [dropped.model.predict(text.tests())[0] for _ in range(2)]
    assert np.array_equal(*again)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x + 0.5, "whole numbers"),
        (lambda x: x - 3, "class indices"),
        (lambda x: x + 1000, "data of kind text"),
        (lambda x: x.reshape(-1, 1, 4, 4), r"shape \(\d+, 1, 4, 4\)"),
    ],
    ids=["halves", "negative", "too large", "images"],
)
def test_what_is_no_window_of_symbols_is_refused(change, words, given):
    text = given("text", 1).experience
    wrong = Experience(
        features=change(text.features),
        target=text.target,
        rows=text.rows,
        task="classification",
        classes=text.classes,
    )
    with pytest.raises(BadValue, match=words):
        next(iter(transformer.train(wrong, given("text", 1).seeds, Config())))


def test_heads_share_the_width_and_values_are_refused(given):
    with pytest.raises(BadValue, match="Nearest: 4 heads"):
        Config(width=64, heads=5)
    diabetes = given("diabetes", 1)
    with pytest.raises(BadValue, match="classification"):
        next(iter(transformer.train(diabetes.experience, diabetes.seeds, Config())))
