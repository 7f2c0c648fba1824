"""Softmax cross-entropy, and its gradient.

L = -mean_i log softmax(z_i)[y_i],   dL/dz_i = (softmax(z_i) - onehot(y_i)) / n
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from modelwright.algorithms.networks.layers import cross_entropy
from modelwright.algorithms.scrutiny.subject import (
    Argument,
    Case,
    Choice,
    Gradients,
    Inputs,
    Layout,
    Options,
    Outputs,
    Reference,
    Subject,
    mistake,
    words,
)
from modelwright.algorithms.scrutiny.subjects.rows import tensors

__all__ = ["SUBJECTS"]

_ROW, _TABLE = ("row",), ("row", "class")
_FLOOR = 1e-3


def _log_softmax(logits: Any, axis: int = -1) -> Any:
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _onehot(x: Inputs) -> Any:
    return np.eye(x["logits"].shape[-1])[x["target"]]


def _losses(t: dict[str, Any]) -> Any:
    return cross_entropy(t["logits"][None], t["target"][None])[0]


def _rowed(make: Reference) -> Reference:
    """Let what is written for rows answer for one row without that axis too."""

    def outputs(x: Inputs, options: Options) -> Outputs:
        if x["logits"].ndim > 1:
            return make(x, options)
        found = make({"logits": x["logits"][None], "target": np.reshape(x["target"], (1,))}, options)
        return {name: np.reshape(each, np.shape(each)[1:]) for name, each in found.items()}

    return outputs


def _rows(x: Inputs, options: Options) -> Outputs:
    probs = np.exp(_log_softmax(x["logits"]))
    losses = _losses(tensors(x)).numpy()
    gradient = (probs - _onehot(x)) / len(losses)
    if options["floor"] == "kept":
        # What is added to a probability shows only where it is small.
        losses = np.where(losses < -np.log(_FLOOR), losses, np.nan)
    if options["reduction"] == "mean":
        losses = losses.mean()
    return {"probabilities": probs, "loss": losses, "gradient": gradient}


def _wrong(make: Callable[[Inputs], Any]) -> Callable[[Inputs, Options], Outputs]:
    """Return losses of each row, reduced as the function does."""

    def outputs(x: Inputs, options: Options) -> Outputs:
        values = make(x)
        return {"loss": values if options["reduction"] == "none" or np.ndim(values) == 0 else np.mean(values)}

    return outputs


def _picked(log_probs: Any, x: Inputs) -> Any:
    return -np.take_along_axis(log_probs, x["target"][:, None], axis=1)[:, 0]


def _right(x: Inputs) -> Any:
    return _picked(_log_softmax(x["logits"]), x)


def _probs(x: Inputs) -> Any:
    return np.exp(_log_softmax(x["logits"]))


_LINE = "L = -mean_i log softmax(z_i)[y_i]"
_GRADIENT = "dL/dz_i = (softmax(z_i) - onehot(y_i)) / n"
_MISTAKES = (
    *mistake(
        "sum-in-place-of-mean",
        "Rows are summed, not averaged.",
        _LINE,
        lambda x, o: {"loss": _right(x).sum()},
        lambda x, o: {"loss": _right(x).sum(), "gradient": _probs(x) - _onehot(x)},
        lambda x, o: {"gradient": _probs(x) - _onehot(x)},
    ),
    *mistake(
        "wrong-axis",
        "The softmax goes over rows, not over classes.",
        "softmax(z)_ik = exp(z_ik) / sum_k exp(z_ik)",
        _wrong(lambda x: _picked(_log_softmax(x["logits"], axis=0), x)),
        _wrong(lambda x: _picked(x["logits"] - np.log(np.exp(x["logits"]).sum()), x)),
        lambda x, o: {
            "loss": _wrong(lambda y: _picked(_log_softmax(y["logits"], axis=0), y))(x, o)["loss"],
            "probabilities": np.exp(_log_softmax(x["logits"], axis=0)),
            "gradient": (np.exp(_log_softmax(x["logits"], axis=0)) - _onehot(x)) / len(x["target"]),
        },
    ),
    *mistake(
        "mean-over-classes",
        "The loss is divided by the number of classes too.",
        _LINE,
        lambda x, o: {"loss": (_right(x) / x["logits"].shape[-1]).mean()},
        lambda x, o: {
            "loss": (_right(x) / x["logits"].shape[-1]).mean(),
            "gradient": (_probs(x) - _onehot(x)) / x["logits"].size,
        },
    ),
    *mistake(
        "overflow",
        "exp overflows for large logits: the largest of each row is not subtracted first.",
        "log softmax(z) = z - m - log sum exp(z - m), m = max z",
        _wrong(
            lambda x: _picked(np.log(np.exp(x["logits"]) / np.exp(x["logits"]).sum(axis=1, keepdims=True)), x)
        ),
        _wrong(lambda x: _picked(x["logits"] - np.log(np.exp(x["logits"]).sum(axis=1, keepdims=True)), x)),
        _wrong(
            lambda x: _picked(
                np.log(np.exp(x["logits"]) / np.exp(x["logits"]).sum(axis=1, keepdims=True) + 1e-12), x
            )
        ),
    ),
    *mistake(
        "underflow",
        "The logarithm of a probability that rounds to zero is infinite.",
        "take the logarithm of softmax in one piece: z - m - log sum exp(z - m)",
        _wrong(lambda x: _picked(np.log(_probs(x)), x)),
    ),
    *mistake(
        "softmax-twice",
        "Softmax is applied twice.",
        _LINE,
        _wrong(lambda x: _picked(_log_softmax(_probs(x)), x)),
        _wrong(lambda x: _picked(_log_softmax(_log_softmax(x["logits"])), x)),
    ),
    *mistake(
        "logarithm-missing",
        "The probability, or the logit, is used without the logarithm.",
        _LINE,
        _wrong(lambda x: _picked(_probs(x), x)),
        _wrong(lambda x: 1.0 + _picked(_probs(x), x)),
        _wrong(lambda x: _picked(x["logits"], x)),
    ),
    *mistake(
        "wrong-sign",
        "The sign is wrong.",
        _LINE,
        _wrong(lambda x: -_right(x)),
        lambda x, o: {"gradient": -(_probs(x) - _onehot(x)) / len(x["target"])},
    ),
    *mistake(
        "other-logarithm",
        "The logarithm has another base: the loss is in bits or in digits, not in nats.",
        _LINE,
        _wrong(lambda x: _right(x) / np.log(2.0)),
        _wrong(lambda x: _right(x) / np.log(10.0)),
    ),
    *mistake(
        "binary-cross-entropy",
        "Every class is judged on its own, as for two classes.",
        _LINE,
        lambda x, o: {"loss": _binary(x).sum(axis=1).mean()},
        lambda x, o: {"loss": _binary(x).mean()},
        lambda x, o: {"loss": _sigmoid(x).mean()},
        lambda x, o: {"loss": _sigmoid(x).sum(axis=1).mean()},
    ),
    *mistake(
        "squared-error",
        "This is the squared distance of probabilities and one-hot targets.",
        _LINE,
        lambda x, o: {"loss": np.square(_probs(x) - _onehot(x)).mean()},
        lambda x, o: {"loss": np.square(_probs(x) - _onehot(x)).sum(axis=1).mean()},
    ),
    *mistake(
        "normalizer-missing",
        "The probabilities are not normalised, or the shift by the maximum is not undone.",
        _LINE,
        _wrong(lambda x: _picked(x["logits"] - x["logits"].max(axis=1, keepdims=True), x)),
        _wrong(lambda x: _right(x) - x["logits"].max(axis=1)),
        _wrong(lambda x: _right(x) + x["logits"].max(axis=1)),
    ),
    *mistake(
        "target-not-subtracted",
        "The gradient lacks the one-hot target.",
        _GRADIENT,
        lambda x, o: {"gradient": _probs(x) / len(x["target"])},
    ),
    *mistake(
        "target-off-by-one",
        "Classes are counted from one.",
        _LINE,
        _wrong(lambda x: _picked(_log_softmax(x["logits"]), {**x, "target": x["target"] - 1})),
        _wrong(
            lambda x: _picked(
                _log_softmax(x["logits"]), {**x, "target": (x["target"] + 1) % x["logits"].shape[1]}
            )
        ),
    ),
    *mistake(
        "indexed-by-pairs",
        "Rows are picked with the classes of all rows: log_probs[:, y], not log_probs[range(n), y].",
        _LINE,
        lambda x, o: {"loss": -_log_softmax(x["logits"])[:, x["target"]].mean()},
    ),
)


def _binary(x: Inputs) -> Any:
    p, y = np.clip(_probs(x), 1e-12, 1.0 - 1e-12), _onehot(x)
    return -(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))


def _sigmoid(x: Inputs) -> Any:
    return np.logaddexp(0.0, x["logits"]) - _onehot(x) * x["logits"]


def _cases(generator: np.random.Generator) -> list[Case]:
    def batch(rows: int, classes: int, scale: float = 1.5, shift: float = 0.0) -> Inputs:
        return {
            "logits": scale * generator.standard_normal((rows, classes)) + shift,
            "target": generator.integers(0, classes, rows),
        }

    far = batch(4, 3)
    far["logits"] = np.array(
        [[1000.0, 0.0, -1000.0], [-1000.0, 1000.0, 0.0], [800.0, 801.0, 0.0], [0.0, 0.0, 900.0]]
    )
    far["target"] = np.array([0, 1, 1, 2])
    lost = {"logits": far["logits"], "target": np.array([2, 0, 0, 0])}
    tied = batch(4, 3)
    tied["logits"] = np.zeros((4, 3))
    cases = [
        ("general", batch(6, 4)),
        ("general", batch(5, 3)),
        ("general", batch(32, 10)),
        ("one class", batch(3, 1)),
        ("two classes", batch(5, 2)),
        ("batch one", batch(1, 4)),
        ("as many rows as classes", batch(4, 4)),
        ("equal logits", tied),
        ("shifted logits", batch(4, 3, shift=50.0)),
        ("logits of 1000", far),
        ("probabilities of zero", lost),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]


_LABELS = words(
    "target targets labels label y y_true ys classes class_idx true gold t y_batch truth "
    "ground_truth idx class_indices answers"
)

SUBJECTS = (
    Subject(
        name="layers:cross_entropy",
        title="softmax cross-entropy, and its gradient",
        equation=f"{_LINE}, {_GRADIENT}",
        axes={"logits": _TABLE, "target": _ROW},
        arguments=(
            Argument(
                role="logits",
                names=words(
                    "logits scores input z x outputs output pred preds "
                    "predictions logit y_pred y_hat o a inputs"
                ),
                axes=_TABLE,
                doc="z",
            ),
            Argument(
                role="logits",
                names=("probs", "probabilities", "p", "softmax_output", "prob", "y_prob", "y_hat", "y_pred"),
                axes=_TABLE,
                make=lambda x: np.exp(_log_softmax(x["logits"])),
                says="probabilities already",
                spare=False,
                doc="softmax(z)",
            ),
            Argument(role="target", names=_LABELS, axes=_ROW, kind="index", doc="class of each row"),
            Argument(
                role="target",
                names=(
                    *_LABELS,
                    "onehot",
                    "one_hot",
                    "y_onehot",
                    "y_one_hot",
                    "one_hot_labels",
                    "targets_onehot",
                ),
                axes=_TABLE,
                make=_onehot,
                says="one-hot",
                doc="one-hot class of each row",
            ),
        ),
        outputs={"probabilities": _TABLE, "loss": _ROW, "gradient": _TABLE},
        single=("loss",),
        orders=(
            ("loss", "gradient"),
            ("gradient", "loss"),
            ("loss", "probabilities"),
            ("probabilities", "loss"),
            ("loss", "probabilities", "gradient"),
            ("probabilities", "loss", "gradient"),
        ),
        names={
            **dict.fromkeys(("grad", "dx", "dlogits", "dz", "d_logits", "dscores"), "gradient"),
            **dict.fromkeys(("probs", "softmax", "p"), "probabilities"),
        },
        layouts=(
            Layout(name="row,class"),
            Layout(name="one", says="one row at a time", loop="row", unless=r"axis|dim\s*=|keepdim"),
        ),
        choices={
            "reduction": Choice(values={"mean": "", "none": "one number for each row, not their mean"}),
            "floor": Choice(
                values={
                    "none": "",
                    "kept": "probabilities are kept above zero: losses above 6.9 nats were not compared",
                }
            ),
        },
        reference=_rowed(_rows),
        mistakes=tuple(replace(each, outputs=_rowed(each.outputs)) for each in _MISTAKES),
        cases=_cases,
        gradients=Gradients(loss=lambda t, o: _losses(t).mean(), learned=("logits",)),
        consistent=lambda x: x if np.max(x["target"]) < x["logits"].shape[-1] else None,
    ),
)
