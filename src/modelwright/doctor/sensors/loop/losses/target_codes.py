"""Targets in another code than the loss is made for: shares that do not sum to 1, signs that are 0 and 1."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["TargetCodes"]

_ENOUGH = 3
_NEAR = 1e-3

_OF_SHARES = ("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss")
_OF_SIGNS = ("soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss")


@dataclass(slots=True)
class _Count:
    """How often a loss was seen at a place, and how often it misreads its targets, and how."""

    name: str
    seen: int = 0
    wrong: int = 0
    words: str = ""
    mend: str = ""


class TargetCodes(Sensor):
    """Looks at each call of a loss while gradients are recorded."""

    operations = frozenset({"cross_entropy", "kl_div", "poisson_nll_loss", *_OF_SHARES, *_OF_SIGNS})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._counts: dict[Place | None, _Count] = {}

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        given, target = operation.argument(0, "input"), operation.argument(1, "target")
        if operation.name == "margin_ranking_loss":
            target = operation.argument(2, "target")
        if self.scene.environments or not getattr(given, "requires_grad", False):
            return  # where actions are learnt, targets of such a loss may be weights
        if not getattr(target, "numel", int)() or not given.numel():
            return
        said = _LOOKS[operation.name](given.detach(), target.detach(), operation)
        count = self._counts.setdefault(operation.place, _Count(operation.name))
        count.seen += 1
        if said is not None:
            count.wrong += 1
            count.words, count.mend = said

    def findings(self) -> Iterable[Finding]:
        """Return a finding for each place where most calls misread their targets."""
        for place, count in self._counts.items():
            if count.wrong < min(_ENOUGH, count.seen) or 2 * count.wrong <= count.seen:
                continue
            yield Finding(
                kind="targets-of-another-loss",
                severity=Severity.SEVERE,
                title=f"{count.name} {count.words}.",
                evidence={"loss": count.name, "calls": count.seen, "calls_that_misread": count.wrong},
                causes=(cause("wrong-loss", place),),
                next_check=count.mend,
                subject=str(place or ""),
            )


_Said = tuple[str, str] | None


def _classes(given: Any, target: Any, operation: Operation) -> _Said:
    axis = 0 if given.dim() == 1 else 1
    classes = int(given.shape[axis])
    if classes == 1:
        return (
            "is given a single class: it is zero, whatever the model says",
            "use binary_cross_entropy_with_logits for one output, or give the model an output for each class",
        )
    if not target.is_floating_point() or target.shape != given.shape:
        return None
    sums = target.sum(dim=axis)
    if given.dim() == 1 and abs(float(sums) - 1) > _NEAR:
        return (
            f"takes {tuple(given.shape)} for the classes of one row, whose shares sum to {float(sums):.4g}"
            " instead of 1: rows are held against one another",
            "use binary_cross_entropy_with_logits where each number is a row of its own",
        )
    if bool(((target == 0) | (target == 1)).all()) and float(sums.max()) > 1:
        return (
            f"is given rows with up to {int(sums.max())} right classes, and takes their shares to sum to 1",
            "use binary_cross_entropy_with_logits where several classes can be right at once",
        )
    return None


def _shares(given: Any, target: Any, operation: Operation) -> _Said:
    low, high = float(target.min()), float(target.max())
    if low >= -_NEAR and high <= 1 + _NEAR:
        return None
    return (
        f"is given targets from {low:.4g} to {high:.4g}; it takes shares between 0 and 1",
        "code the two classes as 0 and 1, or use the loss that their code is made for",
    )


def _signs(given: Any, target: Any, operation: Operation) -> _Said:
    if bool(((target == 0) | (target == 1)).all()) and float(target.min()) == 0:
        return (
            "is given targets of 0 and 1; it takes -1 and 1, and a row of 0 teaches nothing",
            "code the two sides as -1 and 1: 2 * target - 1",
        )
    return None


def _amounts(given: Any, target: Any, operation: Operation) -> _Said:
    if float(target.min()) >= 0:
        return None
    return "is given targets below 0; it takes counts", "use a loss that knows negative numbers: mse_loss"


def _logarithms(given: Any, target: Any, operation: Operation) -> _Said:
    if _sums_to_one(given):
        return (
            "is given probabilities where it takes their logarithms",
            "give it log_softmax of the logits as input",
        )
    if not operation.kwargs.get("log_target") and _sums_to_one(target.exp()) and float(target.max()) <= 0:
        return (
            "is given logarithms as targets, and is not told so",
            "pass log_target=True, or probabilities as targets",
        )
    return None


def _sums_to_one(values: Any) -> bool:
    if float(values.min()) < 0 or not values.dim():
        return False
    return bool(((values.sum(dim=-1) - 1).abs() < _NEAR).all())


_LOOKS: dict[str, Callable[[Any, Any, Operation], _Said]] = {
    "cross_entropy": _classes,
    "kl_div": _logarithms,
    "poisson_nll_loss": _amounts,
    **dict.fromkeys(_OF_SHARES, _shares),
    **dict.fromkeys(_OF_SIGNS, _signs),
}
