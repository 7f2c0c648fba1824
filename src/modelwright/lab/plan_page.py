"""A plan as a page of text."""

from typing import TYPE_CHECKING

from modelwright.lab.plan import Plan

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["show_plan"]


def show_plan(plan: Plan) -> "RenderableType":
    """Return what `modelwright plan` prints."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if plan.needed is None:
        needs = f"No number of seeds is enough. {plan.obstacle}"
    else:
        enough = "and has" if plan.registered >= plan.needed else "and has only"
        needs = (
            f"A fixed design needs {plan.needed} seeds a variant for a power of {plan.power:g} at its smallest "
            f"effect, {enough} {plan.registered}."
        )
    prospects = Table("true effect", "P(supported)", "expected seeds", box=None, pad_edge=False)
    for prospect in plan.prospects:
        prospects.add_row(f"{prospect.effect:g}", f"{prospect.supported:.3f}", f"{prospect.seeds:.1f}")
    cost = Table("variant", "seconds a trial", box=None, pad_edge=False)
    for name, seconds in plan.seconds.items():
        cost.add_row(name, f"{seconds:.2f}")
    return Group(
        Text(f"Plan of {plan.name}", style="bold"),
        Text(f"Rule: {plan.rule}."),
        Text(f"Spread of the paired differences: {plan.spread:.3g}, from {plan.spread_from}."),
        Text(needs),
        Text(""),
        Text("What the registered rule would do:"),
        prospects,
        Text(""),
        cost,
        Text(
            f"With {plan.workers} workers: about {plan.expected_seconds:.0f} s at the smallest effect, "
            f"at most {plan.most_seconds:.0f} s."
        ),
        Text(f"Next: modelwright run {plan.name}", style="bold"),
    )
