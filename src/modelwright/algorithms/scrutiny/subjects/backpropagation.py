"""The gradients of a net with one hidden layer.

    h = phi(x W1 + b1),   z = h W2 + b2,   L = mean_i loss(z_i, y_i)
    dz = dL/dz,   dW2 = h' dz,   db2 = 1' dz,   dh = (dz W2') phi'(h),   dW1 = x' dh,   db1 = 1' dh

Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.5.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.mlp import Config, Perceptron
from modelwright.algorithms.networks.layers import cross_entropy
from modelwright.algorithms.scrutiny.subject import (
    Absent,
    Argument,
    Case,
    Choice,
    Inputs,
    Layout,
    Options,
    Outputs,
    Subject,
    mistake,
)
from modelwright.algorithms.scrutiny.subjects.rows import tensors

__all__ = ["SUBJECTS"]

_X, _W1, _B1 = ("row", "feature"), ("feature", "hidden"), ("hidden",)
_W2, _B2, _Z = ("hidden", "class"), ("class",), ("row", "class")
_LOSSES = {
    "cross-entropy": "",
    "mean-squared": "squared error, averaged over rows and outputs",
    "squared": "squared error, summed over outputs and averaged over rows",
    "half-squared": "half the squared error, summed over outputs and averaged over rows",
}


def _reference(x: Inputs, options: Options) -> Outputs:
    """Return the learner's own, differentiated by torch."""
    import torch

    t = tensors(x)
    names = {"w1": "weight_1", "b1": "bias_1", "w2": "weight_2", "b2": "bias_2"}
    leaves = {name: t[name].clone().requires_grad_() for name in names}
    weights = {
        full: leaves[name][None, None] if name[0] == "b" else leaves[name][None]
        for name, full in names.items()
    }
    if options["activation"] == "sigmoid":
        hidden = torch.sigmoid(t["x"] @ leaves["w1"] + leaves["b1"])
        z = hidden @ leaves["w2"] + leaves["b2"]
    else:
        config = Config(width=x["w1"].shape[1], depth=1, activation=options["activation"])
        network = Perceptron(features=x["w1"].shape[0], outputs=x["w2"].shape[1], config=config)
        outputs, (inner,) = network.forward(weights, t["x"][None], None)
        hidden, z = inner[0], outputs[0]
    if options["loss"] == "cross-entropy":
        loss = cross_entropy(z[None], t["y"][None]).mean()
    else:
        each = (z - torch.from_numpy(_onehot(x))).square().sum(dim=1).mean()
        loss = each * _squared_factor(options, x)
    d = torch.autograd.grad(loss, [z, *leaves.values()])
    found = {
        "h": hidden,
        "z": z,
        "loss": loss,
        "dz": d[0],
        "dw2": d[3],
        "db2": d[4],
        "dw1": d[1],
        "db1": d[2],
    }
    return {name: each.detach().numpy() for name, each in found.items()}


def _squared_factor(options: Options, x: Inputs) -> float:
    return {"mean-squared": 1.0 / x["w2"].shape[1], "squared": 1.0, "half-squared": 0.5}[options["loss"]]


def _onehot(x: Inputs) -> Any:
    return np.eye(x["w2"].shape[1])[x["y"]]


def _activate(u: Any, name: str) -> tuple[Any, Any]:
    """Return phi(u) and phi'(u)."""
    if name == "relu":
        return np.maximum(u, 0.0), 1.0 * (u > 0)
    h = np.tanh(u) if name == "tanh" else 1.0 / (1.0 + np.exp(-u))
    return h, 1.0 - h * h if name == "tanh" else h * (1.0 - h)


def _by_hand(x: Inputs, options: Options, **wrong: Any) -> Outputs:
    """Return the gradients by the equations above; `wrong` changes a part of them."""
    u = x["x"] @ x["w1"] + x["b1"]
    h, slope = _activate(u, options["activation"])
    z = h @ x["w2"] + x["b2"]
    rows = len(z)
    if options["loss"] == "cross-entropy":
        shifted = z - z.max(axis=1, keepdims=True)
        p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
        dz = (p - (0.0 if wrong.get("no_target") else _onehot(x))) / rows
        loss = -np.log(p[np.arange(rows), x["y"]]).mean()
    else:
        dz = 2.0 * _squared_factor(options, x) * (z - _onehot(x)) / rows
        loss = np.square(z - _onehot(x)).sum(axis=1).mean() * _squared_factor(options, x)
    dz = dz * wrong.get("scale", 1.0) * (rows if wrong.get("sum") else 1.0)
    if "output_slope" in wrong:
        dz = dz * _activate(z, options["activation"])[1]
    if "slope" in wrong:
        slope = wrong["slope"](u, h, slope)
    dh = (dz @ x["w2"].T) * slope
    late = h if "late" not in wrong else (dz @ (x["w2"] - 0.1 * h.T @ dz).T) * slope
    dh = late if "late" in wrong else dh
    how = wrong.get("bias", lambda each: each.sum(axis=0))
    found = {"dz": dz, "dw2": h.T @ dz, "db2": how(dz), "dw1": x["x"].T @ dh, "db1": how(dh)}
    if "inputs" in wrong:
        found["dw2"] = u.T @ dz
    kept = wrong.get("keep")
    if kept is not None:
        found = {name: each * kept.get(name, 1.0) for name, each in found.items()}
    if wrong.get("sum"):
        loss = loss * rows if wrong["sum"] == "all" else loss
    return {**found, "loss": loss}


def _wrong(**changed: Any) -> Callable[[Inputs, Options], Outputs]:
    return lambda x, o: _by_hand(x, o, **changed)


def _softmax_slope(x: Inputs, options: Options) -> Outputs:
    if options["loss"] != "cross-entropy":
        return {}
    h, _ = _activate(x["x"] @ x["w1"] + x["b1"], options["activation"])
    z = h @ x["w2"] + x["b2"]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    dz = (p - _onehot(x)) * p * (1.0 - p) / len(z)
    return {"dz": dz, "dw2": h.T @ dz, "db2": dz.sum(axis=0)}


_CHAIN = "dh = (dz W2') phi'(h), dW1 = x' dh"
_MISTAKES = (
    *mistake(
        "activation-slope-missing",
        "The slope of the activation is missing.",
        _CHAIN,
        _wrong(slope=lambda u, h, slope: np.ones_like(slope)),
    ),
    *mistake(
        "activation-slope-wrong",
        "The slope of the activation is that of another one, or is taken at another place.",
        "tanh' = 1 - h^2, sigmoid' = h (1 - h), relu' = 1(u > 0)",
        _wrong(slope=lambda u, h, slope: 1.0 - h * h),
        _wrong(slope=lambda u, h, slope: h * (1.0 - h)),
        _wrong(slope=lambda u, h, slope: 1.0 * (u > 0)),
        _wrong(slope=lambda u, h, slope: 1.0 - np.square(np.tanh(h))),
        _wrong(slope=lambda u, h, slope: 1.0 - h),
        _wrong(slope=lambda u, h, slope: 1.0 - np.square(u)),
        _wrong(slope=lambda u, h, slope: u * (1.0 - u)),
        _wrong(slope=lambda u, h, slope: h),
        _wrong(slope=lambda u, h, slope: 1.0 * (u < 0)),
        _wrong(slope=lambda u, h, slope: 1.0 / (1.0 + np.exp(-h)) * (1.0 - 1.0 / (1.0 + np.exp(-h)))),
    ),
    *mistake(
        "sum-in-place-of-mean",
        "Gradients are summed over rows, not averaged.",
        "dz = (softmax(z) - onehot(y)) / n",
        _wrong(sum="gradients"),
        _wrong(sum="all"),
    ),
    *mistake(
        "divided-twice",
        "Gradients are divided by the number of rows twice.",
        "dz = (softmax(z) - onehot(y)) / n",
        lambda x, o: _by_hand(x, o, scale=1.0 / len(x["x"])),
        lambda x, o: _by_hand(x, o, keep={"dw1": 1.0 / len(x["x"]), "db1": 1.0 / len(x["x"])}),
        _wrong(bias=lambda each: each.mean(axis=0)),
    ),
    *mistake(
        "bias-wrong-axis",
        "The gradient of a bias is summed over units, or over everything, not over rows.",
        "db = 1' dz: the sum over rows",
        _wrong(bias=lambda each: each.sum(axis=1)),
        _wrong(bias=lambda each: np.broadcast_to(each.sum(), each.shape[1:])),
        _wrong(bias=lambda each: each.sum()),
        _wrong(bias=lambda each: each),
    ),
    *mistake(
        "wrong-sign",
        "The sign is wrong.",
        "dz = softmax(z) - onehot(y)",
        lambda x, o: {name: -each for name, each in _by_hand(x, o).items() if name != "loss"},
    ),
    *mistake(
        "output-slope",
        "The slope of the activation is applied at the output too, or that of softmax a second time.",
        "dz = (softmax(z) - onehot(y)) / n holds that slope already",
        _wrong(output_slope=True),
        _softmax_slope,
    ),
    *mistake(
        "target-missing",
        "The target is not subtracted.",
        "dz = (softmax(z) - onehot(y)) / n",
        _wrong(no_target=True),
    ),
    *mistake(
        "before-activation",
        "dW2 takes the hidden layer before its activation.",
        "dW2 = h' dz",
        _wrong(inputs="u"),
    ),
    *mistake(
        "factor-two",
        "A factor of 2, or of 1/2, is missing.",
        "d (z - y)^2 = 2 (z - y)",
        _wrong(scale=0.5),
        _wrong(scale=2.0),
    ),
    *mistake(
        "updated-weights",
        "The hidden layer's gradient goes through weights that were changed already.",
        "compute all gradients before any update",
        _wrong(late=True),
    ),
    *mistake(
        "wrong-weights-transposed",
        "A matrix is not transposed, or the wrong one.",
        "dW2 = h' dz, dW1 = x' dh",
        lambda x, o: {
            name: np.swapaxes(each, 0, 1) for name, each in _by_hand(x, o).items() if name in ("dw1", "dw2")
        },
    ),
)


def _cases(generator: np.random.Generator) -> list[Case]:
    def net(rows: int, features: int, hidden: int, classes: int, **given: Any) -> Inputs:
        normal = generator.standard_normal
        return {
            "x": normal((rows, features)),
            "y": generator.integers(0, classes, rows),
            "w1": 0.7 * normal((features, hidden)),
            "b1": 0.3 * normal(hidden),
            "w2": 0.7 * normal((hidden, classes)),
            "b2": 0.3 * normal(classes),
            **given,
        }

    cases = [
        ("general", net(5, 4, 6, 3)),
        ("general", net(7, 3, 5, 4)),
        ("general", net(16, 8, 10, 2)),
        ("batch one", net(1, 4, 5, 3)),
        ("one hidden unit", net(4, 3, 1, 2)),
        ("one feature", net(4, 1, 3, 2)),
        ("as many rows as units", net(3, 3, 3, 3)),
        ("small weights", net(4, 3, 5, 2, w1=1e-3 * generator.standard_normal((3, 5)))),
        ("large inputs", net(4, 3, 5, 2, x=5.0 * generator.standard_normal((4, 3)))),
        ("biases of zero", net(4, 3, 5, 2, b1=np.zeros(5), b2=np.zeros(2))),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]


def _consistent(x: Inputs) -> Inputs | None:
    return x if np.max(x["y"]) < x["w2"].shape[1] else None


_TARGETS = ("y", "labels", "target", "targets", "label", "y_true", "t", "ys", "y_batch")
_TURNED = ("feature", "hidden", "class")


def _weight(role: str, axes: tuple[str, ...], *names: str) -> Argument:
    return Argument(role=role, names=(role, *names), axes=axes, doc=role)


SUBJECTS = (
    Subject(
        name="mlp:backpropagation",
        title="gradients of a net with one hidden layer",
        equation="dW2 = h' dz, db2 = 1' dz, dh = (dz W2') phi'(h), dW1 = x' dh, db1 = 1' dh",
        axes={"x": _X, "y": ("row",), "w1": _W1, "b1": _B1, "w2": _W2, "b2": _B2},
        arguments=(
            Argument(
                role="x",
                names=("x", "inputs", "input", "data", "x_batch", "features", "xs"),
                axes=_X,
                doc="x",
            ),
            Argument(role="y", names=_TARGETS, axes=("row",), kind="index", doc="class of each row"),
            Argument(
                role="y",
                names=(*_TARGETS, "y_onehot", "onehot", "one_hot", "y_one_hot"),
                axes=_Z,
                make=_onehot,
                says="one-hot",
                doc="one-hot class of each row",
            ),
            _weight(
                "w1",
                _W1,
                "weight1",
                "weights1",
                "w_1",
                "weight_1",
                "w_hidden",
                "fc1_weight",
                "w_in",
                "theta1",
            ),
            _weight("b1", _B1, "bias1", "b_1", "bias_1", "b_hidden", "fc1_bias", "biases1", "b_in"),
            _weight(
                "w2",
                _W2,
                "weight2",
                "weights2",
                "w_2",
                "weight_2",
                "w_out",
                "fc2_weight",
                "w_output",
                "theta2",
            ),
            _weight("b2", _B2, "bias2", "b_2", "bias_2", "b_out", "fc2_bias", "biases2", "b_output"),
        ),
        outputs={
            "h": ("row", "hidden"),
            "z": _Z,
            "loss": (),
            "dz": _Z,
            "dw2": _W2,
            "db2": _B2,
            "dw1": _W1,
            "db1": _B1,
        },
        single=("dw1", "dw2", "loss"),
        orders=(
            ("dw1", "db1", "dw2", "db2"),
            ("dw2", "db2", "dw1", "db1"),
            ("dw1", "dw2", "db1", "db2"),
            ("loss", "dw1", "db1", "dw2", "db2"),
            ("loss", "dw2", "db2", "dw1", "db1"),
            ("dw1", "dw2"),
            ("loss", "dw1", "dw2"),
        ),
        names={
            name: output
            for output in ("dw1", "db1", "dw2", "db2")
            for base in (output[1:], f"{output[1]}_{output[2]}")
            for name in (
                *(base, f"d_{base}", f"grad_{base}", f"g_{base}", f"{base}_grad", f"d{base}", f"g{base}"),
                *(f"grad{base}", f"{ {'w': 'weight', 'b': 'bias'}[output[1]] }{output[2]}"),
            )
        },
        layouts=(
            Layout(name="in,out"),
            Layout(name="out,in", says="weights lie (out, in)", turned=_TURNED),
            Layout(
                name="columns",
                says="rows are columns, weights lie (out, in)",
                turned=("row", *_TURNED),
                trailing=("hidden", "class"),
            ),
        ),
        choices={
            "activation": Choice(
                values={"relu": "", "tanh": "hidden units are tanh", "sigmoid": "hidden units are sigmoid"}
            ),
            "loss": Choice(values=_LOSSES),
        },
        absences=(
            Absent(
                roles=("b1",), ways={"the hidden layer has no bias": lambda x: {**x, "b1": 0.0 * x["b1"]}}
            ),
            Absent(roles=("b2",), ways={"the output has no bias": lambda x: {**x, "b2": 0.0 * x["b2"]}}),
        ),
        reference=_reference,
        mistakes=_MISTAKES,
        cases=_cases,
        consistent=_consistent,
    ),
)
