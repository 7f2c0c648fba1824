"""How much faster many seeds train as one cohort than one after another.

The peer is the plainest PyTorch: a `torch.nn` module, an optimiser and a loop, one seed after another,
without metrics. Both sides get the same start, the same batches and the same number of updates in the same
process, on one thread, in turns; the losses of both are compared. Run as `python benchmarks/cohort.py`; it
writes `benchmarks/results/cohort.md`.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from modelwright.algorithms import LEARNERS, learner, mlp
from modelwright.algorithms.convnet import ConvolutionalNetwork
from modelwright.algorithms.networks import descent
from modelwright.algorithms.networks.network import Network
from modelwright.algorithms.parts.batches import Batches
from modelwright.base.seed import Seed, derive_seeds
from modelwright.data.experience import Experience

VARIANTS: dict[str, dict[str, Any]] = {
    "logistic regression": {"learner": "logistic_regression", "l2": 0.0, "updates": 200},
    "perceptron 64-64-64-10": {"learner": "mlp", "updates": 200},
    "perceptron 64-256-256-10": {"learner": "mlp", "width": 256, "updates": 60},
    "convolutional 16-32": {"learner": "convnet", "updates": 40},
}
COUNTS = (1, 4, 16)
RESULT = Path(__file__).parent / "results" / "cohort.md"
METRIC_PARTS = ("seed_norm", "_row_mean", "_dead_units")


def load_digits_of(count: int) -> Experience:
    """Return scikit-learn's digits with 75% of the rows for each seed."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    rows = [np.random.default_rng(place).permutation(len(bunch.data))[:1347] for place in range(count)]
    return Experience(
        features=bunch.images.astype(np.float32)[:, None],
        target=bunch.target.astype(np.int64),
        rows=tuple(np.sort(own) for own in rows),
        task="classification",
        classes=tuple(str(digit) for digit in range(10)),
    )


class Plain(torch.nn.Module):
    """The same network as a `torch.nn` module of one seed, with the same start."""

    def __init__(self, start: dict[str, NDArray[np.float32]]) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList()
        self.layers = torch.nn.ModuleList()
        channels = 1
        for name, values in start.items():
            if "bias" in name:
                continue
            bias = torch.from_numpy(
                start[name.replace("weight", "bias").replace("kernel", "kernel_bias")][0, 0].copy()
            )
            if name.startswith("kernel"):
                block = torch.nn.Conv2d(channels, len(bias), 3, padding=1)
                kernel = values[0].reshape(3, 3, channels, -1).transpose(3, 2, 0, 1)
                block.weight.data, block.bias = torch.from_numpy(kernel.copy()), torch.nn.Parameter(bias)
                self.blocks.append(block)
                channels = len(bias)
            else:
                layer = torch.nn.Linear(*values[0].shape)
                layer.weight.data, layer.bias.data = torch.from_numpy(values[0].T.copy()), bias
                self.layers.append(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, class) of images (batch, 1, height, width)."""
        for block in self.blocks:
            x = functional.max_pool2d(torch.relu(block(x)), 2)
        # The cohort's flatten has channels last.
        x = x.permute(0, 2, 3, 1).flatten(1) if len(self.blocks) else x.flatten(1)
        for layer in list(self.layers)[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


def network_of(config: Any, name: str) -> Network:
    """Return the cohort's own network, for its start."""
    if name == "convnet":
        return ConvolutionalNetwork(shape=(1, 8, 8), outputs=10, config=config)
    if name == "mlp":
        return mlp.Perceptron(features=64, outputs=10, config=config)
    module: Any = import_module(LEARNERS[name])
    return module._Logits(features=64, classes=10)


def train_plain(experience: Experience, seeds: tuple[Seed, ...], config: Any, name: str) -> list[float]:
    """Train one seed after another in the plainest way; return the last loss of each."""
    network = network_of(config, name)
    losses: list[float] = []
    for place, seed in enumerate(seeds):
        own = experience.features[experience.rows[place]]
        x = torch.from_numpy((experience.features - own.mean()) / own.std())
        y = torch.from_numpy(experience.target)
        module = Plain(network.initial([seed]))
        optimizer = torch.optim.Adam(module.parameters(), lr=config.learning_rate)
        batches = Batches([experience.rows[place]], [seed], config.batch_size)
        loss = torch.zeros(())
        for _ in range(config.updates):
            rows = torch.from_numpy(batches.draw()[0])
            loss = functional.cross_entropy(module(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    return losses


def train_cohort(experience: Experience, seeds: tuple[Seed, ...], variant: dict[str, Any]) -> list[float]:
    """Train all seeds at once; return the last loss of each."""
    stream = learner.build_learner(variant, root=Path()).train(experience, seeds)
    *_, last = stream
    return last.metrics["train_loss"].tolist()


def timed(action: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Return processor seconds of this process and the action's result."""
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def share_of_metrics(experience: Experience, seeds: tuple[Seed, ...], variant: dict[str, Any]) -> float:
    """Return the share of an update's time that computing metrics takes."""
    spent = 0.0
    originals = {name: getattr(descent, name) for name in METRIC_PARTS}

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal spent
            start = time.process_time()
            try:
                return function(*arguments)
            finally:
                spent += time.process_time() - start

        return call

    for name, function in originals.items():
        setattr(descent, name, watched(function))
    try:
        whole, _ = timed(lambda: train_cohort(experience, seeds, variant))
    finally:
        for name, function in originals.items():
            setattr(descent, name, function)
    return spent / whole


def measure(repeats: int) -> Iterator[tuple[str, int, float, float, float]]:
    """Yield variant, seeds, seconds of the cohort, seconds of the peer and the share of metrics."""
    for label, variant in VARIANTS.items():
        name = variant["learner"]
        module: Any = import_module(LEARNERS[name])
        config = module.Config(**{key: value for key, value in variant.items() if key != "learner"})
        for count in COUNTS:
            experience, seeds = load_digits_of(count), derive_seeds("benchmark", count)
            ours: list[float] = []
            plain: list[float] = []
            for _ in range(repeats):
                seconds, found = timed(partial(train_cohort, experience, seeds, variant))
                ours.append(seconds)
                seconds, expected = timed(partial(train_plain, experience, seeds, config, name))
                plain.append(seconds)
                np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-3)
            share = share_of_metrics(experience, seeds, variant)
            yield label, count, statistics.median(ours), statistics.median(plain), share


def processor() -> str:
    """Return the processor's name."""
    file = Path("/proc/cpuinfo")
    names = (
        [line for line in file.read_text().splitlines() if line.startswith("model name")]
        if file.exists()
        else []
    )
    return names[0].partition(": ")[2] if names else platform.processor() or platform.machine()


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side; the median counts")
    repeats: int = parser.parse_args().repeats
    torch.set_num_threads(1)
    lines = [
        "# Seeds as a cohort",
        "",
        "Written by `python benchmarks/cohort.py`. Scikit-learn's digits, batches of 64, Adam; processor",
        f"seconds of one thread, median of {repeats} turns, both sides in one process with equal losses.",
        "The peer trains one seed after another with a `torch.nn` module and records nothing; the cohort",
        "computes all its metrics. A seed alone is slower than the plain loop: besides the metrics, each",
        "product runs beside a copy of itself, which keeps its bits the same as in company. Wide networks",
        "gain least, because their time is arithmetic and not the overhead that seeds share.",
        "",
        f"{processor()}, Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        "| network | seeds | updates | cohort s | one by one s | faster | metrics' share |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for label, count, ours, plain, share in measure(repeats):
        updates = VARIANTS[label]["updates"]
        numbers = f"{ours:.2f} | {plain:.2f} | {plain / ours:.1f} x | {share:.0%}"
        lines.append(f"| {label} | {count} | {updates} | {numbers} |")
        print(lines[-1], flush=True)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
