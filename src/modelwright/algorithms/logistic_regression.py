"""Logistic and softmax regression by gradient descent.

    two classes:   z = x'w + b,          p(1|x) = 1 / (1 + exp(-z))                              (1)
    more classes:  z_k = x'w_k + b_k,    p(k|x) = exp(z_k) / sum_j exp(z_j)                      (2)
    objective:     J = 1/n sum_i -log p(y_i|x_i)  +  l2 / (2 n) sum |w|^2                        (3)

J is convex, so every descent that converges ends at one predictor. The penalty is scikit-learn's with
l2 = 1 / C; intercepts are not penalised.

Source: Bishop, Pattern Recognition and Machine Learning, sections 4.3.2 and 4.3.4.
Differs: scikit-learn minimises by L-BFGS; here by full-batch or mini-batch gradient, so that the course of
learning can be watched and all seeds share one array.
A healthy run: `train_loss` starts at log(classes) and falls without jumps, `grad_norm` falls towards 0
with all rows in a batch and to a noise floor with few, `update_ratio` near 1e-3 after the first tens of
updates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.networks.descent import ScaledDescent, descend
from modelwright.algorithms.networks.layers import linear
from modelwright.algorithms.parts.demand import demand
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Config", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ScaledDescent):
    """Logistic or softmax regression."""

    updates: int = setting(500, doc="Number of updates.", low=1)
    learning_rate: float = setting(1e-2, doc="Size of a step.", above=0)
    l2: float = setting(1.0, doc="Strength of the penalty, 1 / C of scikit-learn.", low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Logits:
    """Equations (1) and (2): logits linear in the inputs. Starts at zero, where every class is as likely."""

    features: int
    classes: int

    def initial(self, seeds: Sequence[Seed]) -> dict[str, NDArray[np.float32]]:
        outputs = 1 if self.classes == 2 else self.classes
        return {
            "weight": np.zeros((len(seeds), self.features, outputs), np.float32),
            "bias": np.zeros((len(seeds), 1, outputs), np.float32),
        }

    def forward(
        self, weights: Mapping[str, Tensor], inputs: Tensor, noise: Sequence[torch.Generator] | None
    ) -> tuple[Tensor, list[Tensor]]:
        logits = linear(inputs.flatten(2), weights["weight"], weights["bias"])
        if self.classes == 2:
            # The softmax of (0, z) is the logistic function of z.
            logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
        return logits, []


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train logistic regression on every seed's rows; one step an update.

    Raises:
        BadValue: where the target is not a class, or a training value is missing.
    """
    demand("logistic_regression", experience, seeds, tasks=("classification",))
    features = int(np.prod(experience.features.shape[1:]))
    network = _Logits(features=features, classes=len(experience.classes))
    yield from descend(experience, seeds, config, network, penalty={"weight": config.l2 / 2})
