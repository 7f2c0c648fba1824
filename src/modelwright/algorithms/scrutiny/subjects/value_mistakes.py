"""Known mistakes in the value loss of proximal policy optimisation."""

from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Options, Outputs, mistake
from modelwright.algorithms.scrutiny.subjects.policy_mistakes import value_error, value_of
from modelwright.algorithms.scrutiny.subjects.rows import mean_over_pairs

__all__ = ["VALUE"]

_VALUE = "L = mean_t max((V - G)^2, (V_old + clip(V - V_old, -eps, eps) - G)^2) / 2"


def _reduced(options: Options, values: Any) -> Outputs:
    return {"loss": values if options["reduction"] == "none" else np.mean(values)}


def _scale(options: Options) -> float:
    return 1.0 if options["half"] == "no" else 0.5


VALUE = (
    *mistake(
        "min-in-place-of-max",
        "The smaller of the two errors is taken.",
        _VALUE,
        lambda x, o: _reduced(o, value_of(x, o, np.minimum)),
    ),
    *mistake(
        "sum-in-place-of-mean",
        "Rows are summed, not averaged.",
        _VALUE,
        lambda x, o: {"loss": np.sum(value_error(x, o))},
    ),
    *mistake(
        "clipped-only",
        "Only the clipped error counts: the maximum with the other is missing.",
        _VALUE,
        lambda x, o: _reduced(o, value_of(x, o, lambda plain, clipped: clipped)),
    ),
    *mistake(
        "not-clipped",
        "The loss is not clipped, though it is told the old values.",
        _VALUE,
        lambda x, o: _reduced(o, value_of(x, o, lambda plain, clipped: plain)),
    ),
    *mistake(
        "clip-around-wrong-value",
        "The clip is around the return, or of the value itself, not around the old value.",
        "V_old + clip(V - V_old, -eps, eps)",
        lambda x, o: _reduced(
            o,
            _scale(o)
            * np.maximum(
                np.square(x["value"] - x["returns"]),
                np.square(np.clip(x["value"], -x["clip"], x["clip"]) - x["returns"]),
            ),
        ),
        lambda x, o: _reduced(
            o,
            _scale(o)
            * np.maximum(
                np.square(x["value"] - x["returns"]),
                np.square(
                    x["value"] + np.clip(x["value"] - x["old_value"], -x["clip"], x["clip"]) - x["returns"]
                ),
            ),
        ),
        lambda x, o: _reduced(
            o,
            _scale(o)
            * np.maximum(
                np.square(x["value"] - x["returns"]),
                np.square(np.clip(x["value"] - x["old_value"], -x["clip"], x["clip"]) - x["returns"]),
            ),
        ),
        lambda x, o: _reduced(
            o,
            _scale(o)
            * np.maximum(
                np.square(x["value"] - x["returns"]),
                np.square(
                    x["old_value"]
                    + np.clip(x["old_value"] - x["value"], -x["clip"], x["clip"])
                    - x["returns"]
                ),
            ),
        ),
    ),
    *mistake(
        "absolute-error",
        "The error is not squared.",
        _VALUE,
        lambda x, o: _reduced(o, value_error(x, o, np.abs)),
    ),
    *mistake(
        "wrong-sign",
        "A sign is wrong.",
        _VALUE,
        lambda x, o: _reduced(o, -value_error(x, o)),
        lambda x, o: _reduced(o, value_error({**x, "returns": -x["returns"]}, o)),
    ),
    *mistake(
        "old-value-against-return",
        "The old values, not the new ones, are held to the returns.",
        _VALUE,
        lambda x, o: _reduced(o, value_error({**x, "value": x["old_value"]}, o)),
    ),
    *mistake(
        "shape-broadcast",
        "Shapes (n,) and (n, 1) are mixed: every value meets every return.",
        "give values and returns one shape",
        lambda x, o: {"loss": _scale(o) * np.square(mean_over_pairs(x["value"], x["returns"])).mean()},
    ),
    *mistake(
        "root-mean-square",
        "The root of the mean is taken.",
        _VALUE,
        lambda x, o: {"loss": np.sqrt(np.mean(value_error(x, o)))},
    ),
)
