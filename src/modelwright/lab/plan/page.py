"""A plan as a page of text."""

from typing import TYPE_CHECKING

from modelwright.lab.plan.plan import Plan

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["show_plan"]


def show_plan(plan: Plan) -> "RenderableType":
    """Return what `modelwright plan` prints."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    effect = f"{plan.prospects[1].effect:g}"
    if plan.needed is None:
        needs = f"No number of seeds is enough. {plan.obstacle}"
    else:
        enough = "has" if plan.registered >= plan.needed else "has only"
        needs = (
            f"Where the true effect is {effect}, a fixed design needs {plan.needed} seeds a variant for a "
            f"power of {plan.power:g}; this one {enough} {plan.registered}."
        )
    prospects = Table("true effect", "P(supported)", "expected seeds", box=None, pad_edge=False)
    for prospect in plan.prospects:
        prospects.add_row(f"{prospect.effect:g}", f"{prospect.supported:.3f}", f"{prospect.seeds:.1f}")
    cost = Table("variant", "seconds a trial", "each more beside it", box=None, pad_edge=False)
    for name, seconds in plan.seconds.items():
        cost.add_row(name, f"{seconds:.3g}", f"{plan.seconds_more[name]:.3g}")
    return Group(
        Text(f"Plan of {plan.name}", style="bold"),
        Text(f"Rule: {plan.rule}."),
        Text(f"Spread of the paired differences: {plan.spread:.3g}, from {plan.spread_from}."),
        Text(needs),
        Text(""),
        Text("What the registered rule would do, in each comparison:"),
        prospects,
        Text(""),
        cost,
        Text(
            f"With {plan.workers} {'worker' if plan.workers == 1 else 'workers'}: about "
            f"{_duration(plan.expected_seconds)} where the true effect is {effect}, about "
            f"{_duration(plan.most_seconds)} if every seed is run; {_duration(plan.start_seconds)} of it "
            "to start."
        ),
        *(Text(f"Warning: {warning}", style="yellow") for warning in plan.warnings),
        Text(f"Next: modelwright run {plan.name}", style="bold"),
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
