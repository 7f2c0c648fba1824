"""Which faults the description of a peer's rule speaks of."""

from .deep_checker import DeepChecker
from .loss_curve import LossCurve
from .rl_debugger import RLDebugger

__all__ = ["TABLES", "points_at"]

TABLES = {
    "loss-curve": LossCurve.points_at,
    "deep-checker": DeepChecker.points_at,
    "rl-debugger": RLDebugger.points_at,
    "lightning": {
        "anomaly": ("learning-rate-too-high", "inputs-not-scaled"),
        "one-batch-not-fitted": (
            "learning-rate-too-low",
            "learning-rate-too-high",
            "graph-detached",
            "zero-grad-after-backward",
            "optimizer-holds-old-parameters",
            "parameters-missing-from-optimizer",
            "softmax-before-cross-entropy",
            "softmax-over-wrong-axis",
        ),
    },
}


def points_at(peer: str, rule: str) -> tuple[str, ...]:
    """Return the names of faults that a rule speaks of; none for a program that raised, or a learnt rule."""
    return TABLES.get(peer, {}).get(rule, ())
