"""One readable file an algorithm. Nothing here logs, saves, plots, parses or owns a loop above the update.

Importing this room is cheap: it holds names only, and torch is loaded when a learner is used.
"""

import os
from types import MappingProxyType

__all__ = ["LEARNERS", "REINFORCEMENT", "SUPERVISED"]

# Without it MKL's products depend, on some processors, on where in memory a matrix lies, and so on how many
# seeds train beside it. MKL reads this when it is first used.
os.environ.setdefault("MKL_CBWR", "AUTO")

SUPERVISED = MappingProxyType(
    {
        "linear_regression": "modelwright.algorithms.linear_regression",
        "logistic_regression": "modelwright.algorithms.logistic_regression",
        "mlp": "modelwright.algorithms.mlp",
        "convnet": "modelwright.algorithms.convnet",
        "transformer": "modelwright.algorithms.transformer",
        "gaussian_naive_bayes": "modelwright.algorithms.gaussian_naive_bayes",
        "k_nearest_neighbours": "modelwright.algorithms.k_nearest_neighbours",
        "decision_tree": "modelwright.algorithms.decision_tree",
        "gradient_boosting": "modelwright.algorithms.gradient_boosting",
        "k_means": "modelwright.algorithms.k_means",
        "principal_components": "modelwright.algorithms.principal_components",
    }
)
"""Learners that are given rows: name -> the module that holds `Config` and `train`."""

REINFORCEMENT = MappingProxyType(
    {
        "value_iteration": "modelwright.algorithms.value_iteration",
        "policy_iteration": "modelwright.algorithms.policy_iteration",
        "q_learning": "modelwright.algorithms.q_learning",
        "sarsa": "modelwright.algorithms.sarsa",
        "reinforce": "modelwright.algorithms.reinforce",
        "a2c": "modelwright.algorithms.a2c",
        "ppo": "modelwright.algorithms.ppo",
        "dqn": "modelwright.algorithms.dqn",
        "c51": "modelwright.algorithms.c51",
        "qr_dqn": "modelwright.algorithms.qr_dqn",
        "ddpg": "modelwright.algorithms.ddpg",
        "td3": "modelwright.algorithms.td3",
        "sac": "modelwright.algorithms.sac",
    }
)
"""Learners that are given an environment: name -> the module that holds `Config` and `train`."""

LEARNERS = MappingProxyType({**SUPERVISED, **REINFORCEMENT})
"""Every learner."""
