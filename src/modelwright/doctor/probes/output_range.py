"""Outputs can be what targets are: no relu, sigmoid or tanh stands between them."""

from typing import Any

import torch
from torch import Tensor

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fork import fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.subject import Subject

__all__ = ["OutputRange"]

_RANGES = {
    "Relu": (0.0, float("inf"), "relu"),
    "Sigmoid": (0.0, 1.0, "sigmoid"),
    "Softmax": (0.0, 1.0, "softmax"),
    "Tanh": (-1.0, 1.0, "tanh"),
    "Softplus": (0.0, float("inf"), "softplus"),
}
_SHAPES = (
    "View",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "Select",
    "Transpose",
    "Permute",
    "TBackward",
    "Slice",
    "Alias",
)
_SHARE = 0.02
"""Targets out of reach before anything is said."""


class OutputRange:
    """Reads the last operation of the model, and asks the loss whether it wants outputs beyond its range."""

    words = "whether outputs reach the targets"
    share = 0.2

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("model", "loss", "sample")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.sample is not None
        targets = subject.sample.targets
        if not isinstance(targets, Tensor) or not targets.is_floating_point():
            return Outcome()
        made = fork(subject, optimizer=False)
        batch = subject.sample.take(slice(0, 256))
        output = made.output(batch.inputs)
        if not isinstance(output, Tensor) or output.shape != batch.targets.shape:
            return Outcome()
        low, high, name = _range(output.grad_fn)
        beyond = (batch.targets < low) | (batch.targets > high)
        share = float(beyond.float().mean())
        if not name or share < _SHARE or not _wants_more(made.loss, batch.targets, low, high, beyond):
            return Outcome()
        return Outcome(
            findings=(
                Finding(
                    kind="outputs-cannot-reach-targets",
                    severity=Severity.SEVERE,
                    title=f"The model ends in a {name}, and {share:.0%} of the targets lie outside it.",
                    evidence={
                        "last_operation": name,
                        "range": [low, str(high) if high == float("inf") else high],
                        "smallest_target": float(batch.targets.min()),
                        "largest_target": float(batch.targets.max()),
                        "share_of_targets_outside": share,
                    },
                    causes=(cause("relu-on-output", origin_of(subject.model)),),
                    next_check=f"remove the {name} from the output, or bring the targets into its range",
                ),
            )
        )


def _range(node: Any) -> tuple[float, float, str]:
    """Return the range of the last operation but changes of shape; without a name where it has none."""
    for _ in range(6):
        kind = type(node).__name__
        if not kind.startswith(_SHAPES):
            break
        node = node.next_functions[0][0] if node.next_functions else None
    kind = type(node).__name__
    return next(
        (known for name, known in _RANGES.items() if kind.startswith(name)), (-float("inf"), float("inf"), "")
    )


def _wants_more(loss: Any, targets: Tensor, low: float, high: float, beyond: Tensor) -> bool:
    """Return whether the loss is least at outputs that are the targets, and pulls beyond the range.

    A loss that scales outputs or targets itself has no least value there, and is left alone.
    """
    at_targets = targets.clone().requires_grad_(True)
    limited = targets.clamp(low, high).requires_grad_(True)
    try:
        (still,) = torch.autograd.grad(loss(at_targets, targets), at_targets)
        (pull,) = torch.autograd.grad(loss(limited, targets), limited)
    except (RuntimeError, ValueError):
        return False
    outward = torch.where(targets > high, -pull, pull)[beyond]
    return float(still.abs().max()) <= 1e-6 and bool((outward > 0).all())
