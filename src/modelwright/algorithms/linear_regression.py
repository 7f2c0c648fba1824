"""Linear and ridge regression, in closed form or by gradient descent.

    y^ = x'w + b                                                                                 (1)
    J  = 1/n sum_i (y_i - x_i'w - b)^2  +  l2 / n |w|^2                                          (2)
    closed form: the least-squares solution of  [X; sqrt(l2) I] w = [y; 0]  on centred X and y,
                 by singular values; of all solutions the shortest where X has no full rank       (3)
                 b = mean(y) - mean(x)'w                                                         (4)

The penalty is scikit-learn's (`Ridge(alpha=l2)`); with `standardize` it speaks of standardised inputs. The
intercept is not penalised. The closed form computes in float64, descent in float32.

Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, sections 3.2 and 3.4.1.
A healthy run: `condition_number` below 1e8 (above, coefficients are arbitrary though predictions may be
fine), `rank` equal to the number of features, `grad_norm` below 1e-8 of the loss in closed form.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from modelwright.algorithms.networks.descent import ScaledDescent, descend
from modelwright.algorithms.networks.layers import linear
from modelwright.algorithms.parts.demand import demand
from modelwright.algorithms.parts.scale import Scale
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Config", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ScaledDescent):
    """Linear regression; ridge regression with `l2` above 0."""

    solver: str = setting(
        "closed_form",
        doc="How it is solved; the settings of an update belong to `descent`.",
        choices=("closed_form", "descent"),
    )
    l2: float = setting(0.0, doc="Strength of the penalty, alpha of scikit-learn's Ridge.", low=0)
    updates: int = setting(500, doc="Number of updates.", low=1)
    learning_rate: float = setting(1e-2, doc="Size of a step.", above=0)

    def __post_init__(self) -> None:
        super(Config, self).__post_init__()
        idle = [
            field.name
            for field in fields(self)
            if field.name not in ("solver", "l2", "standardize")
            and getattr(self, field.name) != field.default
        ]
        if self.solver == "closed_form" and idle:
            raise BadValue(
                "The closed form has no updates to set",
                got=", ".join(idle),
                next_step="leave these settings out, or set solver to descent",
            )


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Fit every seed's rows: one step in closed form, one an update by descent. Images are flattened.

    Raises:
        BadValue: where the target is no value, or a training value is missing.
    """
    demand("linear_regression", experience, seeds, tasks=("regression",))
    if config.solver == "descent":
        features = int(np.prod(experience.features.shape[1:]))
        yield from descend(experience, seeds, config, _Line(features=features), penalty={"weight": config.l2})
    else:
        yield _closed_form(experience, config)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """Equation (1); starts at zero, the mean of the target."""

    features: int

    def initial(self, seeds: Sequence[Seed]) -> dict[str, NDArray[np.float32]]:
        return {
            "weight": np.zeros((len(seeds), self.features, 1), np.float32),
            "bias": np.zeros((len(seeds), 1, 1), np.float32),
        }

    def forward(
        self, weights: Mapping[str, Tensor], inputs: Tensor, noise: Sequence[torch.Generator] | None
    ) -> tuple[Tensor, list[Tensor]]:
        return linear(inputs.flatten(2), weights["weight"], weights["bias"]), []


def _closed_form(experience: Experience, config: Config) -> Step:
    table = experience.features.reshape(len(experience.features), -1)
    scale = Scale.fit(table, experience.rows, active=config.standardize)
    # More threads would split sums in other places; the same bits are worth more than speed here.
    with threadpool_limits(1, user_api="blas"):
        fits = [
            _fit(table[rows], experience.target[rows], scale.deviation[place], config.l2)
            for place, rows in enumerate(experience.rows)
        ]
    metrics = {name: np.array([numbers[name] for _, _, numbers in fits]) for name in fits[0][2]}
    model = _LineModel(np.stack([weight for weight, _, _ in fits]), np.array([bias for _, bias, _ in fits]))
    return Step(update=1, metrics=metrics, model=model)


def _fit(
    rows: NDArray[np.float32], target: NDArray[Any], deviation: NDArray[np.float64], l2: float
) -> tuple[NDArray[np.float64], float, dict[str, float]]:
    """Return weight (feature,), intercept and metrics of one seed; equations (3) and (4)."""
    count = len(rows)
    mean = rows.mean(axis=0, dtype=np.float64)
    x = (rows - mean) / deviation
    centre = float(target.mean())
    y = target - centre
    system = np.concatenate([x, np.sqrt(l2) * np.eye(x.shape[1])]) if l2 > 0 else x
    answer = np.concatenate([y, np.zeros(len(system) - count)])
    w, _, rank, singular = np.linalg.lstsq(system, answer, rcond=None)
    error = x @ w - y
    spread = float(np.square(y).mean())
    loss = float(np.square(error).mean())
    norm = float(np.linalg.norm(w))
    weight = w / deviation
    metrics = {
        "train_loss": loss,
        "train_rmse": float(np.sqrt(loss)),
        "train_r2": 1.0 - loss / spread if spread > 0 else float("nan"),
        "penalty": l2 / count * norm**2,
        "grad_norm": float(np.linalg.norm(2.0 / count * (x.T @ error + l2 * w))),
        "update_ratio": float("nan"),
        "weight_norm": norm,
        "learning_rate": float("nan"),
        "rank": float(rank),
        "condition_number": float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf"),
    }
    return weight, centre - float(mean @ weight), metrics


class _LineModel:
    """Weights and intercepts of a cohort, in the units of the data."""

    def __init__(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
        self._weight = weight
        self._bias = bias

    def predict(self, features: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Predict for each seed; see `base.step.Model`."""
        if len(features) != len(self._weight):
            raise BadValue(
                "Predicting takes one array of rows per seed",
                got=f"{len(features)} arrays for {len(self._weight)} seeds",
            )
        return [
            # Not `@`, whose sums depend on the number of threads.
            np.einsum("rf,f->r", np.reshape(rows, (len(rows), -1)).astype(np.float64), weight) + bias
            for rows, weight, bias in zip(features, self._weight, self._bias, strict=True)
        ]

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights (seed, feature) and intercepts (seed,)."""
        return {"weight": self._weight.copy(), "bias": self._bias.copy()}
