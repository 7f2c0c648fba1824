"""A seed's numbers are the same bits alone and in any company, on one thread and on two."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from modelwright.algorithms import transformer
from modelwright.algorithms.learner import build_learner
from modelwright.algorithms.networks.convolution import convolve_pool
from modelwright.algorithms.networks.layers import cross_entropy, linear, product
from modelwright.algorithms.networks.weights import Weights, seed_norm
from modelwright.data.experience import Experience

COUNTS = (1, 2, 3, 5, 7, 16)
USER = """
import numpy as np, random, torch

def train(features, target, rng, updates=4):
    weight = torch.nn.Linear(3, 3).weight.detach().numpy()
    for update in range(updates + int(rng.integers(3))):
        yield {"loss": float(np.random.rand() + random.random() + weight.sum()), "draw": rng.random()}
"""
PIPELINE = {
    "learner": "sklearn.pipeline.Pipeline",
    "steps": [
        ["scale", {"learner": "sklearn.preprocessing.StandardScaler"}],
        ["classify", {"learner": "sklearn.linear_model.LogisticRegression"}],
    ],
}
CASES = {
    # At the sizes of the shipped experiments, for fewer updates.
    "softmax": ("digits", {"learner": "logistic_regression", "updates": 12}),
    "convnet": ("digits", {"learner": "convnet", "width": 16, "updates": 5, "schedule": "cosine"}),
    "ridge": ("diabetes", {"learner": "linear_regression", "l2": 1.0}),
    "mlp_values": ("diabetes", {"learner": "mlp", "updates": 20}),
    "forest": ("wine", {"learner": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 5}),
    "logistic_of_others": ("wine", PIPELINE),
    # Odd sizes, every option.
    "logistic": ("cancer", {"learner": "logistic_regression", "updates": 12, "batch_size": 1}),
    "softmax_all_rows": ("wine", {"learner": "logistic_regression", "updates": 12, "batch_size": None}),
    "line": ("diabetes", {"learner": "linear_regression", "solver": "descent", "updates": 12, "l2": 0.5}),
    "line_all_rows": (
        "diabetes",
        {"learner": "linear_regression", "solver": "descent", "updates": 12, "batch_size": None},
    ),
    "mlp_1": ("wine", {"learner": "mlp", "updates": 12, "width": 1, "batch_size": 1}),
    "mlp_7": ("wine", {"learner": "mlp", "updates": 12, "width": 7, "batch_size": 13, "activation": "tanh"}),
    "mlp_64": ("digits", {"learner": "mlp", "updates": 12, "width": 64, "depth": 3, "dropout": 0.3}),
    "mlp_all_rows": ("cancer", {"learner": "mlp", "updates": 6, "width": 33, "batch_size": None}),
    "mlp_sgd": (
        "digits",
        {
            "learner": "mlp",
            "updates": 12,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.9,
            "clip_norm": 0.5,
        },
    ),
    "mlp_adamw": (
        "diabetes",
        {"learner": "mlp", "updates": 12, "width": 7, "optimizer": "adamw", "weight_decay": 0.1},
    ),
    "mlp_alone_value": (
        "diabetes",
        {"learner": "mlp", "updates": 12, "width": 1, "depth": 1, "batch_size": 7},
    ),
    "convnet_1": ("digits", {"learner": "convnet", "width": 1, "updates": 5, "batch_size": 1}),
    "convnet_7": (
        "digits",
        {"learner": "convnet", "width": 7, "depth": 1, "kernel": 5, "updates": 4, "dropout": 0.2},
    ),
    "convnet_hidden": (
        "digits",
        {"learner": "convnet", "width": 4, "depth": 3, "hidden": 13, "updates": 5, "optimizer": "adamw"},
    ),
    "transformer": ("text", {"learner": "transformer", "width": 32, "updates": 3}),
    "transformer_odd": (
        "text",
        {
            "learner": "transformer",
            "width": 15,
            "heads": 3,
            "depth": 1,
            "updates": 4,
            "batch_size": 7,
            "dropout": 0.2,
            "clip_norm": 0.5,
        },
    ),
    "transformer_1": (
        "text",
        {"learner": "transformer", "width": 1, "heads": 1, "depth": 1, "updates": 4, "batch_size": 1},
    ),
    "bayes": ("digits", {"learner": "gaussian_naive_bayes"}),
    "neighbours": ("cancer", {"learner": "k_nearest_neighbours", "weights": "distance"}),
    "neighbours_values": ("diabetes", {"learner": "k_nearest_neighbours", "neighbours": 1}),
    "tree": ("wine", {"learner": "decision_tree", "criterion": "entropy"}),
    "tree_values": ("diabetes", {"learner": "decision_tree", "max_depth": 4}),
    "boosting": ("wine", {"learner": "gradient_boosting", "rounds": 3, "subsample": 0.5}),
    "boosting_values": ("diabetes", {"learner": "gradient_boosting", "rounds": 4}),
    "k_means": ("digits", {"learner": "k_means", "clusters": 10}),
    "components": ("digits", {"learner": "principal_components", "components": 5}),
    "generator": ("diabetes", {"learner": "mine.py:train"}),
}
SHIPPED = list(CASES)[:6]
UNSUPERVISED = ("k_means", "principal_components")


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def numbers(case, root):
    """Return per seed everything that training and predicting produced, as bytes by name."""
    learner = build_learner(case[1], root=root)
    found = [{} for _ in case[0].seeds]
    last = None
    for step in learner.train(case[0].experience, case[0].seeds):
        for place, mine in enumerate(found):
            # A seed that has ended, while others go on, is absent; alone there is no such step.
            alive = {
                name: v[place].tobytes()
                for name, v in step.metrics.items()
                if name not in step.absent or not step.absent[name][place]
            }
            mine |= {(step.update, name): value for name, value in alive.items()}
        last = step
    if last is not None and last.model is not None:
        for place, mine in enumerate(found):
            mine |= {name: values[place].tobytes() for name, values in last.model.state().items()}
        if case[1]["learner"] not in UNSUPERVISED:
            for prediction, mine in zip(last.model.predict(case[0].tests()), found, strict=True):
                mine["prediction"] = prediction.tobytes()
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(USER)
    return tmp_path


@pytest.mark.parametrize("ragged", [False, True], ids=["equal", "ragged"])
@pytest.mark.parametrize("name", CASES)
def test_a_seed_has_the_same_bits_alone_among_5_and_among_16(name, ragged, given, root):
    data, variant = CASES[name]
    whole = given(data, 16, ragged=ragged)
    with threads(1):
        among_16 = numbers((whole, variant), root)
        for places in ([0], [15], [7], [3, 9], [14, 2, 8, 15, 0]):
            assert numbers((whole.part(places), variant), root) == [among_16[place] for place in places]
    assert len({tuple(sorted(map(repr, one.items()))) for one in among_16}) == 16


@pytest.mark.parametrize(
    "name", [name if name in SHIPPED else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_a_seed_has_the_same_bits_on_two_threads(name, given, root):
    data, variant = CASES[name]
    whole = given(data, 16)
    with threads(1):
        single = numbers((whole, variant), root)
    with threads(2):
        assert numbers((whole, variant), root) == single
        assert numbers((whole.part([4]), variant), root) == [single[4]]


@pytest.mark.parametrize("shape", [(1, 7, 5), (3, 4, 5), (2, 2, 2)], ids=str)
def test_images_of_odd_shape_keep_the_same_bits(shape, given, root):
    whole = given("digits", 16, shape=shape)
    variant = {"learner": "convnet", "width": 3, "depth": 1, "updates": 5, "batch_size": 5}
    among_16 = numbers((whole, variant), root)
    for places in ([0], [11], [3, 9, 15]):
        assert numbers((whole.part(places), variant), root) == [among_16[place] for place in places]


def in_every_company(function, *arrays):
    """Compare `function` of every run of seeds of several lengths with its value among all 16."""
    whole = function(*arrays)
    for count in COUNTS:
        for start in range(0, 17 - count, 1 if count < 3 else 3):
            own = slice(start, start + count)
            part = function(*(array[own].clone() for array in arrays))
            for one, all_of_them in zip(part, whole, strict=True):
                assert torch.equal(one, all_of_them[own])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("batch", [1, 7, 64, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("width", [(1, 1), (1, 64), (64, 1), (7, 10), (13, 3), (64, 64), (100, 10)], ids=str)
@pytest.mark.parametrize("count", [1, 2])
def test_affine_maps_and_their_gradients_ignore_company_and_threads(batch, width, count):
    inputs, weight, bias = normal(16, batch, width[0]), normal(16, *width), normal(16, 1, width[1])

    def function(x, w, b):
        leaves = [each.requires_grad_() for each in (x, w, b)]
        y = linear(*leaves)
        return [y.detach(), *torch.autograd.grad(y.square(), leaves, torch.ones_like(y))]

    with threads(1):
        expected = function(*(each.clone() for each in (inputs, weight, bias)))
    with threads(count):
        in_every_company(function, inputs.clone(), weight.clone(), bias.clone())
        again = function(*(each.clone() for each in (inputs, weight, bias)))
    assert all(torch.equal(*pair) for pair in zip(expected, again, strict=True))


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("channels", [(1, 8), (3, 1), (8, 16), (5, 7)], ids=str)
def test_convolution_and_its_gradients_ignore_company(batch, channels):
    images, weight = normal(16, batch, 6, 5, channels[0]), normal(16, 9 * channels[0], channels[1])

    def function(x, w, b):
        leaves = [each.requires_grad_() for each in (x, w, b)]
        y = convolve_pool(*leaves, 3)
        return [y.detach(), *torch.autograd.grad(y.square(), leaves, torch.ones_like(y))]

    in_every_company(function, images, weight, normal(16, 1, channels[1]))


@pytest.mark.parametrize("batch", [1, 2, 7, 33, 64])
@pytest.mark.parametrize("classes", [2, 3, 7, 10, 17, 100])
def test_losses_and_activations_ignore_company(batch, classes):
    target = torch.from_numpy(np.random.default_rng(0).integers(classes, size=(16, batch)))

    def function(x, y):
        x.requires_grad_()
        loss, bend = cross_entropy(x, y), torch.tanh(x)
        grads = torch.autograd.grad([loss, bend], x, [torch.ones_like(loss), torch.ones_like(bend)])
        return [loss.detach(), bend.detach(), *grads]

    in_every_company(function, normal(16, batch, classes), target)


@pytest.mark.parametrize("rule", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 10), (33, 65)], ids=str)
def test_packed_parameters_are_updated_alike_in_every_company(rule, shape):
    def function(start, first, second):
        weights = Weights({"weight": start.numpy(), "bias": start[:, :1].numpy()})
        make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[rule]
        more = {"momentum": 0.9, "nesterov": True} if rule == "sgd" else {"weight_decay": 0.1}
        optimizer = make([weights.packed], lr=0.01, fused=True, **more)
        for grad in (first, second, first):
            weights.slope["weight"].copy_(grad)
            weights.slope["bias"].copy_(grad[:, :1])
            weights.clip_gradient(seed_norm(weights.gradient), 1.0)
            optimizer.step()
        return [weights.packed]

    in_every_company(function, *(normal(16, *shape, seed=seed) for seed in range(3)))


def test_the_comparison_notices_a_product_that_takes_another_kernel_for_a_lone_matrix():
    def careless(left, right):
        # What `product` avoids, planted: the lone seed's sums run in another order.
        if len(left) == 1:
            return [(left[0].double() @ right[0].double()).float()[None]]
        return [torch.bmm(left, right)]

    with pytest.raises(AssertionError):
        in_every_company(careless, normal(16, 64, 100), normal(16, 100, 7))
    in_every_company(lambda left, right: [product(left, right)], normal(16, 64, 100), normal(16, 100, 7))


@pytest.mark.parametrize("clip", [None, 1e20], ids=["free", "clipped"])
@pytest.mark.parametrize("learner", ["logistic_regression", "mlp", "convnet"])
def test_a_seed_that_diverges_leaves_the_others_untouched(learner, clip, given, root):
    whole = given("digits", 4)
    features = whole.experience.features.copy()
    # Seed 2 alone has rows of 1e30: its numbers overflow at once.
    rows = list(whole.experience.rows)
    wild = np.arange(len(features), 2 * len(features))
    rows[2] = wild[rows[2]]
    experience = Experience(
        features=np.concatenate([features, features * 1e30]),
        target=np.concatenate([whole.experience.target] * 2),
        rows=tuple(rows),
        task="classification",
        classes=whole.experience.classes,
    )
    poisoned = type(whole)(experience, whole.seeds, whole.held_out)
    variant = {"learner": learner, "updates": 8, "standardize": False, "optimizer": "sgd", "clip_norm": clip}
    healthy, sick = numbers((whole, variant), root), numbers((poisoned, variant), root)
    for place in (0, 1, 3):
        assert sick[place] == healthy[place]
    loss, norm = (np.frombuffer(sick[2][8, metric])[0] for metric in ("train_loss", "grad_norm"))
    assert not (loss < 1e20 and norm < 1e20)


def test_a_transformer_that_diverges_leaves_the_others_untouched(given, root, monkeypatch):
    whole = given("text", 4)
    variant = {"learner": "transformer", "width": 8, "updates": 8, "optimizer": "sgd"}
    healthy = numbers((whole, variant), root)
    draw = transformer.draw_weights

    def poisoned(seeds, shapes, gains):
        drawn = draw(seeds, shapes, gains)
        # Seed 2 alone starts with an output beyond what single precision can square.
        drawn["weight_out"][list(seeds).index(whole.seeds[2])] = 1e38
        return drawn

    monkeypatch.setattr(transformer, "draw_weights", poisoned)
    sick = numbers((whole, variant), root)
    for place in (0, 1, 3):
        assert sick[place] == healthy[place]
    assert not np.isfinite(np.frombuffer(sick[2][1, "grad_norm"])[0])
    assert (8, "train_loss") in healthy[2]


@pytest.mark.parametrize("blocks", [1, 2, 127, 129, 313, 1563])
def test_norms_ignore_company_and_threads(blocks):
    values = normal(16, 64 * blocks)
    with threads(1):
        expected = seed_norm(values)
        in_every_company(lambda x: [torch.from_numpy(seed_norm(x))], values)
    with threads(2):
        assert (seed_norm(values) == expected).all()
    np.testing.assert_allclose(expected, torch.linalg.vector_norm(values.double(), dim=1), rtol=1e-6)
