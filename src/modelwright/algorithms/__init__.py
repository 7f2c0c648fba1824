"""One readable file an algorithm. Nothing here logs, saves, plots, parses or owns a loop above the update.

Importing this room is cheap: it holds names only, and torch is loaded when a learner is used.
"""

from types import MappingProxyType

__all__ = ["LEARNERS", "REINFORCEMENT", "SUPERVISED"]

SUPERVISED = MappingProxyType(
    {
        "linear_regression": "modelwright.algorithms.linear_regression",
        "logistic_regression": "modelwright.algorithms.logistic_regression",
        "mlp": "modelwright.algorithms.mlp",
        "convnet": "modelwright.algorithms.convnet",
        "transformer": "modelwright.algorithms.transformer",
    }
)
"""Learners that are given rows: name -> the module that holds `Config` and `train`."""

REINFORCEMENT = MappingProxyType(
    {
        "ppo": "modelwright.algorithms.ppo",
        "dqn": "modelwright.algorithms.dqn",
    }
)
"""Learners that are given an environment: name -> the module that holds `Config` and `train`."""

LEARNERS = MappingProxyType({**SUPERVISED, **REINFORCEMENT})
"""Every learner."""
