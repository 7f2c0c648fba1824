"""Gradient descent for a cohort: one update of every seed at a time.

    g_s = d/dw_s  mean_i loss(f(x_i; w_s), y_i)  +  penalty      rows i of the seed's own batch
    w_s <- optimiser(w_s, g_s)

The losses of all seeds are differentiated at once; since their parameters are disjoint, each seed gets its
own gradient. The optimiser is PyTorch's, applied to the packed parameters (see `weights`).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.networks.layers import cross_entropy
from modelwright.algorithms.networks.network import Network, NetworkModel, standardise
from modelwright.algorithms.networks.weights import Weights, seed_norm
from modelwright.algorithms.parts.batches import Batches
from modelwright.algorithms.parts.cohort import split_by_rows
from modelwright.algorithms.parts.scale import Scale
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Descent", "ScaledDescent", "descend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent(Settings):
    """How a network is trained; the part of a configuration that all networks share."""

    updates: int = setting(1000, doc="Number of updates.", low=1)
    batch_size: int | None = setting(64, doc="Rows in a batch of one seed; null takes all rows.", low=1)
    optimizer: str = setting("adam", doc="Rule of the update.", choices=("adam", "adamw", "sgd"))
    learning_rate: float = setting(1e-3, doc="Size of a step.", above=0)
    momentum: float = setting(0.0, doc="Nesterov's momentum, of sgd only.", low=0, below=1)
    weight_decay: float = setting(0.0, doc="Weight decay of the optimiser (decoupled for adamw).", low=0)
    schedule: str = setting(
        "constant", doc="Course of the learning rate; cosine falls to zero.", choices=("constant", "cosine")
    )
    clip_norm: float | None = setting(
        None, doc="Largest norm of a seed's gradient; null for no limit.", above=0
    )
    evaluate_every: int = setting(
        100, doc="Updates between steps that offer the model for evaluation.", low=1
    )

    def __post_init__(self) -> None:
        super(Descent, self).__post_init__()
        if self.momentum > 0 and self.optimizer != "sgd":
            raise BadValue(
                "momentum is a setting of sgd",
                got=f"momentum {self.momentum:g} with optimizer {self.optimizer}",
                next_step="leave momentum out, or set optimizer to sgd",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledDescent(Descent):
    """Descent on inputs that are measured values."""

    standardize: bool = setting(True, doc="Whether inputs (and regression targets) are standardised.")


Answers = Callable[[Tensor, Tensor], Tensor]


def descend(
    experience: Experience,
    seeds: Sequence[Seed],
    config: Descent,
    network: Network,
    *,
    penalty: Mapping[str, float] | None = None,
    answers: Answers | None = None,
) -> Iterator[Step]:
    """Train `network` on every seed's rows; one step an update.

    Args:
        experience: Training rows; images (row, channel, height, width) are standardised by channel.
        seeds: One per array of rows; streams `init`, `batch` and `dropout`.
        config: How.
        network: What.
        penalty: Name of a parameter -> c: adds c / n * |w|^2 to the loss of a seed that has n rows.
        answers: For networks that answer several times a row while they train: from inputs (seed, batch,
            *feature) and targets (seed, batch) to the target of each answer (seed, answer).
    """
    yield from split_by_rows(
        experience,
        seeds,
        lambda part, own: _descend(part, own, config, network, penalty or {}, answers),
        needed=config.batch_size is None,
    )


def _descend(
    experience: Experience,
    seeds: Sequence[Seed],
    config: Descent,
    network: Network,
    penalty: Mapping[str, float],
    answers: Answers | None,
) -> Iterator[Step]:
    standardize = isinstance(config, ScaledDescent) and config.standardize
    classify = experience.task == "classification"
    axes = (0, 2, 3) if experience.features.ndim == 4 else (0,)
    inputs = Scale.fit(experience.features, experience.rows, axes=axes, active=standardize)
    target = Scale.fit(experience.target[:, None], experience.rows, active=standardize and not classify)
    weights = Weights(network.initial(seeds))
    optimizer = _make_optimizer(weights.packed, config)
    model = NetworkModel(network, weights, inputs, target, experience.task)
    batches = Batches(experience.rows, seeds, config.batch_size)
    noise = [torch.Generator().manual_seed(seed.integer("dropout")) for seed in seeds]
    counts = np.array([len(rows) for rows in experience.rows], np.float64)
    taken = config.batch_size or counts
    batch: tuple[Tensor, Tensor] | None = None

    for update in range(1, config.updates + 1):
        rate = _learning_rate(config, update)
        for group in optimizer.param_groups:
            group["lr"] = rate
        if batch is None or config.batch_size is not None:
            rows = batches.draw()
            given = standardise(experience.features[rows], inputs.mean, inputs.deviation)
            wanted = _targets(experience, rows, target)
            batch = (given, answers(given, wanted) if answers else wanted)
        outputs, hidden = network.forward(weights.named, batch[0], noise)
        losses = cross_entropy(outputs, batch[1]) if classify else (outputs[..., 0] - batch[1]).square()
        weights.differentiate(losses)
        penalties = _add_penalty(weights, penalty, counts)
        grad_norm = seed_norm(weights.gradient)
        if config.clip_norm is not None:
            weights.clip_gradient(grad_norm, config.clip_norm)
        before = weights.packed.clone()
        optimizer.step()

        weight_norm = seed_norm(before)
        with np.errstate(invalid="ignore"):  # inf / inf of a seed that diverged
            change = seed_norm(weights.packed - before) / np.where(weight_norm > 0, weight_norm, np.nan)
        metrics = {
            "train_loss": _row_mean(losses),
            "grad_norm": grad_norm,
            "update_ratio": change,
            "weight_norm": weight_norm,
            "learning_rate": np.full(len(seeds), rate),
            "epoch": update * taken / counts,
        }
        if classify:
            metrics["train_accuracy"] = _row_mean((outputs.argmax(dim=-1) == batch[1]).float())
        else:
            metrics["train_rmse"] = np.sqrt(metrics["train_loss"]) * target.deviation[:, 0]
        if penalty:
            metrics["penalty"] = penalties
        if hidden:
            metrics["dead_units"] = _dead_units(hidden)
        offered = update % config.evaluate_every == 0 or update == config.updates
        yield Step(update=update, metrics=metrics, model=model if offered else None)


def _make_optimizer(packed: Tensor, config: Descent) -> torch.optim.Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        momentum = config.momentum
        return torch.optim.SGD(
            [packed], lr=rate, momentum=momentum, weight_decay=decay, nesterov=momentum > 0, fused=True
        )
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind([packed], lr=rate, weight_decay=decay, fused=True)


def _learning_rate(config: Descent, update: int) -> float:
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (update - 1) / config.updates))


def _targets(experience: Experience, rows: NDArray[np.int64], scale: Scale) -> Tensor:
    drawn = experience.target[rows]
    if experience.task == "classification":
        return torch.from_numpy(drawn.astype(np.int64))
    return torch.from_numpy(((drawn - scale.mean) / scale.deviation).astype(np.float32))


def _add_penalty(
    weights: Weights, penalty: Mapping[str, float], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add the gradient 2 c / n * w and return the value c / n * |w|^2 of each seed."""
    value = np.zeros(len(counts))
    for name, strength in penalty.items():
        leaf = weights.named[name].detach()
        share = strength / counts
        factor = torch.from_numpy((2.0 * share).astype(np.float32)).view(-1, *[1] * (leaf.ndim - 1))
        weights.slope[name].add_(leaf * factor)
        value += share * weights.norm(name) ** 2
    return value


def _row_mean(values: Tensor) -> NDArray[np.float64]:
    return values.detach().numpy().astype(np.float64).mean(axis=1)


def _dead_units(hidden: Sequence[Tensor]) -> NDArray[np.float64]:
    """Return the share of hidden units of each seed that are zero on the whole batch."""
    alive = [layer.detach().flatten(1, -2).amax(dim=1) != 0 for layer in hidden]
    return 1.0 - np.concatenate([layer.numpy() for layer in alive], axis=1).mean(axis=1)
