"""One readable file an algorithm. Nothing here logs, saves, plots, parses or owns a loop above the update.

Importing this room is cheap: it holds names only, and torch is loaded when a learner is used.
"""

from types import MappingProxyType

__all__ = ["LEARNERS"]

LEARNERS = MappingProxyType(
    {
        "linear_regression": "modelwright.algorithms.linear_regression",
        "logistic_regression": "modelwright.algorithms.logistic_regression",
        "mlp": "modelwright.algorithms.mlp",
        "convnet": "modelwright.algorithms.convnet",
        "transformer": "modelwright.algorithms.transformer",
    }
)
"""Name of each learner -> the module that holds its `Config` and `train`."""
