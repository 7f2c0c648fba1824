"""The gradient of a loss with respect to its inputs: where a missing stop-gradient shows, and only there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.agreement import Difference, is_close
from modelwright.algorithms.scrutiny.outside import Bag, Dress, put_on
from modelwright.algorithms.scrutiny.reading import Reading
from modelwright.algorithms.scrutiny.resemblance import Resemblance
from modelwright.algorithms.scrutiny.subject import Argument, Inputs, Options, Subject

__all__ = ["gradient_difference", "stopped_too_little"]


def gradient_difference(
    function: Callable[..., Any],
    subject: Subject,
    reading: Reading,
    options: Options,
    order: tuple[str | None, ...],
    inputs: Inputs,
) -> tuple[bool, Difference | None]:
    """Return whether the gradient could be compared, and the first input for which it differs."""
    if subject.gradients is None or reading.layout.loop or "loss" not in order:
        return False, None
    import torch

    leaves = _leaves(inputs)
    try:
        loss = _their_loss(function, subject, reading, leaves, order.index("loss"))
    except Exception:  # the values agree; it only cannot take tensors that keep a gradient
        return False, None
    if not isinstance(loss, torch.Tensor):
        return False, None
    ours = _leaves(inputs)
    wanted = _gradients(subject.gradients.loss(ours, options), ours)
    if not loss.requires_grad:
        name = next((name for name in subject.gradients.learned if _told(reading, name)), "")
        if not name:
            return False, None
        return True, _differs(inputs, name, np.zeros_like(wanted[name]), wanted[name])
    found = _gradients(loss.mean(), leaves)
    stopped = () if options.get("stop") == "caller" else subject.gradients.stopped
    for name in (*subject.gradients.learned, *stopped):
        if name in found and not is_close(found[name], wanted[name], {}, double=True):
            return True, _differs(inputs, name, found[name], wanted[name])
    return True, None


def stopped_too_little(subject: Subject, difference: Difference) -> Resemblance | None:
    """Return the mistake behind a gradient that differs."""
    name = difference.output.removeprefix("d loss / d ")
    assert subject.gradients is not None
    if name in subject.gradients.stopped:
        return Resemblance(
            name="no-stop-gradient",
            what=f"The gradient runs into {name}, which this loss must take for a constant.",
            maths=f"d loss / d {name} = 0: detach it; where the caller does so, say --convention stop=caller",
            share=1.0,
        )
    if not np.any(difference.theirs):
        return Resemblance(
            name="gradient-cut",
            what=f"No gradient reaches {name}: a detach, .item(), no_grad or a copy stands in its way.",
            maths=f"d loss / d {name} is what the learner follows",
            share=1.0,
        )
    return None


def _told(reading: Reading, role: str) -> bool:
    return any(each is not None and each.role == role for each in reading.arguments.values())


def _leaves(inputs: Inputs) -> dict[str, Any]:
    import torch

    leaves: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, np.ndarray):
            leaf = torch.from_numpy(np.array(value, copy=True))
            leaves[name] = leaf.requires_grad_() if value.dtype.kind == "f" else leaf
        else:
            leaves[name] = value
    return leaves


def _gradients(loss: Any, leaves: dict[str, Any]) -> dict[str, Any]:
    import torch

    names = [name for name, leaf in leaves.items() if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    if not loss.requires_grad:
        return {name: np.zeros(tuple(leaves[name].shape)) for name in names}
    found = torch.autograd.grad(loss, [leaves[name] for name in names], allow_unused=True)
    return {name: _numbers(each, leaves[name]) for name, each in zip(names, found, strict=True)}


def _numbers(gradient: Any, leaf: Any) -> Any:
    return np.zeros(tuple(leaf.shape)) if gradient is None else gradient.numpy()


def _their_loss(
    function: Callable[..., Any], subject: Subject, reading: Reading, leaves: dict[str, Any], at: int
) -> Any:
    import torch

    def tell(argument: Argument) -> Any:
        value = argument.value(leaves)
        if argument.kind == "list":
            return [reading.layout.lay(each, argument.axes[1:]) for each in value]
        if not isinstance(value, torch.Tensor):
            return put_on(Dress("torch", 64, False), value, argument.kind)
        if argument.kind == "number":
            return reading.layout.lay(value, argument.axes)
        dress = Dress("torch", 64, True)
        try:
            return put_on(dress, reading.layout.lay(value, argument.axes).numpy(), argument.kind).to(
                torch.int64 if argument.kind == "index" else torch.float64
            )
        except (TypeError, RuntimeError):
            return value

    given = function(
        **{
            name: Bag(subject, tell, subject.roles, {}, {}) if argument is None else tell(argument)
            for name, argument in reading.arguments.items()
        }
    )
    if isinstance(given, torch.Tensor):
        return given
    values = list(given.values()) if isinstance(given, dict) else list(given)
    return values[at]


def _differs(inputs: Inputs, name: str, theirs: Any, ours: Any) -> Difference:
    return Difference(
        case="gradient", output=f"d loss / d {name}", kind="gradient", inputs=inputs, theirs=theirs, ours=ours
    )
